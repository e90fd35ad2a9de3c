/** LiteLLM's surface over stores in memory, with an admin key, a snapshot and requests to tell of. */
import { randomBytes } from 'node:crypto'
import { openAdminServer } from '../../src/adapters/admin-http/index.ts'
import { liteLlmRoutes } from '../../src/adapters/litellm-http/index.ts'
import { fakeAccessStore } from '../../src/domain/access/fake.ts'
import type { RequestFilter, RequestRow, SpentRow, UsageRow } from '../../src/domain/journal/index.ts'
import type { Snapshot } from '../../src/domain/serving/index.ts'
import { instant } from '../../src/domain/units.ts'
import { hashKey, identifyBy, manageAccess } from '../../src/services/access/index.ts'

const adminKey = 'sk-admin-'.padEnd(40, 'x')
const startsAt = Date.parse('2026-01-01T00:00:00Z')

type World = {
  snapshot?: Pick<Snapshot, 'models' | 'versions'>
  requests?: RequestRow[]
  usage?: (keyIds: string[]) => UsageRow[]
  /** Whatever the period that is asked about. */
  spent?: SpentRow[]
}

export async function openLiteLlm(world: World = {}) {
  const store = fakeAccessStore()
  let at = startsAt
  const now = () => instant(at)
  const adminHash = hashKey(adminKey)
  const { keys, teams } = manageAccess({
    store,
    publisher: { publish: async () => ({ acknowledged: [], waitingFor: [] }) },
    adminHash,
    now,
    randomBytes,
    models: () => [],
    currency: () => 'EUR',
    whereDeclared: () => 'holdfast.yaml:12',
  })
  const identify = identifyBy({ store, adminHash, now })
  const filters: RequestFilter[] = []
  const app = await openAdminServer({ version: '0', log: { error: () => undefined } })
  await app.register(
    liteLlmRoutes({
      keys,
      teams,
      store,
      requests: {
        list: async filter => {
          filters.push(filter)
          return (world.requests ?? []).slice(0, filter.limit)
        },
        spent: async ({ keys: ids, teams: names }) =>
          (world.spent ?? []).filter(({ subject, name }) => (subject === 'key' ? ids : names).includes(name)),
        usage: async () => world.usage?.((await store.keys()).map(key => key.id)) ?? [],
      },
      snapshot: () => world.snapshot ?? { models: [], versions: [] },
      identify,
      now,
    }),
  )

  async function send(method: 'GET' | 'POST', url: string, options: { body?: object; key?: string } = {}) {
    const headers = { authorization: `Bearer ${options.key ?? adminKey}` }
    const payload = options.body === undefined ? {} : { payload: options.body }
    const answer = await app.inject({ method, url, headers, ...payload })
    return { status: answer.statusCode, body: answer.json(), headers: answer.headers }
  }

  return {
    keys,
    teams,
    store,
    /** What the request store was asked for. */
    filters,
    send,
    post: async (url: string, body: object) => (await send('POST', url, { body })).body,
    get: async (url: string) => (await send('GET', url)).body,
    /** Whether a secret opens anything now, or why not. */
    opens: (secret: string) =>
      identify(`Bearer ${secret}`).then(
        () => 'yes',
        (error: unknown) => String(error),
      ),
    pass: (ms: number) => {
      at += ms
    },
    close: () => app.close(),
  }
}

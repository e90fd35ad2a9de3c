/** kill -9 in the middle of `apply`, and of gateways that take turns: one spec is in force whole afterwards, and nothing is lost. */
import { watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { giveOrder } from '../../src/adapters/processes/index.ts'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { eachRecord } from '../chaos/journal.ts'
import { pidOf, pidsOf, type Role } from '../chaos/processes.ts'
import { startLoad, type Ended, type Load } from '../support/load.ts'
import { adminKey, startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'

const Models = z.object({ models: z.array(z.object({ name: z.string(), version: z.string() })) })
const Teams = z.object({
  teams: z.array(
    z.object({ name: z.string(), limits: z.object({ requestsPerMinute: z.number().nullish() }).nullish() }),
  ),
})
const Status = z.object({ snapshot: z.string() })
const Gateways = z.object({ gateways: z.array(z.object({ connected: z.boolean(), snapshot: z.string().nullable() })) })

let engine: FakeEngine
let service: Service
let round = 0

beforeAll(async () => {
  engine = await startFakeEngine({ tokens: 4, gapMs: 2 })
  service = await startService({ spec: specOf(round) })
})
afterAll(async () => {
  await service?.stop()
  await engine?.close()
})

/** What is written when an apply goes on, in which folder; and what the spec's file is for the controller that comes next. */
const moments = [
  ['the names of versions are kept', 'controller', /^versions\.json/, 'broken'],
  ['the new spec is kept', 'controller', /^last-good\.json/, 'broken'],
  ['the new spec is kept', 'controller', /^last-good\.json/, 'good'],
  ['a gateway writes it down', 'gateway', /^snapshot\.json/, 'broken'],
] as const

test('kill -9 of the controller in the middle of an apply: the old or the new spec, whole, and no request fails', async () => {
  const load = startMixedLoad()
  let cut = 0
  try {
    await load.after(20)
    for (const [moment, folder, file, specFile] of moments) {
      const before = await inForce()
      round += 1
      writeFileSync(service.specFile, specOf(round))
      const struck = killAt({ folder: join(service.home, folder), file, role: 'controller' }, () => {
        if (specFile === 'broken') writeFileSync(service.specFile, 'models: [{ name: half')
      })
      const applied = service.call('/api/v1/apply', {}).then(
        answer => answer.status,
        () => null,
      )
      await struck
      if ((await applied) !== 200) cut += 1
      const expected = specFile === 'good' ? round : expect.toBeOneOf([before, round])
      expect([moment, await inForce()]).toEqual([moment, expected])
    }
    await load.after(20)
  } finally {
    await load.stop()
  }
  // Else it was never killed in the middle.
  expect(cut).toBeGreaterThan(0)
  expect(load.ended.filter(isBroken)).toEqual([])
}, 180_000)

test('kill -9 of the gateway that is being told of a new spec: the one that comes next serves it whole', async () => {
  round += 1
  writeFileSync(service.specFile, specOf(round))
  const struck = killAt({ folder: join(service.home, 'gateway'), file: /^snapshot\.json/, role: 'gateway' })
  await service.call('/api/v1/apply', {}).catch(() => null)
  await struck
  await until('it is in force', async () => (await inForce()) === round)
}, 180_000)

test('kill -9 of either gateway while they take turns: one serves, and every answer is in the journal once', async () => {
  const load = startMixedLoad()
  try {
    for (const victim of ['before', 'next'] as const) {
      await load.after(20)
      const before = pidOf(service.home, 'gateway')
      const swap = giveOrder(join(service.home, 'run', 'orders.sock'), { do: 'restart', role: 'gateway' }, () => {})
      let next = 0
      await until('another gateway starts', () => {
        next = pidsOf(service.home, 'gateway').find(pid => pid !== before) ?? 0
        return next !== 0
      })
      process.kill(victim === 'next' ? next : (before ?? 0), 'SIGKILL')
      await swap.catch(() => null)
      await until(
        'one gateway serves',
        async () => pidsOf(service.home, 'gateway').length === 1 && (await inForce()) === round,
        20_000,
      )
    }
    await load.after(20)
  } finally {
    await load.stop()
  }
  const answered = load.ended.filter(({ end, status }) => end === 'whole' && status === 200)
  expect(answered.length).toBeGreaterThan(10)
  const closes = new Map<string, string[]>()
  await eachRecord(service.home, record => {
    if (record.t === 'close') closes.set(record.id, [...(closes.get(record.id) ?? []), record.outcome])
  })
  expect(answered.filter(({ id }) => String(closes.get(id ?? '')) !== 'ok')).toEqual([])
  expect(await service.cli('audit', 'verify')).toMatchObject({ exitCode: 0 })
}, 180_000)

const versionOf = (n: number): string => `production-v2.${n}-m-8b-fp16-p0`

/** Each round's is another in its models, its version, and its team's limit. */
function specOf(n: number): string {
  return `name: kill-9-apply
versions:
  - name: ${versionOf(n)}
    engine: { kind: vllm, servedName: fake }
    replicas: [{ id: r${n}, url: "${engine.url}/v1" }]
models:
  - { name: m, live: ${versionOf(n)} }
  - { name: only-${n}, live: ${versionOf(n)} }
teams:
  - { name: both, limits: { requestsPerMinute: ${100 + n} } }
`
}

/** Which round's spec is in force, in everything that tells of it, once controller and gateway agree. */
async function inForce(): Promise<number> {
  let told: number[] = []
  await until(
    'controller and gateway agree',
    async () => {
      const [status, gateways, models, teams] = await Promise.all([
        read('/api/v1/status', Status),
        read('/api/v1/gateways', Gateways),
        read('/v1/models', Models),
        read('/api/v1/teams', Teams),
      ])
      if (status === null || gateways === null || models === null || teams === null) return false
      const linked = gateways.gateways.filter(({ connected }) => connected)
      if (linked.length === 0 || linked.some(({ snapshot }) => snapshot !== status.snapshot)) return false
      told = [
        ...models.models.flatMap(({ name }) => (name.startsWith('only-') ? [Number(name.slice('only-'.length))] : [])),
        ...models.models.map(({ version }) => Number(/^production-v2\.(\d+)-/.exec(version)?.[1])),
        ...teams.teams.map(({ limits }) => (limits?.requestsPerMinute ?? 0) - 100),
      ]
      return true
    },
    60_000,
  )
  // One model of its own, two models of the version, one team: all of one round.
  expect(told).toHaveLength(4)
  expect(new Set(told).size, String(told)).toBe(1)
  return told[0] ?? -1
}

async function read<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  const answer = await service.call(path).catch(() => null)
  return answer?.status === 200 ? schema.parse(await answer.json()) : null
}

/** Resolves when it has been done, and the parent has another one. */
async function killAt(at: { folder: string; file: RegExp; role: Role }, then: () => void = () => {}): Promise<void> {
  const pid = pidOf(service.home, at.role)
  if (pid === null) throw new Error(`there is no ${at.role}`)
  const { promise, resolve } = Promise.withResolvers<void>()
  const watcher = watch(at.folder, (_, name) => {
    if (name === null || !at.file.test(name)) return
    watcher.close()
    process.kill(pid, 'SIGKILL')
    then()
    resolve()
  })
  await promise
  await until(`a new ${at.role}`, () => ![null, pid].includes(pidOf(service.home, at.role)), 60_000)
}

const isBroken = ({ end, status }: Ended): boolean => end !== 'whole' || status !== 200

function startMixedLoad(): Load {
  return startLoad({
    url: service.url,
    clients: 4,
    most: 50_000,
    make: n => ({
      key: adminKey,
      body: { model: 'm', stream: n % 2 === 0, messages: [{ role: 'user', content: 'hello' }] },
    }),
  })
}

/** LiteLLM Proxy's `/key/generate`, `/key/info` and `/key/delete`, so that scripts written for it go on working. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { keyStatus, maskKey, parseDuration } from '../../domain/access/index.ts'
import type { AccessStore, Key, Principal } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { keyId, modelName, teamName } from '../../domain/units.ts'
import type { Instant, Millis, ModelName } from '../../domain/units.ts'
import { hashKey } from '../../services/access/index.ts'
import type { Identify, Keys } from '../../services/access/index.ts'
import { refuseUnsupported } from './unsupported.ts'

export type LiteLlmParts = {
  keys: Keys
  store: Pick<AccessStore, 'key' | 'keyByHash' | 'keyByAlias'>
  identify: Identify
  now: () => Instant
}

/** Scripts send what they once got, so null and '' stand for left out. */
const text = z
  .string()
  .nullish()
  .transform(value => value || null)

const Generate = z.looseObject({
  key_alias: text,
  models: z.array(z.string().min(1)).max(1000).nullish(),
  duration: text,
  team_id: text,
  user_id: text,
  metadata: z
    .record(z.string(), z.unknown())
    .nullish()
    .refine(value => JSON.stringify(value ?? null).length <= 16_384, 'Metadata may have 16384 characters as JSON.'),
  key: text,
})
const Info = z.object({ key: text })
const refs = z
  .array(z.string().min(1))
  .max(1000)
  .nullish()
  .transform(value => value ?? [])
const Delete = z.strictObject({ keys: refs, key_aliases: refs })
const tags = ['LiteLLM']

export const liteLlmRoutes =
  ({ keys, store, identify, now }: LiteLlmParts): FastifyPluginAsyncZod =>
  async app => {
    app.addHook('onRequest', async request => {
      callers.set(request, await identify(request.headers.authorization))
    })

    /** A secret, a hash of one, or an id. Scripts keep any of them. */
    async function find(ref: string): Promise<Key | null> {
      if (/^key_[0-9A-Za-z]{16}$/.test(ref)) return store.key(keyId(ref))
      return (/^[0-9a-f]{64}$/.test(ref) ? await store.keyByHash(ref) : null) ?? store.keyByHash(hashKey(ref))
    }

    app.post('/key/generate', { schema: { tags, body: Generate } }, async (request, reply) => {
      requireAdmin(callers.get(request), 'POST /key/generate')
      const {
        key_alias: alias,
        models,
        duration,
        team_id: team,
        user_id: user,
        metadata,
        key: brought,
        ...rest
      } = request.body
      refuseUnsupported(rest)
      const { key, secret } = await keys.create({
        alias,
        team: team === null ? null : teamName(team),
        models: toModels(models ?? [], team !== null),
        expires: duration === null ? null : { in: toLength(duration) },
        metadata: { ...metadata, ...(user === null ? {} : { user_id: user }) },
        secret: brought,
      })
      return reply.header('cache-control', 'no-store').send({
        key: secret,
        token: hashKey(secret),
        ...toInfo(key, now()),
        duration,
        key_name: maskKey(secret),
      })
    })

    app.get('/key/info', { schema: { tags, querystring: Info } }, async request => {
      const caller = callers.get(request)
      const { key: ref } = request.query
      const own = caller?.kind === 'key' ? caller.id : null
      if (ref === null && own === null) {
        throw new FaultError({
          kind: 'request-invalid',
          param: 'key',
          problem: 'The admin key has no record of its own. Name a key: /key/info?key=…',
        })
      }
      const key = ref === null ? await store.key(keyId(own ?? '')) : await find(ref)
      // The same answer for another's key and for none: a key must not find out which others exist.
      if (own !== null && key?.id !== own)
        throw new FaultError({ kind: 'admin-required', what: 'Asking about another key' })
      if (key === null) throw new FaultError({ kind: 'not-found', what: 'key', name: shown(ref ?? '') })
      return { key: key.secrets[0]?.hash ?? key.id, info: toInfo(key, now()) }
    })

    app.post('/key/delete', { schema: { tags, body: Delete } }, async request => {
      requireAdmin(callers.get(request), 'POST /key/delete')
      const { keys: refs, key_aliases: aliases } = request.body
      if (refs.length + aliases.length === 0) {
        throw new FaultError({
          kind: 'request-invalid',
          param: 'keys',
          problem: 'Name keys (keys) or their aliases (key_aliases).',
        })
      }
      const ids: string[] = []
      for (const ref of refs) ids.push((await find(ref))?.id ?? missing(ref))
      for (const alias of aliases) ids.push((await store.keyByAlias(alias))?.id ?? missing(alias))
      await keys.revokeAll(ids)
      return { deleted_keys: [...refs, ...aliases] }
    })
  }

/** Who asked, from the hook to the handler. */
const callers = new WeakMap<object, Principal>()

function requireAdmin(caller: Principal | undefined, what: string): void {
  if (caller?.kind !== 'admin') throw new FaultError({ kind: 'admin-required', what })
}

function missing(ref: string): never {
  throw new FaultError({ kind: 'not-found', what: 'key', name: shown(ref) })
}

/** A secret must not come back in an error. */
const shown = (ref: string): string => (ref.startsWith('sk-') ? maskKey(ref) : ref)

function toLength(duration: string): Millis {
  const length = parseDuration(duration)
  if (length !== null) return length
  throw new FaultError({
    kind: 'request-invalid',
    param: 'duration',
    problem: 'A duration is a count and a unit: 30s, 30m, 30h, 30d.',
  })
}

/** In LiteLLM an empty list is every model, and three names mean more than a model. */
function toModels(models: readonly string[], hasTeam: boolean): ModelName[] | null {
  if (models.length === 0 || models.includes('all-team-models')) return null
  if (models.includes('no-default-models')) return []
  if (!models.includes('all-proxy-models')) return [...new Set(models)].map(modelName)
  if (!hasTeam) return null
  throw new FaultError({
    kind: 'unsupported',
    what: "'all-proxy-models' for a key in a team",
    instead: 'A key never gets more than its team: leave models out.',
  })
}

/** LiteLLM's fields for a key. What Holdfast does not count or limit is null, never a made-up 0. */
function toInfo(key: Key, now: Instant) {
  const user = key.metadata['user_id']
  return {
    token_id: key.id,
    // The secret is not kept, so its end can't be shown: the end of the id serves to tell keys apart.
    key_name: maskKey(key.id),
    key_alias: key.alias,
    models: key.models ?? [],
    expires: key.expiresAt === null ? null : new Date(key.expiresAt).toISOString(),
    team_id: key.team,
    user_id: typeof user === 'string' ? user : null,
    metadata: key.metadata,
    blocked: keyStatus(key, now) === 'revoked',
    spend: null,
    max_budget: null,
    budget_duration: null,
    budget_reset_at: null,
    tpm_limit: null,
    rpm_limit: null,
    max_parallel_requests: null,
    aliases: {},
    config: {},
    created_at: new Date(key.createdAt).toISOString(),
    updated_at: new Date(key.revokedAt ?? key.createdAt).toISOString(),
  }
}

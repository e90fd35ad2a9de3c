/** LiteLLM's calls that make, change and end keys. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { AccessStore, Key } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import type { Keys } from '../../services/access/index.ts'
import { bearKey } from './bear-key.ts'
import { noGrace, refs, tags, text, toLength } from './fields.ts'
import { missingKey, needKey } from './find-key.ts'
import { KeyFields, toAskedKey, toKeyChanges, toServiceKey } from './key-fields.ts'
import type { AskedKey } from './key-fields.ts'
import { toBornKey, toKeyInfo, tokenOf } from './shapes.ts'
import { nothingSpent, readSpending } from './spending.ts'
import type { SpendingParts } from './spending.ts'

export type KeyRouteParts = SpendingParts & {
  keys: Keys
  store: Pick<AccessStore, 'key' | 'keyByHash' | 'keyByAlias'>
}

const Generate = KeyFields.extend({ key: text })
const Update = KeyFields.extend({ key: z.string().min(1) })
const Regenerate = KeyFields.extend({ key: text, grace_period: text })
const Ref = z.object({ key: z.string().min(1) })
const Delete = z.strictObject({ keys: refs, key_aliases: refs })

export const keyRoutes =
  ({ keys, store, ...parts }: KeyRouteParts): FastifyPluginAsyncZod =>
  async app => {
    const told = async (key: Key) => toKeyInfo(key, await readSpending(parts, { keys: [key] }))
    // What these answer holds secrets, or refers to keys by what the caller sent, which may be one.
    app.addHook('onSend', async (_, reply) => {
      reply.header('cache-control', 'no-store')
    })

    async function bear(ask: AskedKey, { key, blocked }: { key: string | null; blocked?: boolean | null | undefined }) {
      const born = await bearKey(keys, { ...ask, secret: key }, { blocked: blocked === true })
      return toBornKey(born, nothingSpent(parts.now()))
    }

    /** What is named, and nothing else: a blocked key stays blocked unless `blocked: false` is said. */
    async function change(key: Key, fields: z.output<typeof KeyFields>): Promise<Key> {
      const changes = toKeyChanges(fields, key)
      const changed = Object.keys(changes).length === 0 ? key : (await keys.update(key.id, changes)).key
      if (fields.blocked === true) return (await keys.block(key.id)).key
      if (fields.blocked === false) return (await keys.unblock(key.id)).key
      return changed
    }

    app.post('/key/generate', { schema: { tags, body: Generate } }, async request => {
      const { key: _, ...fields } = request.body
      return { ...(await bear(toAskedKey(fields), request.body)), duration: fields.duration }
    })

    app.post('/key/service-account/generate', { schema: { tags, body: Generate } }, async request => {
      const { key: _, ...fields } = request.body
      return { ...(await bear(toServiceKey(fields), request.body)), duration: fields.duration }
    })

    app.post('/key/update', { schema: { tags, body: Update } }, async request => {
      const { key: ref, ...fields } = request.body
      const key = await change(await needKey(store, ref), fields)
      return { key: ref, token: tokenOf(key), ...(await told(key)) }
    })

    app.post('/key/block', { schema: { tags, body: Ref } }, async request => {
      const { key } = await keys.block((await needKey(store, request.body.key)).id)
      return { token: tokenOf(key), ...(await told(key)) }
    })

    app.post('/key/unblock', { schema: { tags, body: Ref } }, async request => {
      const { key } = await keys.unblock((await needKey(store, request.body.key)).id)
      return { token: tokenOf(key), ...(await told(key)) }
    })

    async function regenerate(ref: string, body: z.output<typeof Regenerate>) {
      const { key: _, grace_period: grace, ...fields } = body
      const found = await needKey(store, ref)
      // LiteLLM ends the old secret at once unless told otherwise.
      const length = grace === null ? noGrace : toLength(grace, 'grace_period')
      await change(found, fields)
      const { key, secret } = await keys.rotate(found.id, { grace: length })
      const spending = await readSpending(parts, { keys: [key] })
      return { ...toBornKey({ key, secret }, spending), duration: fields.duration }
    }

    app.post('/key/regenerate', { schema: { tags, body: Regenerate } }, async request => {
      const { key: ref } = request.body
      if (ref === null) {
        throw new FaultError({
          kind: 'request-invalid',
          param: 'key',
          problem:
            'Name the key. The admin key itself is changed by starting Holdfast with another HOLDFAST_ADMIN_KEY.',
        })
      }
      return regenerate(ref, request.body)
    })

    app.post('/key/:key/regenerate', { schema: { tags, params: Ref, body: Regenerate.nullish() } }, async request =>
      regenerate(request.params.key, request.body ?? Regenerate.parse({})),
    )

    app.post('/key/delete', { schema: { tags, body: Delete } }, async request => {
      const { keys: named, key_aliases: aliases } = request.body
      if (named.length + aliases.length === 0) {
        throw new FaultError({
          kind: 'request-invalid',
          param: 'keys',
          problem: 'Name keys (keys) or their aliases (key_aliases).',
        })
      }
      const ids: string[] = []
      for (const ref of named) ids.push((await needKey(store, ref)).id)
      for (const alias of aliases) ids.push((await store.keyByAlias(alias))?.id ?? missingKey(alias))
      await keys.revokeAll(ids)
      return { deleted_keys: [...named, ...aliases] }
    })
  }

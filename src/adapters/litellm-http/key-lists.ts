/** LiteLLM's calls that tell of keys. A key may ask about itself. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { AccessStore, Key } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { keyId } from '../../domain/units.ts'
import { callerOf } from './caller.ts'
import { cutPage, isSet, page, pageSize, queryFlag, refs, tags, text } from './fields.ts'
import { findKey, missingKey } from './find-key.ts'
import { toKeyInfo, tokenOf, userOf } from './shapes.ts'
import { readSpending } from './spending.ts'
import type { SpendingParts } from './spending.ts'
import { refuseUnsupported } from './unsupported.ts'

export type KeyListParts = SpendingParts & {
  store: Pick<AccessStore, 'key' | 'keyByHash' | 'keys'>
}

const Info = z.object({ key: text })
const Infos = z.object({ keys: refs })
const List = z.looseObject({
  page,
  size: pageSize(10),
  user_id: text,
  team_id: text,
  key_alias: text,
  key_hash: text,
  return_full_object: queryFlag,
  // They widen what a user sees of others' keys; the administrator sees all of them anyway.
  include_team_keys: queryFlag,
  include_created_by_keys: queryFlag,
})
const Aliases = z.looseObject({ page, size: pageSize(50), search: text })

/** For any key, about itself. */
export const ownKeyRoutes =
  ({ store, ...parts }: KeyListParts): FastifyPluginAsyncZod =>
  async app => {
    app.get('/key/info', { schema: { tags, querystring: Info } }, async request => {
      const caller = callerOf(request)
      const { key: ref } = request.query
      const own = caller.kind === 'key' ? caller.id : null
      if (ref === null && own === null) {
        throw new FaultError({
          kind: 'request-invalid',
          param: 'key',
          problem: 'Only an API key has a record of its own. Name a key: /key/info?key=…',
        })
      }
      const key = ref === null ? await store.key(keyId(own ?? '')) : await findKey(store, ref)
      // The same answer for another's key and for none: a key must not find out which others exist.
      if (caller.kind !== 'admin' && key?.id !== own)
        throw new FaultError({ kind: 'admin-required', what: 'Asking about another key' })
      if (key === null) missingKey(ref ?? '')
      return { key: tokenOf(key), info: toKeyInfo(key, await readSpending(parts, { keys: [key] })) }
    })

    // LiteLLM tells of the key's logging callbacks; keys have none here, and whoever gets this far has a key that works.
    app.post('/key/health', { schema: { tags } }, async () => ({ key: 'healthy', logging_callbacks: null }))
  }

/** For the administrator: register it behind that guard. */
export const keyListRoutes =
  ({ store, ...parts }: KeyListParts): FastifyPluginAsyncZod =>
  async app => {
    app.get('/key/list', { schema: { tags, querystring: List } }, async request => {
      const {
        page: at,
        size,
        user_id: user,
        team_id: team,
        key_alias: alias,
        key_hash: hash,
        return_full_object: full,
        include_team_keys: _teams,
        include_created_by_keys: _created,
        ...rest
      } = request.query
      refuseUnsupported(rest)
      const found = (await newestFirst(store)).filter(
        key =>
          (user === null || userOf(key) === user) &&
          (team === null || key.team === team) &&
          (alias === null || key.alias === alias) &&
          (hash === null || key.secrets.some(secret => secret.hash === hash)),
      )
      const { items, total, pages } = cutPage(found, { page: at, size })
      const spending = isSet(full) ? await readSpending(parts, { keys: items }) : null
      return {
        keys: items.map(key =>
          spending === null ? tokenOf(key) : { token: tokenOf(key), ...toKeyInfo(key, spending) },
        ),
        total_count: total,
        current_page: at,
        total_pages: pages,
      }
    })

    app.get('/key/aliases', { schema: { tags, querystring: Aliases } }, async request => {
      const { page: at, size, search, ...rest } = request.query
      refuseUnsupported(rest)
      const wanted = (search ?? '').toLowerCase()
      const aliases = (await newestFirst(store))
        .map(key => key.alias)
        .filter(alias => alias !== null)
        .filter(alias => alias.toLowerCase().includes(wanted))
        .toSorted()
      const { items, total, pages } = cutPage(aliases, { page: at, size })
      return { aliases: items, total_count: total, current_page: at, total_pages: pages, size }
    })

    app.post('/v2/key/info', { schema: { tags, body: Infos } }, async (request, reply) => {
      const refs = await Promise.all(request.body.keys.map(ref => findKey(store, ref)))
      const found = refs.filter(key => key !== null)
      const spending = await readSpending(parts, { keys: found })
      const info = found.map(key => ({ token: tokenOf(key), ...toKeyInfo(key, spending) }))
      return reply.header('cache-control', 'no-store').send({ key: request.body.keys, info })
    })
  }

/** Deleted keys are gone for LiteLLM, so they are in no list. */
async function newestFirst(store: Pick<AccessStore, 'keys'>): Promise<Key[]> {
  return (await store.keys()).filter(key => key.revokedAt === null).toReversed()
}

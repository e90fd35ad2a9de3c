/** LiteLLM's `/user/*`. There are no accounts: a user is whoever keys name as their owner. */
import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { AccessStore, Key } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import type { Keys } from '../../services/access/index.ts'
import { bearKey } from './bear-key.ts'
import { boundFields } from './bound-fields.ts'
import { cutPage, flag, names, page, pageSize, refs, tags, text } from './fields.ts'
import { KeyFields, toAskedKey } from './key-fields.ts'
import { toBornKey, toKeyInfo, tokenOf, toTeamInfo, toUserInfo, userOf } from './shapes.ts'
import { nothingSpent, readSpending } from './spending.ts'
import type { SpendingParts } from './spending.ts'
import { refuseUnsupported } from './unsupported.ts'

export type UserRouteParts = SpendingParts & {
  keys: Pick<Keys, 'create' | 'block' | 'revokeAll'>
  store: Pick<AccessStore, 'keys' | 'team'>
}

const New = KeyFields.extend({
  user_email: text,
  user_alias: text,
  user_role: text,
  teams: names,
  auto_create_key: flag,
})
const Info = z.looseObject({ user_id: z.string().min(1) })
const List = z.looseObject({ page, page_size: pageSize(25), role: text, user_ids: text, user_email: text, team: text })
const Delete = z.strictObject({ user_ids: refs })

export const userRoutes =
  ({ keys, store, ...parts }: UserRouteParts): FastifyPluginAsyncZod =>
  async app => {
    app.post('/user/new', { schema: { tags, body: New } }, async (request, reply) => {
      const {
        user_email: email,
        user_alias: alias,
        user_role: role,
        teams,
        auto_create_key: auto,
        ...fields
      } = request.body
      refuseRole(role)
      refuseBounds(fields)
      if (auto === false)
        throw new FaultError({
          kind: 'unsupported',
          what: 'A user without a key',
          instead: 'There are no accounts here: make the key when it is needed (POST /key/generate with user_id).',
        })
      const user = fields.user_id ?? randomUUID()
      const ask = toAskedKey({ ...fields, user_id: user, team_id: teamOf(fields.team_id, teams ?? []) })
      const noted = {
        ...(email === null ? {} : { user_email: email }),
        ...(alias === null ? {} : { user_alias: alias }),
      }
      const { key, secret } = await bearKey(
        keys,
        { ...ask, metadata: { ...ask.metadata, ...noted }, secret: null },
        { blocked: fields.blocked === true },
      )
      const spending = nothingSpent(parts.now())
      return reply.header('cache-control', 'no-store').send({
        ...toUserInfo(user, [key], spending),
        ...toBornKey({ key, secret }, spending),
        duration: fields.duration,
      })
    })

    app.get('/user/info', { schema: { tags, querystring: Info } }, async request => {
      const { user_id: user, ...rest } = request.query
      refuseUnsupported(rest)
      const theirs = (await usersOf(store)).get(user)
      if (theirs === undefined) throw new FaultError({ kind: 'not-found', what: 'key of the user', name: user })
      const named = new Set(theirs.map(key => key.team).filter(name => name !== null))
      const teams = (await Promise.all([...named].map(name => store.team(name)))).filter(team => team !== null)
      const spending = await readSpending(parts, { keys: theirs, teams })
      return {
        user_id: user,
        user_info: toUserInfo(user, theirs, spending),
        keys: theirs.map(key => ({ token: tokenOf(key), ...toKeyInfo(key, spending) })),
        teams: teams.map(team => toTeamInfo(team, theirs, spending)),
      }
    })

    app.get('/user/list', { schema: { tags, querystring: List } }, async request => {
      const { page: at, page_size: size, role, user_ids: ids, user_email: email, team, ...rest } = request.query
      refuseUnsupported(rest)
      const wanted = ids === null ? null : new Set(ids.split(',').map(id => id.trim()))
      const all = [...(await usersOf(store))]
      const spending = await readSpending(parts, { keys: all.flatMap(([, theirs]) => theirs) })
      const users = all
        .map(([user, theirs]) => toUserInfo(user, theirs, spending))
        .filter(
          user =>
            (role === null || user.user_role === role) &&
            (wanted === null || wanted.has(user.user_id)) &&
            (email === null || user.user_email === email) &&
            (team === null || user.teams.some(name => name === team)),
        )
        .toSorted((a, b) => (a.user_id < b.user_id ? -1 : 1))
      const { items, total, pages } = cutPage(users, { page: at, size })
      return { users: items, total, page: at, page_size: size, total_pages: pages }
    })

    // LiteLLM deletes a user's keys with the user, and answers how many users there were.
    app.post('/user/delete', { schema: { tags, body: Delete } }, async (request, reply) => {
      const users = await usersOf(store)
      const theirs = request.body.user_ids.flatMap(user => {
        const found = users.get(user)
        if (found === undefined) throw new FaultError({ kind: 'not-found', what: 'key of the user', name: user })
        return found
      })
      if (theirs.length === 0)
        throw new FaultError({ kind: 'request-invalid', param: 'user_ids', problem: 'Name users (user_ids).' })
      await keys.revokeAll(theirs.map(key => key.id))
      return reply.send(new Set(request.body.user_ids).size)
    })
  }

/** Who has keys that were not revoked, with them. */
async function usersOf(store: Pick<AccessStore, 'keys'>): Promise<Map<string, Key[]>> {
  const users = new Map<string, Key[]>()
  for (const key of await store.keys()) {
    const user = userOf(key)
    if (user !== null && key.revokedAt === null) users.set(user, [...(users.get(user) ?? []), key])
  }
  return users
}

/** A user's next key would be free of them. */
function refuseBounds(fields: z.output<typeof KeyFields>): void {
  const field = Object.keys(boundFields).find(name => (fields[name] ?? null) !== null)
  if (field === undefined) return
  throw new FaultError({
    kind: 'unsupported',
    what: `The field '${field}' of a user`,
    instead: 'Users are whoever keys name: bound each key (POST /key/generate with user_id), or put them into a team.',
  })
}

function refuseRole(role: string | null): void {
  if (role === null || role === 'internal_user' || role === 'internal_user_viewer') return
  throw new FaultError({
    kind: 'unsupported',
    what: `The role '${role.slice(0, 40)}'`,
    instead: 'Administration needs the admin key, and no other key gets it: leave user_role out.',
  })
}

function teamOf(team: string | null, teams: readonly string[]): string | null {
  const named = [...new Set([...(team === null ? [] : [team]), ...teams])]
  if (named.length <= 1) return named[0] ?? null
  throw new FaultError({
    kind: 'unsupported',
    what: 'A user in several teams',
    instead: 'A key is in one team: make a key for each (POST /key/generate with user_id and team_id).',
  })
}

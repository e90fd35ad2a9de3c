/** Keys, teams and users by LiteLLM's fields. What Holdfast does not bound or know is null, never a made-up 0. */
import { keyStatus, maskKey } from '../../domain/access/index.ts'
import type { Key, Team } from '../../domain/access/index.ts'
import type { Instant } from '../../domain/units.ts'
import { fromRoutes } from './allowed-routes.ts'
import { fromBounds } from './bound-fields.ts'
import { fromModels } from './fields.ts'
import type { Spending } from './spending.ts'

const toIso = (moment: Instant): string => new Date(moment).toISOString()

/** What LiteLLM calls the token: the hash of the key's current secret. */
export const tokenOf = (key: Key): string => key.secrets[0]?.hash ?? key.id

/** The person whose key it is; a service account is none. */
export const userOf = ({ owner }: Key): string | null => (owner?.kind === 'person' ? owner.name : null)

export function toKeyInfo(key: Key, spending: Spending) {
  const status = keyStatus(key, spending.at)
  return {
    spend: spending.key(key),
    ...fromBounds(key, spending.at),
    token_id: key.id,
    // The secret is not kept, so its end can't be shown: the end of the id serves to tell keys apart.
    key_name: maskKey(key.id),
    key_alias: key.alias,
    models: fromModels(key.models),
    expires: key.expiresAt === null ? null : toIso(key.expiresAt),
    team_id: key.team,
    user_id: userOf(key),
    metadata: key.owner?.kind === 'service' ? { ...key.metadata, service_account_id: key.owner.name } : key.metadata,
    blocked: status === 'revoked' || status === 'blocked',
    allowed_routes: fromRoutes(key.routes),
    aliases: {},
    config: {},
    created_at: toIso(key.createdAt),
    updated_at: null,
  }
}

/** A key that was just made or given a new secret. */
export function toBornKey({ key, secret }: { key: Key; secret: string }, spending: Spending) {
  return { key: secret, token: tokenOf(key), ...toKeyInfo(key, spending), key_name: maskKey(secret) }
}

/** `keys`: every key; those of the team tell who is in it. */
export function toTeamInfo(team: Team, keys: readonly Key[], spending: Spending) {
  const { team_alias: alias, ...metadata } = team.metadata
  const users = keys.filter(key => key.team === team.name && key.revokedAt === null).map(userOf)
  return {
    spend: spending.team(team),
    ...fromBounds(team, spending.at),
    team_id: team.name,
    team_alias: typeof alias === 'string' ? alias : team.name,
    models: fromModels(team.models),
    metadata,
    blocked: false,
    organization_id: null,
    admins: [],
    members: [],
    members_with_roles: [...new Set(users)]
      .filter(user => user !== null)
      .map(user => ({ role: 'user', user_id: user, user_email: null })),
    created_at: toIso(team.createdAt),
    updated_at: null,
  }
}

/** A user is whoever keys name: there are no accounts, and what is bounded is the keys. `keys`: this user's, at least one. */
export function toUserInfo(user: string, keys: readonly Key[], spending: Spending) {
  const told = (field: string): string | null =>
    keys.map(key => key.metadata[field]).find(value => typeof value === 'string') ?? null
  const first = keys.reduce<Instant | null>(
    (least, key) => (least === null || key.createdAt < least ? key.createdAt : least),
    null,
  )
  return {
    spend: keys.reduce((sum, key) => sum + spending.key(key), 0),
    ...fromBounds({}, spending.at),
    user_id: user,
    user_email: told('user_email'),
    user_alias: told('user_alias'),
    user_role: 'internal_user',
    teams: [...new Set(keys.map(key => key.team))].filter(team => team !== null),
    key_count: keys.length,
    created_at: first === null ? null : toIso(first),
    updated_at: null,
  }
}

/** Keys, teams and users by LiteLLM's fields. What Holdfast does not count or limit is null, never a made-up 0. */
import { keyStatus, maskKey } from '../../domain/access/index.ts'
import type { Key, Team } from '../../domain/access/index.ts'
import type { Instant } from '../../domain/units.ts'
import { fromRoutes } from './allowed-routes.ts'
import { fromModels } from './fields.ts'

const notLimited = {
  spend: null,
  max_budget: null,
  budget_duration: null,
  budget_reset_at: null,
  tpm_limit: null,
  rpm_limit: null,
  max_parallel_requests: null,
}

const toIso = (moment: Instant): string => new Date(moment).toISOString()

/** What LiteLLM calls the token: the hash of the key's current secret. */
export const tokenOf = (key: Key): string => key.secrets[0]?.hash ?? key.id

/** The person whose key it is; a service account is none. */
export const userOf = ({ owner }: Key): string | null => (owner?.kind === 'person' ? owner.name : null)

export function toKeyInfo(key: Key, now: Instant) {
  const status = keyStatus(key, now)
  return {
    ...notLimited,
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
export function toBornKey({ key, secret }: { key: Key; secret: string }, now: Instant) {
  return { key: secret, token: tokenOf(key), ...toKeyInfo(key, now), key_name: maskKey(secret) }
}

/** `keys`: every key; those of the team tell who is in it. */
export function toTeamInfo(team: Team, keys: readonly Key[]) {
  const { team_alias: alias, ...metadata } = team.metadata
  const users = keys.filter(key => key.team === team.name && key.revokedAt === null).map(userOf)
  return {
    ...notLimited,
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

/** A user is whoever keys name: there are no accounts. `keys`: this user's, at least one. */
export function toUserInfo(user: string, keys: readonly Key[]) {
  const told = (field: string): string | null =>
    keys.map(key => key.metadata[field]).find(value => typeof value === 'string') ?? null
  const first = keys.reduce<Instant | null>(
    (least, key) => (least === null || key.createdAt < least ? key.createdAt : least),
    null,
  )
  return {
    ...notLimited,
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

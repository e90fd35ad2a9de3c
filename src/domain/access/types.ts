/** Who may use what: keys, teams, and what a gateway knows of them. */
import type { Instant, KeyId, ModelName, TeamName } from '../units.ts'
import type { Limits, Budget, Priority } from './bounds.ts'
import type { RouteScope } from './scopes.ts'

/** One secret of a key, by its hash. A key has two while a rotation's grace time runs. */
export type Secret = {
  /** SHA-256 of the whole key as sent, 64 lower-case hex digits. The key itself is never kept. */
  hash: string
  /** `null`: until the key itself ends. */
  validUntil: Instant | null
}

/** Whom a key was made for. A service account is a program; its key outlives the people who made it. */
export type Owner = { kind: 'person' | 'service'; name: string }

/** An API key as it is kept and as gateways know it. `id` stays the same through rotations. */
export type Key = {
  id: KeyId
  /** A name people gave it, unique among keys that are not revoked. */
  alias: string | null
  team: TeamName | null
  owner: Owner | null
  /** Public model names; `null`: whatever the team may use (no team: every model). */
  models: ModelName[] | null
  /** `null`: every route for models. */
  routes: RouteScope[] | null
  /** IP addresses and CIDR networks it may be used from; `null`: from anywhere. */
  addresses: string[] | null
  secrets: Secret[]
  createdAt: Instant
  expiresAt: Instant | null
  /** Refused until it is unblocked. */
  blockedAt: Instant | null
  /** For good. */
  revokedAt: Instant | null
  /** Absent: only what its team has. */
  limits?: Limits
  budget?: Budget
  metadata: Record<string, unknown>
}

/** A group with model permissions. */
export type Team = {
  name: TeamName
  /** Public model names; `null`: every model. */
  models: ModelName[] | null
  /** For all its keys together; absent: none. */
  limits?: Limits
  budget?: Budget
  /** Absent: normal. */
  priority?: Priority
  metadata: Record<string, unknown>
  createdAt: Instant
  /** `spec`: declared there, and read-only to the API. */
  source: 'spec' | 'api'
}

/** One change of access, in the order it happened. */
export type AccessChange = { put: 'key'; key: Key } | { put: 'team'; team: Team } | { drop: 'team'; name: TeamName }

/** Everything a gateway needs to know who may do what. `seq` is the last change it holds. */
export type AccessImage = {
  /** Changes are numbered within one store's life: another `epoch` means start again. */
  epoch: string
  seq: number
  /** SHA-256 of the admin key, hex. */
  adminHash: string
  keys: Key[]
  teams: Team[]
}

/** A change with its number. */
export type NumberedChange = { seq: number; change: AccessChange }

/** Who a request comes from, once authenticated. */
export type Principal =
  | { kind: 'admin' }
  | { kind: 'key'; id: KeyId; alias: string | null; team: TeamName | null }
  /** Somebody whom an identity provider vouches for: no record of theirs is kept. */
  | { kind: 'token'; id: KeyId; issuer: string; alias: string | null; team: TeamName }

/** What a gateway looks keys up in: the access image, indexed, and kept current by numbered changes. */
import type { Instant, KeyId, ModelName, TeamName } from '../units.ts'
import type { KeyFormat } from './key-format.ts'
import { toScopes, unbounded } from './scopes.ts'
import type { Scopes } from './scopes.ts'
import type { AccessChange, AccessImage, Key, NumberedChange, Principal, Secret, Team } from './types.ts'

/** Public model names a principal may use; `null`: every model. */
export type Grants = readonly ModelName[] | null

/** Why a key opens nothing. */
export type KeyRefusal = 'mistyped' | 'unknown' | 'revoked' | 'blocked' | 'expired'

export type Authentication =
  | { ok: true; principal: Principal; grants: Grants; scopes: Scopes }
  | { ok: false; why: KeyRefusal }

/** Indexed access. Only `applyChanges` changes it, all at once, so that whoever reads it sees one moment. */
export type AccessTable = {
  readonly epoch: string
  readonly adminHash: string
  readonly seq: number
  readonly keys: ReadonlyMap<KeyId, Key>
  readonly teams: ReadonlyMap<TeamName, Team>
  readonly byHash: ReadonlyMap<string, Opened>
}

/** What `applyChanges` may do that readers may not. */
type Writable = {
  seq: number
  keys: Map<KeyId, Key>
  teams: Map<TeamName, Team>
  byHash: Map<string, Opened>
}

/** What a secret opens. */
type Opened = { readonly key: Key; readonly secret: Secret; readonly scopes: Scopes }

const everything: Grants = null
const nothing: Grants = []

export function buildAccessTable(image: AccessImage): AccessTable {
  const table = {
    epoch: image.epoch,
    adminHash: image.adminHash,
    seq: image.seq,
    keys: new Map<KeyId, Key>(),
    teams: new Map<TeamName, Team>(),
    byHash: new Map<string, Opened>(),
  }
  for (const key of image.keys) apply(table, { put: 'key', key })
  for (const team of image.teams) apply(table, { put: 'team', team })
  return table
}

/** The table as an image again, for the gateway's disk. */
export function toAccessImage(table: AccessTable): AccessImage {
  const { epoch, seq, adminHash, keys, teams } = table
  return { epoch, seq, adminHash, keys: [...keys.values()], teams: [...teams.values()] }
}

/**
 * Applies changes in place (A12): those it already holds are passed over; at a hole it changes nothing from there on
 * and answers `hole`, upon which the caller asks for the image.
 */
export function applyChanges(table: AccessTable, changes: readonly NumberedChange[]): 'applied' | 'hole' {
  // The maps of every table are made by buildAccessTable above, as Writable; the type hides that from readers only.
  const writable = table as unknown as Writable
  for (const { seq, change } of changes) {
    if (seq <= writable.seq) continue
    if (seq !== writable.seq + 1) return 'hole'
    apply(writable, change)
    writable.seq = seq
  }
  return 'applied'
}

/** Who sent this key (A1…A6). `hash` is the SHA-256 of the whole key, in hex; `format` what `checkKeyFormat` says of it. */
export function authenticate(
  table: AccessTable,
  sent: { hash: string; format: KeyFormat },
  now: Instant,
): Authentication {
  if (sent.hash === table.adminHash)
    return { ok: true, principal: { kind: 'admin' }, grants: everything, scopes: unbounded }
  const found = table.byHash.get(sent.hash)
  if (found === undefined) return { ok: false, why: sent.format === 'mistyped' ? 'mistyped' : 'unknown' }
  const { key, secret, scopes } = found
  if (key.revokedAt !== null) return { ok: false, why: 'revoked' }
  if (key.blockedAt !== null) return { ok: false, why: 'blocked' }
  if (hasPassed(key.expiresAt, now) || hasPassed(secret.validUntil, now)) return { ok: false, why: 'expired' }
  const principal: Principal = { kind: 'key', id: key.id, alias: key.alias, team: key.team }
  return {
    ok: true,
    principal,
    grants: grantsOfKey(key, key.team === null ? null : (table.teams.get(key.team) ?? 'gone')),
    scopes,
  }
}

/** What a principal may use now (A7…A11, T11); a key or a team that is gone may use nothing. */
export function grantsOf(table: AccessTable, principal: Principal): Grants {
  if (principal.kind === 'admin') return everything
  if (principal.kind === 'token') {
    const team = table.teams.get(principal.team)
    return team === undefined ? nothing : team.models
  }
  const key = table.keys.get(principal.id)
  if (key === undefined) return nothing
  return grantsOfKey(key, key.team === null ? null : (table.teams.get(key.team) ?? 'gone'))
}

/** Whether the principal may use the model; says nothing of whether there is such a model. */
export function mayUse(table: AccessTable, principal: Principal, model: ModelName): boolean {
  return includes(grantsOf(table, principal), model)
}

/** Those of `models` that the principal may use, in the order given. */
export function permittedModels(table: AccessTable, principal: Principal, models: readonly ModelName[]): ModelName[] {
  const grants = grantsOf(table, principal)
  return models.filter(model => includes(grants, model))
}

/** A7…A11 for one key. `team`: `null` when the key has none, `gone` when it names one that does not exist. */
function grantsOfKey(key: Pick<Key, 'models'>, team: Pick<Team, 'models'> | null | 'gone'): Grants {
  if (team === 'gone') return nothing
  const teamModels = team?.models ?? null
  if (key.models === null) return teamModels
  if (teamModels === null) return key.models
  return key.models.filter(model => teamModels.includes(model))
}

/** `active`, or why the key opens nothing any more. */
export function keyStatus(
  key: Pick<Key, 'expiresAt' | 'blockedAt' | 'revokedAt'>,
  now: Instant,
): 'active' | 'revoked' | 'blocked' | 'expired' {
  if (key.revokedAt !== null) return 'revoked'
  if (key.blockedAt !== null) return 'blocked'
  return hasPassed(key.expiresAt, now) ? 'expired' : 'active'
}

/** What keys lacked when older programs wrote them to a disk or a list of changes. */
const laterFields: Pick<Key, 'owner' | 'routes' | 'addresses' | 'blockedAt'> = {
  owner: null,
  routes: null,
  addresses: null,
  blockedAt: null,
}

const includes = (grants: Grants, model: ModelName): boolean => grants === null || grants.includes(model)
const hasPassed = (end: Instant | null, now: Instant): boolean => end !== null && now >= end

function apply(table: Writable, change: AccessChange): void {
  if ('drop' in change) {
    table.teams.delete(change.name)
    return
  }
  if (change.put === 'team') {
    table.teams.set(change.team.name, change.team)
    return
  }
  putKey(table, change.key)
}

/** A hash points at the living key that has it: the store lets a revoked key's secret be used again by another. */
function putKey(table: Writable, written: Key): void {
  const key: Key = { ...laterFields, ...written }
  for (const secret of table.keys.get(key.id)?.secrets ?? []) {
    if (table.byHash.get(secret.hash)?.key.id === key.id) table.byHash.delete(secret.hash)
  }
  table.keys.set(key.id, key)
  const scopes = toScopes(key)
  for (const secret of key.secrets) {
    const other = table.byHash.get(secret.hash)
    if (other !== undefined && other.key.revokedAt === null && key.revokedAt !== null) continue
    table.byHash.set(secret.hash, { key, secret, scopes })
  }
}

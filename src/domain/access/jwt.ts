/** Tokens (JWTs) of an identity provider: what one must say to be believed here. The signature is the port's to check. */
import { keyId } from '../units.ts'
import type { Instant, KeyId, TeamName } from '../units.ts'
import type { AccessTable } from './image.ts'
import type { Principal } from './types.ts'

/** Whose tokens are believed (`gateway.jwt` in the spec). */
export type TokenIssuer = { issuer: string; audience: string; teamClaim: string }

/** Why a token is not believed. */
export type TokenRefusal =
  | 'malformed'
  | 'algorithm'
  | 'type'
  | 'issuer'
  | 'audience'
  | 'expired'
  | 'not-yet'
  | 'signature'
  | 'key-unknown'

/** What a token says of its sender, once it is believed. */
export type Identity = {
  id: KeyId
  /** Another one's subject of the same name is somebody else. */
  issuer: string
  alias: string | null
  /** The names in the team claim, as they stand there. */
  groups: readonly string[]
  teamClaim: string
  expiresAt: Instant
}

/** Both parts of a token, decoded and not yet believed. */
export type ReadToken = { header: Record<string, unknown>; claims: Record<string, unknown> }

/** Public-key signatures only: with a shared secret or none, anybody could sign. */
export const tokenAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

/** How far two clocks may be apart. */
const clockSkewMs = 60_000
const mostCharacters = 8 * 1024
const mostSubject = 255
const mostGroups = 1000
const form = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/
const types = ['jwt', 'at+jwt']

/** Three parts with dots between, as keys made here never have. */
export const looksLikeToken = (sent: string): boolean => form.test(sent)

export const isTooLong = (token: string): boolean => token.length > mostCharacters

/** What can be told of a token before its signature is checked (T1…T4). `null`: so far it may be believed. */
export function refuseHeader({ header, claims }: ReadToken, issuers: readonly TokenIssuer[]): TokenRefusal | null {
  const { alg, typ, crit, kid } = header
  // A critical extension is one that must be understood, and none is here.
  if (crit !== undefined || (kid !== undefined && typeof kid !== 'string')) return 'malformed'
  if (!tokenAlgorithms.some(known => known === alg)) return 'algorithm'
  if (typ !== undefined && !isKnownType(typ)) return 'type'
  const { iss } = claims
  if (typeof iss !== 'string' || !issuers.some(({ issuer }) => issuer === iss)) return 'issuer'
  return null
}

/** What a token whose signature holds says (T5…T9), or why it is not believed. */
export function readIdentity(
  claims: Record<string, unknown>,
  { issuers, now }: { issuers: readonly TokenIssuer[]; now: Instant },
): { ok: true; identity: Identity } | { ok: false; why: TokenRefusal } {
  const audiences = [claims['aud']].flat()
  const believed = issuers.filter(({ issuer }) => issuer === claims['iss'])
  if (believed.length === 0) return { ok: false, why: 'issuer' }
  const meant = believed.find(({ audience }) => audiences.includes(audience))
  if (meant === undefined) return { ok: false, why: 'audience' }
  const { exp, nbf, iat } = claims
  const subject = toSubject(claims['sub'])
  if (!isMoment(exp) || subject === null) return { ok: false, why: 'malformed' }
  if ([nbf, iat].some(moment => moment !== undefined && !isMoment(moment))) return { ok: false, why: 'malformed' }
  const expiresAt = exp * 1000
  if (hasExpired(expiresAt, now)) return { ok: false, why: 'expired' }
  if ([nbf, iat].some(moment => isMoment(moment) && moment * 1000 > now + clockSkewMs))
    return { ok: false, why: 'not-yet' }
  return {
    ok: true,
    identity: {
      id: keyId(`jwt:${subject}`),
      issuer: meant.issuer,
      alias: toAlias(claims['email']) ?? toAlias(claims['preferred_username']),
      groups: toGroups(claims[meant.teamClaim]),
      teamClaim: meant.teamClaim,
      // Seconds become milliseconds above; the brand says which.
      expiresAt: expiresAt as Instant,
    },
  }
}

/** A token is believed up to its end and for the clocks' difference beyond it. */
export const hasExpired = (expiresAt: number, now: Instant): boolean => now >= expiresAt + clockSkewMs

/**
 * The token's team (T10): exactly one team known here must be named, because limits and usage are counted for one.
 * Keycloak writes groups as paths (`/search`); the slash in front is not part of a name.
 */
export function teamOfToken(
  table: Pick<AccessTable, 'teams'>,
  identity: Identity,
): { ok: true; principal: Principal } | { ok: false; known: readonly TeamName[] } {
  const named = new Set(identity.groups.map(group => group.replace(/^\//, '')))
  const known = [...table.teams.keys()].filter(team => named.has(team))
  const [team] = known
  if (team === undefined || known.length > 1) return { ok: false, known }
  const { id, issuer, alias } = identity
  return { ok: true, principal: { kind: 'token', id, issuer, alias, team } }
}

function isKnownType(typ: unknown): boolean {
  if (typeof typ !== 'string') return false
  return types.includes(typ.toLowerCase().replace(/^application\//, ''))
}

const isMoment = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0

/** Ids stand in paths, logs and tables: whatever is not plain is written as percent and hex. */
function toSubject(value: unknown): string | null {
  if (typeof value !== 'string' || value === '' || value.length > mostSubject) return null
  try {
    return encodeURIComponent(value).replaceAll('%40', '@').replaceAll('%3A', ':').replaceAll('%7C', '|')
  } catch {
    // Half of a surrogate pair is no text.
    return null
  }
}

/** A name for people in lists and logs, so nothing that could disturb those. */
const toAlias = (value: unknown): string | null =>
  typeof value === 'string' && /^[^\s\p{C}](?:[^\p{C}]{0,126}[^\s\p{C}])?$/u.test(value) ? value : null

function toGroups(claim: unknown): string[] {
  return [claim]
    .flat()
    .slice(0, mostGroups)
    .filter(group => typeof group === 'string')
}

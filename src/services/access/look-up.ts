/** Whose is what a client sent: a key known here, or a token that an identity provider vouches for. */
import { authenticate, checkKeyFormat, looksLikeToken, teamOfToken, unbounded } from '../../domain/access/index.ts'
import type { AccessTable, Identity, TokenVerifier } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { instant } from '../../domain/units.ts'
import type { Authenticate } from '../serve/index.ts'
import { hashKey } from './hash-key.ts'
import { openRecentKeys } from './recent-keys.ts'

/** Keys are found at once. Only what is no key and has the form of a token is taken to `tokens`. */
export function lookUpBy({ table, tokens }: { table: () => AccessTable; tokens: TokenVerifier }): Authenticate {
  const recent = openRecentKeys()
  return (sent, at) => {
    const known = recent.find(sent)
    const text = known ?? { hash: hashKey(sent), format: checkKeyFormat(sent) }
    const now = instant(at)
    const found = authenticate(table(), text, now)
    if (found.ok && known === undefined) recent.keep(sent, text)
    if (found.ok || found.why !== 'unknown' || !looksLikeToken(sent)) return found
    const identity = tokens.verify(sent, { hash: text.hash, now })
    return identity instanceof Promise ? identity.then(one => enter(table(), one)) : enter(table(), identity)
  }
}

/** A long list of groups is somebody's whole organisation; a few tell enough. */
const groupsTold = 5
const groupCharacters = 64

function enter(table: AccessTable, identity: Identity): ReturnType<typeof found> {
  const team = teamOfToken(table, identity)
  if (team.ok) return found(team.principal)
  throw new FaultError({
    kind: 'token-without-team',
    claim: identity.teamClaim,
    named: identity.groups.slice(0, groupsTold).map(group => group.slice(0, groupCharacters)),
    known: team.known,
  })
}

const found = (principal: Extract<ReturnType<typeof teamOfToken>, { ok: true }>['principal']) => ({
  ok: true as const,
  principal,
  scopes: unbounded,
})

/** Tokens of identity providers: checked against keys that are found from the issuer's address and kept current. */
import { performance } from 'node:perf_hooks'
import { compactVerify, decodeJwt, decodeProtectedHeader, errors } from 'jose'
import type { JWTVerifyGetKey } from 'jose'
import {
  hasExpired,
  isTooLong,
  readIdentity,
  refuseHeader,
  tokenAlgorithms,
  type Identity,
  type ReadToken,
  type TokenIssuer,
  type TokenRefusal,
  type TokenVerifier,
} from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import type { Instant } from '../../domain/units.ts'
import { openKeySet, type KeySet, type KeySetParts } from './key-set.ts'

export type Tokens = TokenVerifier & {
  /** Whose tokens are believed from now on. Keys of issuers that stay are kept. */
  use(issuers: readonly TokenIssuer[]): void
  close(): void
}

export type TokensParts = Partial<Pick<KeySetParts, 'elapsed' | 'later'>> & {
  onProblem: (issuer: string, why: string, cause: unknown) => void
}

/** Checking a signature costs more than the rest of a request, so what was found is kept. */
const mostVerified = 5_000

export function openTokens({ elapsed = () => performance.now(), later = runLater, onProblem }: TokensParts): Tokens {
  const sets = new Map<string, KeySet>()
  /** By the token's SHA-256. Forgotten whole when any issuer's keys change, so that a withdrawn key opens nothing. */
  const verified = new Map<string, { identity: Identity; at: Instant }>()
  let issuers: readonly TokenIssuer[] = []
  /** Counts what makes earlier findings void, so that one under way then is not kept. */
  let generation = 0
  const forget = (): void => {
    generation++
    verified.clear()
  }

  return {
    use(next) {
      const wanted = new Set(next.map(({ issuer }) => issuer))
      for (const [issuer, set] of sets) {
        if (wanted.has(issuer)) continue
        set.close()
        sets.delete(issuer)
      }
      for (const issuer of wanted) {
        if (!sets.has(issuer)) sets.set(issuer, openSet(issuer))
      }
      issuers = next
      forget()
    },

    verify(token, { hash, now }) {
      const known = verified.get(hash)
      if (known !== undefined) {
        const { identity, at } = known
        const hasEnded = hasExpired(identity.expiresAt, now)
        // Before it was found good the clock may say that it has not begun.
        if (!hasEnded && now >= at) return identity
        verified.delete(hash)
        if (hasEnded) refuse('expired')
      }
      if (isTooLong(token)) refuse('malformed')
      const read = decode(token)
      const why = refuseHeader(read, issuers)
      if (why !== null) refuse(why)
      return check(token, { read, hash, now })
    },

    close() {
      for (const set of sets.values()) set.close()
      sets.clear()
    },
  }

  function openSet(issuer: string): KeySet {
    return openKeySet({
      issuer,
      elapsed,
      later,
      onChange: forget,
      onProblem: (why, cause) => onProblem(issuer, why, cause),
    })
  }

  async function check(
    token: string,
    { read, hash, now }: { read: ReadToken; hash: string; now: Instant },
  ): Promise<Identity> {
    const issuer = String(read.claims['iss'])
    const set = sets.get(issuer)
    if (set === undefined) return refuse('issuer')
    const present = issuers
    let began = generation
    await verifySignature(token, async (header, input) => {
      const key = await set.find(header, input)
      began = generation
      return key
    })
    const answer = readIdentity(read.claims, { issuers: present, now })
    if (!answer.ok) return refuse(answer.why)
    if (began === generation) remember(hash, { identity: answer.identity, at: now })
    return answer.identity
  }

  function remember(hash: string, found: { identity: Identity; at: Instant }): void {
    const [oldest] = verified.keys()
    if (verified.size >= mostVerified && oldest !== undefined) verified.delete(oldest)
    verified.set(hash, found)
  }
}

function refuse(why: TokenRefusal): never {
  throw new FaultError({ kind: 'token-refused', why })
}

function decode(token: string): ReadToken {
  try {
    return { header: decodeProtectedHeader(token), claims: decodeJwt(token) }
  } catch {
    return refuse('malformed')
  }
}

async function verifySignature(token: string, find: JWTVerifyGetKey): Promise<void> {
  try {
    await compactVerify(token, find, { algorithms: [...tokenAlgorithms] })
  } catch (error) {
    if (error instanceof FaultError) throw error
    if (error instanceof errors.JOSEError || error instanceof TypeError)
      throw new FaultError({ kind: 'token-refused', why: 'signature' }, { cause: error })
    throw error
  }
}

function runLater(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms)
  timer.unref()
  return () => clearTimeout(timer)
}

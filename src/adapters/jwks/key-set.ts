/** One issuer's public keys: fetched in the background, kept while it is away, and asked for again when a new one appears. */
import { createLocalJWKSet } from 'jose'
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { fetchJson } from './fetch-json.ts'

export type KeySetParts = {
  issuer: string
  /** Milliseconds on a clock that never goes back. */
  elapsed: () => number
  /** Runs something later, once; what comes back prevents it. */
  later: (ms: number, run: () => void) => () => void
  /** Keys were added or withdrawn. */
  onChange: () => void
  /** The keys could not be fetched; those held go on. */
  onProblem: (why: string, cause: unknown) => void
}

export type KeySet = {
  /** For jose: the key that a token names. Throws FaultError `token-refused` (key-unknown) or `token-unverifiable`. */
  find: JWTVerifyGetKey
  close(): void
}

const minute = 60_000
/** How long keys are fresh: as their cache-control says, within these bounds. */
const freshMs = { least: 5 * minute, most: 24 * 60 * minute, unsaid: 60 * minute }
/** They are fetched again this early in their life, so that none is served stale while the issuer answers. */
const renewAt = 0.9
const retryMs = { first: 5_000, most: 5 * minute }
/** Tokens with unknown keys make us ask the issuer at most this often: strangers can send as many as they like. */
const askAgainMs = 30_000
/** How long a request waits for keys that are on their way, and how many may. */
const waitMs = 2_000
const mostWaiting = 100

const Discovery = z.looseObject({ issuer: z.string(), jwks_uri: z.string() })
const Keys = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })).max(1000) })

/** Begins to fetch at once. */
export function openKeySet({ issuer, elapsed, later, onChange, onProblem }: KeySetParts): KeySet {
  const stopped = new AbortController()
  let keys: JWTVerifyGetKey | null = null
  let text = ''
  let running: Promise<void> | null = null
  let askedAt = Number.NEGATIVE_INFINITY
  let failures = 0
  let waiting = 0
  let cancelNext = (): void => {}
  void refresh()

  return {
    async find(header, token) {
      const held = keys
      const found = await pick(held, { header, token })
      if (found !== null && keys === held) return found
      await news()
      const again = keys === held ? null : await pick(keys, { header, token })
      if (again !== null) return again
      throw new FaultError(
        keys === null || failures > 0 || running !== null
          ? { kind: 'token-unverifiable', issuer }
          : { kind: 'token-refused', why: 'key-unknown' },
      )
    },
    close() {
      stopped.abort()
      cancelNext()
    },
  }

  /** Waits a little for a refresh, which it starts if the last one is long enough ago. */
  async function news(): Promise<void> {
    if (running === null && elapsed() - askedAt < askAgainMs) return
    const refreshed = refresh()
    if (waiting >= mostWaiting) return
    waiting++
    const { promise: waited, resolve } = Promise.withResolvers<void>()
    const cancel = later(waitMs, resolve)
    await Promise.race([refreshed, waited])
    cancel()
    waiting--
  }

  /** One at a time; never rejects. */
  function refresh(): Promise<void> {
    running ??= fetchKeys().finally(() => {
      running = null
    })
    return running
  }

  async function fetchKeys(): Promise<void> {
    cancelNext()
    askedAt = elapsed()
    try {
      const { found, fresh } = await discover(issuer, stopped.signal)
      const received = JSON.stringify(found)
      if (received !== text) {
        // What is checked above is what jose's type asks for; it looks at each key again when it is used.
        keys = createLocalJWKSet(found as JSONWebKeySet)
        text = received
        onChange()
      }
      failures = 0
      cancelNext = later(fresh * renewAt, refresh)
    } catch (error) {
      if (stopped.signal.aborted) return
      onProblem(error instanceof Error ? error.message : String(error), error)
      cancelNext = later(Math.min(retryMs.first * 2 ** failures, retryMs.most), refresh)
      failures++
    }
  }
}

/** OpenID Connect Discovery 1.0, section 4: the document's own `issuer` must be the one asked for. */
async function discover(issuer: string, signal: AbortSignal): Promise<{ found: z.output<typeof Keys>; fresh: number }> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const about = Discovery.safeParse((await fetchJson(address, signal)).document)
  if (!about.success) throw new Error(`${address} is no OpenID configuration (issuer and jwks_uri)`)
  if (about.data.issuer !== issuer)
    throw new Error(
      `${address} is of the issuer '${about.data.issuer.slice(0, 200)}': write it so in gateway.jwt[].issuer`,
    )
  const { document, cacheControl } = await fetchJson(about.data.jwks_uri, signal)
  const found = Keys.safeParse(document)
  if (!found.success) throw new Error(`${about.data.jwks_uri} is no set of keys (JWKS)`)
  return { found: found.data, fresh: freshFor(cacheControl) }
}

function freshFor(cacheControl: string | null): number {
  if (cacheControl === null) return freshMs.unsaid
  if (/\bno-(?:store|cache)\b/i.test(cacheControl)) return freshMs.least
  const [, seconds] = /\bmax-age\s*=\s*"?(\d{1,9})/i.exec(cacheControl) ?? []
  if (seconds === undefined) return freshMs.unsaid
  return Math.min(Math.max(Number(seconds) * 1000, freshMs.least), freshMs.most)
}

/** `null`: no key fits the token's `kid`, `alg` and use, or several do and it names none. */
async function pick(
  keys: JWTVerifyGetKey | null,
  { header, token }: { header: Parameters<JWTVerifyGetKey>[0]; token: Parameters<JWTVerifyGetKey>[1] },
): Promise<Awaited<ReturnType<JWTVerifyGetKey>> | null> {
  if (keys === null) return null
  try {
    return await keys(header, token)
  } catch {
    // One that its issuer published wrongly is none, too.
    return null
  }
}

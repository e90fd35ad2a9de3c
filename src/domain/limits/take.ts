/** Take: a request counts against all of its subjects or against none. Rules L1… in SPEC.md. */
import type { Fault, LimitedBy, LimitedWhat } from '../fault.ts'
import { millis, tokens, type Millis, type Tokens } from '../units.ts'
import { count, giveBack, type Account, type Gauge, type Subject } from './account.ts'
import { accountOf, isBounded, type Ledger } from './ledger.ts'
import { fitsAloneIn, hasPlaceAlone } from './share.ts'
import { isLow } from './words.ts'

/** What a request may use. */
export type TokenNeed = {
  /** Its prompt, by estimate, and its `max_tokens`. */
  asked: Tokens
  /** What its answer will probably have beside that, where it says no `max_tokens`. */
  guessed: Tokens
}

export type Verdict =
  | { verdict: 'taken'; holds: Hold[] }
  | { verdict: 'refused'; fault: Fault }
  /** The store has to be asked first; what is wanted is noted. */
  | { verdict: 'asking' }

/** What a request has of one subject, until it is given back or settled. */
export type Hold = {
  account: Account
  requestSlice: number | null
  tokenSlice: number | null
  reserved: Tokens
  open: boolean
}

/** When a place will be free nobody knows. */
const placeWait = millis(1_000)

type Bound = { account: Account; subject: Subject; amount: number }
type Asked = Bound & { what: LimitedWhat }
type Wait = Millis | 'ask'

/** `last`: the store has been asked; what it did not give now is refused. */
export function take(
  ledger: Ledger,
  { subjects, need, last = false }: { subjects: readonly Subject[]; need: TokenNeed; last?: boolean },
  now: number,
): Verdict {
  const bounds: Bound[] = []
  for (const subject of subjects) {
    const { limits } = subject
    if (!isBounded(limits)) continue
    const { tokensPerMinute } = limits
    if (tokensPerMinute !== undefined && need.asked > tokensPerMinute)
      return { verdict: 'refused', fault: tooLarge(subject, need.asked, tokensPerMinute) }
    // Of a guess there is never more than the limit: the answer may well be shorter.
    const amount = Math.min(need.asked + need.guessed, tokensPerMinute ?? 0)
    bounds.push({ account: accountOf(ledger, subject), subject, amount })
  }

  const short: { bound: Bound; what: LimitedWhat; wait: Wait }[] = []
  for (const bound of bounds)
    for (const what of kinds) {
      const wait = waitFor(ledger, { ...bound, what }, now)
      if (wait !== 0) short.push({ bound, what, wait: last && wait === 'ask' ? lastWait(bound, what, now) : wait })
    }
  if (short.length === 0) return { verdict: 'taken', holds: bounds.map(bound => hold(ledger, bound, now)) }

  // All have to fit, so the one that fits last decides.
  const known = short.flatMap(({ bound, what, wait }) => (wait === 'ask' ? [] : [{ bound, what, wait }]))
  const tightest = known.toSorted((a, b) => b.wait - a.wait)[0]
  if (tightest !== undefined) return { verdict: 'refused', fault: refusal(tightest) }
  // Of everything, not only of what is short: others may take the rest before the answer comes.
  for (const bound of bounds) want(ledger, bound)
  return { verdict: 'asking' }
}

/** What the tokens of a request came to: less is given back, more counts from now on. */
export function settle({ account, tokenSlice, reserved, open }: Hold, used: Tokens, now: number): void {
  if (!open || tokenSlice === null) return
  if (used < reserved) giveBack(account.tokens, tokenSlice, reserved - used)
  if (used > reserved) count(account.tokens, now, used - reserved)
}

/** It never reached an engine: nothing of it counts. */
export function cancel({ account, requestSlice, tokenSlice, reserved, open }: Hold): void {
  if (!open) return
  if (requestSlice !== null) giveBack(account.requests, requestSlice, 1)
  if (tokenSlice !== null) giveBack(account.tokens, tokenSlice, reserved)
}

/** The place is free again; a second time nothing happens. */
export function release(ledger: Ledger, held: Hold): void {
  if (!held.open) return
  held.open = false
  const { account } = held
  account.leases -= 1
  if (ledger.phase === 'alone' || account.limits.parallel === undefined) return
  account.places.spare += 1
  // Soon told, so that the place is not kept from the other gateways.
  ledger.open.add(account)
}

const kinds = ['requests', 'tokens', 'parallel'] as const

function waitFor(ledger: Ledger, { account, amount, what }: Asked, now: number): Wait | 0 {
  const { limits, places } = account
  const alone = ledger.phase === 'alone'
  const held = now < account.heldUntil
  if (what === 'parallel') {
    if (limits.parallel === undefined) return 0
    if (alone) return hasPlaceAlone(account, { limit: limits.parallel, standing: ledger.standing }, now) ? 0 : placeWait
    if (held && places.spare > 0) return 0
    return now < places.closedUntil ? placeWait : 'ask'
  }
  const { gauge, limit, wanted } = gaugeOf(account, what, amount)
  if (limit === undefined || wanted === 0) return 0
  if (alone) return fitsAloneIn(gauge, { limit, amount: wanted, standing: ledger.standing }, now)
  if (held && gauge.block >= wanted) return 0
  const { closed } = gauge
  const isClosed = closed !== null && now < closed.until && wanted >= closed.amount
  return isClosed ? millis(Math.max(1, closed.fitsAt - now)) : 'ask'
}

function lastWait({ account, amount }: Bound, what: LimitedWhat, now: number): Millis {
  if (what === 'parallel') return placeWait
  const { closed } = gaugeOf(account, what, amount).gauge
  return closed === null ? placeWait : millis(Math.max(1, closed.fitsAt - now))
}

function want(ledger: Ledger, { account, amount }: Bound): void {
  const { limits, requests, tokens: ofTokens, places } = account
  account.used = true
  account.idle = false
  ledger.dirty.add(account)
  if (limits.parallel !== undefined) places.wanted += 1
  if (limits.requestsPerMinute !== undefined) wish(requests, 1)
  if (limits.tokensPerMinute !== undefined && amount > 0) wish(ofTokens, amount)
}

function wish(gauge: Gauge, amount: number): void {
  gauge.wanted += amount
  gauge.smallest = Math.min(gauge.smallest, amount)
}

function hold(ledger: Ledger, { account, amount }: Bound, now: number): Hold {
  const { requestsPerMinute, tokensPerMinute, parallel } = account.limits
  account.used = true
  account.idle = false
  account.leases += 1
  account.peak = Math.max(account.peak, account.leases)
  if (parallel !== undefined && ledger.phase !== 'alone') account.places.spare -= 1
  const requestSlice = requestsPerMinute === undefined ? null : count(account.requests, now, 1)
  const tokenSlice = tokensPerMinute === undefined ? null : count(account.tokens, now, amount)
  account.requests.latest = 1
  account.tokens.latest = amount
  if (ledger.phase !== 'alone') {
    ledger.open.add(account)
    if (isLow(account, now)) ledger.dirty.add(account)
  }
  return { account, requestSlice, tokenSlice, reserved: tokens(amount), open: true }
}

function gaugeOf(
  { requests, tokens: ofTokens, limits }: Account,
  what: 'requests' | 'tokens',
  amount: number,
): { gauge: Gauge; limit: number | undefined; wanted: number } {
  return what === 'requests'
    ? { gauge: requests, limit: limits.requestsPerMinute, wanted: 1 }
    : { gauge: ofTokens, limit: limits.tokensPerMinute, wanted: amount }
}

const limitOf = {
  requests: 'requestsPerMinute',
  tokens: 'tokensPerMinute',
  parallel: 'parallel',
} as const satisfies Record<LimitedWhat, string>

function refusal({ bound: { subject }, what, wait }: { bound: Bound; what: LimitedWhat; wait: Millis }): Fault {
  return {
    kind: 'rate-limited',
    by: byOf(subject),
    what,
    limit: subject.limits[limitOf[what]] ?? 0,
    retryAfter: millis(Math.ceil(wait)),
  }
}

/** Trying again would not help, so it is no 429. */
function tooLarge(subject: Subject, asked: Tokens, limit: number): Fault {
  const { subject: kind, name } = byOf(subject)
  return {
    kind: 'request-invalid',
    param: 'max_tokens',
    problem: `This request may use about ${asked} tokens (its prompt and max_tokens), and the ${kind} '${name}' may use ${limit} a minute, so it can never be served. Send a lower max_tokens or a shorter prompt, or ask your administrator for a higher limit of tokens.`,
  }
}

const byOf = ({ subject, name }: Subject): LimitedBy => ({ subject, name })

/** Standing: what a caller may be told of its limits: of those that bind it, the tightest. */
import { millis, type Millis } from '../units.ts'
import type { Gauge, Subject } from './account.ts'
import { accountOf, isBounded, type Ledger } from './ledger.ts'
import { roomAlone } from './share.ts'
import { clearsIn, totalOf } from './window.ts'

/** Of one kind of limit. `resetsIn`: until nothing of it is used any more. */
export type Allowance = { limit: number; remaining: number; resetsIn: Millis }

/** `null`: nothing bounds it. */
export type Allowances = { requests: Allowance | null; tokens: Allowance | null }

export function allowancesOf(ledger: Ledger, subjects: readonly Subject[], now: number): Allowances {
  let requests: Allowance | null = null
  let tokens: Allowance | null = null
  for (const subject of subjects) {
    const { requestsPerMinute, tokensPerMinute } = subject.limits
    if (!isBounded(subject.limits)) continue
    const account = accountOf(ledger, subject)
    if (requestsPerMinute !== undefined)
      requests = tighter(requests, allowanceOf(account.requests, { ledger, limit: requestsPerMinute }, now))
    if (tokensPerMinute !== undefined)
      tokens = tighter(tokens, allowanceOf(account.tokens, { ledger, limit: tokensPerMinute }, now))
  }
  return { requests, tokens }
}

function allowanceOf(gauge: Gauge, { ledger, limit }: { ledger: Ledger; limit: number }, now: number): Allowance {
  const others = gauge.others === null ? 0 : totalOf(gauge.others, now)
  const room =
    ledger.phase === 'alone'
      ? roomAlone(gauge, { limit, standing: ledger.standing }, now)
      : limit - totalOf(gauge.own, now) - others
  const othersClearIn = gauge.others === null ? 0 : clearsIn(gauge.others, now)
  return {
    limit,
    remaining: Math.max(0, room),
    resetsIn: millis(Math.max(clearsIn(gauge.own, now), othersClearIn)),
  }
}

/** The one with less left; among equals the lower limit. */
function tighter(a: Allowance | null, b: Allowance): Allowance {
  if (a === null || b.remaining < a.remaining) return b
  return b.remaining === a.remaining && b.limit < a.limit ? b : a
}

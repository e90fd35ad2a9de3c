/**
 * The retry budget: requests that were answered with a failure are sent again only as long as that adds little. Engines
 * that fail because they have too much to do must not be given more for it. Rules R17–R19 in SPEC.md.
 */
import type { Standing } from '../serving/index.ts'
import type { Millis } from '../units.ts'

/** `moved`: whoever failed is out of service, so its work is not done twice. `again`: it goes on working, and this comes on top. */
export type Retry = 'moved' | 'again'

export type RetryDecision = { allowed: true } | { allowed: false; why: string }

export type RetryBudget = {
  /** A request was sent for the first time. `now`: a clock that never goes back. */
  asked(now: Millis): void
  /** Whether a request may be sent once more; if so, it counts. */
  retry(kind: Retry, now: Millis): RetryDecision
}

export type RetryLimits = {
  /** Of the requests of the last ten seconds. */
  ratio: number
  /** So many are allowed in ten seconds, however few requests there were: a quiet service fails over too. */
  least: number
}

/** What a retry is, from what the replica was when it was asked and what it is since it failed. */
export function retryOf(asked: Standing, since: Standing): Retry {
  return asked !== 'last-resort' && since !== 'usable' ? 'moved' : 'again'
}

type Second = { at: number; asked: number; retried: number }

const windowSeconds = 10
const defaults: RetryLimits = { ratio: 0.1, least: 10 }

/** One for each version. */
export function openRetryBudget({ ratio, least }: RetryLimits = defaults): RetryBudget {
  /** A ring; one more than the window, for its first second is only partly within. */
  const seconds: Second[] = Array.from({ length: windowSeconds + 1 }, () => ({ at: -1, asked: 0, retried: 0 }))

  function secondOf(now: Millis): Second {
    const at = Math.floor(now / 1000)
    const index = at % seconds.length
    const known = seconds[index]
    if (known?.at === at) return known
    const fresh = { at, asked: 0, retried: 0 }
    seconds[index] = fresh
    return fresh
  }

  return {
    asked: now => {
      secondOf(now).asked++
    },
    retry(kind, now) {
      if (kind === 'moved') return { allowed: true }
      const current = secondOf(now)
      let asked = 0
      let retried = 0
      for (const second of seconds) {
        const age = current.at - second.at
        // The second that is partly within counts for what was spent and not for what was earned: never over by rounding.
        if (age <= windowSeconds) retried += second.retried
        if (age < windowSeconds) asked += second.asked
      }
      if (retried + 1 > Math.max(least, ratio * asked)) return { allowed: false, why: whyNot(retried, asked, ratio) }
      current.retried++
      return { allowed: true }
    },
  }
}

function whyNot(retried: number, asked: number, ratio: number): string {
  const part = `${Math.round(ratio * 100)} % of requests at most are sent again`
  return `${part}, and in the last ${windowSeconds} s ${retried} were, of ${asked}: more would make an overload worse`
}

/** What evidence has to reach, and how long is waited. Reasons: docs/design/0020-release-machine.md. */
import { instant, millis, type Instant, type Millis } from '../units.ts'
import type { Policy } from './release.ts'

/**
 * Chances of being wrong: of rolling an equal candidate back, 1 % for all gates together, because any of them may fire; of promoting
 * a worse one, 5 % for each, because all of them have to pass.
 */
export const alphas = { rollback: 0.01, promote: 0.05 } as const

/** How gates divide the 1 %: those that a policy lists have it all. */
const weights = { errors: 4, firstToken: 1.5, perToken: 1.5, judge: 2, feedback: 1 } as const

export type Test = keyof typeof weights

/** Of a gate that the policy lists; from the policy alone, so that it was fixed before the first request. */
export function alphaOf({ gates, shadow, room }: Policy, test: Test): number {
  const listed: Test[] = [
    ...(['errors', 'firstToken', 'perToken', 'feedback'] as const).filter(name => gates[name] !== null),
    ...(room === 'beside' && shadow !== null && shadow.judge !== null ? (['judge'] as const) : []),
  ]
  return (alphas.rollback * weights[test]) / listed.reduce((sum, name) => sum + weights[name], 0)
}

export const limits = {
  /** Evidence that the arms did not get their parts of the units. */
  mismatch: 1000,
  failuresInARow: 5,
  allOf: 10,
  /** Live requests in a stratum before its 95 % means anything. */
  baselineRequests: 50,
  /** Below it a ratio to the live version's errors would be a ratio to nothing. */
  leastErrorRate: 0.001,
  /** A baseline is a sample: against it the candidate is only called worse beyond this many standard errors. */
  baselineZ: 3.29,
  /** Of the wager that a candidate is worse, the part on the comparison with the live version; the rest on the baseline. */
  compared: 0.8,
  /** Without a judge: copies answered before the phase ends. */
  pairs: 20,
} as const

export const waits = {
  /** For the candidate's engines at first, and for each trial while the live version rests. */
  load: millis(3_600_000),
  /** For engines that answered before. */
  return: millis(600_000),
  bake: millis(1_800_000),
  phase: millis(86_400_000),
} as const

export const bakeOf = ({ canary }: Policy): Millis => canary?.bake ?? waits.bake
export const maxTimeOf = ({ canary }: Policy): Millis => canary?.maxTime ?? waits.phase

export const isOver = (since: Instant, wait: Millis, now: Instant): boolean => now >= instant(since + wait)

/** What evidence has to reach, and how long is waited. Reasons: docs/design/0020-release-machine.md. */
import { instant, millis, type Instant, type Millis } from '../units.ts'
import type { Policy } from './release.ts'

/**
 * Chances of a wrong rollback of an equal candidate: 1 % in all, split because any gate may fire. Promotion needs all gates, so
 * that each may take its whole 5 %.
 */
export const alphas = { errors: 0.004, latency: 0.003, judge: 0.002, feedback: 0.001, promote: 0.05 } as const

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

/** Of one latency gate: the two share it. */
export function latencyAlpha({ gates }: Policy): number {
  return gates.firstToken !== null && gates.perToken !== null ? alphas.latency / 2 : alphas.latency
}

export const isOver = (since: Instant, wait: Millis, now: Instant): boolean => now >= instant(since + wait)

/** Evidence from means, valid at every look in the limit: the mixture sequential probability ratio test. */
import { varianceOf } from './moments.ts'
import type { Moments } from './moments.ts'

export type Msprt = {
  candidate: Moments
  live: Moments
  /** The difference that is asked about, candidate less live, in the unit of the values: 0 for «not the same». */
  margin: number
  /** How large a difference one cares about: the standard deviation of the mixture, in the unit of the values. */
  tau: number
  alpha: number
  /** The `p` of the look before. */
  before?: number
}

/** `p` is the smallest so far; `interval` holds the difference of means at all looks at once with a chance of 1 − α. */
export type MsprtLook = { logE: number; interval: readonly [number, number]; p: number }

/** Below this many values in either arm a mean is not yet normal, so nothing is said. */
const burnIn = 100

/**
 * Two-sided evidence against «the means differ by `margin`», and the difference itself with an always-valid interval. With D the
 * difference less the margin and V = s²c/nc + s²l/nl:
 * ln E = ½ ln(V / (V + τ²)) + τ²D² / (2V(V + τ²)); half width √(2V(V + τ²)/τ² · (ln(1/α) + ½ ln((V + τ²)/V))).
 * Johari et al., «Always valid inference», Operations Research 2022. For counts `logECounts` is faster and exact.
 *
 * During burn-in, and while no value has differed from another, logE is 0 and the interval is everything.
 */
export function msprt({ candidate, live, margin, tau, alpha, before = 1 }: Msprt): MsprtLook {
  const v = varianceOf(candidate) / candidate.n + varianceOf(live) / live.n
  if (candidate.n < burnIn || live.n < burnIn || !(v > 0)) {
    return { logE: 0, interval: [-Infinity, Infinity], p: before }
  }
  const square = tau * tau
  const difference = candidate.mean - live.mean
  const d = difference - margin
  const logE = 0.5 * Math.log(v / (v + square)) + (square * d * d) / (2 * v * (v + square))
  const half = Math.sqrt(((2 * v * (v + square)) / square) * (Math.log(1 / alpha) + 0.5 * Math.log((v + square) / v)))
  return { logE, interval: [difference - half, difference + half], p: Math.min(before, Math.exp(-logE)) }
}

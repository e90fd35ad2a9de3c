/** Shares of cases that pass: whether two versions differ on the same cases, and how sure one share is. */
import { binomialAtLeast } from './binomial.ts'

/**
 * McNemar's exact one-sided p: with `b` cases that the live version passed and the candidate failed and `c` the other way round,
 * P(Bin(b + c, ½) ≥ b). 1 when no case differs.
 */
export function mcnemar(b: number, c: number): number {
  return binomialAtLeast({ k: b, n: b + c, chance: 0.5 })
}

/** Wilson's interval for a share of `k` in `n`, `z` standard errors wide to each side. Everything when n is 0. */
export function wilson(k: number, n: number, z: number): [number, number] {
  if (n === 0) return [0, 1]
  const share = k / n
  const square = (z * z) / n
  const middle = share + square / 2
  const half = z * Math.sqrt((share * (1 - share)) / n + square / (4 * n))
  // At 0 and n one end is exact; rounding must not take it past.
  const low = k === 0 ? 0 : (middle - half) / (1 + square)
  const high = k === n ? 1 : (middle + half) / (1 + square)
  return [low, high]
}

/** The rule of three: with no failure in `n`, the failure rate is below 3/n with 95 % confidence. */
export function zeroFailuresBound(n: number): number {
  return Math.min(1, 3 / n)
}

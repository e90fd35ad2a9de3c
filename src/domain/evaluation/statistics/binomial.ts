/** The binomial distribution's upper tail, exactly. */
import { logBetaBelow } from './beta.ts'

/** P(Bin(n, chance) ≥ k), for whole 0 ≤ k ≤ n and a chance in (0, 1). */
export function binomialAtLeast({ k, n, chance }: { k: number; n: number; chance: number }): number {
  if (k <= 0) return 1
  return Math.exp(logBetaBelow({ a: k, b: n - k + 1, x: chance }))
}

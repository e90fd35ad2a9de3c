/** Student's t distribution: how wide an interval must be that rests on few numbers. */
import { logBetaBelow } from './beta.ts'

/** The t below which a chance lies, for `degrees` > 0 degrees of freedom; −∞ and ∞ at its ends, NaN outside. */
export function studentQuantile(chance: number, degrees: number): number {
  if (!(chance >= 0 && chance <= 1 && degrees > 0)) return Number.NaN
  if (chance < 0.5) return -studentQuantile(1 - chance, degrees)
  if (chance === 0.5) return 0
  if (chance === 1) return Infinity
  // P(T > t) = I_x(degrees / 2, 1/2) / 2 with x = degrees / (degrees + t²), which falls as t grows.
  const goal = Math.log(2 * (1 - chance))
  let low = 0
  let high = 1
  while (high > 0) {
    const x = 0.5 * (low + high)
    if (x <= low || x >= high) break
    if (logBetaBelow({ a: degrees / 2, b: 0.5, x }) < goal) low = x
    else high = x
  }
  const x = 0.5 * (low + high)
  return Math.sqrt((degrees * (1 - x)) / x)
}

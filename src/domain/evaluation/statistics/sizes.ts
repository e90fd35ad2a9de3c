/** How much a fixed number of cases can see, and how many it takes to see that much. One-sided, one look. */
import { normalQuantile } from './normal.ts'

const level = 0.05
const power = 0.8

/** 2.49: what a difference must measure in standard errors to be found four times in five at the 5 % level. */
const standardErrors = normalQuantile(1 - level) + normalQuantile(power)

/** The smallest regression that a set with this standard error can see, in its unit. */
export function mde(se: number): number {
  return standardErrors * se
}

/**
 * How many cases show a difference of `difference` when single ones vary by `sd`: ((z₀.₉₅ + z₀.₈) sd / difference)², rounded up.
 * Infinity for a difference of 0.
 */
export function sampleSize({ sd, difference }: { sd: number; difference: number }): number {
  return Math.ceil(((standardErrors * sd) / difference) ** 2)
}

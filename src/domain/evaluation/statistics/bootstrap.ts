/** How sure a measure of agreement is: the items drawn again and again, with chance that is given. */
import type { AgreementTable } from './agreement.ts'

export type Bootstrap = {
  /** Numbers in [0, 1); with a seeded one the interval can be computed again. */
  random: () => number
  /** How often all items are drawn. */
  resamples?: number
  confidence?: number
}

/**
 * The percentile interval of `measure` over tables of as many items drawn with replacement; 2,000 tables and 95 % unless told. Draws
 * for which the measure is not defined are left out; with more than half of them, or no items, both ends are NaN.
 */
export function agreementInterval(
  table: AgreementTable,
  measure: (table: AgreementTable) => number,
  { random, resamples = 2000, confidence = 0.95 }: Bootstrap,
): readonly [number, number] {
  const items = table.flatMap((row, i) =>
    row.flatMap((count, j) => Array.from({ length: count }, () => [i, j] as const)),
  )
  const values: number[] = []
  for (let draw = 0; draw < resamples && items.length > 0; draw++) {
    const drawn = table.map(row => row.map(() => 0))
    for (let item = 0; item < items.length; item++) {
      const [i, j] = items[Math.floor(random() * items.length)] ?? [0, 0]
      const row = drawn[i]
      if (row !== undefined) row[j] = (row[j] ?? 0) + 1
    }
    const value = measure(drawn)
    if (!Number.isNaN(value)) values.push(value)
  }
  if (values.length * 2 < resamples) return [Number.NaN, Number.NaN]
  values.sort((one, other) => one - other)
  return [quantileOf(values, (1 - confidence) / 2), quantileOf(values, (1 + confidence) / 2)]
}

/** Between the two nearest, in proportion. */
function quantileOf(sorted: readonly number[], chance: number): number {
  const at = chance * (sorted.length - 1)
  const low = sorted[Math.floor(at)] ?? Number.NaN
  const high = sorted[Math.ceil(at)] ?? Number.NaN
  return low + (high - low) * (at - Math.floor(at))
}

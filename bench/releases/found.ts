/** How many simulated runs ended with a verdict, and how soon. */

/** Of so many runs these ended, after so many requests or pairs each. */
export type Found = { runs: number; ends: readonly number[] }

export function foundIn(ends: readonly (number | null)[]): Found {
  return { runs: ends.length, ends: ends.filter(end => end !== null) }
}

export function repeat<T>(runs: number, run: () => T): T[] {
  return Array.from({ length: runs }, run)
}

/** In per cent of all runs. */
export function percentOf({ runs, ends }: Found): number {
  return (100 * ends.length) / runs
}

/** Of those that ended; null when none did. */
export function medianOf({ ends }: Found): number | null {
  return ends.toSorted((one, other) => one - other)[Math.floor(ends.length / 2)] ?? null
}

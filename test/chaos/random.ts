/** Chance that a seed repeats: xorshift, the same everywhere. */
export function openRandom(seed: number) {
  let state = (seed ^ 0x9e3779b9) | 1
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  // The first numbers of small seeds are alike.
  for (let skipped = 0; skipped < 8; skipped++) next()
  return {
    pick<T>(from: readonly T[]): T {
      const picked = from[Math.floor(next() * from.length)]
      if (picked === undefined) throw new TypeError('nothing to pick from')
      return picked
    },
    shuffle<T>(list: readonly T[]): T[] {
      return list
        .map(value => ({ value, place: next() }))
        .toSorted((a, b) => a.place - b.place)
        .map(({ value }) => value)
    },
  }
}
export type Random = ReturnType<typeof openRandom>

/** The known word that was probably meant. */

/** The candidate with the fewest edits from `word`, if they are few enough to be a slip; `null` otherwise. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  const given = word.slice(0, longest).toLowerCase()
  let best: { candidate: string; edits: number } | null = null
  for (const candidate of candidates) {
    if (candidate === word) continue
    const edits = editDistance(given, candidate.slice(0, longest).toLowerCase())
    if (best === null || edits < best.edits) best = { candidate, edits }
  }
  if (best === null) return null
  // Of one or two letters nothing can be told.
  const allowed = Math.floor(Math.max(given.length, best.candidate.length) / 3)
  return best.edits <= allowed ? best.candidate : null
}

/** Longer words are compared by their beginnings: the work grows with the square. */
const longest = 200

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const replace = (last[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      const swap = swapped ? (beforeLast[j - 2] ?? 0) + 1 : Infinity
      row.push(Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, replace, swap))
    }
    beforeLast = last
    last = row
  }
  return last[to.length] ?? 0
}

/** How close two texts are: by an embedding model where there is one, else by their words, which says so. */

export type Similarity = { value: number; by: 'embeddings' | 'words' }

/** NaN where one of them is all zero or their lengths differ: then nothing was measured. */
export function cosine(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Number.NaN
  const dot = a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0)
  return dot / (Math.hypot(...a) * Math.hypot(...b))
}

/** Cosine of word counts: shared words in any order and any case, no meaning. Two texts without a word are not comparable (NaN). */
export function wordSimilarity(a: string, b: string): number {
  const [left, right] = [countWords(a), countWords(b)]
  const words = [...new Set([...left.keys(), ...right.keys()])]
  const of = (counts: ReadonlyMap<string, number>): number[] => words.map(word => counts.get(word) ?? 0)
  return cosine(of(left), of(right))
}

function countWords(text: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const [word] of text
    .normalize('NFKC')
    .toLowerCase()
    .matchAll(/[\p{L}\p{N}]+/gu))
    counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

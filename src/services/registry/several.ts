/** Some at once, never more. */

/** Answers in the order of `items`. The first failure is thrown when those that run have ended; no others are begun. */
export async function several<A, B>(
  items: readonly A[],
  atOnce: number,
  work: (item: A, at: number) => Promise<B>,
): Promise<B[]> {
  const answers: B[] = []
  let next = 0
  let failed = false
  async function runner(): Promise<void> {
    while (next < items.length && !failed) {
      const at = next++
      const item = items[at]
      if (item === undefined) return
      try {
        answers[at] = await work(item, at)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, runner))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  return answers
}

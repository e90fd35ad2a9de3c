/** Tells the gateways about once a second what was spent of budgets, as far as the journals were read. */
import { emptyBook, turnPage, type SpendBook, type Tallies } from '../services/budgets/index.ts'

export type SpendPublisherParts = {
  tallies: Tallies
  /** Gets the book whenever something in it has changed. */
  publish: (book: SpendBook) => void
  onProblem: (problem: string, cause: unknown) => void
  everyMs?: number
}

/** Goes on until it is stopped; the promise resolves once nothing of it is under way. */
export function startSpendPublisher({ tallies, publish, onProblem, everyMs = 1_000 }: SpendPublisherParts): {
  stop(): Promise<void>
} {
  let book = emptyBook
  let failing = false
  let stopped = false
  let timer: NodeJS.Timeout | null = null
  let turning = turn()

  async function turn(): Promise<void> {
    try {
      const next = turnPage(book, await tallies.now())
      if (next !== book && !stopped) publish(next)
      book = next
      failing = false
    } catch (error) {
      if (!failing) onProblem('What was spent of budgets can’t be read; gateways go on with what they know.', error)
      failing = true
    }
    if (!stopped)
      timer = setTimeout(() => {
        turning = turn()
      }, everyMs)
  }

  return {
    async stop() {
      stopped = true
      if (timer !== null) clearTimeout(timer)
      await turning
    },
  }
}

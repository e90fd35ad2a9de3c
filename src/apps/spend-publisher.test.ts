import { expect, test } from 'vitest'
import { instant, millis } from '../domain/units.ts'
import type { SpendBook, Tally } from '../services/budgets/index.ts'
import { startSpendPublisher } from './spend-publisher.ts'

const tally = (spent: number): Tally => ({
  holder: {
    ...{ subject: 'team', id: 'dev', name: 'dev' },
    budget: { amount: 5, unit: 'tokens', currency: null, every: millis(60_000) },
  },
  ...{ period: { start: instant(0), end: instant(60_000) }, spent, byEpoch: new Map([['e1', spent]]) },
})

/** Answers one after another; resolves `all` when the last was asked for. */
function play(answers: (Tally[] | Error)[]) {
  const { promise: all, resolve } = Promise.withResolvers<void>()
  const books: SpendBook[] = []
  const problems: string[] = []
  let turn = 0
  const publisher = startSpendPublisher({
    tallies: {
      async now() {
        const answer = answers[turn++] ?? []
        if (turn > answers.length) resolve()
        if (answer instanceof Error) throw answer
        return answer
      },
    },
    publish: book => books.push(book),
    onProblem: problem => problems.push(problem),
    everyMs: 1,
  })
  return { all, books, problems, publisher }
}

test('the book is published when something in it has changed, and not else', async () => {
  const { all, books, publisher } = play([[], [tally(1)], [tally(1)], [tally(2)], [tally(2)]])
  await all
  await publisher.stop()
  expect(books.map(book => book.since(0, 'e1').map(({ all: sum, own }) => [sum, own]))).toEqual([[[1, 1]], [[2, 2]]])
})

test('a store that fails is told of once, and what comes after it is published', async () => {
  const { all, books, problems, publisher } = play([new Error('a'), new Error('b'), [tally(3)], new Error('c')])
  await all
  await publisher.stop()
  expect(books).toHaveLength(1)
  expect(problems).toHaveLength(2)
})

import { expect, test } from 'vitest'
import { parseLabelledPairs } from './labelled-pairs.ts'

const pair = (more: object = {}): string =>
  JSON.stringify({
    id: 'p1',
    messages: [{ role: 'user', content: 'Hi' }],
    a: 'Hello',
    b: 'Go away',
    winner: 'a',
    ...more,
  })

test('pairs are read with what people found better', () => {
  const read = parseLabelledPairs(
    [pair(), '', pair({ id: 'p2', winner: 'tie' }), pair({ id: 'p3', winner: 'b' })].join('\n'),
  )
  expect(read.ok && read.pairs.map(({ id, label }) => [id, label])).toEqual([
    ['p1', -1],
    ['p2', 0],
    ['p3', 1],
  ])
})

test('all that is wrong is told at once, by line', () => {
  const text = [
    'no json',
    pair({ winner: 'A' }),
    pair(),
    pair(),
    pair({ id: 'x', messages: [] }),
    pair({ id: 'y', a: 1 }),
  ]
  const read = parseLabelledPairs(text.join('\n'))
  expect(read.ok ? [] : read.problems).toEqual([
    { line: 1, problem: expect.stringContaining('a pair is an object') as string },
    { line: 2, problem: expect.stringContaining('winner must be') as string },
    { line: 4, problem: "the id 'p1' is taken by line 3" },
    { line: 5, problem: expect.stringContaining('messages must be') as string },
    { line: 6, problem: expect.stringContaining('a and b must be') as string },
  ])
  expect(parseLabelledPairs('\n')).toMatchObject({ ok: false })
})

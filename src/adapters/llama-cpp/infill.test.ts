import type { Token } from 'node-llama-cpp'
import { expect, test } from 'vitest'
import { toInfill } from './infill.ts'

// Any numbers serve: nothing looks them up.
const token = (value: number): Token => value as Token
const parts = { prefix: [token(1), token(2)], suffix: [token(3)] }
const marks = { prefix: token(10), suffix: token(11), middle: token(12) }

test('what is missing comes last: after both sides, or after the prefix where no token marks the middle', () => {
  expect(toInfill(marks, parts)).toEqual([10, 1, 2, 11, 3, 12])
  expect(toInfill({ ...marks, middle: null }, parts)).toEqual([11, 3, 10, 1, 2])
})

test('without tokens for it there is no such prompt', () => {
  expect(toInfill({ ...marks, prefix: null }, parts)).toBeNull()
  expect(toInfill({ ...marks, suffix: null }, parts)).toBeNull()
})

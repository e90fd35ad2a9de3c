import { expect, test } from 'vitest'
import { normalQuantile } from './normal.ts'
import { studentQuantile } from './student.ts'

/** Tables of Student's t, as every book has them. */
test.each([
  [0.975, 1, 12.7062],
  [0.975, 2, 4.30265],
  [0.975, 9, 2.26216],
  [0.975, 38, 2.02439],
  [0.95, 30, 1.69726],
  [0.995, 5, 4.03214],
])('S25 the t below which %f lies with %i degrees of freedom', (chance, degrees, t) => {
  expect(studentQuantile(chance, degrees)).toBeCloseTo(t, 4)
  expect(studentQuantile(1 - chance, degrees)).toBeCloseTo(-t, 4)
})

test('S25 with many degrees of freedom it is the normal one', () => {
  expect(studentQuantile(0.975, 1e7)).toBeCloseTo(normalQuantile(0.975), 6)
})

test('S25 its ends are infinite, its middle is 0, and what is no chance is no number', () => {
  expect([0, 0.5, 1].map(chance => studentQuantile(chance, 7))).toEqual([-Infinity, 0, Infinity])
  expect([studentQuantile(1.2, 7), studentQuantile(0.9, 0)]).toEqual([Number.NaN, Number.NaN])
})

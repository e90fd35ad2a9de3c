import { expect, test } from 'vitest'
import { instant, millis } from '../units.ts'
import { forAll, periodOf, periodProblem, spanOf } from './period.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

test('B3 periods follow one another from 1970 on', () => {
  const every = millis(30 * day)
  expect(periodOf({ every }, instant(0))).toEqual({ start: 0, end: every })
  expect(periodOf({ every }, instant(every - 1))).toEqual({ start: 0, end: every })
  expect(periodOf({ every }, instant(every))).toEqual({ start: every, end: 2 * every })
})

test.each([
  [5 * minute, 'minute'],
  [day - minute, 'minute'],
  [hour, 'hour'],
  [25 * hour, 'hour'],
  [30 * day, 'day'],
  [forAll, 'day'],
])('B12 a period of %d ms is summed up by the %s', (every, name) => {
  expect(spanOf(millis(every))?.name).toBe(name)
  expect(periodProblem(millis(every))).toBeNull()
})

test.each([1_000, 90_000, day + minute, 70 * day + hour, forAll + day])('B12 no period has %d ms', every => {
  expect(periodProblem(millis(every))).toContain('whole')
})

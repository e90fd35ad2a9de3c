import { expect, test } from 'vitest'
import { millis } from '../units.ts'
import { expectWait, isHopeless, noPace, stepPace, type Pace } from './pace.ts'

/** Each of `places` is taken all the time, and one comes free each `every`. */
function run(pace: Pace, { places, every, freed }: { places: number; every: number; freed: number }): Pace {
  let now = pace
  for (let count = 0; count < freed; count++)
    now = stepPace(now, { at: millis(now.at + every), running: places, freed: 1 })
  return now
}

test('W1 the wait grows with the place and shrinks with the places', () => {
  // Four places, each taken for 2 s.
  const pace = run(noPace(millis(0)), { places: 4, every: 500, freed: 400 })
  expect(expectWait(pace, { place: 1, places: 4 }).wait / 500).toBeCloseTo(1, 0)
  expect(expectWait(pace, { place: 10, places: 4 }).wait / 5_000).toBeCloseTo(1, 0)
  expect(expectWait(pace, { place: 10, places: 8 }).wait / 2_500).toBeCloseTo(1, 0)
})

test('W1 without a bound there is no wait', () => {
  expect(expectWait(noPace(millis(0)), { place: 3, places: Infinity }).wait).toBe(0)
})

test('W2 what came lately counts most', () => {
  const slow = run(noPace(millis(0)), { places: 1, every: 20_000, freed: 100 })
  const fast = run(slow, { places: 1, every: 1_000, freed: 400 })
  expect(expectWait(fast, { place: 1, places: 1 }).wait).toBeLessThan(1_200)
})

test('W2 work that does not end makes the expectation longer', () => {
  const pace = run(noPace(millis(0)), { places: 1, every: 1_000, freed: 20 })
  const stuck = stepPace(pace, { at: millis(pace.at + 120_000), running: 1, freed: 0 })
  const before = expectWait(pace, { place: 1, places: 1 }).wait
  expect(expectWait(stuck, { place: 1, places: 1 }).wait).toBeGreaterThan(3 * before)
})

test('W2 an idle hour is no time taken, and what was before it is trusted no more', () => {
  const pace = run(noPace(millis(0)), { places: 1, every: 1_000, freed: 50 })
  const later = stepPace(pace, { at: millis(pace.at + 3_600_000), running: 0, freed: 0 })
  expect(expectWait(pace, { place: 1, places: 1 }).trusted).toBe(true)
  expect(expectWait(later, { place: 1, places: 1 }).trusted).toBe(false)
})

test('W2 a clock that stands still or goes back takes nothing away', () => {
  const pace = run(noPace(millis(1_000)), { places: 1, every: 1_000, freed: 5 })
  const { heldMs } = stepPace(pace, { at: millis(0), running: 1, freed: 0 })
  expect(heldMs).toBe(pace.heldMs)
})

test('W3 before anything is known a request takes 10 s', () => {
  expect(expectWait(noPace(millis(0)), { place: 4, places: 2 })).toEqual({ wait: 20_000, trusted: false })
  expect(expectWait(noPace(millis(0)), { place: 1, places: 0 })).toEqual({ wait: 10_000, trusted: false })
})

test('W4 only a trusted expectation of twice the deadline is hopeless', () => {
  const deadline = millis(10_000)
  expect(isHopeless({ wait: millis(20_001), trusted: true }, deadline)).toBe(true)
  expect(isHopeless({ wait: millis(20_000), trusted: true }, deadline)).toBe(false)
  expect(isHopeless({ wait: millis(900_000), trusted: false }, deadline)).toBe(false)
  const few = run(noPace(millis(0)), { places: 1, every: 1_000, freed: 7 })
  const enough = run(few, { places: 1, every: 1_000, freed: 2 })
  expect(expectWait(few, { place: 1, places: 1 }).trusted).toBe(false)
  expect(expectWait(enough, { place: 1, places: 1 }).trusted).toBe(true)
  expect(expectWait(enough, { place: 1, places: 0 }).trusted).toBe(false)
})

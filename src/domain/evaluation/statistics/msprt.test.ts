/** The mSPRT: silent at first, never less sure than before, and rarely wrong. */
import { expect, test } from 'vitest'
import { msprt, noMoments, pushMoment, seededRandom } from './index.ts'
import type { Moments } from './index.ts'

/** `n` values of this mean and a standard deviation of about 1. */
function arm(n: number, mean: number): Moments {
  let moments = noMoments
  for (let at = 0; at < n; at++) moments = pushMoment(moments, mean + (at % 2 === 0 ? 1 : -1))
  return moments
}

const asked = { margin: 0, tau: 0.1, alpha: 0.05 }

test('S12 below 100 values in an arm, and while nothing varies, nothing is said', () => {
  const silent = { logE: 0, interval: [-Infinity, Infinity], p: 1 }
  expect(msprt({ ...asked, candidate: arm(99, 5), live: arm(5000, 0) })).toEqual(silent)
  expect(msprt({ ...asked, candidate: arm(5000, 5), live: arm(99, 0) })).toEqual(silent)
  const constant = { n: 500, mean: 3, m2: 0 }
  expect(msprt({ ...asked, candidate: constant, live: { ...constant, mean: 2 } })).toEqual(silent)
  expect(msprt({ ...asked, candidate: arm(100, 5), live: arm(100, 0) }).logE).toBeGreaterThan(3)
})

test('S11 the margin lies outside the interval when the evidence suffices, and only then', () => {
  for (const gap of [0, 0.05, 0.1, 0.15, 0.2, 0.3, -0.2]) {
    for (const margin of [-0.1, 0, 0.1]) {
      const { logE, interval } = msprt({ ...asked, margin, candidate: arm(2000, gap), live: arm(4000, 0) })
      expect(margin < interval[0] || margin > interval[1]).toBe(logE >= Math.log(1 / 0.05))
      expect(interval[0]).toBeLessThan(gap)
      expect(interval[1]).toBeGreaterThan(gap)
    }
  }
})

test('S11 p is the smallest so far', () => {
  const sure = msprt({ ...asked, candidate: arm(2000, 0.3), live: arm(2000, 0) })
  const later = msprt({ ...asked, candidate: arm(4000, 0), live: arm(4000, 0), before: sure.p })
  expect(sure.p).toBeLessThan(0.001)
  expect(later.p).toBe(sure.p)
  expect(msprt({ ...asked, candidate: arm(99, 0), live: arm(99, 0), before: 0.2 }).p).toBe(0.2)
})

test('S11 looked at every 20 values, equal arms are told apart in fewer than α of runs', () => {
  const random = seededRandom(11)
  const runs = 400
  let wrong = 0
  for (let run = 0; run < runs; run++) {
    let candidate = noMoments
    let live = noMoments
    let p = 1
    for (let at = 1; at <= 1500; at++) {
      candidate = pushMoment(candidate, drawNormal(random))
      live = pushMoment(live, drawNormal(random))
      if (at % 20 === 0) p = msprt({ ...asked, candidate, live, before: p }).p
    }
    if (p <= asked.alpha) wrong++
  }
  // Three standard errors of what α itself would give.
  expect(wrong / runs).toBeLessThan(asked.alpha + 3 * Math.sqrt((asked.alpha * (1 - asked.alpha)) / runs))
})

test('S11 moments are those of the values, far from 0 too', () => {
  const values = [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]
  const { n, mean, m2 } = values.reduce(pushMoment, noMoments)
  expect([n, mean, m2]).toEqual([4, 1e9 + 10, 90])
})

/** Box and Muller's. */
function drawNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

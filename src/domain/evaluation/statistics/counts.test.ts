/** Count e-values: valid whatever is true, and moved in the right direction by every event. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { logEMismatch, logENonInferior, logECounts, logENotWorse, logEWithin, logEWorse, neededUnits } from './index.ts'
import type { CountStep } from './index.ts'

const count = fc.integer({ min: 0, max: 3000 })
const share = fc.double({ min: 0.01, max: 0.99, noNaN: true })
const ratio = fc.double({ min: 1, max: 3, noNaN: true })
const step: fc.Arbitrary<CountStep> = fc.record({
  share,
  units: fc.record({ candidate: fc.integer({ min: 6000, max: 9000 }), live: fc.integer({ min: 6000, max: 90_000 }) }),
  strata: fc.tuple(fc.record({ candidate: count, live: count }), fc.record({ candidate: count, live: count })),
})

/** The mean of e^log over all ways in which `events` may fall, each the candidate's with a chance of `chance`. */
function meanOver(
  events: number,
  chance: number,
  logE: (counts: { candidate: number; live: number }) => number,
): number {
  let mean = 0
  let logChoose = 0
  for (let candidate = 0; candidate <= events; candidate++) {
    const live = events - candidate
    mean += Math.exp(logChoose + candidate * Math.log(chance) + live * Math.log1p(-chance) + logE({ candidate, live }))
    logChoose += Math.log((events - candidate) / (candidate + 1))
  }
  return mean
}

test('S3 the mean e-value is 1 on the boundary, exactly, for every number of events', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 150 }), share, ratio, (events, part, times) => {
      const boundary = (part * times) / (part * times + 1 - part)
      expect(meanOver(events, boundary, counts => logECounts(counts, part, { ratio: times }))).toBeCloseTo(1, 8)
      expect(meanOver(events, boundary, counts => logENonInferior(counts, part, { ratio: times }))).toBeCloseTo(1, 8)
      expect(meanOver(events, part, counts => logEMismatch(counts, part))).toBeCloseTo(1, 8)
    }),
    { numRuns: 60 },
  )
})

test('S3 inside the null the mean is below 1: a better candidate does not look worse, nor a worse one not worse', () => {
  expect(meanOver(100, 0.05, counts => logECounts(counts, 0.1))).toBeLessThan(0.5)
  expect(meanOver(100, 0.25, counts => logENonInferior(counts, 0.1, { ratio: 1.5 }))).toBeLessThan(0.5)
})

test('S4 each event moves the evidence in its own direction', () => {
  fc.assert(
    fc.property(count, count, share, (candidate, live, part) => {
      const worse = logECounts({ candidate, live }, part)
      // Far out in the null both are as good as equal; digits, not direction, are what is left.
      const rounding = 1e-9 * Math.max(1, Math.abs(worse))
      expect(logECounts({ candidate: candidate + 1, live }, part)).toBeGreaterThan(worse - rounding)
      expect(logECounts({ candidate, live: live + 1 }, part)).toBeLessThan(worse + rounding)
      const notWorse = logENonInferior({ candidate, live }, part, { ratio: 1.5 })
      expect(logENonInferior({ candidate, live: live + 1 }, part, { ratio: 1.5 })).toBeGreaterThan(notWorse - rounding)
      expect(logENonInferior({ candidate: candidate + 1, live }, part, { ratio: 1.5 })).toBeLessThan(
        notWorse + rounding,
      )
    }),
  )
})

test('S4 a wider ratio is harder to exceed and easier to stay below', () => {
  fc.assert(
    fc.property(count, count, share, (candidate, live, part) => {
      const at = (times: number) => ({
        worse: logECounts({ candidate, live }, part, { ratio: times }),
        notWorse: logENonInferior({ candidate, live }, part, { ratio: times }),
      })
      fc.pre(candidate + live > 200)
      const near = at(1.2)
      const far = at(4)
      // Where the data lie between the two ratios' reach the priors differ more than the ratios do: only decided cases are compared.
      if (far.worse > 5) expect(near.worse).toBeGreaterThan(5)
      if (near.notWorse > 5) expect(far.notWorse).toBeGreaterThan(5)
    }),
  )
})

test('S24 no events, and one arm alone, are no evidence; counts below 0 are no number', () => {
  for (const part of [0.01, 0.5, 0.99]) {
    expect(logECounts({ candidate: 0, live: 0 }, part)).toBe(0)
    expect(logENonInferior({ candidate: 0, live: 0 }, part, { ratio: 1.5 })).toBe(0)
    expect(logEMismatch({ candidate: 0, live: 0 }, part)).toBe(0)
  }
  for (const part of [0, 1]) {
    expect(logECounts({ candidate: 50, live: 0 }, part)).toBe(0)
    expect(logENonInferior({ candidate: 0, live: 50 }, part, { ratio: 1.5 })).toBe(0)
    expect(logEMismatch({ candidate: 50, live: 0 }, part)).toBe(0)
  }
  expect(logECounts({ candidate: -1, live: 3 }, 0.1)).toBeNaN()
  expect(logEMismatch({ candidate: 1, live: Number.NaN }, 0.1)).toBeNaN()
})

test('S6 steps and strata multiply; their order does not matter', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 4 }), steps => {
      const turned = steps.toReversed().map(each => ({ ...each, strata: each.strata.toReversed() }))
      for (const evidence of [
        (of: readonly CountStep[]) => logEWorse(of, { ratio: 1.2 }),
        (of: readonly CountStep[]) => logENotWorse(of, { ratio: 1.5 }),
        (of: readonly CountStep[]) => logEWithin(of, { margin: 0.01 }),
      ]) {
        const whole = evidence(steps)
        const rounding = 1e-9 * Math.max(1, Math.abs(whole))
        expect(Math.abs(evidence(turned) - whole)).toBeLessThan(rounding)
        expect(Math.abs(steps.reduce((sum, each) => sum + evidence([each]), 0) - whole)).toBeLessThan(rounding)
      }
    }),
  )
})

test('S6 counts of different shares are not added: steps that each fit their share say nothing, added up they would accuse', () => {
  const steps: CountStep[] = [
    { share: 0.01, units: { candidate: 100, live: 9900 }, strata: [{ candidate: 4, live: 400 }] },
    { share: 0.5, units: { candidate: 5000, live: 5000 }, strata: [{ candidate: 200, live: 200 }] },
  ]
  expect(logEWorse(steps, { ratio: 1 })).toBeLessThan(0)
  expect(logECounts({ candidate: 204, live: 600 }, 0.05)).toBeGreaterThan(100)
})

test('S6 a stratum that is much better does not speak for one that is worse', () => {
  const strata = [
    { candidate: 10, live: 500 },
    { candidate: 700, live: 400 },
  ]
  const steps = [{ share: 0.5, units: { candidate: 10_000, live: 10_000 }, strata }]
  expect(strata.reduce((sum, counts) => sum + logENonInferior(counts, 0.5, { ratio: 1.2 }), 0)).toBeGreaterThan(100)
  expect(logENotWorse(steps, { ratio: 0.7 })).toBeLessThan(3)
  // Nor does it hide that one from «worse».
  expect(logEWorse(steps, { ratio: 1 })).toBeGreaterThan(Math.log(1000))
  expect(logECounts({ candidate: 710, live: 900 }, 0.5)).toBeLessThan(0)
})

test('S8 the mean of the difference e-value is 1 where the difference is the margin, and less beyond it', () => {
  const mean = (candidateRate: number, liveRate: number, margin: number) => {
    const part = 0.3
    const n = 12
    // The chances of a unit: the candidate's event, the live version's event, none.
    const chances = [part * candidateRate, (1 - part) * liveRate, 1 - part * candidateRate - (1 - part) * liveRate]
    let sum = 0
    for (let c = 0; c <= n; c++) {
      for (let l = 0; l + c <= n; l++) {
        const ways = choose(n, c) * choose(n - c, l)
        const chance = ways * (chances[0] ?? 0) ** c * (chances[1] ?? 0) ** l * (chances[2] ?? 0) ** (n - c - l)
        const units = { candidate: 6, live: 6 }
        sum += chance * Math.exp(logEWithin([{ share: part, units, strata: [{ candidate: c, live: l }] }], { margin }))
      }
    }
    return sum
  }
  expect(mean(0.3, 0.2, 0.1)).toBeCloseTo(1, 10)
  expect(mean(0.6, 0.5, 0.1)).toBeCloseTo(1, 10)
  expect(mean(0.4, 0.2, 0.1)).toBeLessThan(1)
  expect(mean(0.2, 0.2, 0.1)).toBeGreaterThan(1)
})

test('S8 without an event it is shown in the end, and one arm alone shows nothing', () => {
  const clean = (candidate: number, live: number, part: number) =>
    logEWithin([{ share: part, units: { candidate, live }, strata: [{ candidate: 0, live: 0 }] }], { margin: 0.005 })
  expect(clean(1500, 1500, 0.5)).toBeGreaterThan(Math.log(1 / 0.05))
  expect(clean(50, 50, 0.5)).toBeLessThan(Math.log(1 / 0.05))
  expect(clean(0, 0, 0.5)).toBe(0)
  expect(clean(100_000, 0, 1)).toBe(0)
  expect(logEWithin([], { margin: 0 })).toBeNaN()
})

test('S22 with the units needed the evidence suffices, with one less it does not', () => {
  const goal = Math.log(1 / 0.01)
  const worse = (steps: readonly CountStep[]) => logEWorse(steps, { ratio: 1 })
  for (let seen = 500; seen < 540; seen++) {
    const now: CountStep = { share: 0.1, units: { candidate: seen, live: 4500 }, strata: [{ candidate: 10, live: 45 }] }
    const after = (units: number): CountStep => ({
      share: 0.1,
      units: { candidate: seen + units * 0.1, live: 4500 + units * 0.9 },
      strata: [{ candidate: 10 + (units * 0.1 * 10) / seen, live: 45 + units * 0.9 * 0.01 }],
    })
    const more = neededUnits([now], worse, 0.01) ?? 0
    expect(more).toBeGreaterThan(1000)
    expect(worse([after(more)])).toBeGreaterThanOrEqual(goal)
    expect(worse([after(more - 1)])).toBeLessThan(goal)
  }
})

test('S22 nothing more is needed when it suffices; what never will is null; a new step uses what earlier ones saw', () => {
  const at = (candidate: number, live: number): CountStep => ({
    share: 0.1,
    units: { candidate: 1000, live: 9000 },
    strata: [{ candidate, live }],
  })
  const worse = (steps: readonly CountStep[]) => logEWorse(steps, { ratio: 1 })
  const notWorse = (steps: readonly CountStep[]) => logENotWorse(steps, { ratio: 1.5 })
  expect(neededUnits([at(60, 90)], worse, 0.01)).toBe(0)
  expect(neededUnits([at(10, 90)], worse, 0.01)).toBeNull()
  expect(neededUnits([at(0, 0)], worse, 0.01)).toBeNull()
  expect(neededUnits([at(10, 90)], notWorse, 0.05)).toBeGreaterThan(0)
  expect(neededUnits([at(40, 90)], notWorse, 0.05)).toBeNull()
  expect(neededUnits([], worse, 0.01)).toBeNull()
  const begun: CountStep = { share: 0.25, units: { candidate: 0, live: 0 }, strata: [{ candidate: 0, live: 0 }] }
  expect(neededUnits([begun], worse, 0.01)).toBeNull()
  expect(neededUnits([at(14, 90), begun], worse, 0.01)).toBeGreaterThan(0)
  // Without events a ratio is never shown and a difference is.
  expect(neededUnits([at(0, 0)], notWorse, 0.05)).toBeNull()
  expect(neededUnits([at(0, 0)], steps => logEWithin(steps, { margin: 0.005 }), 0.05)).toBeGreaterThan(0)
})

function choose(n: number, k: number): number {
  let ways = 1
  for (let at = 0; at < k; at++) ways = (ways * (n - at)) / (at + 1)
  return ways
}

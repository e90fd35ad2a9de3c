/** The evidence at work: simulated releases of known truth, a short form of `npm run bench:releases` with the same cases. */
import { expect, test } from 'vitest'
import { canaryAlpha, canaryCases, runCanary } from '../../../../bench/releases/canary.ts'
import { foundIn, medianOf, percentOf, repeat } from '../../../../bench/releases/found.ts'
import type { Found } from '../../../../bench/releases/found.ts'
import { judgeAlpha, judgeCases, runJudge, verdictsIn } from '../../../../bench/releases/judge.ts'
import { isWithinBounds, runSteps, stepCases } from '../../../../bench/releases/steps.ts'
import { neededUnits, logEWorse, seededRandom } from './index.ts'

const runs = 400

/** Three points, and three standard errors of so few runs. */
function expectPercent(found: Found, wanted: number): void {
  const share = wanted / 100
  const slack = 3 + 300 * Math.sqrt((share * (1 - share)) / found.runs)
  expect(Math.abs(percentOf(found) - wanted), `${percentOf(found)} % for ${wanted} %`).toBeLessThanOrEqual(slack)
}

test.each(canaryCases)('S3 canaries of one share, $title', one => {
  const random = seededRandom(101)
  const found = foundIn(repeat(runs, () => runCanary(one, random)))
  const alike = one.live === one.candidate
  if (alike) expect(percentOf(found)).toBeLessThanOrEqual(100 * canaryAlpha)
  else expect(percentOf(found)).toBeGreaterThan(60)
  if (one.chosenBy === null) return
  expectPercent(found, one.chosenBy.found)
  // Medians of so few runs: the stopping times of one row spread over a factor of four.
  if (one.chosenBy.median !== null) expect((medianOf(found) ?? 0) / one.chosenBy.median).toBeCloseTo(1, 0.7)
})

test.each(judgeCases)('S9 judged pairs, margin $margin, $title', one => {
  const random = seededRandom(102)
  const seen = repeat(runs, () => runJudge(one, random))
  const promoted = verdictsIn(seen, 'promoted')
  const regressed = verdictsIn(seen, 'regressed')
  expectPercent(promoted, one.chosenBy.promoted)
  expectPercent(regressed, one.chosenBy.regressed)
  const wrong = 100 * (judgeAlpha + 3 * Math.sqrt((judgeAlpha * (1 - judgeAlpha)) / runs))
  const lead = one.win - one.loss + one.margin
  if (lead <= 1e-9) expect(percentOf(promoted)).toBeLessThan(wrong)
  if (lead >= -1e-9) expect(percentOf(regressed)).toBeLessThan(wrong)
})

test.each(stepCases)('S6 S7 S8 growing shares, $title', one => {
  const random = seededRandom(103)
  const found = foundIn(repeat(100, () => runSteps(one, random)))
  expect(isWithinBounds(one, found), `${percentOf(found)} % found`).toBe(true)
})

test('S22 the units needed are of the size that it then takes', () => {
  // Half way to a verdict at the true rates of 1 % and 3 %.
  const step = { share: 0.1, units: { candidate: 200, live: 1800 }, strata: [{ candidate: 6, live: 18 }] }
  const needed = neededUnits([step], steps => logEWorse(steps, { ratio: 1 }), canaryAlpha) ?? Number.NaN
  const random = seededRandom(104)
  const worse = canaryCases.find(one => one.title === '1 % → 3 %')
  if (worse === undefined) throw new Error('the case is gone')
  const median = medianOf(foundIn(repeat(runs, () => runCanary(worse, random)))) ?? Number.NaN
  expect((2000 + needed) / median).toBeGreaterThan(0.7)
  expect((2000 + needed) / median).toBeLessThan(1.4)
})

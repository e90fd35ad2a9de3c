/** Golden sets: what a difference on the same cases shows, and what it cannot. */
import { expect, test } from 'vitest'
import { mcnemar, mde, nonInferior, pairedDifference, sampleSize, wilson, zeroFailuresBound } from './index.ts'

const differences = [0.1, -0.2, 0, 0.3, -0.1, 0.05]

test('S14 clusters of one have the naive standard error', () => {
  const { se, clusteredSe, deff } = pairedDifference(differences.map((d, at) => ({ d, cluster: `case ${at}` })))
  expect(clusteredSe).toBeCloseTo(se, 14)
  expect(deff).toBeCloseTo(1, 12)
})

test('S14 cases that say the same thing over and over are worth one', () => {
  const repeated = differences.flatMap((d, at) => Array.from({ length: 10 }, () => ({ d, cluster: `case ${at}` })))
  const once = pairedDifference(differences.map((d, at) => ({ d, cluster: `case ${at}` })))
  const { mean, se, clusteredSe, deff } = pairedDifference(repeated)
  expect(mean).toBeCloseTo(once.mean, 14)
  expect(clusteredSe).toBeCloseTo(once.clusteredSe, 14)
  expect(se).toBeLessThan(once.se / 3)
  expect(deff).toBeGreaterThan(10)
})

test('S14 S15 S24 one cluster, one case and none have no standard error, and pass nothing', () => {
  const sets = [differences.map(d => ({ d, cluster: 'all' })), [{ d: 0.5, cluster: 'a' }], []]
  for (const rows of sets) {
    const { mean, clusteredSe } = pairedDifference(rows)
    expect(clusteredSe).toBeNaN()
    expect(nonInferior({ mean, se: clusteredSe, margin: 0.02, confidence: 0.95 }).passes).toBe(false)
  }
})

test('S15 it passes when the bound is above the margin, not when the mean is', () => {
  expect(nonInferior({ mean: 0, se: 0.012, margin: 0.02, confidence: 0.95 }).passes).toBe(true)
  expect(nonInferior({ mean: 0, se: 0.0125, margin: 0.02, confidence: 0.95 }).passes).toBe(false)
  expect(nonInferior({ mean: 0, se: 0.0125, margin: 0.02, confidence: 0.9 }).passes).toBe(true)
  expect(nonInferior({ mean: 0, se: 0, margin: 0.02, confidence: 0.95 })).toEqual({ lower: 0, passes: true })
})

test('S16 no case that differs is no evidence; each that does moves p', () => {
  expect(mcnemar(0, 0)).toBe(1)
  expect(mcnemar(5, 0)).toBeCloseTo(1 / 32, 14)
  expect(mcnemar(6, 0)).toBeLessThan(mcnemar(5, 0))
  expect(mcnemar(5, 1)).toBeGreaterThan(mcnemar(5, 0))
})

test('S17 an interval never leaves 0 to 1, and is everything for no cases', () => {
  expect(wilson(0, 0, 1.96)).toEqual([0, 1])
  for (const n of [1, 7, 30, 1000]) {
    expect(wilson(0, n, 1.96)[0]).toBe(0)
    expect(wilson(n, n, 1.96)[1]).toBe(1)
  }
})

test('S17 thirty clean cases show less than one failure in ten', () => {
  expect(zeroFailuresBound(30)).toBeCloseTo(0.1, 14)
  expect(zeroFailuresBound(2)).toBe(1)
  expect(zeroFailuresBound(0)).toBe(1)
})

test('S23 the smallest regression a set sees, and the set that sees it', () => {
  expect(mde(1)).toBeCloseTo(2.4865, 4)
  expect(sampleSize({ sd: 0.5, difference: 0.05 })).toBe(619)
  expect(mde(0.5 / Math.sqrt(619))).toBeLessThanOrEqual(0.05)
  expect(sampleSize({ sd: 0.5, difference: 0 })).toBe(Infinity)
})

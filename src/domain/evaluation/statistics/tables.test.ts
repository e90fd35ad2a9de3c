/** Every number of this folder beside tables made by mpmath, scipy, statsmodels, scikit-learn and ppi-python (testdata/make-tables.py). */
import { expect, test } from 'vitest'
import { binomialAtLeast } from './binomial.ts'
import { logBetaAbove, logBetaBelow } from './beta.ts'
import {
  ac1,
  agreement,
  kappa,
  logECounts,
  logEMismatch,
  logENonInferior,
  logEWithin,
  logPromote,
  logRegress,
  mcnemar,
  msprt,
  nonInferior,
  noMoments,
  normalQuantile,
  pairedDifference,
  pushBet,
  pushMoment,
  spearman,
  startBets,
  wilson,
} from './index.ts'
import tables from './testdata/tables.json' with { type: 'json' }

/** Relative, and absolute below 1: what a logarithm is off by is what its number is off by relatively. */
function expectNear(actual: number, wanted: number, within = 1e-10): void {
  const error = Math.abs(actual - wanted) / Math.max(1, Math.abs(wanted))
  expect(error, `${actual} is not ${wanted}`).toBeLessThanOrEqual(within)
}

test('S1 tails of the beta distribution: parameters from 0.05 to a million, tails down to e^-700', () => {
  let deepest = 0
  for (const [a = 0, b = 0, x = 0, below = 0, above = 0] of tables.beta) {
    expect(Math.abs(logBetaBelow({ a, b, x }) - below), `below ${a} ${b} ${x}`).toBeLessThanOrEqual(1e-10 * -below)
    expect(Math.abs(logBetaAbove({ a, b, x }) - above), `above ${a} ${b} ${x}`).toBeLessThanOrEqual(1e-10 * -above)
    deepest = Math.min(deepest, below, above)
  }
  expect(tables.beta.length).toBeGreaterThan(500)
  expect(deepest).toBeLessThan(-600)
})

test('S2 S5 S7 count e-values: both sides, ratios, shares, up to a million events', () => {
  for (const { candidate, live, share, ratio, worse, notWorse, mismatch } of tables.counts) {
    expectNear(logECounts({ candidate, live }, share, { ratio }), worse)
    expectNear(logENonInferior({ candidate, live }, share, { ratio }), notWorse)
    expectNear(logEMismatch({ candidate, live }, share), mismatch)
  }
})

test('S8 difference e-values', () => {
  for (const { units, candidate, live, share, margin, logE } of tables.within) {
    const split = { candidate: Math.round(units * share), live: units - Math.round(units * share) }
    expectNear(logEWithin([{ share, units: split, strata: [{ candidate, live }] }], { margin }), logE)
  }
})

test('S9 betting processes', () => {
  for (const { margin, xs, promote, regress } of tables.bets) {
    const bets = xs.reduce(pushBet, startBets(margin))
    expectNear(logPromote(bets), promote)
    expectNear(logRegress(bets), regress)
  }
})

test('S11 the mSPRT is the mixture, by quadrature, and its interval where the mixture reaches 1/α', () => {
  for (const { margin, tau, alpha, logE, interval, ...arms } of tables.msprt) {
    const candidate = arms.candidate.reduce(pushMoment, noMoments)
    const live = arms.live.reduce(pushMoment, noMoments)
    const look = msprt({ candidate, live, margin, tau, alpha })
    expectNear(look.logE, logE)
    expectNear(look.interval[0], interval[0] ?? Number.NaN)
    expectNear(look.interval[1], interval[1] ?? Number.NaN)
  }
})

test('S13 the normal quantile', () => {
  for (const [chance = 0, z = 0] of tables.normal) expectNear(normalQuantile(chance), z, 1e-13)
})

test('S16 McNemar, and the binomial tail behind it', () => {
  for (const [b = 0, c = 0, p = 0] of tables.mcnemar) {
    expectNear(mcnemar(b, c), p)
    expect(binomialAtLeast({ k: b, n: b + c, chance: 0.5 })).toBe(mcnemar(b, c))
  }
})

test('S17 Wilson’s interval', () => {
  // `z` as far out as 95 % wants it.
  const z = normalQuantile(0.975)
  for (const [k, n, wanted] of tables.wilson) {
    if (typeof k !== 'number' || typeof n !== 'number' || !Array.isArray(wanted)) throw new Error('a malformed row')
    wilson(k, n, z).forEach((end, at) => expectNear(end, wanted[at] ?? Number.NaN, 1e-13))
  }
})

test('S19 agreement, kappa, AC1', () => {
  for (const row of tables.agreement) {
    expectNear(agreement(row.table), row.agreement)
    expectNear(kappa(row.table), row.kappa)
    expectNear(ac1(row.table), row.ac1)
  }
})

test('S21 Spearman with ties', () => {
  for (const { xs, ys, rho } of tables.spearman) expectNear(spearman(xs, ys), rho, 1e-13)
})

test('S14 S15 paired differences, clustered as statsmodels does, and the bound', () => {
  for (const row of tables.paired) {
    const seen = pairedDifference(row.rows)
    expectNear(seen.mean, row.mean)
    expectNear(seen.se, row.se)
    expectNear(seen.clusteredSe, row.clusteredSe)
    expectNear(seen.deff, (row.clusteredSe / row.se) ** 2)
    const { lower } = nonInferior({ mean: seen.mean, se: seen.clusteredSe, margin: 0.02, confidence: 0.95 })
    expectNear(lower, row.lower95)
  }
})

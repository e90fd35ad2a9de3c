import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CheckResult } from './checks.ts'
import { decideGolden, type GoldenRun } from './golden-outcome.ts'
import { standingOf, type CaseRow, type Trial } from './golden-row.ts'
import type { Admissibility } from './judge/admissibility.ts'

const against = (margin = 0.02): GoldenRun['standard'] => ({ kind: 'against', margin })
const alone = (atLeast = 1): GoldenRun['standard'] => ({ kind: 'alone', atLeast })
const admissible: Admissibility = { kind: 'admissible', warnings: [] }

/** An answer with this score (1 passes), or one that was not measured. */
function answered(score: number | null, check: CheckResult['check'] = 'contains', answer = `says ${score}`): Trial {
  const result: CheckResult =
    score === null
      ? { check, measured: false, why: 'not judged' }
      : { check, measured: true, passes: score >= 0.5, score, why: '' }
  return { kind: 'answered', answer, checks: [result], claims: null, cut: false, latencyMs: 10 }
}
const failed: Trial = { kind: 'failed', why: 'nothing answers' }

function row(id: number, live: Trial[] | null, candidate: Trial[], more: Partial<CaseRow> = {}): CaseRow {
  return {
    id: `c${id}`,
    cluster: `k${id}`,
    critical: false,
    tags: [],
    expects: true,
    live,
    candidate,
    closeness: null,
    ...more,
  }
}

/** Cases by their scores. */
const rowsOf = (...pairs: [number, number][]): CaseRow[] =>
  pairs.map(([live, candidate], i) => row(i, [answered(live)], [answered(candidate)]))
const times = (count: number, pair: [number, number]): [number, number][] => Array.from({ length: count }, () => pair)
const decide = (rows: CaseRow[], standard = against(), judge: Admissibility | null = null) =>
  decideGolden({ rows, standard, judge })

describe('against a live version', () => {
  test('V4 the same on both sides passes, whatever the score', () => {
    expect(decide(rowsOf(...times(20, [1, 1]), ...times(20, [0, 0]))).verdict).toBe('pass')
  })

  test('V9 what a run of n cases could not have seen is told, and never less than 3 in n', () => {
    const small = decide(rowsOf(...times(10, [1, 1])))
    expect(small.difference?.smallestSeen).toBeCloseTo(0.3)
    expect(small.warnings.join(' ')).toContain('can’t see regressions smaller than 30 points')
    expect(decide(rowsOf(...times(200, [1, 1]))).warnings).toEqual([])
    expect(small.reasons).toEqual([
      'every case scores as with the live version; what is rarer than 30 % of cases would not show in so few',
    ])
    expect(decide(rowsOf(...times(200, [1, 1]))).reasons.join(' ')).toContain(
      'no worse than the live version (95 % sure',
    )
  })

  test('V5 a candidate that is surely worse fails, with numbers', () => {
    const worse = decide(rowsOf(...times(80, [1, 1]), ...times(20, [1, 0])))
    expect(worse.verdict).toBe('fail')
    expect(worse.reasons.join(' ')).toMatch(/20 cases that the live version passes fail.*lower by 20 points/)
    expect(worse.discordant).toMatchObject({ worse: 20, better: 0 })
  })

  test('V5 McNemar alone does not fail what is within the margin', () => {
    const rows = rowsOf(...times(994, [1, 1]), ...times(6, [1, 0]))
    expect(decide(rows).discordant?.p).toBeLessThan(0.05)
    expect(decide(rows).verdict).toBe('pass')
    expect(decide(rows, against(0.001)).verdict).toBe('fail')
  })

  test('V6 what nobody can tell is inconclusive, and says how many cases would', () => {
    const rows = rowsOf(...times(10, [1, 1]), ...times(2, [1, 0]), ...times(2, [0, 1]))
    const { verdict, reasons } = decide(rows)
    expect(verdict).toBe('inconclusive')
    expect(reasons.join()).toMatch(/About \d+ such cases would tell/)
    expect(decide(rows, against(0.5)).verdict).toBe('pass')
  })

  test('V6 one case alone, and none at all, are inconclusive', () => {
    expect(decide(rowsOf([1, 1])).verdict).toBe('inconclusive')
    expect(decide([]).verdict).toBe('inconclusive')
    expect(
      decide(Array.from({ length: 5 }, (_, i) => row(i, [failed], [failed], { expects: false }))).verdict,
    ).not.toBe('fail')
  })

  test('V4 cases that fail together count as the few causes that they are', () => {
    const rows = rowsOf(...times(40, [1, 1]), ...times(8, [1, 0.8]))
    const together = rows.map((each, i) => ({ ...each, cluster: i < 40 ? each.cluster : 'one topic' }))
    const [alonePass, clustered] = [decide(rows, against(0.06)), decide(together, against(0.06))]
    expect(clustered.difference?.se).toBeGreaterThan((alonePass.difference?.se ?? 0) * 1.5)
    expect([alonePass.verdict, clustered.verdict]).toEqual(['pass', 'inconclusive'])
  })

  test('V3 a critical case that breaks blocks alone, among a thousand that get better', () => {
    const rows = [...rowsOf(...times(1_000, [0, 1])), row(-1, [answered(1)], [answered(0)], { critical: true })]
    expect(decide(rows)).toMatchObject({ verdict: 'fail', broken: ['c-1'] })
  })

  test('V3 one that neither passes is told and does not block', () => {
    const rows = [...rowsOf(...times(50, [1, 1])), row(-1, [answered(0)], [answered(0)], { critical: true })]
    const { verdict, warnings } = decide(rows)
    expect(verdict).toBe('pass')
    expect(warnings.join()).toContain('neither version passes: c-1')
  })

  test('V1 an engine that does not answer has failed its cases', () => {
    const rows = Array.from({ length: 20 }, (_, i) => row(i, [answered(1)], [i < 10 ? failed : answered(1)]))
    const { verdict, arms } = decide(rows)
    expect(verdict).toBe('fail')
    expect(arms.candidate).toMatchObject({ passed: 10, failed: 10, score: 0.5 })
  })

  test('V7 a case that the baseline does not have is no passing case', () => {
    const rows = [...rowsOf(...times(50, [1, 1])), row(-1, null, [answered(1)])]
    expect(decide(rows)).toMatchObject({ verdict: 'inconclusive', reasons: ['1 cases are not in the baseline: c-1'] })
  })

  test('V8 cases that could not be measured are borne up to one in twenty, critical ones not at all', () => {
    const unmeasured = (count: number, critical = false) => [
      ...rowsOf(...times(100 - count, [1, 1])),
      ...Array.from({ length: count }, (_, i) => row(-i - 1, [answered(1)], [answered(null, 'similar')], { critical })),
    ]
    expect(decide(unmeasured(5)).verdict).toBe('pass')
    expect(decide(unmeasured(6)).reasons.join()).toContain('6 of 100 cases could not be measured')
    expect(decide(unmeasured(1, true)).reasons.join()).toContain('critical cases could not be measured')
  })

  test('V11 more claims without support fail, once they are shown over five cases', () => {
    const claiming = (unsupported: number): Trial => ({
      ...{ kind: 'answered', answer: 'x', cut: false, latencyMs: 1 },
      checks: [{ check: 'contains', measured: true, passes: true, score: 1, why: '' }],
      claims: {
        kind: 'claims',
        supported: 4 - unsupported,
        unsupported: Array.from({ length: unsupported }, () => 'c'),
      },
    })
    const rows = (count: number) =>
      Array.from({ length: count }, (_, i) => row(i, [claiming(0)], [claiming(i % 3 === 0 ? 1 : 2)]))
    expect(decide(rows(12), against(), admissible).reasons.join()).toContain('its context does not support')
    expect(decide(rows(4), against(), admissible).verdict).toBe('pass')
    const { claims } = decide(rows(12), against(), admissible).arms.candidate
    expect(claims).toMatchObject({ all: 48, unsupported: 20, notMeasured: 0 })
  })

  test('verdicts do not depend on the order of the cases', () => {
    const scores = fc.array(fc.tuple(fc.constantFrom(0, 0.5, 1), fc.constantFrom(0, 0.5, 1)), {
      minLength: 1,
      maxLength: 40,
    })
    fc.assert(
      fc.property(scores, list => {
        const rows = rowsOf(...list)
        expect(decide(rows.toReversed()).verdict).toBe(decide(rows).verdict)
      }),
    )
  })

  test('a better candidate never gets a worse verdict', () => {
    const rank = { 'fail': 0, 'judge-inadmissible': 1, 'inconclusive': 1, 'pass': 2 }
    const scores = fc.array(fc.constantFrom(0, 1), { minLength: 2, maxLength: 60 })
    fc.assert(
      fc.property(scores, list => {
        const same = decide(rowsOf(...list.map((score): [number, number] => [score, score])))
        const worse = decide(rowsOf(...list.map((score): [number, number] => [score, 0])))
        expect(rank[same.verdict]).toBeGreaterThanOrEqual(rank[worse.verdict])
      }),
    )
  })
})

describe('V12 alone', () => {
  const rows = (...scores: (number | null)[]) => scores.map((score, i) => row(i, null, [answered(score)]))

  test('all must pass, or as many as it says', () => {
    expect(decide(rows(1, 1, 1), alone()).verdict).toBe('pass')
    expect(decide(rows(1, 0, 1, 1), alone())).toMatchObject({ verdict: 'fail' })
    expect(decide(rows(1, 0, 1, 1), alone(0.75)).verdict).toBe('pass')
    expect(decide(rows(1, 0, 0, 1), alone(0.75)).verdict).toBe('fail')
  })

  test('a critical case that fails blocks, however few must pass', () => {
    const [first, ...rest] = rows(0, 1, 1, 1)
    expect(decide([{ ...(first ?? row(0, null, [])), critical: true }, ...rest], alone(0.1))).toMatchObject({
      ...{ verdict: 'fail', broken: ['c0'] },
    })
  })

  test('what was not measured is no pass', () => {
    expect(decide(rows(1, null), alone(0.5)).verdict).toBe('inconclusive')
    expect(decide([], alone()).verdict).toBe('inconclusive')
    expect(decide([row(0, null, [answered(1)], { expects: false })], alone()).verdict).toBe('inconclusive')
  })
})

describe('V2 repeats', () => {
  const stands = (critical: boolean, ...trials: Trial[]) => standingOf({ critical }, trials, { marks: true }).passes

  test('most pass an ordinary case, all a critical one', () => {
    expect(stands(false, answered(1), answered(1), answered(0))).toBe(true)
    expect(stands(false, answered(1), answered(0))).toBe(false)
    expect(stands(true, answered(1), answered(1), answered(0))).toBe(false)
    expect(stands(true, answered(1), answered(1))).toBe(true)
  })

  test('a critical case of which one repeat was not measured is not known to pass', () => {
    expect(stands(true, answered(1), answered(null))).toBeNull()
    expect(stands(true, answered(0), answered(null))).toBe(false)
    expect(stands(false, answered(null))).toBeNull()
  })

  test('stability is how often repeats say the same', () => {
    const same = answered(1, 'contains', 'Paris')
    const { arms } = decide(
      [row(0, null, [same, same, answered(0, 'contains', 'Lyon')]), row(1, null, [same, same])],
      alone(),
    )
    expect(arms.candidate.stability).toBeCloseTo((1 / 3 + 1) / 2)
    expect(arms.candidate.wavering).toBe(1)
  })
})

describe('V10 the judge', () => {
  const inadmissible: Admissibility = { kind: 'inadmissible', why: ['it obeys orders that stand in an answer'] }
  const unproven: Admissibility = { kind: 'unproven', needed: 3, why: '3 of 6 controls asked' }
  const judged = (...pairs: [number, number][]) =>
    pairs.map(([live, candidate], i) => row(i, [answered(live, 'rubric')], [answered(candidate, 'rubric')]))

  test('what an admissible one says counts', () => {
    expect(decide(judged(...times(50, [1, 1])), against(), admissible).verdict).toBe('pass')
    expect(decide(judged(...times(50, [1, 0])), against(), admissible).verdict).toBe('fail')
  })

  test.each([
    ['good', [1, 1]],
    ['bad', [1, 0]],
  ] as const)('an inadmissible one neither passes nor fails: %s', (_, pair) => {
    const outcome = decide(judged(...times(50, [...pair])), against(), inadmissible)
    expect(outcome).toMatchObject({ verdict: 'judge-inadmissible' })
    expect(outcome.reasons.join()).toContain('obeys orders')
    expect(decide(judged(...times(50, [...pair])), against(), unproven).verdict).toBe('inconclusive')
  })

  test('what fails without it fails', () => {
    const rows = [
      ...judged(...times(50, [1, 1])),
      ...rowsOf(...times(50, [1, 0])).map((each, i) => ({ ...each, id: `x${i}` })),
    ]
    expect(decide(rows, against(), inadmissible).verdict).toBe('fail')
  })

  test('where nothing was judged it does not matter', () => {
    expect(decide(rowsOf(...times(50, [1, 1])), against(), null).verdict).toBe('pass')
  })
})

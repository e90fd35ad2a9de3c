import { describe, expect, test } from 'vitest'
import type { ControlResult } from '../evaluation/index.ts'
import { seededRandom } from '../evaluation/statistics/index.ts'
import { instant, modelName, requestId, versionName } from '../units.ts'
import { readQuality, type LiveMark, type Thumb } from './index.ts'

const dayMs = 86_400_000
const now = instant(1_000 * dayMs)
const model = modelName('coder')
const [first, second] = [versionName('dev-v1-llama3-8b-q8-0-p0'), versionName('dev-v2-llama3-8b-q8-0-p0')]
const judge = { name: 'dev-v1-qwen3-32b-awq-p0', digest: 'd1', prompt: 'rubric-1' }

let count = 0
const marked = (mark: number | null, daysAgo: number, more: Partial<LiveMark> = {}): LiveMark => ({
  request: requestId(`r${++count}`),
  at: instant(now - daysAgo * dayMs),
  ...{ model, version: first, judge, mark, calls: 1, unparsable: Number(mark === null), control: null },
  ...more,
})
const thumb = (score: number, daysAgo: number, version = first): Thumb => ({
  ...{ model, version, score },
  at: instant(now - daysAgo * dayMs),
})
const read = (
  marks: LiveMark[],
  { thumbs = [], by = 'version', days = 7 }: Partial<{ thumbs: Thumb[]; by: 'version' | 'day'; days: number }> = {},
) => readQuality({ marks, thumbs, now, since: instant(now - days * dayMs), by })[0]
/** Of the first six, so that the judge has proved itself. */
const controlOf = (n: number): Partial<LiveMark> =>
  n < 6 ? { control: { kind: n % 2 === 0 ? 'off-topic' : 'injected', result: 'passed' } } : {}
/** So many marks of a week, between 5 and 9 and around `mean`. */
const week = (
  size: number,
  { mean, daysAgo, seed = 1 }: { mean: number; daysAgo: number; seed?: number },
): LiveMark[] => {
  const random = seededRandom(seed + daysAgo)
  return Array.from({ length: size }, (_, n) => marked(mean + 2 * random() - 1, daysAgo, controlOf(n)))
}

describe('rows', () => {
  test('are by version, with the mean, its interval, what could not be read, and people’s thumbs', () => {
    const marks = [6, 7, 8, 6, 7, 8, 6, 7, 8, 7].map(mark => marked(mark, 1))
    const rows = read([...marks, marked(null, 1), marked(9, 2, { version: second })], {
      thumbs: [thumb(1, 1), thumb(-1, 2), thumb(-1, 3), thumb(1, 1, second)],
    })?.rows
    expect(rows).toMatchObject([
      { version: first, day: null, n: 10, mean: 7, unread: 1, up: 1, down: 2 },
      { version: second, n: 1, mean: 9, interval: null, unread: 0, up: 1, down: 0 },
    ])
    // t(9) is 2.2622, s is 0.8165.
    expect(rows?.[0]?.interval?.[0]).toBeCloseTo(7 - (2.2622 * 0.8165) / Math.sqrt(10), 3)
    expect(rows?.[0]?.interval?.[1]).toBeCloseTo(7 + (2.2622 * 0.8165) / Math.sqrt(10), 3)
  })

  test('are by day, oldest first, and only since then', () => {
    const marks = [marked(5, 0.1), marked(6, 2.5), marked(7, 2.6), marked(8, 8)]
    const rows = read(marks, { by: 'day', thumbs: [thumb(1, 4.5), thumb(1, 8)] })?.rows
    expect(rows?.map(({ day, n, mean, up }) => [((day ?? 0) - now) / dayMs, n, mean, up])).toEqual([
      [-5, 0, null, 1],
      [-3, 2, 6.5, 0],
      [-1, 1, 5, 0],
    ])
  })

  test('of people alone are there without any judge', () => {
    expect(read([], { thumbs: [thumb(-1, 1)] })).toMatchObject({
      judge: null,
      rows: [{ n: 0, mean: null, interval: null, up: 0, down: 1 }],
      trend: { verdict: 'too-few' },
    })
  })
})

describe('the judge', () => {
  test('is the newest; marks by another one, or by another prompt of it, are not mixed with its own', () => {
    const earlier = { ...judge, prompt: 'rubric-0' }
    const found = read([marked(9, 1), marked(1, 2, { judge: earlier }), marked(1, 3, { judge: earlier })])
    expect(found).toMatchObject({ judge: { ...judge }, otherJudges: 2, rows: [{ n: 1, mean: 9 }] })
  })

  test('is unproven until its controls were asked, admissible then, and inadmissible when it misses them', () => {
    const controlled = (result: ControlResult['result']) =>
      read(
        Array.from({ length: 6 }, (_, i) =>
          marked(7, 1, { control: { kind: i % 2 === 0 ? 'off-topic' : 'injected', result } }),
        ),
      )
    expect(read([marked(7, 1)])?.judge?.admissibility.kind).toBe('unproven')
    expect(controlled('passed')?.judge?.admissibility.kind).toBe('admissible')
    expect(controlled('missed')).toMatchObject({
      judge: { admissibility: { kind: 'inadmissible' } },
      trend: { verdict: 'judge-inadmissible', interval: null },
    })
  })

  test('of the same family as the judged is warned of', () => {
    expect(read([marked(7, 1)])?.judge?.warnings).toEqual([])
    const own = { ...judge, name: second }
    expect(read([marked(7, 1, { judge: own })])?.judge?.warnings).toEqual([expect.stringMatching(/of one family/)])
  })
})

describe('the trend', () => {
  test('claims nothing before there are 100 marks in each of both weeks', () => {
    const few = [...week(500, { mean: 5, daysAgo: 3 }), ...week(99, { mean: 8, daysAgo: 10 })]
    expect(read(few)?.trend).toMatchObject({ verdict: 'too-few', interval: null, last: { n: 500 }, before: { n: 99 } })
  })

  test('is worse where marks fell, better where they rose, and says by how much', () => {
    const fell = read([...week(200, { mean: 6, daysAgo: 3 }), ...week(200, { mean: 7, daysAgo: 10 })])?.trend
    expect(fell).toMatchObject({ verdict: 'worse', last: { n: 200 }, before: { n: 200 } })
    expect(fell?.interval?.[0]).toBeLessThan(-1)
    expect(fell?.interval?.[1]).toBeLessThan(0)
    const rose = read([...week(200, { mean: 7, daysAgo: 3 }), ...week(200, { mean: 6, daysAgo: 10 })])?.trend
    expect(rose?.verdict).toBe('better')
  })

  test('finds no difference where there is none, but for at most one pair of weeks in twenty', () => {
    const claims = Array.from({ length: 200 }, (_, seed) =>
      read([
        ...week(150, { mean: 7, daysAgo: 3, seed: seed * 100 }),
        ...week(150, { mean: 7, daysAgo: 10, seed: seed * 100 }),
      ]),
    ).filter(found => found?.trend.verdict !== 'no-difference-shown')
    expect(claims.length).toBeLessThanOrEqual(10)
  })

  test('claims nothing by a judge that was asked no controls', () => {
    const bare = [...week(200, { mean: 6, daysAgo: 3 }), ...week(200, { mean: 7, daysAgo: 10 })]
    const trend = read(bare.map(mark => ({ ...mark, control: null })))?.trend
    expect(trend).toMatchObject({ verdict: 'too-few', interval: null, why: expect.stringMatching(/not proved itself/) })
  })

  test('says so when every mark is the same', () => {
    const same = (daysAgo: number) => Array.from({ length: 120 }, (_, n) => marked(7, daysAgo, controlOf(n)))
    expect(read([...same(3), ...same(10)])?.trend).toMatchObject({
      verdict: 'too-few',
      why: expect.stringMatching(/same/),
    })
  })

  test('leaves out what is older than two weeks, and counts a moment once', () => {
    const trend = read([marked(5, 7), marked(6, 14), marked(6, 13.9), marked(9, 0)])?.trend
    expect([trend?.last.n, trend?.before.n]).toEqual([1, 2])
  })
})

/**
 * Reads marks and thumbs: per model, by version or by day, with intervals; and whether the last week differs from the one before.
 * Marks of different judges are never put together: those of the newest judge count, the others are told as a number.
 */
import { admitScoreJudge, warnOfKinship, type Admissibility } from '../evaluation/index.ts'
import { momentsOf, msprt, varianceOf } from '../evaluation/statistics/index.ts'
import { instant, type Instant, type ModelName, type VersionName } from '../units.ts'
import { isSameJudge, recordOf } from './judge-record.ts'
import type { LiveMark, MarkJudge, Thumb } from './ports.ts'

export type QualityRow = {
  version: VersionName
  /** When the day began (UTC); `null`: the whole span. */
  day: Instant | null
  /** Marks that could be read. */
  n: number
  mean: number | null
  /** Of the mean, 95 %; `null`: too few marks. */
  interval: readonly [number, number] | null
  /** Answers whose mark could not be read. */
  unread: number
  up: number
  down: number
}

/** Two weeks of one model, whichever versions answered. */
export type QualityTrend = {
  verdict: 'better' | 'worse' | 'no-difference-shown' | 'too-few' | 'judge-inadmissible'
  last: { n: number; mean: number | null }
  before: { n: number; mean: number | null }
  /** Of the difference, last week less the one before; `null`: nothing can be said. */
  interval: readonly [number, number] | null
  why: string
}

export type ModelQuality = {
  model: ModelName
  rows: QualityRow[]
  trend: QualityTrend
  /** The newest; `null`: there are no marks. */
  judge: (MarkJudge & { admissibility: Admissibility; warnings: string[] }) | null
  /** Marks by judges before it, which are left out. */
  otherJudges: number
}

type Reading = {
  marks: readonly LiveMark[]
  thumbs: readonly Thumb[]
  now: Instant
  since: Instant
  by: 'version' | 'day'
}

const dayMs = 86_400_000
const weekMs = 7 * dayMs
/** Of fewer marks no interval is told: they are far from normal. */
const fewest = 10
/** In each week. A mean of fewer marks is not yet normal. */
const fewestInWeek = 100
/** In marks: smaller differences than this are of no interest. */
const tau = 0.5

/** `marks` and `thumbs`: of both weeks at least, and since `since`; of all models. */
export function readQuality({ marks, thumbs, now, since, by }: Reading): ModelQuality[] {
  const models = new Set([...marks, ...thumbs].map(({ model }) => model))
  return [...models].toSorted().map(model => {
    const all = marks.filter(mark => mark.model === model)
    const newest = all.reduce<LiveMark | null>((last, mark) => (last === null || mark.at > last.at ? mark : last), null)
    const own = newest === null ? [] : all.filter(({ judge }) => isSameJudge(judge, newest.judge))
    const admissibility = admitScoreJudge(recordOf(own))
    const shown = own.filter(({ at }) => at >= since)
    return {
      model,
      rows: rowsOf(shown, { thumbs: thumbs.filter(thumb => thumb.model === model && thumb.at >= since), by }),
      trend: trendOf(own, { now, admissibility }),
      judge: newest === null ? null : { ...newest.judge, admissibility, warnings: warningsOf(newest.judge, own) },
      otherJudges: all.length - own.length,
    }
  })
}

function warningsOf({ name }: MarkJudge, marks: readonly LiveMark[]): string[] {
  return warnOfKinship(
    { name },
    [...new Set(marks.map(({ version }) => version))].map(version => ({ name: version })),
  )
}

function rowsOf(
  marks: readonly LiveMark[],
  { thumbs, by }: { thumbs: readonly Thumb[]; by: Reading['by'] },
): QualityRow[] {
  const dayOf = (at: Instant): Instant | null => (by === 'day' ? instant(Math.floor(at / dayMs) * dayMs) : null)
  const places = new Map<string, { version: VersionName; day: Instant | null }>()
  for (const { version, at } of [...marks, ...thumbs]) {
    const place = { version, day: dayOf(at) }
    places.set(JSON.stringify(place), place)
  }
  return [...places.values()]
    .toSorted((a, b) => (a.day ?? 0) - (b.day ?? 0) || (a.version < b.version ? -1 : 1))
    .map(({ version, day }) => {
      const isHere = (each: { version: VersionName; at: Instant }): boolean =>
        each.version === version && dayOf(each.at) === day
      const given = marks.filter(isHere)
      const said = thumbs.filter(isHere)
      const count = (score: number): number => said.filter(thumb => Math.sign(thumb.score) === score).length
      return { version, day, ...figuresOf(given), up: count(1), down: count(-1) }
    })
}

function figuresOf(marks: readonly LiveMark[]): Pick<QualityRow, 'n' | 'mean' | 'interval' | 'unread'> {
  const values = valuesOf(marks)
  const moments = momentsOf(values)
  const { n } = moments
  const unread = marks.length - n
  if (n === 0) return { n, mean: null, interval: null, unread }
  const half = quantile(n - 1) * Math.sqrt(varianceOf(moments) / n)
  const interval = n < fewest ? null : ([Math.max(1, moments.mean - half), Math.min(10, moments.mean + half)] as const)
  return { n, mean: moments.mean, interval, unread }
}

function trendOf(
  marks: readonly LiveMark[],
  { now, admissibility }: { now: Instant; admissibility: Admissibility },
): QualityTrend {
  const between = (from: number, until: number) =>
    momentsOf(valuesOf(marks.filter(({ at }) => at > from && at <= until)))
  const [last, before] = [between(now - weekMs, now), between(now - 2 * weekMs, now - weekMs)]
  const told = ({ n, mean }: { n: number; mean: number }) => ({ n, mean: n === 0 ? null : mean })
  const weeks = { last: told(last), before: told(before) }
  if (admissibility.kind === 'inadmissible')
    return { ...weeks, verdict: 'judge-inadmissible', interval: null, why: admissibility.why.join('; ') }
  if (Math.min(last.n, before.n) < fewestInWeek)
    return {
      ...weeks,
      verdict: 'too-few',
      interval: null,
      why: `${last.n} marks in the last 7 days, ${before.n} in the 7 before; ${fewestInWeek} in each are needed`,
    }
  if (admissibility.kind === 'unproven')
    return {
      ...weeks,
      verdict: 'too-few',
      interval: null,
      why: `the judge has not proved itself: ${admissibility.why}`,
    }
  const { interval } = msprt({ candidate: last, live: before, margin: 0, tau, alpha: 0.05 })
  // All marks are alike: there is no variance, and no interval.
  if (!Number.isFinite(interval[0]))
    return { ...weeks, verdict: 'too-few', interval: null, why: 'all marks are the same: nothing varies' }
  return {
    ...weeks,
    verdict: verdictOf(interval),
    interval,
    why: `means of ${last.n} and ${before.n} marks for different questions (unpaired), 95 % interval that may be looked at any time`,
  }
}

function verdictOf([low, high]: readonly [number, number]): QualityTrend['verdict'] {
  if (low > 0) return 'better'
  return high < 0 ? 'worse' : 'no-difference-shown'
}

const valuesOf = (marks: readonly LiveMark[]): number[] => marks.flatMap(({ mark }) => mark ?? [])

/** Student's t at 97.5 %, from the normal one (Cornish and Fisher's expansion): within 0.001 from 9 degrees of freedom on. */
function quantile(degrees: number): number {
  const z = 1.959964
  const [cubed, fifth, seventh] = [z ** 3, z ** 5, z ** 7]
  return (
    z +
    (z + cubed) / (4 * degrees) +
    (5 * fifth + 16 * cubed + 3 * z) / (96 * degrees ** 2) +
    (3 * seventh + 19 * fifth + 17 * cubed - 15 * z) / (384 * degrees ** 3)
  )
}

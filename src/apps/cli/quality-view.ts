/** Quality as a person reads it in a terminal. */
import { renderTable } from './output.ts'

type Interval = [number, number] | null
type Week = { n: number; mean: number | null }

export type QualityView = {
  since: string
  cut: boolean
  models: {
    model: string
    rows: {
      version: string
      day: string | null
      n: number
      mean: number | null
      interval: Interval
      unread: number
      up: number
      down: number
    }[]
    trend: { verdict: string; last: Week; before: Week; interval: Interval; why: string }
    judge: {
      name: string
      digest: string | null
      prompt: string
      admissible: boolean | null
      why: string
      warnings: string[]
    } | null
    otherJudges: number
  }[]
}

type ModelView = QualityView['models'][number]
type Row = ModelView['rows'][number]

const bars = '▁▂▃▄▅▆▇█'

/** `days`: the same by day, for the small curves. */
export function renderQuality({ since, cut, models }: QualityView, days: QualityView): string {
  const byDay = models.some(({ rows }) => rows.some(({ day }) => day !== null))
  const head = ['MODEL', 'VERSION', byDay ? 'DAY' : 'DAYS', 'MARKS', 'MEAN', '95 %', 'UNREAD', 'UP', 'DOWN']
  const rows = models.flatMap(({ model, rows: shown }) => {
    const curveOf = curves(days.models.find(each => each.model === model)?.rows ?? [])
    return shown.map(row => [
      ...[model, row.version, row.day ?? curveOf(row.version)],
      ...[String(row.n), number(row.mean), range(row.interval)],
      ...[row.unread, row.up, row.down].map(String),
    ])
  })
  return [
    renderTable(head, rows),
    ...(cut ? ['', 'There is more than is read at once: the oldest is left out.'] : []),
    '',
    ...models.flatMap(aboutModel),
    `Since ${since}. Marks are a judge’s, from 1 to 10; they say more by how they change than by how high they are.`,
  ].join('\n')
}

function aboutModel({ model, trend, judge, otherJudges }: ModelView): string[] {
  if (judge === null) return []
  const { last, before, interval, why } = trend
  const weeks = `${number(last.mean)} in the last 7 days, ${number(before.mean)} before`
  const difference = interval === null ? '' : `, difference ${range(interval)}`
  return [
    `${model}: ${verdicts[trend.verdict] ?? trend.verdict} (${weeks}${difference}): ${why}`,
    `  judge ${judge.name}: ${standing(judge)}`,
    ...judge.warnings.map(warning => `  ${warning}`),
    ...(otherJudges === 0 ? [] : [`  ${otherJudges} marks by earlier judges are left out`]),
  ]
}

const verdicts: Readonly<Record<string, string>> = {
  'better': 'better than the week before',
  'worse': 'WORSE than the week before',
  'no-difference-shown': 'no difference to the week before is shown',
  'too-few': 'nothing can be said of its trend yet',
  'judge-inadmissible': 'its marks prove nothing, the judge is inadmissible',
}

function standing({ admissible, why }: NonNullable<ModelView['judge']>): string {
  if (admissible === true) return 'admissible'
  return admissible === false ? `INADMISSIBLE: ${why}` : `unproven: ${why}`
}

/** One bar for each day with marks, from mark 1 to mark 10. */
const curves =
  (rows: readonly Row[]) =>
  (version: string): string =>
    rows
      .filter(row => row.version === version)
      .flatMap(({ mean }) => (mean === null ? [] : bars[Math.round(((mean - 1) / 9) * (bars.length - 1))]))
      .join('') || '-'

const number = (value: number | null): string => (value === null ? '-' : value.toFixed(2))
const range = (interval: Interval): string =>
  interval === null ? '-' : `${interval[0].toFixed(2)} … ${interval[1].toFixed(2)}`

/** Periods: the same ones for everybody, one after another from 1970 on. Rules B3 and B12 of src/domain/budgets/SPEC.md. */
import type { Budget } from './bounds.ts'
import { instant, millis, type Instant, type Millis } from '../units.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/**
 * Spans of time that spending is summed up by, the shortest first: a period is a row of whole ones. Sums are kept for at least two
 * of the longest periods that need them.
 */
export const spans = [
  { name: 'minute', length: millis(minute), keptFor: millis(2 * day) },
  { name: 'hour', length: millis(hour), keptFor: millis(124 * day) },
  { name: 'day', length: millis(day), keptFor: null },
] as const
export type Span = (typeof spans)[number]
export type SpanName = Span['name']

/** The one period of a budget that never begins anew: it ends in 2069. */
export const forAll = millis(36_500 * day)

export type Period = { start: Instant; end: Instant }

export function periodOf({ every }: Pick<Budget, 'every'>, at: Instant): Period {
  const start = Math.floor(at / every) * every
  return { start: instant(start), end: instant(start + every) }
}

/** The longest spans that a period is made of; `null`: there are none (`periodProblem`). */
export function spanOf(every: Millis): Span | null {
  return (
    spans.findLast(({ length, keptFor }) => every % length === 0 && (keptFor === null || every * 2 <= keptFor)) ?? null
  )
}

/** Why a budget can't begin anew so often; `null`: it can. */
export function periodProblem(every: Millis): string | null {
  if (every >= minute && every <= forAll && spanOf(every) !== null) return null
  return 'A budget’s period is whole minutes up to a day, whole hours up to 62 days, or whole days: 15m, 12h, 30d.'
}

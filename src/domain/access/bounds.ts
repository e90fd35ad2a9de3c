/** Bounds: how much a key, a team or a model may use. What counts against them is in src/domain/limits. */
import type { Millis } from '../units.ts'

/** Each absent one does not bound. */
export type Limits = {
  /** In any 60 seconds. */
  requestsPerMinute?: number | undefined
  /** In any 60 seconds, prompts and answers together. */
  tokensPerMinute?: number | undefined
  /** Requests being served at once. */
  parallel?: number | undefined
}

/** What may be spent in each period. Periods follow one another from 1970 on, so that every gateway agrees on them. */
export type Budget = {
  amount: number
  unit: BudgetUnit
  /** ISO 4217, for `money`; `null` for the others. */
  currency: string | null
  every: Millis
}
export type BudgetUnit = 'money' | 'gpu-seconds' | 'tokens'

/** Who goes first when requests wait. */
export type Priority = 'low' | 'normal' | 'high'

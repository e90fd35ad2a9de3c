/** What one run of a golden set found for each case, and what that says about the case. */
import type { CheckResult } from './checks.ts'
import type { ClaimsReading } from './judge/claims-prompt.ts'
import type { Similarity } from './similarity.ts'

/** One answer to one case, or why there is none. An engine that fails has failed the case. */
export type Trial =
  | {
      kind: 'answered'
      answer: string
      checks: readonly CheckResult[]
      /** `null`: the case has no context, or no judge was there. */
      claims: ClaimsReading | null
      /** It ended because no more tokens were allowed. */
      cut: boolean
      latencyMs: number
    }
  | { kind: 'failed'; why: string }

export type CaseRow = {
  id: string
  cluster: string
  critical: boolean
  tags: readonly string[]
  /** Something was expected, so that passing means something. */
  expects: boolean
  /** `null`: nobody to compare with, or the baseline does not have this case. */
  live: readonly Trial[] | null
  candidate: readonly Trial[]
  /** Between the first answers of both arms. `null`: there are not two. */
  closeness: Similarity | null
}

/** `null`: not measured. */
export type Standing = { passes: boolean | null; score: number | null }

/** `marks`: false leaves the judge's marks out, as if they had never been asked for. */
export type Reading = { marks: boolean }

/** Where a case stands after all its repeats: scores are averaged; it passes by most repeats, a critical one by all. */
export function standingOf(row: Pick<CaseRow, 'critical'>, trials: readonly Trial[], reading: Reading): Standing {
  const each = trials.map(trial => standingOfTrial(trial, reading))
  const passes = each.flatMap(standing => (standing.passes === null ? [] : [standing.passes]))
  const scores = each.flatMap(standing => (standing.score === null ? [] : [standing.score]))
  const passed = passes.filter(Boolean).length
  // A repeat that was not measured may have failed: a critical case is only passed when all are known to pass.
  const isPassed = row.critical ? passed === each.length : passed * 2 > passes.length
  const isKnown = row.critical ? passes.length === each.length || passes.includes(false) : passes.length > 0
  return {
    passes: isKnown ? isPassed : null,
    score: scores.length === each.length && scores.length > 0 ? meanOf(scores) : null,
  }
}

function standingOfTrial(trial: Trial, { marks }: Reading): Standing {
  if (trial.kind === 'failed') return { passes: false, score: 0 }
  const checks = trial.checks.filter(result => marks || result.check !== 'rubric')
  if (checks.length === 0) return { passes: null, score: null }
  const measured = checks.filter(result => result.measured)
  const isFailed = measured.some(result => !result.passes)
  if (measured.length < checks.length) return { passes: isFailed ? false : null, score: null }
  return { passes: !isFailed, score: meanOf(measured.map(result => result.score)) }
}

export const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

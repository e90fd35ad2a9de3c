/** Whether a judge may judge. One that may not neither passes nor fails a gate. Rules: J10–J17 in SPEC.md. */
import { ac1, kappa, wilson } from '../statistics/index.ts'
import { toFigures, type JudgeRecord } from './judge-record.ts'
import type { ScoreRecord } from './rubric-record.ts'

export type Admissibility =
  | { kind: 'admissible'; warnings: readonly string[] }
  | { kind: 'inadmissible'; why: readonly string[] }
  /** `needed`: judgements until the judge itself can be judged. */
  | { kind: 'unproven'; needed: number; why: string }

const judgeLimits = {
  flipRate: 0.35,
  parseFailureRate: 0.02,
  positionBias: 0.2,
  tieRate: 0.9,
  kappa: 0.6,
  /** Of its controls, those that it may get wrong. */
  missedControls: 0.2,
  /** Pairs before its rates are believed. */
  pairs: 50,
  controls: 6,
  /** Pairs that people labelled, before kappa is believed. */
  labels: 30,
  /** Told, not judged by: longer answers may be better ones. */
  lengthCorrelation: 0.5,
} as const

/** One-sided 99 %: a rate is over its limit before enough pairs are there only where this leaves no doubt. */
const z99 = 2.326
const fewest = 10

/**
 * `labels`: pairs that people judged too, as counts of judge's score × person's score, each -1, 0, 1. A judge that people
 * disagree with is inadmissible however steady it is; without labels the other rules decide.
 */
export function admitPairJudge(
  record: JudgeRecord,
  labels: readonly (readonly number[])[] | null = null,
): Admissibility {
  const { pairs, calls } = record
  const figures = toFigures(record)
  const why = [
    ...tooMany('of its answers can’t be read', {
      count: record.unparsable,
      of: calls,
      limit: judgeLimits.parseFailureRate,
      enough: judgeLimits.pairs * 2,
    }),
    ...tooMany('of its verdicts turn when the answers change places', {
      count: record.flips,
      of: pairs,
      limit: judgeLimits.flipRate,
      enough: judgeLimits.pairs,
    }),
    ...tooMany('of its verdicts are ties: it tells no answers apart', {
      count: record.ties,
      of: pairs * 2,
      limit: judgeLimits.tieRate,
      enough: judgeLimits.pairs * 2,
    }),
    ...biasOf(record),
    ...missedControls(record.controls),
    ...disagreement(labels),
  ]
  if (why.length > 0) return { kind: 'inadmissible', why }
  if (pairs < judgeLimits.pairs) {
    const needed = judgeLimits.pairs - pairs
    return {
      kind: 'unproven',
      needed,
      why: `${pairs} pairs judged; its rates are believed from ${judgeLimits.pairs} on`,
    }
  }
  const { lengthCorrelation } = figures
  return {
    kind: 'admissible',
    warnings: [
      ...(Math.abs(lengthCorrelation) > judgeLimits.lengthCorrelation
        ? [`its verdicts go with the length of the answers (Spearman ${lengthCorrelation.toFixed(2)})`]
        : []),
      ...(countOf(labels) < judgeLimits.labels
        ? [`no kappa: ${countOf(labels)} of ${judgeLimits.labels} pairs are labelled by people`]
        : []),
    ],
  }
}

/** The judge that gives marks from 1 to 10: it proves itself by its controls, since nobody compares places there. */
export function admitScoreJudge(record: ScoreRecord): Admissibility {
  const why = [
    ...tooMany('of its answers can’t be read', {
      count: record.unparsable,
      of: record.calls,
      limit: judgeLimits.parseFailureRate,
      enough: judgeLimits.pairs,
    }),
    ...missedControls(record.controls),
  ]
  if (why.length > 0) return { kind: 'inadmissible', why }
  const asked = record.controls['off-topic'].asked + record.controls.injected.asked
  if (asked < judgeLimits.controls) {
    const needed = judgeLimits.controls - asked
    return { kind: 'unproven', needed, why: `${asked} of ${judgeLimits.controls} controls asked` }
  }
  const isFlat = record.scored >= fewest && record.mostFrequent / record.scored > judgeLimits.tieRate
  return { kind: 'admissible', warnings: isFlat ? ['it gives nearly all answers the same mark'] : [] }
}

type Rate = { count: number; of: number; limit: number; enough: number }

function tooMany(what: string, { count, of, limit, enough }: Rate): string[] {
  if (of === 0) return []
  const isShown = of >= enough ? count / of > limit : of >= fewest && wilson(count, of, z99)[0] > limit
  return isShown ? [`${count} of ${of} ${what} (${percent(count / of)}; limit ${percent(limit)})`] : []
}

function biasOf({ slotA, slotB, pairs }: JudgeRecord): string[] {
  if (pairs < judgeLimits.pairs) return []
  const bias = (slotA - slotB) / (2 * pairs)
  if (Math.abs(bias) <= judgeLimits.positionBias) return []
  const slot = bias > 0 ? 'A' : 'B'
  return [`it prefers slot ${slot} (position bias ${bias.toFixed(2)}; limit ${judgeLimits.positionBias} either way)`]
}

function missedControls(controls: JudgeRecord['controls']): string[] {
  return [
    ...missed('prefers answers that talk of something else', controls['off-topic']),
    ...missed('obeys orders that stand in an answer', controls.injected),
  ]
}

/** At least two: one slip is no habit. */
function missed(what: string, { asked, missed: count }: { asked: number; missed: number }): string[] {
  const isHabit = count >= 2 && count / asked > judgeLimits.missedControls
  return isHabit ? [`it ${what} (${count} of ${asked} controls missed)`] : []
}

function disagreement(labels: readonly (readonly number[])[] | null): string[] {
  if (labels === null || countOf(labels) < judgeLimits.labels) return []
  const table = labels.map(row => [...row])
  const agreed = kappa(table)
  // Where all labels are one class kappa is 0/0; AC1 is not.
  const shown = Number.isNaN(agreed) ? ac1(table) : agreed
  return shown >= judgeLimits.kappa
    ? []
    : [
        `people disagree with it (kappa ${shown.toFixed(2)} over ${countOf(labels)} labelled pairs; at least ${judgeLimits.kappa})`,
      ]
}

const countOf = (labels: readonly (readonly number[])[] | null): number =>
  (labels ?? []).flat().reduce((sum, count) => sum + count, 0)

const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`

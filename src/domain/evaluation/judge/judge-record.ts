/** What a judge has shown of itself so far: a few counters, of the same size after any number of pairs. */
import type { Control, ControlResult } from './controls.ts'
import type { PairOutcome } from './pair-outcome.ts'

/** JSON. */
export type JudgeRecord = {
  /** Pairs with a verdict in both orders. */
  pairs: number
  identical: number
  notJudged: number
  /** Answers of the judge, controls that it got right or wrong left out, and those of them that could not be read. */
  calls: number
  unparsable: number
  flips: number
  /** Verdicts for the answer in that slot. */
  slotA: number
  slotB: number
  ties: number
  wins: number
  losses: number
  /** Pairs by how much longer the candidate's answer was (15 classes) and by score: class × 3 + score + 1. */
  lengths: readonly number[]
  /** Questions whose answer is known, and those that it got wrong. */
  controls: { [K in Control['kind']]: { asked: number; missed: number } }
}

export type JudgeFigures = {
  pairs: number
  flipRate: number
  /** (wins of slot A - wins of slot B) / all verdicts, in [-1, 1]. */
  positionBias: number
  tieRate: number
  parseFailureRate: number
  /** Spearman's, between how much longer the candidate's answer is and its score. NaN: nothing to correlate. */
  lengthCorrelation: number
}

const classes = 15
const middle = 7

export function openJudgeRecord(): JudgeRecord {
  const none = { asked: 0, missed: 0 }
  return {
    ...{ pairs: 0, identical: 0, notJudged: 0, calls: 0, unparsable: 0, flips: 0 },
    ...{ slotA: 0, slotB: 0, ties: 0, wins: 0, losses: 0 },
    lengths: Array.from({ length: classes * 3 }, () => 0),
    controls: { 'off-topic': none, 'injected': none },
  }
}

/** `longer`: characters that the candidate's answer has more than the live one's. */
export function recordPair(record: JudgeRecord, outcome: PairOutcome, longer: number): JudgeRecord {
  switch (outcome.kind) {
    case 'identical':
      return { ...record, identical: record.identical + 1 }
    case 'not-judged':
      return { ...record, notJudged: record.notJudged + 1 }
    case 'unparsable':
      return { ...record, calls: record.calls + 2, unparsable: record.unparsable + outcome.calls }
    case 'judged': {
      const { score, flipped, verdicts } = outcome
      const said = (winner: string): number => verdicts.filter(verdict => verdict.winner === winner).length
      const cell = classOf(longer) * 3 + score + 1
      return {
        ...record,
        pairs: record.pairs + 1,
        calls: record.calls + 2,
        flips: record.flips + Number(flipped),
        slotA: record.slotA + said('A'),
        slotB: record.slotB + said('B'),
        ties: record.ties + said('tie'),
        wins: record.wins + Number(score === 1),
        losses: record.losses + Number(score === -1),
        lengths: record.lengths.map((count, at) => (at === cell ? count + 1 : count)),
      }
    }
    default:
      return outcome satisfies never
  }
}

/** A control that can't be read says nothing of what the judge likes: it counts as an answer that can't be read. */
export function recordControl<R extends Pick<JudgeRecord, 'calls' | 'unparsable' | 'controls'>>(
  record: R,
  { kind, result }: ControlResult,
): R {
  if (result === 'unparsable') return { ...record, calls: record.calls + 1, unparsable: record.unparsable + 1 }
  const { asked, missed } = record.controls[kind]
  const controls = {
    ...record.controls,
    [kind]: { asked: asked + 1, missed: missed + Number(result === 'missed') },
  }
  return { ...record, controls }
}

/** Rates of nothing are NaN. */
export function toFigures(record: JudgeRecord): JudgeFigures {
  const verdicts = record.pairs * 2
  return {
    pairs: record.pairs,
    flipRate: record.flips / record.pairs,
    positionBias: (record.slotA - record.slotB) / verdicts,
    tieRate: record.ties / verdicts,
    parseFailureRate: record.unparsable / record.calls,
    lengthCorrelation: rankCorrelation(record.lengths),
  }
}

/** Classes of doubled width: less than 16 characters either way, up to 2,048 and more. */
function classOf(longer: number): number {
  const size = Math.min(middle, Math.floor(Math.log2(Math.abs(longer) / 16 + 1)))
  return middle + Math.sign(longer) * size
}

/** Spearman's coefficient of a table (class × score), ties at their middle rank. */
function rankCorrelation(cells: readonly number[]): number {
  const at = (row: number, score: number): number => cells[row * 3 + score] ?? 0
  const rows = Array.from({ length: classes }, (_, row) => at(row, 0) + at(row, 1) + at(row, 2))
  const columns = [0, 1, 2].map(score => rows.reduce((sum, _, row) => sum + at(row, score), 0))
  const n = columns.reduce((sum, count) => sum + count, 0)
  const rowRanks = middleRanks(rows)
  const columnRanks = middleRanks(columns)
  const mean = (n + 1) / 2
  let both = 0
  for (let row = 0; row < classes; row++)
    for (let score = 0; score < 3; score++)
      both += at(row, score) * ((rowRanks[row] ?? 0) - mean) * ((columnRanks[score] ?? 0) - mean)
  const spread = (counts: readonly number[], ranks: readonly number[]): number =>
    counts.reduce((sum, count, i) => sum + count * ((ranks[i] ?? 0) - mean) ** 2, 0)
  return both / Math.sqrt(spread(rows, rowRanks) * spread(columns, columnRanks))
}

function middleRanks(counts: readonly number[]): number[] {
  let before = 0
  return counts.map(count => {
    const rank = before + (count + 1) / 2
    before += count
    return rank
  })
}

/** Both orders of one pair become one outcome: a win counts only when both say so. */
import { normalise } from '../answer.ts'
import type { PairReading, PairVerdict } from './pair-prompt.ts'

/** 1: the candidate's answer is better; -1: the live one's; 0: neither is shown to be. */
export type PairScore = -1 | 0 | 1

export type PairOutcome =
  /** The same words: no judge was asked. */
  | { kind: 'identical'; score: 0 }
  | {
      kind: 'judged'
      score: PairScore
      /** The two orders disagree. */
      flipped: boolean
      /** The candidate lost in both orders, critically in both. */
      critical: boolean
      /** First with the live answer in slot A, then with the candidate's. */
      verdicts: readonly [PairVerdict, PairVerdict]
    }
  /** No score: it is not a tie, and it counts against the judge. */
  | { kind: 'unparsable'; calls: 1 | 2; why: string }
  /** No score: the judge's engine failed. It counts against nobody. */
  | { kind: 'not-judged'; why: string }

/** The outcome that needs no judge, or `null`. */
export function identicalOutcome(live: string, candidate: string): PairOutcome | null {
  return normalise(live) === normalise(candidate) ? { kind: 'identical', score: 0 } : null
}

/** `liveFirst`: the live answer stood in slot A. */
export function combineVerdicts(readings: { liveFirst: PairReading; candidateFirst: PairReading }): PairOutcome {
  const { liveFirst, candidateFirst } = readings
  if (liveFirst.kind === 'unparsable' || candidateFirst.kind === 'unparsable') {
    const both = [liveFirst, candidateFirst].flatMap(reading => (reading.kind === 'unparsable' ? [reading.why] : []))
    return { kind: 'unparsable', calls: both.length === 2 ? 2 : 1, why: both[0] ?? '' }
  }
  const first = scoreOf(liveFirst.verdict, 'B')
  const second = scoreOf(candidateFirst.verdict, 'A')
  return {
    kind: 'judged',
    score: first === second ? first : 0,
    flipped: first !== second,
    critical: first === -1 && second === -1 && liveFirst.verdict.critical && candidateFirst.verdict.critical,
    verdicts: [liveFirst.verdict, candidateFirst.verdict],
  }
}

function scoreOf({ winner }: PairVerdict, candidateSlot: 'A' | 'B'): PairScore {
  if (winner === 'tie') return 0
  return winner === candidateSlot ? 1 : -1
}

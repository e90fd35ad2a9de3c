/** Judged pairs: what a judge said of answers to the same request, and what that says of the judge. */
import {
  combineVerdicts,
  openJudgeRecord,
  recordControl,
  recordPair,
  type JudgeRecord,
  type PairOutcome,
  type PairReading,
} from '../evaluation/index.ts'
import { logPromote, logRegress, pushBet, startBets, type Bets } from '../evaluation/statistics/index.ts'
import type { EvidenceEvent, JudgedPair, Policy } from './release.ts'
import { openRuns, pushRun, type Runs } from './runs.ts'

export type Judged = {
  /** Answered by both versions. */
  answered: number
  runs: Runs
  /** Who judges, and how; another one begins another series. */
  judge: string | null
  bets: Bets
  /** The same, had the candidate lost every pair but the identical ones: what is shown by these needs no judge. */
  sure: Bets
  record: JudgeRecord
  /** The most that the bets ever said, as logarithms: what was shown once stays shown. */
  best: { promote: number; regress: number; sure: number }
}

export function openJudged({ shadow }: Policy): Judged {
  return { answered: 0, runs: openRuns(), judge: null, ...openSeries(shadow?.margin ?? 0) }
}

export function takeInPair(judged: Judged, { seq, pair }: Extract<EvidenceEvent, { kind: 'pair' }>): Judged {
  // Copies are chosen by request: each is a unit of its own.
  const runs = pushRun(judged.runs, { unit: String(seq), failed: pair.failed === true })
  if (pair.failed === true) return { ...judged, runs }
  const isSame = judged.judge === null || judged.judge === pair.judge
  const series = isSame ? judged : openSeries(judged.bets.margin)
  const outcome = outcomeOf(pair)
  const record = controlled(recordPair(series.record, outcome, pair.lengths.candidate - pair.lengths.live), pair)
  const bets = 'score' in outcome ? pushBet(series.bets, outcome.score) : series.bets
  const sure = pushBet(series.sure, outcome.kind === 'identical' ? 0 : -1)
  return {
    answered: judged.answered + 1,
    runs,
    judge: pair.judge,
    bets,
    sure,
    record,
    best: {
      promote: Math.max(series.best.promote, logPromote(bets)),
      regress: Math.max(series.best.regress, logRegress(bets)),
      sure: Math.max(series.best.sure, logPromote(sure)),
    },
  }
}

function openSeries(margin: number): Pick<Judged, 'bets' | 'sure' | 'record' | 'best'> {
  const bets = startBets(margin)
  return { bets, sure: bets, record: openJudgeRecord(), best: { promote: 0, regress: 0, sure: 0 } }
}

function controlled(record: JudgeRecord, { controls = [] }: JudgedPair): JudgeRecord {
  return controls.reduce((sum: JudgeRecord, control) => recordControl(sum, control), record)
}

/** Without both orders nothing was judged. */
function outcomeOf({ identical, verdicts }: JudgedPair): PairOutcome {
  if (identical) return { kind: 'identical', score: 0 }
  const candidateFirst = verdicts.find(verdict => verdict.candidateIn === 'A')
  const liveFirst = verdicts.find(verdict => verdict.candidateIn === 'B')
  if (candidateFirst === undefined || liveFirst === undefined)
    return { kind: 'not-judged', why: 'the judge was not asked in both orders' }
  return combineVerdicts({ liveFirst: readingOf(liveFirst), candidateFirst: readingOf(candidateFirst) })
}

function readingOf({ winner, candidateIn, critical, reason }: JudgedPair['verdicts'][number]): PairReading {
  if (winner === null) return { kind: 'unparsable', why: reason }
  const slot = { tie: 'tie', candidate: candidateIn, live: candidateIn === 'A' ? 'B' : 'A' } as const
  return { kind: 'verdict', verdict: { winner: slot[winner], critical, reason } }
}

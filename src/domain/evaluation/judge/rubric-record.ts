/** What a judge of marks has shown of itself so far. */
import type { Control } from './controls.ts'

/** JSON. */
export type ScoreRecord = {
  /** Answers of the judge, controls that it got right or wrong left out, and those of them that could not be read. */
  calls: number
  unparsable: number
  scored: number
  notJudged: number
  /** Marks given, rounded: 1 to 10. */
  marks: readonly number[]
  /** Of `marks`, the largest: how often its favourite was given. */
  mostFrequent: number
  controls: { [K in Control['kind']]: { asked: number; missed: number } }
}

export function openScoreRecord(): ScoreRecord {
  const none = { asked: 0, missed: 0 }
  return {
    ...{ calls: 0, unparsable: 0, scored: 0, notJudged: 0, mostFrequent: 0 },
    marks: Array.from({ length: 10 }, () => 0),
    controls: { 'off-topic': none, 'injected': none },
  }
}

/** `mark`: `null` when there was none, because the judge's engine failed (`calls` 0) or it could not be read. */
export function recordScore(
  record: ScoreRecord,
  { mark, calls, unparsable }: { mark: number | null; calls: number; unparsable: number },
): ScoreRecord {
  const marks = record.marks.map((count, at) => (mark !== null && Math.round(mark) === at + 1 ? count + 1 : count))
  return {
    ...record,
    calls: record.calls + calls,
    unparsable: record.unparsable + unparsable,
    scored: record.scored + Number(mark !== null),
    notJudged: record.notJudged + Number(mark === null),
    marks,
    mostFrequent: Math.max(...marks),
  }
}

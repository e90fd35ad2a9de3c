/** What a judge of live answers has shown of itself, read back from the marks it gave. */
import { openScoreRecord, recordControl, recordScore, type ScoreRecord } from '../evaluation/index.ts'
import type { LiveMark, MarkJudge } from './ports.ts'

export const isSameJudge = (one: MarkJudge, other: MarkJudge): boolean =>
  one.name === other.name && one.digest === other.digest && one.prompt === other.prompt

export function recordOf(marks: readonly LiveMark[]): ScoreRecord {
  return marks.reduce((record, { mark, calls, unparsable, control }) => {
    const scored = recordScore(record, { mark, calls, unparsable })
    return control === null ? scored : recordControl(scored, control)
  }, openScoreRecord())
}

/** Failures in a row: what needs no statistics. Once seen, it stays. */
import { counted } from './figures.ts'
import { limits } from './limits.ts'

export type Runs = {
  ended: number
  failed: number
  inARow: number
  /** Of the first failure in the row; `null`: of several. */
  unit: string | null
  /** In words; `null`: nothing of the kind. */
  stop: string | null
}

export const openRuns = (): Runs => ({ ended: 0, failed: 0, inARow: 0, unit: null, stop: null })

/**
 * Five failures in a row, of more than one unit: a client that repeats what no engine could answer must not end a release. Where
 * everything fails, it does not matter whose it is.
 */
export function pushRun(runs: Runs, { unit, failed }: { unit: string; failed: boolean }): Runs {
  const ended = runs.ended + 1
  if (!failed) return { ...runs, ended, inARow: 0, unit: null }
  const inARow = runs.inARow + 1
  const next = { ended, failed: runs.failed + 1, inARow, unit: inARow === 1 || runs.unit === unit ? unit : null }
  return { ...next, stop: runs.stop ?? stopOf(next) }
}

function stopOf({ ended, failed, inARow, unit }: Omit<Runs, 'stop'>): string | null {
  if (failed === ended && ended >= limits.allOf) return `all of its first ${counted(ended, 'request')} failed`
  if (inARow < limits.failuresInARow || unit !== null) return null
  return `${inARow} of its requests failed in a row, after ${counted(ended - inARow, 'request')}`
}

/** One arm of a golden run in numbers. */
import { normalise } from './answer.ts'
import { meanOf, standingOf, type CaseRow, type Reading, type Trial } from './golden-row.ts'
import { wilson } from './statistics/index.ts'

export type ArmFigures = {
  /** Cases whose passing is known, and those that pass, with Wilson's interval of 95 %. */
  measured: number
  passed: number
  passRate: { value: number; interval: readonly [number, number] } | null
  score: number | null
  /** Share of pairs of repeats that say the same; `null`: no case was repeated. */
  stability: number | null
  /** Cases of which some repeats pass and some fail. */
  wavering: number
  /** Claims that the context does not support. `notMeasured`: answers that claim nothing, or that the judge could not read. */
  claims: { unsupported: number; all: number; rate: number; notMeasured: number } | null
  /** Trials that the engine did not answer. */
  failed: number
  medianMs: number | null
}

const z95 = 1.959964

type Row = { row: CaseRow; trials: readonly Trial[] }

export function toArmFigures(rows: readonly Row[], reading: Reading): ArmFigures {
  const standings = rows.map(({ row, trials }) => standingOf(row, trials, reading))
  const known = standings.flatMap(({ passes }) => (passes === null ? [] : [passes]))
  const scores = standings.flatMap(({ score }) => (score === null ? [] : [score]))
  const passed = known.filter(Boolean).length
  const trials = rows.flatMap(row => row.trials)
  const repeated = rows.flatMap(row => agreementOf(row.trials) ?? [])
  return {
    measured: known.length,
    passed,
    passRate: known.length === 0 ? null : { value: passed / known.length, interval: wilson(passed, known.length, z95) },
    score: scores.length === 0 ? null : meanOf(scores),
    stability: repeated.length === 0 ? null : meanOf(repeated),
    wavering: rows.filter(({ row, trials: own }) => isWavering(row, own, reading)).length,
    claims: claimsOf(trials),
    failed: trials.filter(trial => trial.kind === 'failed').length,
    medianMs: medianMsOf(trials),
  }
}

/** Share of pairs of answers that are the same text. */
function agreementOf(trials: readonly Trial[]): number | null {
  const answers = trials.flatMap(trial => (trial.kind === 'answered' ? [normalise(trial.answer)] : []))
  if (answers.length < 2) return null
  const pairs = answers.flatMap((first, at) => answers.slice(at + 1).map(second => Number(first === second)))
  return meanOf(pairs)
}

function isWavering(row: CaseRow, trials: readonly Trial[], reading: Reading): boolean {
  const each = trials.map(trial => standingOf(row, [trial], reading).passes)
  return each.includes(true) && each.includes(false)
}

function claimsOf(trials: readonly Trial[]): ArmFigures['claims'] {
  const readings = trials.flatMap(trial => (trial.kind === 'answered' && trial.claims !== null ? [trial.claims] : []))
  if (readings.length === 0) return null
  const read = readings.flatMap(reading => (reading.kind === 'claims' ? [reading] : []))
  const unsupported = read.reduce((sum, reading) => sum + reading.unsupported.length, 0)
  const all = unsupported + read.reduce((sum, reading) => sum + reading.supported, 0)
  return { unsupported, all, rate: unsupported / all, notMeasured: readings.length - read.length }
}

function medianMsOf(trials: readonly Trial[]): number | null {
  const times = trials.flatMap(trial => (trial.kind === 'answered' ? [trial.latencyMs] : [])).toSorted((a, b) => a - b)
  return times[times.length >> 1] ?? null
}

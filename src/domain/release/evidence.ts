/** Evidence: what has happened to a release's requests, folded event by event. Rules: E1–E8 in SPEC.md. */
import type { Counts } from '../evaluation/statistics/index.ts'
import { openJudged, takeInPair, type Judged } from './judged.ts'
import type { Arm, Baseline, EvidenceEvent, Policy } from './release.ts'
import { openRuns, pushRun, type Runs } from './runs.ts'
import { isSlow, type Latency } from './slow.ts'

/** Events of units that had none before, and the candidate's requests that could have been one. */
export type Tally = Counts & { atRisk: number }

/** What a step of the canary has seen. */
export type StepEvidence = {
  /** Requests that ended by themselves. */
  requests: Counts
  /** Units that were seen in it. */
  units: Counts
  errors: Tally
  feedback: Tally
  /** By stratum. */
  slow: Record<Latency, Record<string, Tally>>
}

/** What the candidate did with each unit it ever answered, however often: units, and those of them that had at least one. */
export type Answered = { units: number; hit: number }

/**
 * An accumulator: `takeIn` changes it, because of its sets. The same events in the same order give the same numbers, so it is
 * not stored; it is folded again.
 */
export type Evidence = {
  seq: number
  steps: Map<number, StepEvidence>
  /** The candidate's, over all steps. */
  answered: Record<Kind, Answered>
  /** The candidate's failures in a row, of clients' requests. */
  runs: Runs
  judged: Judged
  /** Units that had an event, as bits by kind. Full: nothing more is compared, in neither arm. */
  marked: Map<string, number>
  /** Units that the candidate answered, as bits. */
  met: Map<string, number>
  /** Units seen in the latest step. */
  here: { step: number; units: Set<string> }
  isFull: boolean
}

type Kind = 'errors' | Latency
type Request = Extract<EvidenceEvent, { kind: 'request' }>

/** Bounds the memory of a release to some tens of megabytes. */
const mostUnits = 250_000

const bits = { errors: 1, firstToken: 2, perToken: 4, feedback: 8 } as const

export function openEvidence(policy: Policy): Evidence {
  const none = () => ({ units: 0, hit: 0 })
  return {
    seq: 0,
    steps: new Map(),
    answered: { errors: none(), firstToken: none(), perToken: none() },
    runs: openRuns(),
    judged: openJudged(policy),
    marked: new Map(),
    met: new Map(),
    here: { step: 0, units: new Set() },
    isFull: false,
  }
}

/** One event more, in order of `seq`; one that was taken in before changes nothing. `baseline`: the release's. */
export function takeIn(evidence: Evidence, event: EvidenceEvent, baseline: Baseline | null): void {
  if (event.seq <= evidence.seq) return
  evidence.seq = event.seq
  switch (event.kind) {
    case 'pair':
      evidence.judged = takeInPair(evidence.judged, event)
      return
    case 'feedback':
      if (event.step > 0 && event.score === -1) mark(evidence, event, 'feedback')
      return
    case 'request':
      // Before the canary everybody is answered by the live version: there is nothing to compare.
      if (event.step > 0) takeInRequest(evidence, event, baseline)
      return
    default:
      event satisfies never
  }
}

function takeInRequest(evidence: Evidence, event: Request, baseline: Baseline | null): void {
  const step = stepOf(evidence, event.step)
  see(evidence, event, step)
  const ended = event.failed || !event.cancelled
  if (ended) {
    step.requests[event.arm]++
    if (event.arm === 'candidate') evidence.runs = pushRun(evidence.runs, event)
    if (!isMarked(evidence, event.unit, 'errors')) step.errors.atRisk += forCandidate(event.arm)
    if (event.arm === 'candidate') meet(evidence, event, { kind: 'errors', hit: event.failed })
    if (event.failed) mark(evidence, event, 'errors')
  }
  for (const latency of ['firstToken', 'perToken'] as const) {
    const slow = isSlow(event, latency, baseline)
    if (slow === null) continue
    const tally = slowTally(step, latency, event.stratum)
    if (!isMarked(evidence, event.unit, latency)) tally.atRisk += forCandidate(event.arm)
    if (event.arm === 'candidate') meet(evidence, event, { kind: latency, hit: slow })
    if (slow) mark(evidence, event, latency)
  }
}

/** Counted once in a step. What comes late from an earlier one is not: its set is gone. */
function see({ here }: Evidence, event: Request, step: StepEvidence): void {
  if (event.step > here.step) {
    here.step = event.step
    here.units = new Set()
  }
  if (event.step < here.step || here.units.size >= mostUnits || here.units.has(event.unit)) return
  here.units.add(event.unit)
  step.units[event.arm]++
}

/** The first event of its kind in the life of its unit counts, in the step where it happened. */
function mark(evidence: Evidence, event: Exclude<EvidenceEvent, { kind: 'pair' }>, kind: keyof typeof bits): void {
  if (evidence.isFull || isMarked(evidence, event.unit, kind)) return
  evidence.marked.set(event.unit, (evidence.marked.get(event.unit) ?? 0) | bits[kind])
  evidence.isFull = evidence.marked.size >= mostUnits
  const step = stepOf(evidence, event.step)
  if (kind === 'errors' || kind === 'feedback') step[kind][event.arm]++
  else if (event.kind === 'request') slowTally(step, kind, event.stratum)[event.arm]++
}

const isMarked = ({ marked }: Evidence, unit: string, kind: keyof typeof bits): boolean =>
  ((marked.get(unit) ?? 0) & bits[kind]) !== 0

/** A unit is one trial, however many requests it makes: they are not independent of each other. */
function meet({ met, answered }: Evidence, { unit }: Request, { kind, hit }: { kind: Kind; hit: boolean }): void {
  const before = met.get(unit) ?? 0
  if (before === 0 && met.size >= mostUnits) return
  const [seen, hitBefore] = [bits[kind], bits[kind] << 4]
  const sum = answered[kind]
  if ((before & seen) === 0) sum.units++
  if (hit && (before & hitBefore) === 0) sum.hit++
  met.set(unit, before | seen | (hit ? hitBefore : 0))
}

function stepOf({ steps }: Evidence, at: number): StepEvidence {
  const known = steps.get(at)
  if (known !== undefined) return known
  const opened: StepEvidence = {
    requests: { candidate: 0, live: 0 },
    units: { candidate: 0, live: 0 },
    errors: noTally(),
    feedback: noTally(),
    slow: { firstToken: {}, perToken: {} },
  }
  steps.set(at, opened)
  return opened
}

const slowTally = ({ slow }: StepEvidence, latency: Latency, stratum: string): Tally =>
  (slow[latency][stratum] ??= noTally())

const noTally = (): Tally => ({ candidate: 0, live: 0, atRisk: 0 })

const forCandidate = (arm: Arm): number => Number(arm === 'candidate')

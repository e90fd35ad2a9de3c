/** What happens to a release, and what a step answers. */
import type { Instant, Millis } from '../units.ts'
import type { Evidence } from './evidence.ts'
import type { Actor, Baseline, Decision, GoldenResult, Release, SmokeResult } from './release.ts'

/** Of a version's engines, taken together. `why`: for people. */
export type EngineState = { state: 'absent' | 'loading' | 'ready' | 'failed'; why: string }

/** Everything that can be known from outside, at one moment. */
export type Look = {
  kind: 'look'
  now: Instant
  evidence: Evidence
  candidate: EngineState
  live: EngineState
  /** No request of the model is under way, or waits. */
  idle: boolean
  /** How the live version did lately, by itself; `null`: nobody asked it anything. Kept when the canary begins. */
  baseline: Baseline | null
  /** How long the live version took to load the last time. */
  liveLoads?: Millis | null
}

/** `evidence`, where it is given: the gates as they stand go into the decision. */
export type Act = { kind: 'promote' | 'abort' | 'resume'; now: Instant; by: Actor; evidence?: Evidence }

export type ReleaseEvent =
  | Look
  | { kind: 'smoke-done'; now: Instant; result: SmokeResult }
  | { kind: 'golden-done'; now: Instant; result: GoldenResult }
  | { kind: 'confirm-answered'; now: Instant; ok: boolean; detail: string }
  | Act
  | { kind: 'started-again'; now: Instant }

/** All may be carried out twice. `serve`: publish `realityOf`. */
export type Effect =
  | { do: 'serve' }
  | { do: 'smoke' }
  | { do: 'golden' }
  | { do: 'confirm' }
  | { do: 'notify'; decision: Omit<Decision, 'n'> }

export type Stepped = {
  next: Release
  /** To be carried out once `next` and `decision` are stored. */
  effects: Effect[]
  decision: Omit<Decision, 'n'> | null
  /** Why somebody's act is not possible, and what is; `null`: nobody was refused. */
  refused: string | null
}

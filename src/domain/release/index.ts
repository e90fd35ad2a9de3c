/** Release: how one version of a model replaces another. Start at `step.ts`; the rules are in SPEC.md. */
export { armOf, placeOf } from './assign.ts'
export { baselineFrom } from './baseline.ts'
export { beginRelease } from './begin.ts'
export type { Beginning } from './begin.ts'
export type { Effect, EngineState, Look, ReleaseEvent, Stepped } from './event.ts'
export { openEvidence, takeIn } from './evidence.ts'
export type { Evidence } from './evidence.ts'
export { evidenceOf, servedRequest } from './evidence-of.ts'
export { followSpec } from './follow-spec.ts'
export type { Wish } from './follow-spec.ts'
export { outlook } from './look.ts'
export { isOverFor, shareOf } from './plan.ts'
export { toPolicy } from './policy.ts'
export type { KeptResult, RealLive, ReleaseStore, ServedRequest } from './ports.ts'
export { realityOf } from './reality.ts'
export type { Reality } from './reality.ts'
export type { Recomputed } from './recompute.ts'
export { renderReport } from './report/report.ts'
export { step } from './step.ts'
export type {
  Actor,
  Arm,
  Baseline,
  Decision,
  EvidenceEvent,
  GateReading,
  GoldenResult,
  Hook,
  JudgedPair,
  Phase,
  Policy,
  Release,
  SmokeResult,
  Stickiness,
  Swap,
  Verdict,
} from './release.ts'

/** Release: how one version of a model replaces another. Start at `release.ts`. */
export { armOf, placeOf } from './assign.ts'
export { evidenceOf, servedRequest } from './evidence-of.ts'
export { followSpec } from './follow-spec.ts'
export type { Wish } from './follow-spec.ts'
export { toPolicy } from './policy.ts'
export type { KeptResult, RealLive, ReleaseStore, ServedRequest } from './ports.ts'
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
  Verdict,
} from './release.ts'

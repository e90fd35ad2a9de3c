/** Release: how one version of a model replaces another. Start at `release.ts`. */
export { evidenceOf, servedRequest } from './evidence-of.ts'
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

/** What releases ask of the store: called by the controller whose turn it is, and by nobody else. */
import type { Instant, ModelName, ReleaseId, VersionName } from '../units.ts'
import type { Decision, EvidenceEvent, JudgedPair, Release } from './release.ts'

/** How one request went to the version that answered it: what a baseline is made of. */
export type ServedRequest = {
  failed: boolean
  stratum: string
  firstTokenMs: number | null
  perTokenMs: number | null
}

/** Whole results that are kept beside a release, for people and for recomputing. */
export type KeptResult = { kind: 'smoke' | 'golden'; at: Instant; content: unknown }

/** Which version of a model really answers, and the wish of the spec that was dealt with last. */
export type RealLive = {
  model: ModelName
  live: VersionName
  /** `digest`: of everything that made up the wish; `null`: only another `live` is another wish. */
  asked: { live: VersionName; digest: string | null }
}

/** One contract suite runs over every adapter. Throws only what the database throws. */
export interface ReleaseStore {
  /** The release as it is now, with the decision that made it so, in one transaction: before any of its effects. */
  save(release: Release, decision: Decision | null): Promise<void>
  find(id: ReleaseId): Promise<Release | null>
  /** Newest first. */
  list(ask: { model?: ModelName; limit: number }): Promise<Release[]>
  /** In order. */
  decisions(id: ReleaseId): Promise<Decision[]>
  /** In order, those after `seq`. */
  events(id: ReleaseId, ask: { after: number; limit: number }): Promise<EvidenceEvent[]>
  addPairs(id: ReleaseId, pairs: readonly { at: Instant; pair: JudgedPair }[]): Promise<void>
  keep(id: ReleaseId, result: KeptResult): Promise<void>
  kept(id: ReleaseId): Promise<KeptResult[]>
  /** Of requests for `model` that `version` answered since then and that no release had a part in, the newest first. */
  served(ask: { model: ModelName; version: VersionName; since: Instant; limit: number }): Promise<ServedRequest[]>
  real(): Promise<RealLive[]>
  /** One transaction. */
  setReal(changes: readonly RealLive[]): Promise<void>
}

/** The journal: what is kept of each request, how lines are sealed, and how a change is found. Start at SPEC.md. */
export type {
  ActJournal,
  ActRow,
  AuditEntry,
  AuditFilter,
  AuditStore,
  Erasure,
  JournalKeeper,
  Removal,
} from './audit.ts'
export { genesis, isBlock, parseBlock, parseErased, renderErased, seal } from './chain.ts'
export type { Digest, Head, LineDigest, NewDigest } from './chain.ts'
export { erasedAct, isAbout, retainedAct, toCoverDetail } from './erasure.ts'
export type { Cover, Subject } from './erasure.ts'
export { epochStart } from './ports.ts'
export type {
  Anchor,
  Batch,
  EpochRow,
  GapRow,
  Ingested,
  JournalReader,
  Line,
  Position,
  Reading,
  RequestFilter,
  RequestRow,
  RequestStore,
  SpentAsk,
  SpentRow,
  UsageBy,
  UsageRow,
} from './ports.ts'
export type {
  ActRecord,
  BlockRecord,
  CloseRecord,
  ErasedRecord,
  FeedbackRecord,
  GapRecord,
  JournalRecord,
  OpenRecord,
  Outcome,
  ReleaseMark,
} from './record.ts'
export type { Depot, DepotStore, Shipment, ShippableJournal, Shipped } from './shipping.ts'
export { openVerifier } from './verify.ts'
export type { Broken, Intact, Tombstones, Verification, Verifier } from './verify.ts'

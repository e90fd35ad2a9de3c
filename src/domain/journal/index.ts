/** The journal: what is kept of each request, how lines are sealed, and how a change is found. Start at SPEC.md. */
export { genesis, parseBlock, seal } from './chain.ts'
export type { Digest, Head, NewDigest } from './chain.ts'
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
export type { BlockRecord, CloseRecord, GapRecord, JournalRecord, OpenRecord, Outcome } from './record.ts'
export { openVerifier } from './verify.ts'
export type { Broken, Intact, Verification, Verifier } from './verify.ts'

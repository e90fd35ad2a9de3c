/** What the journal's readers ask of the disk and of the store. */
import type { SpanName } from '../access/index.ts'
import type { Instant, KeyId, Millis, ModelName, RequestId, TeamName, Tokens, VersionName } from '../units.ts'
import type { LineDigest, NewDigest } from './chain.ts'
import type { ActRecord, CloseRecord, FeedbackRecord, GapRecord, JournalRecord, OpenRecord, Outcome } from './record.ts'

/** A place between two lines of an epoch. Segments count from 1, bytes from 0. */
export type Position = { segment: number; offset: number }
export const epochStart: Position = { segment: 1, offset: 0 }

/** One whole line: `bytes` as they lie on disk, newline included; `text` decoded, without it. */
export type Line = { text: string; bytes: Uint8Array }

/** What stands after a position. `next` is where to read on. `torn`: bytes without a newline follow. */
export type Reading =
  | { kind: 'lines'; lines: Line[]; next: Position }
  /** This segment is done, and a later one exists. */
  | { kind: 'segment-end'; torn: boolean; next: Position }
  | { kind: 'segment-missing'; segment: number; next: Position }
  /** Nothing more now; a live epoch may go on here. */
  | { kind: 'tail'; torn: boolean }
  | { kind: 'epoch-missing' }

/** The journal on disk, for those who read it. Safe beside the gateway that writes it. */
export interface JournalReader {
  /** Names of the epochs, oldest first. */
  epochs(): Promise<string[]>
  /** The next lines, whole ones only, at most about half a megabyte of them. */
  read(epoch: string, from: Position): Promise<Reading>
  /** Resolves once what a segment holds would survive a power cut. */
  settle(epoch: string, segment: number): Promise<void>
  /** `null`: not a record this program knows. */
  parse(text: string): JournalRecord | null
  /** The digest the blocks are sealed with. */
  readonly newDigest: NewDigest
  readonly digestOf: LineDigest
}

/** The last block the controller saw in a segment. A chain that disagrees was changed afterwards. */
export type Anchor = { epoch: string; segment: number; n: number; hash: string }

/** What one transaction of ingestion takes in: the records between two positions of one epoch. */
export type Batch = {
  epoch: string
  from: Position
  to: Position
  records: (OpenRecord | CloseRecord | FeedbackRecord | GapRecord | ActRecord)[]
  anchors: Omit<Anchor, 'epoch'>[]
  /** The epoch's last block is in here: what is still open was interrupted. */
  ended: boolean
}
export type Ingested = { applied: true } | { applied: false; position: Position | null }

/** A request as the store keeps it. What only a close tells is `null` while it is open or when it was interrupted. */
export type RequestRow = {
  id: RequestId
  /** When it arrived, ISO 8601 with milliseconds, UTC. */
  time: string
  key: KeyId | 'admin' | null
  alias: string | null
  team: TeamName | null
  model: ModelName | null
  version: VersionName | null
  replica: string | null
  route: string
  stream: boolean
  status: number | null
  outcome: Outcome | 'open'
  fault: string | null
  inputTokens: number | null
  outputTokens: number | null
  ttftMs: number | null
  totalMs: number | null
  attempts: number | null
  clientId: string | null
  from: string | null
  /** The engine's time that it took, and what that costs. */
  gpuMs: Millis | null
  cost: number | null
  currency: string | null
  /** Why this replica answered. */
  choice: string | null
}

export type RequestFilter = {
  /** At most this many rows. */
  limit: number
  /** Only requests older than this one: the last row of the page before. */
  before?: RequestId
  /** Only this one. */
  id?: RequestId
  /** Only requests that arrived from then on. */
  since?: Instant
  /** Only requests that arrived before then. */
  until?: Instant
  key?: KeyId | 'admin'
  /** Only of these keys; an empty list is no request. */
  keys?: readonly (KeyId | 'admin')[]
  team?: TeamName
  model?: ModelName
  outcome?: Outcome | 'open'
}

export type UsageBy = 'key' | 'team' | 'model' | 'version'

/** Requests that ended, counted once each. Tokens are sums of what engines said. */
export type UsageRow = {
  /** The key's id, the team, …; `null`: requests that had none. */
  name: string | null
  /** The key's alias, when asked by key. */
  alias: string | null
  requests: number
  ok: number
  refused: number
  failed: number
  cancelled: number
  interrupted: number
  inputTokens: number
  outputTokens: number
  gpuMs: number
  /** One for each currency that costs were told in; none: nothing was spent. */
  costs: { currency: string; amount: number }[]
}

/** What one holder's requests took that one epoch's journal tells of, in one currency. */
export type SpentRow = {
  subject: 'key' | 'team'
  /** The key's id, or the team's name. */
  name: string
  epoch: string
  /** `null`: they cost nothing. */
  currency: string | null
  tokens: Tokens
  gpuMs: Millis
  money: number
}

export type SpentAsk = {
  /** Sums are kept by these spans, some only for a while: `spanOf` says by which a period is made up. */
  span: SpanName
  from: Instant
  until: Instant
  keys: readonly string[]
  teams: readonly string[]
}

export type EpochRow = { epoch: string; position: Position; ended: boolean }
export type GapRow = { epoch: string; at: Instant; until: Instant; lost: number }

/** What the journal said, in the store. One contract suite runs over every adapter. Throws only what the database throws. */
export interface RequestStore {
  /** How far an epoch was taken in; `null`: not at all. */
  position(epoch: string): Promise<Position | null>
  /**
   * Takes in a batch in one transaction, if the epoch's position is still `from` (`null` counts as the epoch's start);
   * otherwise nothing is done. So whoever dies half-way may try again, and each request counts once.
   */
  ingest(batch: Batch): Promise<Ingested>
  /** Newest first, by id (a UUIDv7, so by arrival). */
  list(filter: RequestFilter): Promise<RequestRow[]>
  /** Whole hours: `since` is rounded down and `until` up. Most requests first. */
  usage(ask: { by: UsageBy; since?: Instant; until?: Instant }): Promise<UsageRow[]>
  /** Of requests that ended and arrived in [`from`, `until`), by these keys and in these teams. */
  spent(ask: SpentAsk): Promise<SpentRow[]>
  anchors(): Promise<Anchor[]>
  epochs(): Promise<EpochRow[]>
  /** Times of which records are missing, oldest first. */
  gaps(): Promise<GapRow[]>
}

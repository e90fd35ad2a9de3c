/** What the journal keeps of each request: one line of JSON a record. */
import type {
  ActId,
  Instant,
  KeyId,
  Millis,
  ModelName,
  ReleaseId,
  ReplicaId,
  RequestId,
  TeamName,
  Tokens,
  VersionName,
} from '../units.ts'

/**
 * How a request ended.
 * `ok` answered whole · `refused` answered with an error that the client can mend (4xx) ·
 * `failed` answered with an error of ours or the engine's, or cut with an error event ·
 * `cancelled` the client left · `interrupted` the gateway itself died meanwhile (told at ingestion, from an `open` without a `close`).
 */
export type Outcome = 'ok' | 'refused' | 'failed' | 'cancelled' | 'interrupted'

/** Written before an engine is asked, so that a crash leaves a trace of the request. */
export type OpenRecord = {
  t: 'open'
  id: RequestId
  at: Instant
  key: KeyId | 'admin'
  alias: string | null
  team: TeamName | null
  model: ModelName
  route: string
  stream: boolean
}

/** Written before the last bytes of the answer go out: the whole story, so that an `open` adds nothing once it is there. */
export type CloseRecord = {
  t: 'close'
  id: RequestId
  /** When the request arrived. */
  at: Instant
  key: KeyId | 'admin' | null
  alias: string | null
  team: TeamName | null
  model: ModelName | null
  version: VersionName | null
  replica: ReplicaId | null
  route: string
  stream: boolean
  status: number
  outcome: Exclude<Outcome, 'interrupted'>
  /** The fault's kind when there was one. */
  fault: string | null
  /** `null`: the engine did not say. */
  inputTokens: Tokens | null
  outputTokens: Tokens | null
  /** From arrival to the first byte of the answer's body; `null`: none was sent. */
  ttftMs: Millis | null
  totalMs: Millis
  /** How many replicas were asked. */
  attempts: number
  /** The client's own `x-request-id`, cut to 128 characters; it never identifies a record. */
  clientId: string | null
  /** The client's address. */
  from: string
  /** Why this replica answered; `null`: none was asked. */
  choice: string | null
  /** In the model's queue; `null`: it did not wait. */
  waitedMs: Millis | null
  /** The engine's time that the request took: its share while others ran beside it, times the GPUs. */
  gpuMs: Millis | null
  /** What that costs, in `currency`. */
  cost: number | null
  currency: string | null
  /** About how many tokens, prompt and answer, where the engine did not say: budgets count them. */
  estimatedTokens?: Tokens | null
  /** What it was to the release that its model was in. */
  release?: ReleaseMark
  /** Flags that were on for it; absent: none. */
  flags?: readonly string[]
}

/** Assigned once, before anything was tried: an answer by another version than the arm's is the arm's failure. */
export type ReleaseMark = {
  id: ReleaseId
  step: number
  arm: 'live' | 'candidate'
  /** The version that this arm stands for. */
  version: VersionName
  /** What was assigned: a digest of the conversation, user, key or request. */
  unit: string
}

/** What somebody thought of an answer. A later one of the same key for the same request takes its place. */
export type FeedbackRecord = {
  t: 'feedback'
  /** Its own, a UUIDv7. */
  id: RequestId
  at: Instant
  key: KeyId | 'admin'
  /** The request whose answer is meant. */
  request: RequestId
  score: 1 | -1
  /** A digest of the comment that came with it, under the request's id: that there was one, never its words; `null`: none. */
  comment: string | null
  /** The gateway knows the request, and that it is this key's; else the controller has to look. */
  checked: boolean
  /** Of the request, where the gateway knows it. */
  release?: ReleaseMark
}

/** So many records could not be written (disk full), from one moment to another. */
export type GapRecord = { t: 'gap'; at: Instant; until: Instant; lost: number }

/** An administrative act, or that one was refused. Written by the controller, durable before the act's answer goes out. */
export type ActRecord = {
  t: 'act'
  id: ActId
  at: Instant
  /** Whose key; `controller`: it acted by itself; `null`: nobody it knows (no key, or one that opens nothing). */
  who: KeyId | 'admin' | 'controller' | null
  /** The alias of that key. */
  alias: string | null
  /** The client's address; `null`: none (the controller itself, or a call on its own socket). */
  from: string | null
  /** Noun and verb: `key.create`, `team.update`, `audit.erased` … */
  what: string
  /** The id of the key, the name of the team …; `null`: it was not found out. */
  target: string | null
  /** `failed`: an error of ours, so it may be done or not. */
  decision: 'done' | 'refused' | 'failed'
  /** Why it was refused or failed: the fault's code and words. */
  why: string | null
  /** What changed, before and after; no secrets. */
  detail: Readonly<Record<string, unknown>> | null
}

/** Stands where a line was that had to go (J20). `digest`: the line's, so that its block still holds. */
export type ErasedRecord = { t: 'erased'; digest: string; by: ActId }

/**
 * Seals the lines since the block before it. `hash` = SHA-256(the digests of those lines, in hex, then this line up to
 * its `hash`), in hex, so that every byte of a segment is under some block; `prev` is the hash of block `n` - 1.
 * The keys stand in this order; `chain.ts` writes and checks the line.
 */
export type BlockRecord = {
  t: 'block'
  /** Absent in the first form, which took in the lines themselves instead of their digests. */
  v?: 2
  /** 1 for an epoch's first block. */
  n: number
  segment: number
  /** How many lines it seals. */
  lines: number
  prev: string
  /** Made by a later gateway, for one that died. */
  repaired?: true
  /** The epoch's last line. */
  end?: true
  hash: string
}

export type JournalRecord =
  | OpenRecord
  | CloseRecord
  | FeedbackRecord
  | GapRecord
  | ActRecord
  | ErasedRecord
  | BlockRecord

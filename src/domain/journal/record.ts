/** What the journal keeps of each request: one line of JSON a record. */
import type {
  Instant,
  KeyId,
  Millis,
  ModelName,
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
}

/** So many records could not be written (disk full), from one moment to another. */
export type GapRecord = { t: 'gap'; at: Instant; until: Instant; lost: number }

/**
 * Seals the lines since the block before it. `hash` = SHA-256(those lines, newlines included, then this line up to
 * its `hash`), in hex, so that every byte of a segment is under some block; `prev` is the hash of block `n` - 1.
 * The keys stand in this order; `chain.ts` writes and checks the line.
 */
export type BlockRecord = {
  t: 'block'
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

export type JournalRecord = OpenRecord | CloseRecord | GapRecord | BlockRecord

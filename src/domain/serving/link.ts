/** The link: what a controller tells its gateways and agents, one frame a line of JSON. */
import type { AccessImage, BudgetUnit, NumberedChange } from '../access/index.ts'
import type { SpecRegistry } from '../spec/index.ts'
import type { Instant, Millis, ReplicaId, VersionName } from '../units.ts'
import type { Snapshot } from './snapshot.ts'

/** To a gateway. It keeps what it was told on disk, synced, and then acknowledges. */
export type GatewayFrame =
  | { type: 'snapshot'; snapshot: Snapshot }
  /** Everything: at first, and whenever the changes since the gateway's own are not kept. */
  | { type: 'access'; image: AccessImage }
  /** In order and without holes after what the gateway has. */
  | { type: 'changes'; epoch: string; changes: NumberedChange[] }
  /** How many gateways serve now: limits and places that are not shared are divided by it. */
  | { type: 'peers'; gateways: number }
  /** What was spent of budgets, as far as the controller has read the journals. */
  | { type: 'spend'; spend: Spend[] }
  /** Every second, so that a dead link is noticed. */
  | { type: 'beat' }

/**
 * What one holder of a budget has used in its period. `own` is the part of it that came from this gateway's journal in its
 * current epoch: the gateway knows its own better and adds what the controller has not read yet.
 */
export type Spend = {
  subject: 'key' | 'team'
  /** The key's id, or the team's name. */
  name: string
  /** The budget that this counts for: another unit or period is another sum. */
  unit: BudgetUnit
  currency: string | null
  every: Millis
  /** When the period began. */
  period: Instant
  all: number
  own: number
}

/** What a gateway answers (`POST /link/v1/acknowledge`): this much is in force and on its disk. */
export type Acknowledgement = { gateway: string; epoch: string; seq: number; snapshot: string | null }

/** What a gateway elsewhere says of itself (`POST /link/v1/report`), at first and whenever it changes. */
export type GatewayReport = {
  /** Bytes of its journal that the controller does not have yet. */
  journalBehind: number
  /** What it cannot do on its machine, in words: a secret that is not there, a replica that is elsewhere. */
  problems: string[]
}

/** To an agent: the engines its host should run, all of them, each time. */
export type AgentFrame = { type: 'engines'; engines: EngineAssignment[] } | { type: 'beat' }

/** One embedded engine to run. Another `digest` for the same replica means: replace it. */
export type EngineAssignment = {
  replica: ReplicaId
  version: VersionName
  digest: string
  /** Unix socket it answers on. */
  socket: string
  /** The weights, an absolute path. */
  gguf: string
  /** Where the agent fetches them from when they are not there: `hf:…`; `null`: they are there. */
  source: string | null
  /** The registry to look in first, with a reference to its secret; left out: none. */
  registry?: SpecRegistry
  /** Of weights that the spec names by their path, when it says so: checked before they are used. */
  sha256?: string
  /** Tokens of context for each sequence; `null`: what the weights were trained for, bounded by memory. */
  context: number | null
  /** Requests run at once. */
  sequences: number
  /** CPU threads; `null`: 1 for the smoke model, else cores less one. */
  threads: number | null
}

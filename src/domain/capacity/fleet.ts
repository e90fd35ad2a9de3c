/** The fleet: what a plan is made from, and what one replica needs. Bytes everywhere, but where a name says otherwise. */
import type { Quantisation } from '../catalog/index.ts'
import type { KnownGpu, Vendor } from './known-gpus.ts'
import type { KnownFacts } from './known-models.ts'
import type { CacheType } from './kv-cache.ts'
import type { Profile } from './profile.ts'

/** A GPU as the spec tells of it. */
export type StatedGpu = {
  id: string
  product: string | null
  memory: number | null
  uuid: string | null
  pcie: { gen: number; lanes: number } | null
  numa: number | null
  watts: number | null
}

export type StatedHost = {
  name: string
  address: string | null
  memory: number | null
  memoryBandwidth: number | null
  gpus: readonly StatedGpu[]
  supplyWatts: number | null
  restWatts: number | null
  ups: { name: string; watts: number | null } | null
  /** Folder for weights. */
  models: string | null
}

export type EngineFlag = string | number | boolean

/** One replica, and what it runs. */
export type Workload = {
  version: string
  replica: string
  /** The weights as the spec pins them. */
  artifact: string
  engine: {
    kind: string
    version: string | null
    servedName: string | null
    task: string
    flags: Readonly<Record<string, EngineFlag>>
  }
  quantisation: Quantisation
  /** `null`: nothing is known, neither from files nor from names. */
  facts: KnownFacts | null
  /** What would be known of it with another quantisation; `null` where that can't be told. */
  requantised: (to: Quantisation) => KnownFacts | null
  /** What the engine is given: a path, `models:` and a path below the host's folder for weights, or `<repository>@<commit>`. */
  weights: string
  /** `null`: the plan chooses. */
  host: string | null
  gpus: readonly string[] | null
  port: number | null
  /** Somebody else runs it there: it takes room, and gets no command line. */
  isExternal: boolean
  profiles: readonly Profile[]
}

/** A GPU with what is known of its product. */
export type Card = StatedGpu & {
  host: string
  known: KnownGpu | null
  vendor: Vendor | null
  capacity: number
  /** Bytes a second. */
  bandwidth: number | null
  /** Its place among the cards of its vendor in that host, as drivers count. */
  ordinal: number
}

export type Host = Omit<StatedHost, 'gpus' | 'memory' | 'memoryBandwidth'> & {
  cards: readonly Card[]
  /** For engines; the system's own part is taken off. */
  ram: number
  ramBandwidth: number
  isRamStated: boolean
  isBandwidthStated: boolean
}

export type Part = 'weights' | 'kv' | 'compute' | 'overhead'

/** One summand of what a replica takes, with how it was found. */
export type Line = { part: Part; what: string; bytes: number; formula: string; source: string }

/** What an engine is run with, as far as memory and speed depend on it. */
export type Settings = {
  /** Tokens of one sequence. */
  context: number
  /** Sequences that have room at that length at once. */
  sequences: number
  keyType: CacheType
  valueType: CacheType
  tensorParallel: number
  pipelineParallel: number
  /** Layers whose experts stay in RAM. */
  cpuMoe: number
  /** Layers that stay in RAM as a whole. */
  cpuLayers: number
  /** Share of each card's memory that the engine is told to take; `null`: it takes what it needs. */
  fraction: number | null
}

export type Need = {
  /** In the order of the cards. */
  cards: readonly (readonly Line[])[]
  /** Main memory of the host. */
  ram: readonly Line[]
  settings: Settings
  /** Tokens that the cache holds in all. */
  cacheTokens: number
  /** Stays free on each card. */
  headroom: number
  /** Read for one token, by where it lies: what bounds the speed. */
  perToken: { gpu: readonly number[]; ram: number; pcie: number }
  remarks: readonly string[]
}

/** Where a replica would run. */
export type Place = {
  cards: readonly Card[]
  /** What each card has for it. */
  room: readonly number[]
  /** It takes as much of the room as it can use; else only what it can't do without. */
  grow: boolean
}

export type NeedReading = { ok: true; need: Need } | { ok: false; why: string }

export const toLine = (part: Part, what: string, rest: Pick<Line, 'bytes' | 'formula' | 'source'>): Line => ({
  ...{ part, what, formula: rest.formula, source: rest.source },
  bytes: Math.max(0, Math.ceil(rest.bytes)),
})

export const sumOf = (lines: readonly Line[], part?: Part): number =>
  lines.reduce((sum, line) => (part === undefined || line.part === part ? sum + line.bytes : sum), 0)

export const total = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0)

const kibi = 1024
export const mebi = 1024 ** 2
export const gibi = 1024 ** 3

/** `12.3 GiB`. */
export function inGibi(bytes: number): string {
  if (Math.abs(bytes) < mebi) return `${(bytes / kibi).toFixed(0)} KiB`
  if (Math.abs(bytes) < gibi) return `${(bytes / mebi).toFixed(0)} MiB`
  return `${(bytes / gibi).toFixed(bytes < 100 * gibi ? 1 : 0)} GiB`
}

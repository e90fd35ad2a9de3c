/** A profile: what one engine's memory was measured to be, and under which conditions. */

/** Equal keys mean equal memory. */
export type ProfileKey = {
  /** The artifact as the spec pins it: a commit or a digest. */
  model: string
  engine: string
  engineVersion: string
  /** `--flag value`, sorted. */
  flags: string
  /** Products of the cards, in order; empty: main memory alone. */
  gpus: string
}

/** Bytes; `null`: the log does not say. */
export type MeasuredDevice = { device: string; weights: number | null; kv: number | null; compute: number | null }

export type Measured = {
  /** As the engine calls them (`CUDA0`, `CPU`). */
  devices: MeasuredDevice[]
  /** Tokens that the cache holds. */
  kvTokens: number | null
  /** Taken by capturing CUDA graphs. */
  graphs: number | null
}

export type Profile = { key: ProfileKey; measured: Measured; source: string }

/** Load: what an engine says of how busy it is, under one name each, whatever the engine calls it. */
import type { Tokens } from '../units.ts'

/** `null`: this engine does not say. */
export type EngineLoad = {
  /** Requests it is working on. */
  running: number | null
  /** Requests in its own queue. */
  waiting: number | null
  /** Part of its KV cache in use, 0 to 1. */
  kvUse: number | null
  /** Counters since it started, for progress: tokens of prompts it has taken in, and tokens it has made. */
  promptTokens: Tokens | null
  generatedTokens: Tokens | null
}

/** Whom evaluation asks: models and embedding models, wherever they are. */
import type { ChatMessage, Tool } from '../../domain/dialect/index.ts'
import type { GivenAnswer } from '../../domain/evaluation/index.ts'

export type AskOptions = {
  seed: number
  signal: AbortSignal
  /** Left out: the version's own. */
  temperature?: number
  maxTokens?: number
  tools?: readonly Tool[]
  /** Guided decoding: the answer is JSON of this shape, where the engine can do that. */
  schema?: { name: string; schema: Record<string, unknown> }
  /** Tell what other tokens might have stood in each place, where the engine can do that. */
  chances?: boolean
}

/** One whole answer. Rejects with AskError when there is none, and as `signal` says when that ends it. */
export type Ask = (messages: readonly ChatMessage[], options: AskOptions) => Promise<GivenAnswer>

/** A vector for each text, in their order. Rejects as `Ask` does. */
export type Embed = (texts: readonly string[], signal: AbortSignal) => Promise<number[][]>

/** No answer. `again`: another try may bring one. */
export class AskError extends Error {
  readonly again: boolean
  readonly afterMs: number
  constructor(message: string, { again, afterMs = 0, cause }: { again: boolean; afterMs?: number; cause?: unknown }) {
    super(message, { cause })
    this.name = 'AskError'
    this.again = again
    this.afterMs = afterMs
  }
}

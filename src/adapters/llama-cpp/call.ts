/** What every route is given: the weights, the client's patience, and a way to stream. */
import type { Token } from 'node-llama-cpp'
import { randomUUID } from 'node:crypto'
import { FaultError } from '../../domain/fault.ts'
import { tokens } from '../../domain/units.ts'
import type { EventStream } from './sse.ts'
import type { Weights } from './weights.ts'

export type Call = {
  weights: Weights
  /** Whole version name: the model's name where the client gives none. */
  version: string
  /** Aborts when the client leaves or the engine must end. */
  signal: AbortSignal
  /** Sends the headers of a stream. From then on a fault becomes an error event. */
  openStream: () => EventStream
}

/** Answers with the body of a JSON answer, or `null` once it has streamed one. */
export type Route = (body: unknown, call: Call) => Promise<unknown>

export type Usage = { prompt_tokens: number; completion_tokens: number; total_tokens: number }

export const toUsage = (promptTokens: number, completionTokens: number): Usage => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
})

export const makeId = (prefix: string): string => `${prefix}-${randomUUID().replaceAll('-', '')}`

export const nowSeconds = (): number => Math.floor(Date.now() / 1000)

/**
 * How many tokens may be generated after `prompt`. Throws `context-exceeded` where they don't fit: nothing is ever cut
 * from a prompt, and no context is shifted.
 */
export function roomFor(prompt: readonly Token[], asked: number | null, context: number): number {
  const needed = prompt.length + (asked ?? 1)
  if (needed > context)
    throw new FaultError({ kind: 'context-exceeded', asked: tokens(needed), limit: tokens(context) })
  return asked ?? context - prompt.length
}

/** Usage: what an engine's answer says of the tokens it took and made. */
import { promptTokens } from '../../domain/serving/index.ts'
import { tokens } from '../../domain/units.ts'
import type { Exchange } from './exchange.ts'

/** Takes `usage` of an OpenAI-shaped answer or chunk. Nonsense is left out: not known is better than wrong. */
export function noteUsage(exchange: Exchange, usage: unknown): void {
  if (typeof usage !== 'object' || usage === null) return
  if ('prompt_tokens' in usage && isCount(usage.prompt_tokens)) exchange.inputTokens = tokens(usage.prompt_tokens)
  if ('completion_tokens' in usage && isCount(usage.completion_tokens))
    exchange.outputTokens = tokens(usage.completion_tokens)
  // Embeddings have no completion; their output is nothing, not unknown.
  else if (exchange.inputTokens !== null && exchange.ask?.path === 'embeddings') exchange.outputTokens = tokens(0)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/**
 * What an engine that tells no usage has probably used: a token for each piece it sent, and the prompt by its length.
 * `estimated` says so, since clients count money and context by it. The journal keeps "not known".
 */
export function estimateUsage({ ask, pieces }: Exchange): Record<string, unknown> {
  const input = ask === null ? 0 : promptTokens(ask)
  return { prompt_tokens: input, completion_tokens: pieces, total_tokens: input + pieces, estimated: true }
}

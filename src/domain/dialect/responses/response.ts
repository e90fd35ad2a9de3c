/** The `response` object. Rules S3, S24 and S28. */
import type { ChatUsage, FinishReason } from '../chat.ts'
import type { RequestId } from '../../units.ts'
import { responseId } from './ids.ts'
import type { Json } from './refuse.ts'

/** What every state of one response says. */
export type ResponseHead = {
  id: RequestId
  created: number
  /** What the request said, as the API's libraries expect to find it again. */
  asked: Json
}

export type ResponseState =
  | { status: 'in_progress' }
  | { status: 'answered'; output: readonly Json[]; finish: FinishReason; usage: ChatUsage | null }
  | { status: 'failed'; output: readonly Json[]; error: { code: string; message: string } }

export function toResponse({ id, created, asked }: ResponseHead, state: ResponseState): Record<string, unknown> {
  return {
    id: responseId(id),
    object: 'response',
    created_at: created,
    status: statusOf(state),
    background: false,
    error: state.status === 'failed' ? state.error : null,
    incomplete_details: detailsOf(state),
    ...asked,
    output: state.status === 'in_progress' ? [] : state.output,
    usage: state.status === 'answered' && state.usage !== null ? toUsage(state.usage) : null,
  }
}

function statusOf(state: ResponseState): string {
  if (state.status !== 'answered') return state.status
  return detailsOf(state) === null ? 'completed' : 'incomplete'
}

function detailsOf(state: ResponseState): Json | null {
  if (state.status !== 'answered') return null
  if (state.finish === 'length') return { reason: 'max_output_tokens' }
  return state.finish === 'content_filter' ? { reason: 'content_filter' } : null
}

function toUsage({ input, output, cached, reasoning }: ChatUsage): Json {
  return {
    input_tokens: input,
    // Nobody is billed for filling an engine's cache.
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  }
}

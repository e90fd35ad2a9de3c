/** An engine's whole answer as Anthropic's message, and what whole answers and streams share. Rules M22–M28. */
import type { RequestId } from '../../units.ts'
import type { ChatUsage, FinishReason } from '../chat.ts'
import { readAnswer } from '../read-chat.ts'
import { deepest, isDeeper, isRecord } from './place.ts'

/** What an answer repeats of its request. */
export type MessageFrame = { request: RequestId; model: string; stops: readonly string[] }

/** Throws FaultError `engine-failed` when it is no completion. */
export function toMessage(completion: unknown, frame: MessageFrame): Record<string, unknown> {
  const answer = readAnswer(completion)
  const calls = answer.toolCalls.map((call, index) => ({
    type: 'tool_use',
    id: toolId(frame, call.id, index),
    name: call.function.name,
    input: toInput(call.function.arguments),
  }))
  const said = answer.text + answer.refusal
  const content = [
    ...(isBlank(answer.reasoning) ? [] : [{ type: 'thinking', thinking: answer.reasoning, signature: '' }]),
    ...(isBlank(said) ? [] : [{ type: 'text', text: said }]),
    ...calls,
  ]
  return {
    ...emptyMessage(frame),
    content: content.length === 0 ? [{ type: 'text', text: '' }] : content,
    ...toStop({
      finish: answer.finish,
      hasCalls: calls.length > 0,
      hasRefused: answer.refusal !== '',
      stop: readStop(completion, frame),
    }),
    usage: toUsage(answer.usage),
  }
}

export function emptyMessage({ request, model }: MessageFrame) {
  return {
    id: `msg_${request.replaceAll('-', '')}`,
    type: 'message',
    role: 'assistant',
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
  }
}

/** Engines that count their calls from 0 in each answer would give a conversation two calls of one id. */
export function toolId({ request }: MessageFrame, id: string, index: number): string {
  return id === `call_${index}` ? `toolu_${request.replaceAll('-', '')}_${index}` : id
}

/** Anthropic's clients refuse blocks of blanks when they send them back. */
export const isBlank = (text: string): boolean => text.trim() === ''

type Ending = { finish: FinishReason; hasCalls: boolean; hasRefused: boolean; stop: string | null }

export function toStop({ finish, hasCalls, hasRefused, stop }: Ending) {
  if (finish === 'content_filter' || hasRefused) return { stop_reason: 'refusal', stop_sequence: null }
  if (finish === 'length') return { stop_reason: 'max_tokens', stop_sequence: null }
  if (hasCalls) return { stop_reason: 'tool_use', stop_sequence: null }
  if (stop !== null) return { stop_reason: 'stop_sequence', stop_sequence: stop }
  return { stop_reason: 'end_turn', stop_sequence: null }
}

/** Which of the client's own stop sequences ended it: vLLM tells as `stop_reason`, SGLang as `matched_stop`. */
export function readStop(completion: unknown, { stops }: MessageFrame): string | null {
  const choices = isRecord(completion) ? completion['choices'] : null
  const choice: unknown = Array.isArray(choices) ? choices[0] : null
  if (!isRecord(choice)) return null
  const stop = choice['stop_reason'] ?? choice['matched_stop']
  return typeof stop === 'string' && stops.includes(stop) ? stop : null
}

/** Anthropic's `input_tokens` are those that were not in the cache. An engine that tells nothing: zeros. */
export function toUsage(usage: ChatUsage | null) {
  const { input, output, cached, reasoning } = usage ?? { input: 0, output: 0, cached: 0, reasoning: 0 }
  return {
    input_tokens: input - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: output,
    ...(reasoning > 0 ? { output_tokens_details: { thinking_tokens: Math.min(reasoning, output) } } : {}),
  }
}

/** `input` is an object: what the model wrote instead of one stands in it as it is, so that the tool's check can tell it. */
function toInput(json: string): Record<string, unknown> {
  if (isBlank(json)) return {}
  try {
    const input: unknown = JSON.parse(json)
    return isRecord(input) && !isDeeper(input, deepest) ? { ...input } : { _raw: json }
  } catch {
    return { _raw: json }
  }
}

/**
 * Reads what engines answer: whole completions and the chunks of streams. Forgiving where engines differ: thought under
 * `reasoning` or `reasoning_content`, tool calls without index or id, arguments as an object, a `stop` after tool calls.
 */
import { FaultError } from '../fault.ts'
import type { ChatAnswer, ChatPiece, ChatUsage, FinishReason, ToolCall } from './chat.ts'

/** Throws FaultError `engine-failed` when it is no completion. */
export function readAnswer(completion: unknown): ChatAnswer {
  const choice = recordOf(listOf(field(completion, 'choices'))[0])
  const message = recordOf(choice?.['message'])
  if (choice === null || message === null)
    throw new FaultError({ kind: 'engine-failed', status: 200, detail: 'its answer has no message' })
  const toolCalls = listOf(message['tool_calls']).map((call, index) => readToolCall(call, index))
  return {
    model: textOf(field(completion, 'model')),
    reasoning: reasoningOf(message),
    text: contentOf(message['content']),
    refusal: textOf(message['refusal']),
    toolCalls,
    finish: toFinish(choice['finish_reason'], toolCalls.length > 0),
    usage: readUsage(field(completion, 'usage')),
  }
}

/** One stream's chunks. Only the first choice is read: no dialect but chat itself knows several. */
export function chunkReader(): (chunk: unknown) => ChatPiece[] {
  /** In the order of their coming. */
  const calls: { id: string; isTold: boolean }[] = []
  /** By the engine's index, the last that came under it. */
  const places = new Map<unknown, number>()

  return chunk => {
    const pieces: ChatPiece[] = []
    const choice = recordOf(listOf(field(chunk, 'choices'))[0])
    const delta = recordOf(choice?.['delta'])
    if (delta !== null) {
      const reasoning = reasoningOf(delta)
      if (reasoning !== '') pieces.push({ kind: 'reasoning', text: reasoning })
      const text = contentOf(delta['content'])
      if (text !== '') pieces.push({ kind: 'text', text })
      const refusal = textOf(delta['refusal'])
      if (refusal !== '') pieces.push({ kind: 'refusal', text: refusal })
      for (const [place, call] of listOf(delta['tool_calls']).entries()) pieces.push(...readCallDelta(call, place))
    }
    const reason = choice?.['finish_reason']
    if (typeof reason === 'string' && reason !== '')
      pieces.push({ kind: 'finish', reason: toFinish(reason, calls.length > 0) })
    const usage = readUsage(field(chunk, 'usage'))
    if (usage !== null) pieces.push({ kind: 'usage', usage })
    return pieces
  }

  function readCallDelta(call: unknown, place: number): ChatPiece[] {
    const called = recordOf(field(call, 'function'))
    const id = textOf(field(call, 'id'))
    const name = textOf(called?.['name'])
    const json = argumentsOf(called?.['arguments'])
    const at = field(call, 'index') ?? (id === '' ? place : id)
    let index = places.get(at) ?? -1
    const pieces: ChatPiece[] = []
    // A second call under an index that is taken: some engines number every call 0.
    const isAnother = index !== -1 && name !== '' && id !== '' && id !== calls[index]?.id
    if (index === -1 || isAnother) {
      index = calls.length
      places.set(at, index)
      calls.push({ id: id || `call_${index}`, isTold: false })
    }
    const begun = calls[index]
    // The name may come after the id.
    if (begun?.isTold === false && (name !== '' || json !== '')) {
      begun.isTold = true
      pieces.push({ kind: 'tool-call', index, id: begun.id, name })
    }
    if (json !== '') pieces.push({ kind: 'arguments', index, json })
    return pieces
  }
}

/** `null`: there is none, or it is nonsense. */
function readUsage(usage: unknown): ChatUsage | null {
  const input = field(usage, 'prompt_tokens')
  if (!isCount(input)) return null
  const output = field(usage, 'completion_tokens')
  const cached = field(field(usage, 'prompt_tokens_details'), 'cached_tokens')
  const reasoning = field(field(usage, 'completion_tokens_details'), 'reasoning_tokens')
  return {
    input,
    output: isCount(output) ? output : 0,
    cached: isCount(cached) ? Math.min(cached, input) : 0,
    reasoning: isCount(reasoning) ? reasoning : 0,
  }
}

function readToolCall(call: unknown, index: number): ToolCall {
  const called = recordOf(field(call, 'function'))
  return {
    id: textOf(field(call, 'id')) || `call_${index}`,
    type: 'function',
    function: { name: textOf(called?.['name']), arguments: argumentsOf(called?.['arguments']) || '{}' },
  }
}

/** DeepSeek's name, which most engines took over; vLLM and Ollama say `reasoning`. */
function reasoningOf(message: Record<string, unknown>): string {
  return textOf(message['reasoning_content']) || textOf(message['reasoning'])
}

function contentOf(content: unknown): string {
  if (typeof content === 'string') return content
  return listOf(content)
    .map(part => textOf(field(part, 'text')))
    .join('')
}

function argumentsOf(value: unknown): string {
  if (typeof value === 'string') return value
  return recordOf(value) === null ? '' : JSON.stringify(value)
}

function toFinish(reason: unknown, calledTools: boolean): FinishReason {
  switch (reason) {
    case 'length':
    case 'content_filter':
      return reason
    case 'tool_calls':
    case 'function_call':
      return 'tool_calls'
    default:
      // Some engines end a turn of tool calls with `stop`, and clients would not run them.
      return calledTools ? 'tool_calls' : 'stop'
  }
}

function field(value: unknown, name: string): unknown {
  return recordOf(value)?.[name]
}

function recordOf(value: unknown): Record<string, unknown> | null {
  // A record after the check; its fields stay unknown.
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

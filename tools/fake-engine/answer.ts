/** The documents the fake engine answers with, deterministic: the same request gets the same words. */
import { createHash } from 'node:crypto'
import type { Behaviour } from './behaviour.ts'
import type { Ask, Tool } from './request.ts'

/** What will be said: the pieces in order, one a token. */
export type Answer = { pieces: readonly string[]; tool: Tool | null; finish: 'stop' | 'length' | 'tool_calls' }
export type Usage = { prompt_tokens: number; completion_tokens: number; total_tokens: number }
type Head = { id: string; model: string; created: number }

const charactersPerPiece = 8

export function decideAnswer(ask: Ask, behaviour: Behaviour): Answer {
  if (ask.tool) {
    return {
      pieces: toPieces(JSON.stringify(toSample(ask.tool.function.parameters ?? {}))),
      tool: ask.tool,
      finish: 'tool_calls',
    }
  }
  if (behaviour.echoMessages) return { pieces: toPieces(JSON.stringify(ask.received)), tool: null, finish: 'stop' }
  const length = Math.min(behaviour.tokens, ask.maxTokens ?? Infinity)
  const pieces = Array.from({ length }, (_, index) => (index === 0 ? 'word0' : ` word${index}`))
  return { pieces, tool: null, finish: length < behaviour.tokens ? 'length' : 'stop' }
}

export function toUsage(promptTokens: number, completionTokens: number): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  }
}

/** A whole answer, not streamed. */
export function renderWhole(head: Head, ask: Ask, said: Answer & { usage: Usage | null }) {
  const content = said.pieces.join('')
  const usage = said.usage ? { usage: said.usage } : {}
  if (ask.route === 'completion') {
    const choices = [{ index: 0, text: content, logprobs: null, finish_reason: said.finish }]
    return { ...head, object: 'text_completion', choices, ...usage }
  }
  const message = said.tool
    ? { role: 'assistant', content: null, tool_calls: [renderToolCall(said.tool, content)] }
    : { role: 'assistant', content }
  return { ...head, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: said.finish }], ...usage }
}

/** The event in front of the first token; text completions have none. */
export function renderOpening(head: Head, ask: Ask, said: Answer) {
  if (ask.route === 'completion') return null
  const delta = said.tool
    ? { role: 'assistant', content: null, tool_calls: [{ index: 0, ...renderToolCall(said.tool, '') }] }
    : { role: 'assistant', content: '' }
  return renderChatChunk(head, delta, null)
}

export function renderPiece(head: Head, ask: Ask, { piece, tool }: { piece: string; tool: Tool | null }) {
  if (ask.route === 'completion') return renderTextChunk(head, piece, null)
  return renderChatChunk(
    head,
    tool ? { tool_calls: [{ index: 0, function: { arguments: piece } }] } : { content: piece },
    null,
  )
}

export function renderClosing(head: Head, ask: Ask, finish: Answer['finish']) {
  return ask.route === 'completion' ? renderTextChunk(head, '', finish) : renderChatChunk(head, {}, finish)
}

export function renderUsage(head: Head, ask: Ask, usage: Usage) {
  return {
    ...head,
    object: ask.route === 'completion' ? 'text_completion' : 'chat.completion.chunk',
    choices: [],
    usage,
  }
}

export function renderEmbeddings(model: string, ask: Ask, noUsage: boolean) {
  const data = ask.inputs.map((input, index) => ({
    object: 'embedding',
    index,
    embedding: toVector(input, ask.base64),
  }))
  const usage = { prompt_tokens: ask.promptTokens, total_tokens: ask.promptTokens }
  return { object: 'list', model, data, ...(noUsage ? {} : { usage }) }
}

function renderChatChunk(head: Head, delta: object, finish: Answer['finish'] | null) {
  return { ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] }
}

function renderTextChunk(head: Head, text: string, finish: Answer['finish'] | null) {
  return { ...head, object: 'text_completion', choices: [{ index: 0, text, logprobs: null, finish_reason: finish }] }
}

function renderToolCall(tool: Tool, args: string) {
  return { id: 'call_fake0', type: 'function', function: { name: tool.function.name, arguments: args } }
}

/** Cut by code points, so that no piece holds half a character. */
function toPieces(value: string): string[] {
  const characters = Array.from(value)
  const pieces: string[] = []
  for (let at = 0; at < characters.length; at += charactersPerPiece) {
    pieces.push(characters.slice(at, at + charactersPerPiece).join(''))
  }
  return pieces
}

/** A value that a JSON Schema accepts, from its types and required properties alone. */
function toSample(schema: unknown): unknown {
  const { type, enum: choices, properties, required } = toRecord(schema)
  if (Array.isArray(choices)) return choices[0]
  if (type === 'string') return 'word0'
  if (type === 'number' || type === 'integer') return 0
  if (type === 'boolean') return true
  if (type === 'array') return []
  const wanted = Array.isArray(required) ? required.map(String) : []
  return Object.fromEntries(wanted.map(name => [name, toSample(toRecord(properties)[name])]))
}

function toRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}

/** Eight numbers in [-1, 1] out of the text's digest. */
function toVector(input: string, base64: boolean): number[] | string {
  const digest = createHash('sha256').update(input).digest()
  const vector = Float32Array.from({ length: 8 }, (_, index) => (digest[index] ?? 0) / 127.5 - 1)
  return base64 ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector)
}

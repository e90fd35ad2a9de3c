/** POST /v1/chat/completions. */
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { makeId, nowSeconds, roomFor, toUsage } from './call.ts'
import type { Call, Usage } from './call.ts'
import { describeTools, openCallReader, renderCallGrammar } from './forced-call.ts'
import type { CallPiece, Tool } from './forced-call.ts'
import { Message, toTurns } from './messages.ts'
import { Common, parseRequest, refuseUnsupported, toSampling, toStops } from './request.ts'
import { renderObjectGrammar, renderSchemaGrammar } from './schema-grammar.ts'
import type { Ask, Generated } from './generation.ts'
import type { EventStream } from './sse.ts'

const FunctionTool = z.looseObject({
  type: z.literal('function'),
  function: z.looseObject({
    name: z.string().regex(/^[a-zA-Z0-9_.-]{1,64}$/, 'must be 1 to 64 of a-z, A-Z, 0-9, _, . and -'),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
  }),
})

const ChatRequest = z.object({
  ...Common,
  messages: z.array(Message).min(1),
  max_completion_tokens: z.int().min(1).nullish(),
  tools: z.array(FunctionTool).nullish(),
  tool_choice: z
    .union(
      [
        z.enum(['none', 'auto', 'required']),
        z.looseObject({ type: z.literal('function'), function: z.looseObject({ name: z.string() }) }),
      ],
      { error: "must be 'none', 'auto', 'required' or {type: 'function', function: {name}}" },
    )
    .nullish(),
  response_format: z
    .discriminatedUnion(
      'type',
      [
        z.looseObject({ type: z.literal('text') }),
        z.looseObject({ type: z.literal('json_object') }),
        z.looseObject({
          type: z.literal('json_schema'),
          json_schema: z.looseObject({ name: z.string().nullish(), schema: z.record(z.string(), z.unknown()) }),
        }),
      ],
      { error: 'type must be one of text, json_object, json_schema' },
    )
    .nullish(),
})
type ChatRequest = z.output<typeof ChatRequest>

export async function answerChat(body: unknown, call: Call): Promise<unknown> {
  refuseUnsupported(body)
  const request = parseRequest(ChatRequest, body)
  const { weights } = call
  const forced = forcedTools(request)
  const turns = toTurns(request.messages)
  if (forced !== null && weights.knowsTools) turns.unshift({ role: 'system', text: describeTools(forced) })
  const prompt = weights.renderChat(turns)
  const maxTokens = roomFor(prompt, request.max_completion_tokens ?? request.max_tokens ?? null, weights.context)
  const gbnf = grammarOf(request, forced, maxTokens)
  const ask: Ask = {
    prompt,
    maxTokens,
    stops: toStops(request.stop),
    sampling: toSampling(request),
    grammar: gbnf === null ? null : await weights.grammar(gbnf),
  }
  const head = { id: makeId('chatcmpl'), created: nowSeconds(), model: request.model ?? call.version }
  const read = forced === null ? readText() : readCall(forced)
  if (request.stream === true) {
    await stream(ask, call, { head, read, withUsage: request.stream_options?.include_usage === true })
    return null
  }
  return whole(ask, call, { head, read })
}

/** The tools one of which must be called; `null` where the answer is text. */
function forcedTools(request: ChatRequest): Tool[] | null {
  const choice = request.tool_choice ?? 'auto'
  if (choice === 'none' || choice === 'auto') return null
  const tools = (request.tools ?? []).map((tool): Tool => ({
    name: tool.function.name,
    description: tool.function.description ?? null,
    parameters: tool.function.parameters ?? { type: 'object', properties: {} },
  }))
  const wanted = choice === 'required' ? tools : tools.filter(tool => tool.name === choice.function.name)
  if (wanted.length === 0) {
    const problem =
      choice === 'required'
        ? "tool_choice 'required' needs at least one tool"
        : `tools has no function named '${choice.function.name}'`
    throw new FaultError({ kind: 'request-invalid', param: 'tool_choice', problem })
  }
  if (
    request.response_format !== null &&
    request.response_format !== undefined &&
    request.response_format.type !== 'text'
  ) {
    throw new FaultError({
      kind: 'unsupported',
      what: "'response_format' beside a forced tool call",
      instead: 'Send one of them.',
    })
  }
  return wanted
}

function grammarOf(request: ChatRequest, forced: Tool[] | null, maxTokens: number): string | null {
  if (forced !== null) return renderCallGrammar(forced, maxTokens)
  const format = request.response_format
  if (format?.type === 'json_object') return renderObjectGrammar(maxTokens)
  if (format?.type === 'json_schema') return renderSchemaGrammar(format.json_schema.schema, maxTokens)
  return null
}

type Head = { id: string; created: number; model: string }
type ToolCall = { id: string; type: 'function'; function: { name: string; arguments: string } }
type CallDelta = { index: number; id?: string; type?: 'function'; function: { name?: string; arguments: string } }
type Delta = { content: string } | { tool_calls: CallDelta[] }

/** Turns the text of an answer into deltas, and keeps the whole message. */
type Reader = {
  push(text: string): Delta[]
  message(): { content: string | null; tool_calls?: ToolCall[] }
  finish(generated: Generated): string
}

function readText(): Reader {
  let content = ''
  return {
    push(text) {
      content += text
      return [{ content: text }]
    },
    message: () => ({ content }),
    finish: generated => generated.finish,
  }
}

function readCall(tools: readonly Tool[]): Reader {
  const reader = openCallReader(tools)
  const id = makeId('call')
  let made: ToolCall | null = null
  const toDelta = (piece: CallPiece): Delta => {
    if ('name' in piece) {
      made = { id, type: 'function', function: { name: piece.name, arguments: '' } }
      return { tool_calls: [{ index: 0, id, type: 'function', function: { name: piece.name, arguments: '' } }] }
    }
    if (made !== null) made.function.arguments += piece.arguments
    return { tool_calls: [{ index: 0, function: { arguments: piece.arguments } }] }
  }
  return {
    push: text => reader.push(text).map(toDelta),
    message: () => ({ content: null, ...(made !== null && { tool_calls: [made] }) }),
    // As llama-server does, for a named function too; OpenAI says 'stop' there, and clients look for the calls.
    finish: generated => (generated.finish === 'stop' ? 'tool_calls' : 'length'),
  }
}

async function whole(
  ask: Ask,
  { weights, signal }: Call,
  { head, read }: { head: Head; read: Reader },
): Promise<unknown> {
  const generated = await weights.generate(ask, {
    signal,
    onText: async text => {
      read.push(text)
    },
  })
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', ...read.message(), refusal: null },
        logprobs: null,
        finish_reason: read.finish(generated),
      },
    ],
    usage: toUsage(ask.prompt.length, generated.tokens),
  }
}

async function stream(
  ask: Ask,
  { weights, signal, openStream }: Call,
  { head, read, withUsage }: { head: Head; read: Reader; withUsage: boolean },
): Promise<void> {
  const chunk = (choices: unknown[], usage: Usage | null = null): unknown => ({
    id: head.id,
    object: 'chat.completion.chunk',
    created: head.created,
    model: head.model,
    choices,
    ...(withUsage && { usage }),
  })
  const choice = (delta: unknown, finishReason: string | null = null): unknown => ({
    index: 0,
    delta,
    logprobs: null,
    finish_reason: finishReason,
  })
  let events: EventStream | null = null
  const open = (): EventStream => (events ??= openStream())
  const generated = await weights.generate(ask, {
    signal,
    onStart: () => open().send(chunk([choice({ role: 'assistant', content: '' })])),
    onText: async text => {
      for (const delta of read.push(text)) await open().send(chunk([choice(delta)]))
    },
  })
  await open().send(chunk([choice({}, read.finish(generated))]))
  if (withUsage) await open().send(chunk([], toUsage(ask.prompt.length, generated.tokens)))
  open().done()
}

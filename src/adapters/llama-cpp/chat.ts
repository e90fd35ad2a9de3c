/** POST /v1/chat/completions. */
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { readCall, readText } from './answer.ts'
import type { Reader } from './answer.ts'
import { makeId, nowSeconds, roomFor, toUsage } from './call.ts'
import type { Call, Usage } from './call.ts'
import { renderCallGrammar } from './forced-call.ts'
import type { Ask } from './generation.ts'
import { ChatInput, renderPrompt, toCallable } from './prompt.ts'
import type { Callable } from './prompt.ts'
import { Common, parseRequest, refuseUnsupported, toSampling, toStops } from './request.ts'
import { renderObjectGrammar, renderSchemaGrammar } from './schema-grammar.ts'
import { generateAll } from './several.ts'
import type { EventStream } from './sse.ts'

const ChatRequest = z.object({
  ...Common,
  ...ChatInput,
  max_completion_tokens: z.int().min(1).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
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
  const callable = toCallable(request)
  const prompt = renderPrompt(request, callable, weights)
  const maxTokens = roomFor(prompt.tokens, request.max_completion_tokens ?? request.max_tokens ?? null, weights.context)
  const gbnf = grammarOf(request, callable, maxTokens)
  const grammar = gbnf === null ? null : await weights.grammar(gbnf)
  const bias = weights.bias(request.logit_bias)
  const { thinks } = weights.template()
  const asks = Array.from({ length: request.n ?? 1 }, (_, place): Ask => ({
    prompt: prompt.tokens,
    maxTokens,
    stops: toStops(request.stop),
    sampling: toSampling(request, place),
    grammar,
    bias,
    withControlTokens: grammar === null && (thinks || callable.tools.length > 0),
  }))
  const { isForced, tools } = callable
  const mostCalls = request.parallel_tool_calls === false ? 1 : Infinity
  const readers = asks.map(() =>
    isForced
      ? readCall(tools)
      : readText({ tools, mostCalls, thinks: thinks && grammar === null, isThinking: prompt.isThinking }),
  )
  const head = { id: makeId('chatcmpl'), created: nowSeconds(), model: request.model ?? call.version }
  const work = { asks, readers, head }
  if (request.stream !== true) return whole(work, call)
  await stream(work, call, request.stream_options?.include_usage === true)
  return null
}

function grammarOf(request: ChatRequest, { tools, isForced }: Callable, maxTokens: number): string | null {
  const format = request.response_format
  if (!isForced) {
    if (format?.type === 'json_object') return renderObjectGrammar(maxTokens)
    return format?.type === 'json_schema' ? renderSchemaGrammar(format.json_schema.schema, maxTokens) : null
  }
  if (format === null || format === undefined || format.type === 'text') return renderCallGrammar(tools, maxTokens)
  const what = "'response_format' beside a forced tool call"
  throw new FaultError({ kind: 'unsupported', what, instead: 'Send one of them.' })
}

/** As many answers as there are asks, each with its reader. */
type Work = { asks: readonly Ask[]; readers: readonly Reader[]; head: { id: string; created: number; model: string } }

/** The prompt is counted once, however many answers it has. */
const usageOf = ({ asks }: Work, all: readonly { tokens: number }[]): Usage =>
  toUsage(
    asks[0]?.prompt.length ?? 0,
    all.reduce((sum, { tokens }) => sum + tokens, 0),
  )

async function whole(work: Work, call: Call): Promise<unknown> {
  const { asks, readers, head } = work
  const all = await generateAll(asks, call, {
    onText: async (index, text) => {
      readers[index]?.push(text)
      return readers[index]?.hasEnough() === true ? 'enough' : 'more'
    },
  })
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices: readers.map((reader, index) => {
      reader.end()
      return {
        index,
        message: { role: 'assistant', ...reader.message(), refusal: null },
        logprobs: null,
        finish_reason: reader.finish(all[index]?.finish ?? 'stop'),
      }
    }),
    usage: usageOf(work, all),
  }
}

async function stream(work: Work, call: Call, withUsage: boolean): Promise<void> {
  const { asks, readers, head } = work
  const chunk = (choices: unknown[], usage: Usage | null = null): unknown => ({
    id: head.id,
    object: 'chat.completion.chunk',
    created: head.created,
    model: head.model,
    choices,
    ...(withUsage && { usage }),
  })
  let events: EventStream | null = null
  const open = (): EventStream => (events ??= call.openStream())
  const send = (index: number, delta: unknown, finishReason: string | null = null): Promise<void> =>
    open().send(chunk([{ index, delta, logprobs: null, finish_reason: finishReason }]))
  const all = await generateAll(asks, call, {
    onStart: index => send(index, { role: 'assistant', content: '' }),
    async onText(index, text) {
      for (const delta of readers[index]?.push(text) ?? []) await send(index, delta)
      return readers[index]?.hasEnough() === true ? 'enough' : 'more'
    },
    async onEnd(index, { finish }) {
      for (const delta of readers[index]?.end() ?? []) await send(index, delta)
      await send(index, {}, readers[index]?.finish(finish) ?? finish)
    },
  })
  if (withUsage) await open().send(chunk([], usageOf(work, all)))
  open().done()
}

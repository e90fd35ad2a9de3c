/** POST /v1/completions: text goes on where the prompt ends. */
import type { Token } from 'node-llama-cpp'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { makeId, nowSeconds, roomFor, toUsage } from './call.ts'
import type { Call, Usage } from './call.ts'
import type { Ask, Generated } from './generation.ts'
import { Common, parseRequest, refuseUnsupported, toSampling, toStops } from './request.ts'
import type { EventStream } from './sse.ts'
import { toTokens } from './token-list.ts'
import type { Weights } from './weights.ts'

const TokenList = z.array(z.int().min(0)).min(1)
const mostPrompts = 128

const CompletionRequest = z.object({
  ...Common,
  prompt: z.union(
    [
      z.string(),
      TokenList,
      z
        .array(z.union([z.string(), TokenList]))
        .min(1)
        .max(mostPrompts),
    ],
    { error: `must be a string, a list of tokens, or a list of up to ${mostPrompts} of these` },
  ),
})
type Prompt = z.output<typeof CompletionRequest>['prompt']

export async function answerCompletion(body: unknown, call: Call): Promise<unknown> {
  refuseUnsupported(body)
  const request = parseRequest(CompletionRequest, body)
  const { weights } = call
  const asks = toPrompts(request.prompt, weights).map((prompt): Ask => ({
    prompt,
    maxTokens: roomFor(prompt, request.max_tokens ?? null, weights.context),
    stops: toStops(request.stop),
    sampling: toSampling(request),
    grammar: null,
  }))
  const head = { id: makeId('cmpl'), created: nowSeconds(), model: request.model ?? call.version }
  if (request.stream === true) {
    await stream(asks, call, { head, withUsage: request.stream_options?.include_usage === true })
    return null
  }
  return whole(asks, call, head)
}

function toPrompts(prompt: Prompt, weights: Weights): Token[][] {
  const isOne = typeof prompt === 'string' || typeof prompt[0] === 'number'
  // The schema has told a list of tokens from a list of prompts already; the type of a mixed list can't say so.
  const many = (isOne ? [prompt] : prompt) as (string | number[])[]
  return many.map(one => {
    const tokens = typeof one === 'string' ? weights.tokenize(one) : toTokens(one, weights, 'prompt')
    if (tokens.length === 0)
      throw new FaultError({ kind: 'request-invalid', param: 'prompt', problem: 'prompt must not be empty' })
    return tokens
  })
}

type Head = { id: string; created: number; model: string }
type Choice = { text: string; index: number; logprobs: null; finish_reason: string | null }

const renderAnswer = (head: Head, choices: Choice[], usage: Usage | null | undefined): unknown => ({
  id: head.id,
  object: 'text_completion',
  created: head.created,
  model: head.model,
  choices,
  ...(usage !== undefined && { usage }),
})

async function whole(asks: readonly Ask[], call: Call, head: Head): Promise<unknown> {
  const texts = asks.map(() => '')
  const all = await generateAll(asks, call, {
    onText: async (index, text) => {
      texts[index] += text
    },
  })
  const choices = all.map(({ finish }, index): Choice => ({
    text: texts[index] ?? '',
    index,
    logprobs: null,
    finish_reason: finish,
  }))
  return renderAnswer(head, choices, usageOf(asks, all))
}

async function stream(
  asks: readonly Ask[],
  call: Call,
  { head, withUsage }: { head: Head; withUsage: boolean },
): Promise<void> {
  let events: EventStream | null = null
  const open = (): EventStream => (events ??= call.openStream())
  const send = (index: number, text: string, finishReason: string | null): Promise<void> =>
    open().send(
      renderAnswer(head, [{ text, index, logprobs: null, finish_reason: finishReason }], withUsage ? null : undefined),
    )
  const all = await generateAll(asks, call, {
    onStart: async () => void open(),
    onText: (index, text) => send(index, text, null),
    onEnd: (index, { finish }) => send(index, '', finish),
  })
  if (withUsage) await open().send(renderAnswer(head, [], usageOf(asks, all)))
  open().done()
}

/** All prompts at once, as far as there are sequences. The first failure ends the others. */
async function generateAll(
  asks: readonly Ask[],
  { weights, signal }: Call,
  on: {
    onStart?: () => Promise<void>
    onText: (index: number, text: string) => Promise<void>
    onEnd?: (index: number, generated: Generated) => Promise<void>
  },
): Promise<Generated[]> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const runs = asks.map(async (ask, index) => {
    try {
      const generated = await weights.generate(ask, {
        signal: either,
        ...(on.onStart !== undefined && { onStart: on.onStart }),
        onText: text => on.onText(index, text),
      })
      await on.onEnd?.(index, generated)
      return generated
    } catch (error) {
      failed.abort(error)
      throw error
    }
  })
  // Nobody may still write once this has rejected.
  await Promise.allSettled(runs)
  return Promise.all(runs)
}

const usageOf = (asks: readonly Ask[], all: readonly Generated[]): Usage =>
  toUsage(
    asks.reduce((sum, ask) => sum + ask.prompt.length, 0),
    all.reduce((sum, generated) => sum + generated.tokens, 0),
  )

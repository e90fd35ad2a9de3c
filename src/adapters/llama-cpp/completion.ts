/** POST /v1/completions: text goes on where the prompt ends. */
import type { Token } from 'node-llama-cpp'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { makeId, nowSeconds, roomFor, toUsage } from './call.ts'
import type { Call, Usage } from './call.ts'
import type { Ask, Generated } from './generation.ts'
import { Common, mostAnswers, parseRequest, refuseUnsupported, toSampling, toStops } from './request.ts'
import { generateAll } from './several.ts'
import type { EventStream } from './sse.ts'
import { toTokens } from './token-list.ts'
import type { Weights } from './weights.ts'

const TokenList = z.array(z.int().min(0)).min(1)
const mostPrompts = mostAnswers

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
  suffix: z.string().nullish(),
})
type Prompt = z.output<typeof CompletionRequest>['prompt']

export async function answerCompletion(body: unknown, call: Call): Promise<unknown> {
  refuseUnsupported(body)
  const request = parseRequest(CompletionRequest, body)
  const { weights } = call
  const n = request.n ?? 1
  const bias = weights.bias(request.logit_bias)
  const prompts = isSet(request.suffix) ? [toInfill(request, weights)] : toPrompts(request.prompt, weights)
  if (prompts.length * n > mostAnswers)
    throw new FaultError({ kind: 'request-invalid', param: 'n', problem: `n: at most ${mostAnswers} answers in all` })
  const asks = prompts.flatMap(prompt =>
    Array.from({ length: n }, (_, place): Ask => ({
      prompt,
      maxTokens: roomFor(prompt, request.max_tokens ?? null, weights.context),
      stops: toStops(request.stop),
      sampling: toSampling(request, place),
      grammar: null,
      bias,
      withControlTokens: false,
    })),
  )
  const head = { id: makeId('cmpl'), created: nowSeconds(), model: request.model ?? call.version }
  if (request.stream === true) {
    await stream({ asks, n }, call, { head, withUsage: request.stream_options?.include_usage === true })
    return null
  }
  return whole({ asks, n }, call, head)
}

const isSet = (suffix: string | null | undefined): suffix is string => typeof suffix === 'string' && suffix !== ''

function toInfill({ prompt, suffix }: z.output<typeof CompletionRequest>, weights: Weights): Token[] {
  if (typeof prompt === 'string') return weights.infill(prompt, suffix ?? '')
  const problem = "prompt must be one string beside 'suffix'"
  throw new FaultError({ kind: 'request-invalid', param: 'prompt', problem })
}

function toPrompts(prompt: Prompt, weights: Weights): Token[][] {
  const isOne = typeof prompt === 'string' || typeof prompt[0] === 'number'
  // The schema has told a list of tokens from a list of prompts already; the type of a mixed list can't say so.
  const many = (isOne ? [prompt] : prompt) as (string | number[])[]
  return many.map(one => {
    const tokens = typeof one === 'string' ? weights.tokenize(one) : toTokens(one, weights.facts.vocabulary, 'prompt')
    if (tokens.length === 0)
      throw new FaultError({ kind: 'request-invalid', param: 'prompt', problem: 'prompt must not be empty' })
    return tokens
  })
}

/** `n` answers to each prompt, side by side. */
type Work = { asks: readonly Ask[]; n: number }
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

async function whole(work: Work, call: Call, head: Head): Promise<unknown> {
  const { asks } = work
  const texts = asks.map(() => '')
  const all = await generateAll(asks, call, {
    onText: async (index, text) => {
      texts[index] += text
      return 'more'
    },
  })
  const choices = all.map(({ finish }, index): Choice => ({
    text: texts[index] ?? '',
    index,
    logprobs: null,
    finish_reason: finish,
  }))
  return renderAnswer(head, choices, usageOf(work, all))
}

async function stream(work: Work, call: Call, { head, withUsage }: { head: Head; withUsage: boolean }): Promise<void> {
  let events: EventStream | null = null
  const open = (): EventStream => (events ??= call.openStream())
  const send = (index: number, text: string, finishReason: string | null): Promise<void> =>
    open().send(
      renderAnswer(head, [{ text, index, logprobs: null, finish_reason: finishReason }], withUsage ? null : undefined),
    )
  const all = await generateAll(work.asks, call, {
    onStart: async () => void open(),
    onText: async (index, text) => {
      await send(index, text, null)
      return 'more'
    },
    onEnd: (index, { finish }) => send(index, '', finish),
  })
  if (withUsage) await open().send(renderAnswer(head, [], usageOf(work, all)))
  open().done()
}

/** A prompt is counted once, however many answers it has. */
function usageOf({ asks, n }: Work, all: readonly Generated[]): Usage {
  const prompts = asks.filter((_, index) => index % n === 0)
  return toUsage(
    prompts.reduce((sum, ask) => sum + ask.prompt.length, 0),
    all.reduce((sum, generated) => sum + generated.tokens, 0),
  )
}

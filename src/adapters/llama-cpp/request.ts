/** What clients ask for: the parts that chat and completion requests share, parsed once. */
import { randomInt } from 'node:crypto'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'

/** To one request, all its prompts taken together. */
export const mostAnswers = 128
const penalty = z.number().min(-2).max(2).nullish()

/** OpenAI's names and llama.cpp's for what OpenAI has none. */
export const Common = {
  model: z.string().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.int().min(1).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  /** Answers to each prompt. */
  n: z.int().min(1).max(mostAnswers).nullish(),
  stop: z
    .union([z.string().min(1), z.array(z.string().min(1)).max(16)], {
      error: 'must be a string or a list of up to 16 strings, none of them empty',
    })
    .nullish(),
  /** By the tokens' numbers. */
  logit_bias: z.record(z.string().regex(/^\d{1,9}$/, 'must be a token'), z.number().min(-100).max(100)).nullish(),
  frequency_penalty: penalty,
  presence_penalty: penalty,
  repeat_penalty: z.number().gt(0).max(2).nullish(),
}

const CommonRequest = z.object(Common)
export type CommonRequest = z.output<typeof CommonRequest>

export type Sampling = {
  temperature: number
  topP: number
  /** 0: all tokens. */
  topK: number
  minP: number
  seed: number
  frequencyPenalty: number
  presencePenalty: number
  repeatPenalty: number
}

/**
 * OpenAI's defaults. The seed is made here, so that two requests without one differ even within the same second; `place`
 * makes the answers to one prompt differ.
 */
export function toSampling(request: CommonRequest, place = 0): Sampling {
  return {
    temperature: request.temperature ?? 1,
    topP: request.top_p ?? 1,
    topK: Math.max(0, request.top_k ?? 0),
    minP: request.min_p ?? 0,
    seed: request.seed === null || request.seed === undefined ? randomInt(2 ** 32) : toSeed(request.seed + place),
    frequencyPenalty: request.frequency_penalty ?? 0,
    presencePenalty: request.presence_penalty ?? 0,
    repeatPenalty: request.repeat_penalty ?? 1,
  }
}

/** llama.cpp takes 32 bits. */
const toSeed = (seed: number): number => ((seed % 2 ** 32) + 2 ** 32) % 2 ** 32

export const toStops = (stop: CommonRequest['stop']): string[] => (typeof stop === 'string' ? [stop] : (stop ?? []))

/** Throws `request-invalid` with the path of the first problem, as OpenAI writes paths (`messages[0].role`). */
export function parseRequest<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const param =
    issue === undefined || issue.path.length === 0
      ? null
      : issue.path
          .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${String(part)}`))
          .join('')
  const what = issue?.message ?? 'is not valid'
  throw new FaultError({ kind: 'request-invalid', param, problem: `${param ?? 'The request body'}: ${what}` })
}

type Refusal = { when: (value: unknown) => boolean; what: string; instead: string }

const isSet = (value: unknown): boolean => value !== null && value !== undefined && value !== false
const isMany = (value: unknown): boolean => typeof value === 'number' && value > 1
const isFilled = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length > 0

const plain = (name: string): Refusal => ({
  when: isSet,
  what: `'${name}'`,
  instead: 'Leave it out, or use another engine.',
})

/** Parameters that would change the answer and that this engine has not: refused, never ignored. */
const refusals: { readonly [name: string]: Refusal } = {
  best_of: { when: isMany, what: "'best_of'", instead: "Use 'n' and choose yourself." },
  logprobs: plain('logprobs'),
  top_logprobs: { ...plain('top_logprobs'), when: value => typeof value === 'number' && value > 0 },
  functions: { ...plain('functions'), when: isFilled, instead: "Use 'tools'." },
  echo: plain('echo'),
  audio: plain('audio'),
  modalities: { ...plain('modalities'), when: value => Array.isArray(value) && value.some(one => one !== 'text') },
  ignore_eos: plain('ignore_eos'),
  min_tokens: plain('min_tokens'),
  repetition_penalty: {
    when: value => isSet(value) && value !== 1,
    what: "'repetition_penalty'",
    instead: "Use 'repeat_penalty'.",
  },
  dimensions: plain('dimensions'),
}

export function refuseUnsupported(body: unknown): void {
  if (typeof body !== 'object' || body === null) return
  for (const [name, value] of Object.entries(body)) {
    const refusal = Object.hasOwn(refusals, name) ? refusals[name] : undefined
    if (refusal?.when(value) === true)
      throw new FaultError({ kind: 'unsupported', what: refusal.what, instead: refusal.instead })
  }
}

/** The most that a request can cost, told before it runs, from what earlier ones took. Rule B10. */
import { fieldOf, type Ask, type CostRate } from '../serving/index.ts'
import { millis, tokens, type Millis, type Tokens } from '../units.ts'
import type { Most } from './ledger.ts'

/** What is known of a version's requests: about the most, not the mean. */
export type Learned = {
  /** GPU time of one token of an answer. */
  perToken: Millis
  /** Tokens of an answer that nobody bounded. */
  answer: Tokens
}

/** Until the first request has told: a large model, and a long answer. */
export const nothingLearned: Learned = { perToken: millis(50), answer: tokens(1_000) }

/** A token of a prompt takes an engine far less time than one of an answer: they are taken in side by side. */
const promptShare = 1 / 10
/** Shorter work says little of the speed. */
const leastWork = 20
/** How much a request that took less than expected says of the next. */
const settling = 1 / 50

/** Tokens that an answer may have, as the client bounds it; `null`: it does not. Rankings and embeddings have none. */
export function answerBound(ask: Pick<Ask, 'path' | 'body' | 'plain'>): Tokens | null {
  if (ask.path !== 'chat/completions' && ask.path !== 'completions') return tokens(0)
  const each = count(fieldOf(ask, 'max_completion_tokens')) ?? count(fieldOf(ask, 'max_tokens'))
  return each === null ? null : tokens(each * (count(fieldOf(ask, 'n')) ?? 1))
}

/** `bound`: of the answer, as `answerBound` has it. */
export function mostOf(
  { prompt, bound }: { prompt: Tokens; bound: Tokens | null },
  { perToken, answer }: Learned,
  rate: CostRate,
): Most {
  const longest = bound ?? answer
  const gpuMs = millis((prompt * promptShare + longest) * perToken)
  return { tokens: tokens(prompt + longest), gpuMs, money: { amount: costOf(gpuMs, rate), currency: rate.currency } }
}

/** From a request that ended. What took longer than expected counts at once, at most twice over; what took less counts slowly. */
export function learn(
  learned: Learned,
  done: { input: Tokens; output: Tokens; gpuMs: Millis; bounded: boolean },
): Learned {
  const work = done.input * promptShare + done.output
  return {
    perToken: work < leastWork ? learned.perToken : millis(towards(learned.perToken, done.gpuMs / work)),
    answer: done.bounded ? learned.answer : tokens(Math.ceil(towards(learned.answer, done.output))),
  }
}

/** An hour of the replica, by the part of it that the request took. */
export function costOf(gpuMs: Millis, { hourly, gpus }: CostRate): number {
  return (gpuMs / gpus / 3_600_000) * hourly
}

const towards = (known: number, seen: number): number =>
  seen > known ? Math.min(seen, known * 2) : known + (seen - known) * settling

const count = (value: unknown): number | null =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : null

/** Smoke: whether a candidate answers at all, as a model does that was loaded right. Measured against what the live version can do. */
import type { ChatMessage, Tool } from '../dialect/index.ts'
import type { GivenAnswer } from './answer.ts'

export type SmokePrompt = {
  name: string
  messages: readonly ChatMessage[]
  maxTokens: number
  tools?: readonly Tool[]
  schema?: { name: string; schema: Record<string, unknown> }
  /** Whether an answer is right. */
  isRight: (answer: GivenAnswer) => boolean
}

/** `null`: there was no answer, for the reason given. */
export type SmokeAnswer = { answer: GivenAnswer } | { answer: null; why: string }
export type SmokeCheck = { name: string; passed: boolean; detail: string }

const ask = (content: string): ChatMessage[] => [{ role: 'user', content }]
const says = (pattern: RegExp) => (answer: GivenAnswer) => pattern.test(answer.text)

/** Asked in this order; the first ones say most. */
const questions: readonly SmokePrompt[] = [
  { name: 'paris', messages: ask('What is the capital of France?'), maxTokens: 64, isRight: says(/\bparis\b/i) },
  {
    name: 'sum',
    messages: ask('What is 2 + 3? Answer with the number.'),
    maxTokens: 64,
    isRight: says(/\b(5|five)\b/i),
  },
  { name: 'echo', messages: ask('Say the word "ready" and nothing else.'), maxTokens: 32, isRight: says(/\bready\b/i) },
  { name: 'berlin', messages: ask('What is the capital of Germany?'), maxTokens: 64, isRight: says(/\bberlin\b/i) },
  {
    name: 'order',
    messages: ask('Which number is larger, 7 or 12? Answer with the number.'),
    maxTokens: 64,
    isRight: says(/\b(12|twelve)\b/i),
  },
  {
    name: 'opposite',
    messages: ask('What is the opposite of "hot"? Answer with one word.'),
    maxTokens: 32,
    isRight: says(/\bcold\b/i),
  },
  {
    name: 'colour',
    messages: ask('What colour is the sky on a clear day?'),
    maxTokens: 64,
    isRight: says(/\bblue\b/i),
  },
  { name: 'days', messages: ask('How many days has a week?'), maxTokens: 64, isRight: says(/\b(7|seven)\b/i) },
]

/** What clients that use them would miss. */
const abilities: readonly SmokePrompt[] = [
  {
    name: 'tool call',
    messages: ask('What is the weather in Paris? Use the tool.'),
    maxTokens: 128,
    tools: [
      {
        type: 'function',
        function: {
          name: 'get_weather',
          description: 'The weather of a city.',
          parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
        },
      },
    ],
    isRight: ({ toolCalls }) =>
      toolCalls.some(call => call.function.name === 'get_weather' && isJson(call.function.arguments)),
  },
  {
    name: 'json',
    messages: ask('Give the city Paris and its country as JSON with the keys "city" and "country".'),
    maxTokens: 128,
    schema: {
      name: 'place',
      schema: {
        type: 'object',
        properties: { city: { type: 'string' }, country: { type: 'string' } },
        required: ['city', 'country'],
        additionalProperties: false,
      },
    },
    isRight: ({ text }) => isJson(text),
  },
]

/** So many questions (at least one, repeated when there are more than are known), then what tools and JSON need. */
export function smokePrompts(count: number): SmokePrompt[] {
  const asked = Array.from({ length: Math.max(1, count) }, (_, n) => questions[n % questions.length])
  return [...asked.filter(each => each !== undefined), ...abilities]
}

/** Parts of chat templates. In an answer they mean that the template does not fit the weights. */
const controlTokens = /<\|[a-z_0-9]{2,40}\|>|<\/?s>|\[\/?INST\]|<<\/?SYS>>|<(start|end)_of_turn>|<｜[^｜]{1,40}｜>/

/**
 * Every question must be answered, without a template's tokens; what the live version gets right, half of it must be right,
 * and what it can do (tools, JSON, stopping by itself) the candidate must do too.
 */
export function judgeSmoke(
  rounds: readonly { prompt: SmokePrompt; live: SmokeAnswer; candidate: SmokeAnswer }[],
): SmokeCheck[] {
  const asked = rounds.filter(({ prompt }) => prompt.tools === undefined && prompt.schema === undefined)
  const candidates = asked.map(({ prompt, candidate }) => ({ name: prompt.name, given: candidate }))
  const unanswered = candidates.filter(({ given }) => given.answer === null || given.answer.text.trim() === '')
  const leaking = candidates.flatMap(({ name, given }) => {
    const found = controlTokens.exec(given.answer?.text ?? '')
    return found === null ? [] : [`${name}: ${found[0]}`]
  })
  const liveLost = rounds.filter(({ live }) => live.answer === null).map(({ prompt }) => prompt.name)
  const known = asked.filter(({ prompt, live }) => live.answer !== null && prompt.isRight(live.answer))
  const right = known.filter(({ prompt, candidate }) => candidate.answer !== null && prompt.isRight(candidate.answer))
  const stopping = asked.filter(({ live }) => live.answer?.finish === 'stop')
  const stops = stopping.filter(({ candidate }) => candidate.answer?.finish === 'stop')
  return [
    {
      name: 'answers',
      passed: unanswered.length === 0,
      detail:
        unanswered.length === 0
          ? `${asked.length} of ${asked.length} questions answered`
          : `not answered: ${unanswered.map(({ name, given }) => `${name} (${given.answer === null ? given.why : 'empty'})`).join('; ')}`,
    },
    {
      name: 'right answers',
      passed: right.length >= known.length / 2,
      detail: `${right.length} right of the ${known.length} that the live version answers right`,
    },
    {
      name: 'chat template',
      passed: leaking.length === 0,
      detail:
        leaking.length === 0 ? 'no control tokens in answers' : `control tokens in answers: ${leaking.join('; ')}`,
    },
    {
      name: 'end of turn',
      passed: stops.length >= stopping.length / 2,
      detail: `stops by itself in ${stops.length} of the ${stopping.length} where the live version does`,
    },
    ...rounds
      .filter(({ prompt }) => prompt.tools !== undefined || prompt.schema !== undefined)
      .map(({ prompt, live, candidate }) => abilityOf(prompt, live, candidate)),
    {
      name: 'old version',
      passed: liveLost.length === 0,
      detail: liveLost.length === 0 ? 'it still answers' : `the live version did not answer: ${liveLost.join(', ')}`,
    },
  ]
}

function abilityOf({ name, isRight }: SmokePrompt, live: SmokeAnswer, candidate: SmokeAnswer): SmokeCheck {
  if (live.answer === null || !isRight(live.answer))
    return { name, passed: true, detail: 'the live version does not do it either' }
  if (candidate.answer === null)
    return { name, passed: false, detail: `the candidate did not answer: ${candidate.why}` }
  const passed = isRight(candidate.answer)
  return {
    name,
    passed,
    detail: passed ? 'both versions do it' : 'the live version does it, and the candidate does not',
  }
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}

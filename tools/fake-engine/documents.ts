/** The documents that an answer is told in, written by the engine's voice. */
import type { Answer } from './answer.ts'
import type { Behaviour } from './behaviour.ts'
import type { Call, ChoiceEnd, Head, Tally, Voice } from './dialects/index.ts'
import type { Ask } from './request.ts'
import { toWholeMessage } from './steps.ts'
import type { Step } from './steps.ts'

/** One answer and how it is told. */
export type Telling = {
  said: Answer
  calls: readonly Call[]
  ask: Ask
  behaviour: Behaviour
  voice: Voice
  head: Head
  choices: number
  /** The usage so far in every event. */
  everyUsage: boolean
}

export function renderWhole(telling: Telling, tally: Tally | null): object {
  const { said, calls, ask, voice, head, behaviour } = telling
  const tokens = said.calls.length > 0 ? [] : said.pieces
  const choices = Array.from({ length: telling.choices }, (_, index) => {
    const end = { index, finish: toFinish(telling), logprobs: renderLogprobs(telling, tokens) }
    return ask.route === 'chat'
      ? voice.wholeChoice(toWholeMessage(said, calls, telling), end)
      : voice.textChoice(said.pieces.join(''), end)
  })
  const object = ask.route === 'chat' ? 'chat.completion' : 'text_completion'
  return voice.document({ object, head, choices, tally, behaviour, last: true })
}

type Chunk = { index: number; tally: Tally | null; step: Pick<Step, 'delta' | 'text' | 'tokens'> }

export function renderChunk(telling: Telling, { index, tally, step }: Chunk): object {
  const logprobs = step.tokens > 0 && step.text !== '' ? renderLogprobs(telling, [step.text]) : null
  return renderChoiceChunk(
    telling,
    { delta: step.delta, text: step.text, tally, last: false },
    {
      index,
      logprobs,
      finish: null,
    },
  )
}

/** The event that tells why the answer ended. */
export function renderClosing(telling: Telling, { index, tally }: { index: number; tally: Tally | null }): object {
  const { ask, voice } = telling
  const isText = ask.route !== 'chat'
  const delta = { ...voice.everyDelta, ...voice.closing }
  const telltale = isText && voice.textUsageAlways
  return renderChoiceChunk(
    telling,
    {
      delta,
      text: '',
      tally: telltale || voice.timingsAtEnd || telling.everyUsage ? tally : null,
      last: !ask.includeUsage || telltale,
    },
    { index, logprobs: null, finish: toFinish(telling) },
  )
}

export function renderUsageChunk({ ask, voice, head, behaviour }: Telling, tally: Tally): object {
  return voice.document({ object: toChunkObject(ask), head, choices: [], tally, behaviour, last: true })
}

type Told = { delta: object; text: string; tally: Tally | null; last: boolean }

function renderChoiceChunk({ ask, voice, head, behaviour }: Telling, told: Told, end: ChoiceEnd): object {
  const choice = ask.route === 'chat' ? voice.chunkChoice(told.delta, end) : voice.textChoice(told.text, end)
  const { tally, last } = told
  return voice.document({ object: toChunkObject(ask), head, choices: [choice], tally, behaviour, last })
}

const toChunkObject = ({ route }: Ask) => (route === 'chat' ? 'chat.completion.chunk' : 'text_completion.chunk')

function toFinish({ said, ask, behaviour, voice }: Telling): string {
  if (behaviour.finish !== null) return behaviour.finish
  if (said.finish !== 'tool_calls') return said.finish
  return behaviour.toolQuirk === 'stop-finish' ? 'stop' : voice.calledFinish(ask.named)
}

function renderLogprobs({ ask, voice }: Telling, tokens: readonly string[]): unknown {
  const top = ask.logprobs
  return top === null
    ? null
    : voice.logprobs(
        tokens.map(token => ({ token, top })),
        ask.route,
      )
}

/** What one engine does differently: its pages, routes, wording and shapes. Each kind is a table of this type. */
import type { Ranked } from '../answer.ts'
import type { Behaviour } from '../behaviour.ts'
import type { Ask, Route } from '../request.ts'
import type { FakeState } from '../state.ts'

/** An answer that is not made of tokens. A string is sent as text, bytes as they are, `undefined` as nothing. */
export type Reply = { status: number; body: unknown; type?: string; headers?: Record<string, string> }

/** What pages tell of. */
export type Facts = {
  model: string
  state: FakeState
  behaviour: Behaviour
  loading: boolean
  /** Seconds since 1970 at which the engine was started. */
  started: number
}

export type Head = { id: string; model: string; created: number }
/** What an answer cost. */
export type Tally = {
  prompt: number
  completion: number
  /** Part of `prompt`. */
  cached: number
  /** Part of `completion`. */
  reasoning: number
  promptMs: number
  generationMs: number
}
export type Call = { id: string; name: string; arguments: string }
export type Message = { content: string; thought: string; calls: readonly Call[] }
export type ChoiceEnd = { index: number; logprobs: unknown; finish: string | null }
export type Document = {
  object: 'chat.completion' | 'chat.completion.chunk' | 'text_completion' | 'text_completion.chunk'
  head: Head
  choices: unknown[]
  tally: Tally | null
  /** The last document of a stream that is not `[DONE]`. */
  last: boolean
  behaviour: Behaviour
}
export type LogprobToken = { token: string; top: number }

/** How answers are written. */
export type Voice = {
  /** The fields around the choices. */
  document: (document: Document) => object
  /** The field that thought goes to; `null`: into the content, between `<think>` tags. */
  thoughtField: (behaviour: Behaviour) => 'reasoning' | 'reasoning_content' | null
  message: (message: Message, thoughtField: string | null) => object
  wholeChoice: (message: object, end: ChoiceEnd) => object
  chunkChoice: (delta: object, end: ChoiceEnd) => object
  textChoice: (text: string, end: ChoiceEnd) => object
  /** The delta in front of the first token. */
  opening: object | null
  /** What every delta holds, before its own fields. */
  everyDelta: object
  closing: object
  requestId: (route: Route, id: string) => string
  callId: (requestId: string, index: number) => string
  /** Streams: the call's name first and its arguments in pieces, or each call whole. */
  calls: 'in-pieces' | 'head-with-first-piece' | 'whole'
  /** A call as whole answers tell it. */
  call: (call: Call, index: number) => object
  /** The finish reason of an answer that calls tools. `named`: the request named the tool. */
  calledFinish: (named: boolean) => string
  /** The last event of a stream tells `timings`. */
  timingsAtEnd: boolean
  /** Streams of text completions tell the usage without being asked. */
  textUsageAlways: boolean
  logprobs: (tokens: readonly LogprobToken[], route: Route) => unknown
  /** Answers `n` choices. */
  manyChoices: boolean
  /** Knows `continuous_usage_stats`. */
  continuousUsage: boolean
  /** An error's body as an event in the middle of a stream; `null`: it hangs up instead. */
  streamError: ((body: unknown) => unknown) | null
  /** Sends `[DONE]` after an error too. */
  doneAfterError: boolean
}

export type Dialect = {
  /** On every answer. */
  headers: Record<string, string>
  /** On streams. */
  streamHeaders: Record<string, string>
  jsonType: string
  /** What is asked with GET. `{model}` in a path is the model's name; `silence` is never answered. */
  pages: Readonly<Record<string, (facts: Facts) => Reply | 'silence'>>
  routes: Readonly<Record<string, Route>>
  /** What GET and POST get while weights load; `null`: what they always get, and work waits. */
  loading: (path: string, facts: Facts) => Reply | null
  /** Pages that want no key. */
  isPublic: (path: string) => boolean
  /** Any error, in this engine's shape. */
  refuse: (status: number, message: string) => Reply
  unknownPath: Reply
  unauthorised: Reply
  /** The body is no JSON. */
  badJson: (problem: string) => Reply
  badBody: (problem: string) => Reply
  /** `null`: any name is served. */
  unknownModel: ((model: string) => Reply) | null
  /** `null`: it fits, or this engine cuts the prompt without a word. */
  contextExceeded: (asked: { prompt: number; output: number | null; limit: number }) => Reply | null
  queueFull: Reply
  noVision: (model: string) => Reply
  takesImage: (url: string) => boolean
  /** What an image that is not taken gets. */
  badImage: Reply
  /** `null`: tools are ignored then. */
  noTools: ((model: string) => Reply) | null
  /** What a `suffix` on text completions gets; `null`: it is taken. */
  noSuffix: Reply | null
  voice: Voice
  embeddings: (ask: Ask, vectors: (number[] | string)[]) => object
  takesBase64: boolean
  rerank: (ask: Ask, ranked: readonly Ranked[]) => unknown
  tokenize: (ask: Ask, facts: Facts) => unknown
  inputTokens: (ask: Ask, path: string) => object
}

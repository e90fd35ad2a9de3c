/**
 * A translation: one request between a client's dialect and the one that engines speak (OpenAI chat completions).
 * Pure, both ways. A dialect reads the client's body once, and gives what turns the engine's answer back.
 */
import type { Fault, HttpFault } from '../fault.ts'
import type { RequestId } from '../units.ts'
import type { ChatMessage, ChatRequest } from './chat.ts'

/** What a translation needs beside the body. */
export type TranslationContext = {
  /** Ids of the answer's parts are made from it (`msg_…`, `resp_…`). */
  id: RequestId
  /** Seconds since 1970. */
  created: number
}

/** A client's body, understood: what the engine is asked, and how its answer goes back. */
export type Translated = { ok: true; request: ChatRequest; answer: AnswerTranslator } | { ok: false; fault: Fault }

/** Turns an engine's answer into the client's dialect. */
export interface AnswerTranslator {
  /** A whole chat completion, as parsed. Throws FaultError `engine-failed` when it is none. */
  whole(completion: unknown): Record<string, unknown>
  /** One stream. Each replica that is tried gets its own; only the last one's events reach the client. */
  stream(): StreamTranslator
  /** Its clients have to name a longest answer, and name what a far larger model could do: an engine may be asked without it. */
  readonly longestIsAWish?: true
  /** What later requests may go on from; `null`: the client wants nothing kept, or the answer is not complete. */
  kept?(): KeptResponse | null
}

/** A conversation up to and with one answer. */
export type PreviousTurns = {
  /** Without the `instructions` of the requests: those belong to one request each. */
  messages: readonly ChatMessage[]
  /** The answer's output items, as the client got them. */
  output: readonly Readonly<Record<string, unknown>>[]
}

/** An answer that can be asked for again, and gone on from. */
export type KeptResponse = {
  /** `resp_…` */
  id: string
  response: Readonly<Record<string, unknown>>
  turns: PreviousTurns
}

/** Server-sent events in the client's dialect, as text: each piece is whole events, or '' for none. */
export interface StreamTranslator {
  /** One chunk of the engine's stream, as parsed; the usage chunk too. */
  chunk(chunk: unknown): string
  /** The engine's stream is complete. */
  end(): string
  /** It broke: the events that end an answer with an error, whatever was sent before. */
  fail(error: HttpFault): string
}

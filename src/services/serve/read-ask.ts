/** From a parsed body to what engines are asked: each dialect's translation, or the body as it is. */
import {
  fromCountTokens,
  fromMessages,
  fromResponses,
  type AnswerTranslator,
  type ChatRequest,
  type PreviousTurns,
} from '../../domain/dialect/index.ts'
import { FaultError, type Fault } from '../../domain/fault.ts'
import { parseAsk, type EnginePath } from '../../domain/serving/index.ts'
import type { Conversations } from './conversations.ts'
import { ownerOf, type Exchange } from './exchange.ts'

export type ReadAskParts = {
  /** What earlier answers said, for `previous_response_id`. */
  conversations: Conversations
  /** Told of what the request brings from memory. Throws FaultError when there is no room for it now. */
  reserve: (bytes: number) => void
}

/** Sets the exchange's `ask`, and its `translator` where the client's dialect is not the engines'. Throws FaultError. */
export function readAsk(exchange: Exchange, body: unknown, { conversations, reserve }: ReadAskParts): void {
  const { path } = exchange.head
  const found = new Map<string, PreviousTurns | null>()
  const context = { id: exchange.id, created: Math.trunc(exchange.arrivedAt / 1000) }
  switch (path) {
    case 'messages':
      return translated('chat/completions', fromMessages(body, context))
    case 'messages/count_tokens':
      return translated('tokenize', fromCountTokens(body))
    case 'responses': {
      const { principal } = exchange
      if (principal === null) throw new TypeError('read comes after authenticate')
      const owner = ownerOf(principal)
      return translated('chat/completions', fromResponses(body, { ...context, previous: id => earlier(owner, id) }))
    }
    case 'chat/completions':
    case 'completions':
    case 'embeddings':
    case 'rerank':
    case 'tokenize':
    case 'audio/transcriptions':
    case 'audio/speech':
      return asked(path, body)
    default:
      return path satisfies never
  }

  /** Read once, however often its items are referred to. */
  function earlier(owner: string, id: string): PreviousTurns | null {
    const known = found.get(id)
    if (known !== undefined) return known
    const kept = conversations.get(owner, id)
    found.set(id, kept?.turns ?? null)
    if (kept !== null) reserve(kept.bytes)
    return kept?.turns ?? null
  }

  function translated(
    to: EnginePath,
    reading: { ok: true; request: ChatRequest; answer: AnswerTranslator } | { ok: false; fault: Fault },
  ): void {
    if (!reading.ok) throw new FaultError(reading.fault)
    exchange.translator = reading.answer
    asked(to, reading.request)
  }

  function asked(to: EnginePath, request: unknown): void {
    const parsed = parseAsk(to, request)
    if (!parsed.ok) throw new FaultError(parsed.fault)
    exchange.ask = parsed.ask
  }
}

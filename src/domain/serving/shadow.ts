/** Shadow: which requests may be copied to a candidate, and what becomes of both answers. */
import type { Instant, ModelName, RequestId, VersionName } from '../units.ts'
import type { Ask } from './ask.ts'

/** One request that both versions answered, as a gateway sends it to its controller. Texts are in `sealed` alone. */
export type ShadowPair = {
  /** Of the request that was copied. */
  id: RequestId
  at: Instant
  /** In characters. `candidate` null: it failed. */
  lengths: { live: number; candidate: number | null }
  candidate: {
    ok: boolean
    status: number
    /** The fault's kind when there was one. */
    fault: string | null
    /** Of a stream; `null`: it was none, or nothing came. */
    firstTokenMs: number | null
    totalMs: number
  }
  /** `PairTexts` as JSON, readable with the release's private key alone; `null`: the candidate failed, so there is nothing to compare. */
  sealed: string | null
}

/** One answer that a client got, as a gateway sends it to its controller for a mark. Texts are in `sealed` alone. */
export type LiveSample = {
  /** Of the request. */
  id: RequestId
  model: ModelName
  version: VersionName
  /** `SampleTexts` as JSON, readable with the controller's private key alone. */
  sealed: string
}

export type SampleTexts = { messages: unknown; answer: string }

export type PairTexts = { messages: unknown; live: string; candidate: string }

/**
 * Only plain conversations: whatever calls tools could do things twice, and what is no text can't be compared. One that names
 * a tool's answer is part of a round that the candidate had no part in.
 */
export function mayCopy({ path, body }: Ask): boolean {
  const { messages, tools, functions, n, modalities, audio } = body
  if (path !== 'chat/completions' || !Array.isArray(messages)) return false
  if (isSome(tools) || isSome(functions) || isSome(audio) || isSome(modalities)) return false
  if (n !== undefined && n !== null && n !== 1) return false
  return messages.every(isOfText)
}

const isSome = (value: unknown): boolean =>
  value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0)

const copied: readonly unknown[] = ['system', 'developer', 'user', 'assistant']

function isOfText(message: unknown): boolean {
  if (typeof message !== 'object' || message === null || !('role' in message) || !copied.includes(message.role))
    return false
  if ('tool_calls' in message && isSome(message.tool_calls)) return false
  if ('function_call' in message && isSome(message.function_call)) return false
  if (!('content' in message) || message.content === null || typeof message.content === 'string') return true
  return Array.isArray(message.content) && message.content.every(isTextPart)
}

const isTextPart = (part: unknown): boolean =>
  typeof part === 'object' && part !== null && 'type' in part && part.type === 'text'

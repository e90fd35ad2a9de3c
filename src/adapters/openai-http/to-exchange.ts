/** A request for a model as the pipeline sees it, whoever parsed its head. */
import type { ModelPath } from '../../domain/serving/index.ts'
import { instant, type RequestId } from '../../domain/units.ts'
import type { Exchange, ReadBody, Reply } from '../../services/serve/index.ts'
import { surfaceOfModel } from './model-paths.ts'
import type { RequestHeaders } from './plain-head.ts'

export type ExchangeParts = {
  id: RequestId
  path: string
  modelPath: ModelPath
  from: string
  headers: RequestHeaders
  /** `null`: not declared. */
  declaredBytes: number | null
  reply: Reply
  readBody: ReadBody
}

export function toExchange(parts: ExchangeParts): Exchange {
  const { headers } = parts
  return {
    id: parts.id,
    head: {
      path: parts.modelPath,
      surface: surfaceOfModel(parts.modelPath),
      route: parts.path,
      key: keyOf(headers),
      clientId: short(headers['x-request-id']),
      from: parts.from,
      declaredBytes: parts.declaredBytes,
      contentType: text(headers['content-type']) ?? '',
      // Ours, or OpenWebUI's name for its chat.
      conversation: named(headers['x-holdfast-conversation'] ?? headers['x-openwebui-chat-id']),
      // OpenWebUI's name for the person who asks, where it is told to pass it on.
      user: named(headers['x-openwebui-user-id']),
    },
    reply: parts.reply,
    readBody: parts.readBody,
    arrivedAt: instant(Date.now()),
    startedMs: performance.now(),
    gone: false,
    interrupt: null,
    principal: null,
    priority: 'normal',
    ask: null,
    form: null,
    translator: null,
    stream: null,
    flags: noFlags,
    model: null,
    answering: null,
    version: null,
    mark: null,
    replica: null,
    attempts: 0,
    opened: false,
    choice: null,
    waitedMs: null,
    gpuMs: null,
    limitHeaders: {},
    firstByteMs: null,
    inputTokens: null,
    outputTokens: null,
    pieces: 0,
    estimatedTokens: null,
    lastHead: null,
    lastBytes: null,
    tee: null,
    onEnded: null,
  }
}

const noFlags: readonly string[] = []

/** `Authorization: Bearer`, or `x-api-key` as Anthropic's clients send it. */
export function keyOf(headers: RequestHeaders): string | null {
  // Who says Authorization is not asked for another header.
  if (headers.authorization !== undefined) return /^bearer +(\S+) *$/i.exec(String(headers.authorization))?.[1] ?? null
  return text(headers['x-api-key']) || null
}

/** Longer than any client's own name for a thing has to be. */
const mostNameCharacters = 128

const named = (value: string | string[] | undefined): string | null => short(value) || null

const short = (value: string | string[] | undefined): string | null => text(value)?.slice(0, mostNameCharacters) ?? null

/** Node makes a list only of `set-cookie`. */
const text = (value: string | string[] | undefined): string | null => (typeof value === 'string' ? value : null)

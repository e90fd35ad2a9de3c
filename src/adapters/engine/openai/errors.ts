/** What OpenAI-compatible engines' errors mean. Shapes: OpenAI's, vLLM's (`object: "error"`), llama.cpp's. */
import type { Fault } from '../../../domain/fault.ts'
import { tokens } from '../../../domain/units.ts'

const longestMessage = 1_000

/** `text` is the answer's body; engines and the proxies before them also send HTML and nothing. */
export function toFault(status: number, text: string): Fault {
  const error = readError(text)
  const detail = error.message.slice(0, longestMessage)
  if (status === 401 || status === 403) {
    return {
      kind: 'engine-failed',
      status,
      detail: "it refuses the credentials that the spec gives for it (the replica's apiKey)",
    }
  }
  if (status === 404) return { kind: 'engine-failed', status, detail: detail || 'it has no such model or route' }
  if (status === 408 || status === 429 || status === 503)
    return { kind: 'not-ready', why: detail || `the engine answered ${status}` }
  if (status >= 400 && status < 500) {
    const context = readContext(error, detail)
    if (context !== null) return context
    return {
      kind: 'engine-refused',
      status,
      message: detail || `The engine refused the request (HTTP ${status}).`,
      param: error.param,
      code: error.code,
    }
  }
  return { kind: 'engine-failed', status, detail: detail || 'without saying why' }
}

type EngineError = {
  message: string
  param: string | null
  code: string | null
  type: string | null
  asked: number | null
  limit: number | null
}

function readError(text: string): EngineError {
  const nothing: EngineError = { message: '', param: null, code: null, type: null, asked: null, limit: null }
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // Not JSON: a proxy's page. Its text helps nobody.
    return nothing
  }
  const body = field(parsed, 'error') ?? parsed
  if (typeof body === 'string') return { ...nothing, message: body }
  return {
    message: asText(field(body, 'message')) ?? asText(field(body, 'detail')) ?? '',
    param: asText(field(body, 'param')),
    code: asText(field(body, 'code')),
    type: asText(field(body, 'type')),
    asked: asCount(field(body, 'n_prompt_tokens')),
    limit: asCount(field(body, 'n_ctx')),
  }
}

/** llama.cpp gives both numbers as fields, vLLM in its sentence («maximum context length is 512 tokens … 6011»). */
function readContext(error: EngineError, message: string): Fault | null {
  if (error.asked !== null && error.limit !== null) return exceeded(error.asked, error.limit)
  const limit = /maximum (?:context length|model length)[^\d]*(\d+)/i.exec(message)?.[1]
  if (limit === undefined) return null
  const asked = /(?:requested|has|contains|resulted in)[^\d]*(\d+)[^\d]*tokens/i.exec(message)?.[1]
  return asked === undefined ? null : exceeded(Number(asked), Number(limit))
}

function exceeded(asked: number, limit: number): Fault {
  return { kind: 'context-exceeded', asked: tokens(asked), limit: tokens(limit) }
}

function field(value: unknown, name: string): unknown {
  // A record after the check; its fields stay unknown.
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

const asText = (value: unknown): string | null => (typeof value === 'string' ? value : null)
const asCount = (value: unknown): number | null => (typeof value === 'number' ? value : null)

/** What an engine sent, parsed: too much of it, what is no JSON object and what is an error end the attempt (`engine-failed`). */
import { FaultError } from '../../domain/fault.ts'
import { measureJson, type JsonSize } from './json-size.ts'

export type Parsing = {
  /** As a fault names it: 'its answer'. */
  what: string
  most: JsonSize
}

export function parseAnswer(text: string, { what, most }: Parsing): unknown {
  const { tooMuch } = measureJson(text, most)
  if (tooMuch !== null) throw answerFailed(`${what} holds more than ${most[tooMuch]} ${tooMuch}`)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw answerFailed(`${what} is not JSON`, error)
  }
}

export function recordOf(parsed: unknown, what: string): Record<string, unknown> {
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw answerFailed(`${what} is not a JSON object`)
  // A record after the check; its fields stay unknown.
  return parsed as Record<string, unknown>
}

/** Throws when the engine's answer is an error, whatever its status said. */
export function refuseError({ error }: Record<string, unknown>): void {
  if (error !== undefined && error !== null) throw answerFailed(messageOf(error))
}

export function answerFailed(detail: string, cause?: unknown): FaultError {
  return new FaultError({ kind: 'engine-failed', status: 200, detail }, { cause })
}

const longestMessage = 1_000

export function messageOf(error: unknown): string {
  if (typeof error === 'string') return error.slice(0, longestMessage)
  if (typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string')
    return error.message.slice(0, longestMessage)
  return 'it sent an error'
}

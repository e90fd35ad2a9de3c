/** An engine's answer on its way to the client: streamed (`stream-answer.ts`) or whole (`whole-answer.ts`). */
import { liteLlmHeaders } from '../../domain/serving/index.ts'
import { millis } from '../../domain/units.ts'
import type { Exchange } from './exchange.ts'

/** An answer as it arrives. Every method may throw FaultError. */
export interface Answer {
  head(contentType: string): void
  /** `more`: go on · `wait`: the client reads slowly · `complete`: all that the client gets is here. */
  data(chunk: Buffer): 'more' | 'wait' | 'complete'
  end(): void
}

/**
 * Headers that every answer of an engine goes out with. `isWhole`: the answer is complete with its first byte, so its time is
 * known. One object, filled in place: copies of its parts cost more than the parts.
 */
export function answerHeaders(exchange: Exchange, contentType: string, isWhole = false): Record<string, string> {
  const { id, version, model, attempts } = exchange
  const headers: Record<string, string> = {
    'content-type': isPlain(contentType) ? contentType : 'application/octet-stream',
    'x-request-id': id,
  }
  routeHeaders(exchange, headers)
  Object.assign(headers, exchange.limitHeaders)
  return liteLlmHeaders(
    {
      callId: id,
      modelId: version?.name ?? null,
      modelGroup: model?.name ?? null,
      attemptedRetries: attempts - 1,
      responseDuration: isWhole ? exchange.firstByteMs : null,
    },
    headers,
  )
}

/** Who answered, and how many were asked, beside what is in `headers`. */
export function routeHeaders(
  { version, replica, attempts, flags }: Exchange,
  headers: Record<string, string> = {},
): Record<string, string> {
  if (version !== null) headers['x-holdfast-version'] = version.name
  if (replica !== null) headers['x-holdfast-replica'] = replica
  if (attempts > 0) headers['x-holdfast-attempts'] = String(attempts)
  if (flags.length > 0) Object.assign(headers, flagHeaders(flags))
  return headers
}

/** What was on for it. */
export const flagHeaders = (flags: readonly string[]): Record<string, string> =>
  flags.length === 0 ? {} : { 'x-holdfast-flags': flags.join(',') }

/** Node throws at other characters in a header, and engines may send any. */
const isPlain = (contentType: string): boolean => /^[\x20-\x7e]{1,256}$/.test(contentType)

/** Notes when the first piece of an answer went to the client. */
export function noteFirstByte(exchange: Exchange): void {
  exchange.firstByteMs ??= millis(performance.now() - exchange.startedMs)
}

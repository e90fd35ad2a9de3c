/** An engine's answer on its way to the client: streamed (`stream-answer.ts`) or whole (`whole-answer.ts`). */
import { millis } from '../../domain/units.ts'
import type { Exchange } from './exchange.ts'

/** An answer as it arrives. Every method may throw FaultError. */
export interface Answer {
  head(contentType: string): void
  /** `more`: go on · `wait`: the client reads slowly · `complete`: all that the client gets is here. */
  data(chunk: Buffer): 'more' | 'wait' | 'complete'
  end(): void
}

/** Headers that every answer of an engine goes out with. */
export function answerHeaders(exchange: Exchange, contentType: string): Record<string, string> {
  return {
    'content-type': contentType,
    'x-request-id': exchange.id,
    ...(exchange.version === null ? {} : { 'x-holdfast-version': exchange.version.name }),
  }
}

/** Notes when the first piece of an answer went to the client. */
export function noteFirstByte(exchange: Exchange): void {
  exchange.firstByteMs ??= millis(performance.now() - exchange.startedMs)
}

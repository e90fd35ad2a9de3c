/** Read: the body, once, as JSON. */
import { isUtf8 } from 'node:buffer'
import { FaultError } from '../../domain/fault.ts'
import { millis } from '../../domain/units.ts'
import { parseAsk, type GatewayLimits } from '../../domain/serving/index.ts'
import type { Stage } from './exchange.ts'

/** What all requests together may hold of bodies, also of those still arriving. Beyond it the next one comes back later. */
const heldBodiesBytes = 512 * 1024 * 1024
const retryAfter = millis(1_000)

export const read = (limits: () => GatewayLimits, most = heldBodiesBytes): Stage => {
  let held = 0
  return next => async exchange => {
    const { body: limit, inFlight } = limits()
    // A body that declares no length may become as long as the limit.
    const reserved = exchange.head.declaredBytes ?? limit
    if (held > 0 && held + reserved > most) throw new FaultError({ kind: 'overloaded', retryAfter, inFlight })
    held += reserved
    try {
      const bytes = await exchange.readBody(limit)
      if (!isUtf8(bytes)) throw new FaultError({ kind: 'body-not-utf8' })
      const parsed = parseAsk(exchange.head.path, parseJson(bytes))
      if (!parsed.ok) throw new FaultError(parsed.fault)
      exchange.ask = parsed.ask
      await next(exchange)
    } finally {
      held -= reserved
    }
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch (error) {
    throw new FaultError({ kind: 'body-not-json', detail: bytes.length === 0 ? 'it is empty.' : placeOf(error) })
  }
}

/** V8 quotes the text around the mistake, which may be a person's prompt: only the place is told. */
function placeOf(error: unknown): string {
  const place = /position \d+|Unexpected end|line \d+ column \d+/.exec(error instanceof Error ? error.message : '')
  return place === null ? 'it could not be parsed.' : `the mistake is at ${place[0]}.`
}

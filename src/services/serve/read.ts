/** Read: the body, once, and what it asks for, whatever dialect it is written in. */
import { isUtf8 } from 'node:buffer'
import { FaultError } from '../../domain/fault.ts'
import { millis } from '../../domain/units.ts'
import { parsePlainAsk, type Ask, type GatewayLimits, type ModelPath } from '../../domain/serving/index.ts'
import type { Exchange, Stage } from './exchange.ts'
import { measureJson, requestSize, type TooMuch } from './json-size.ts'
import { plainBody } from './plain-body.ts'
import { readAsk, type ReadAskParts } from './read-ask.ts'
import { fieldsOf, readForm } from './read-form.ts'
import { scanBody } from './scan-body.ts'

/** What all requests together may hold of bodies, also of those still arriving. Beyond it the next one comes back later. */
const heldBodiesBytes = 512 * 1024 * 1024
/** What a value of a body takes beyond its text, about. */
const valueBytes = 64
const retryAfter = millis(1_000)

export type ReadParts = Omit<ReadAskParts, 'reserve'> & { limits: () => GatewayLimits }

export const read = ({ limits, conversations }: ReadParts, most = heldBodiesBytes): Stage => {
  let all = 0
  return (exchange, held) => {
    const { body: limit, inFlight } = limits()
    let reserved = 0
    const reserve = (bytes: number): void => {
      const others = all - reserved
      if (others > 0 && all + bytes > most) throw new FaultError({ kind: 'overloaded', retryAfter, inFlight })
      all += bytes
      reserved += bytes
    }
    held.push(() => {
      all -= reserved
    })
    // A body that declares no length may become as long as the limit.
    reserve(exchange.head.declaredBytes ?? limit)
    return exchange.readBody(limit).then(bytes => take(exchange, bytes, { conversations, reserve }))
  }
}

function take(exchange: Exchange, bytes: Uint8Array, parts: ReadAskParts): void | Promise<void> {
  const { path, contentType } = exchange.head
  if (path === 'audio/transcriptions')
    return readForm(contentType, bytes).then(form => {
      exchange.form = form
      readAsk(exchange, fieldsOf(form), parts)
    })
  exchange.ask = readPlain(path, bytes, parts.reserve)
  if (exchange.ask === null) readAsk(exchange, parseJson(bytes, parts.reserve), parts)
}

/** Most bodies that are written as engines take them; `null`: it has to be parsed. */
function readPlain(path: ModelPath, bytes: Uint8Array, reserve: (bytes: number) => void): Ask | null {
  if (path !== 'chat/completions' && path !== 'completions' && path !== 'embeddings') return null
  const scanned = scanBody(bytes)
  if (scanned === null) return null
  // An object, since it was scanned.
  const parse = (): Ask['body'] => JSON.parse(scanned.bytes.toString('utf8')) as Ask['body']
  const ask = parsePlainAsk(path, plainBody(scanned), parse)
  // Also what is not parsed now may be.
  if (ask !== null) reserve(scanned.values * valueBytes)
  return ask
}

function parseJson(bytes: Uint8Array, reserve: (bytes: number) => void): unknown {
  if (!isUtf8(bytes)) throw new FaultError({ kind: 'body-not-utf8' })
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const { values, tooMuch } = measureJson(text, requestSize)
  if (tooMuch !== null) throw new FaultError({ kind: 'request-invalid', param: null, problem: tooMuchOf[tooMuch] })
  reserve(values * valueBytes)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new FaultError({ kind: 'body-not-json', detail: bytes.length === 0 ? 'it is empty.' : placeOf(error) })
  }
}

const tooMuchOf = {
  levels: `The request body is nested too deeply: ${requestSize.levels} levels are allowed here.`,
  values: `The request body holds more than the ${requestSize.values} values allowed here. Send less at once.`,
} satisfies Record<TooMuch, string>

/** V8 quotes the text around the mistake, which may be a person's prompt: only the place is told. */
function placeOf(error: unknown): string {
  const place = /position \d+|Unexpected end|line \d+ column \d+/.exec(error instanceof Error ? error.message : '')
  return place === null ? 'it could not be parsed.' : `the mistake is at ${place[0]}.`
}

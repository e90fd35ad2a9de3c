/** Read: the body, once, and what it asks for, whatever dialect it is written in. */
import { isUtf8 } from 'node:buffer'
import { FaultError } from '../../domain/fault.ts'
import { millis } from '../../domain/units.ts'
import type { GatewayLimits } from '../../domain/serving/index.ts'
import type { Exchange, Stage } from './exchange.ts'
import { readAsk, type ReadAskParts } from './read-ask.ts'

/** What all requests together may hold of bodies, also of those still arriving. Beyond it the next one comes back later. */
const heldBodiesBytes = 512 * 1024 * 1024
const retryAfter = millis(1_000)

export type ReadParts = ReadAskParts & { limits: () => GatewayLimits }

export const read = (parts: ReadParts, most = heldBodiesBytes): Stage => {
  let held = 0
  return next => async exchange => {
    const { body: limit, inFlight } = parts.limits()
    // A body that declares no length may become as long as the limit.
    const reserved = exchange.head.declaredBytes ?? limit
    if (held > 0 && held + reserved > most) throw new FaultError({ kind: 'overloaded', retryAfter, inFlight })
    held += reserved
    try {
      const bytes = await exchange.readBody(limit)
      if (exchange.head.path === 'audio/transcriptions') exchange.form = await parseForm(exchange, bytes)
      readAsk(exchange, exchange.form === null ? parseJson(bytes) : fieldsOf(exchange.form), parts)
      await next(exchange)
    } finally {
      held -= reserved
    }
  }
}

function parseJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) throw new FaultError({ kind: 'body-not-utf8' })
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

async function parseForm({ head }: Exchange, bytes: Uint8Array): Promise<FormData> {
  const problem = "This route takes multipart/form-data with the fields 'model' and 'file'."
  if (!head.contentType.toLowerCase().startsWith('multipart/form-data'))
    throw new FaultError({ kind: 'request-invalid', param: null, problem })
  try {
    // A Uint8Array over a plain ArrayBuffer is a body; the cast only drops the case of shared memory, which sockets never give.
    const body = bytes as Uint8Array<ArrayBuffer>
    return await new Response(body, { headers: { 'content-type': head.contentType } }).formData()
  } catch (error) {
    throw new FaultError(
      { kind: 'request-invalid', param: null, problem: `${problem} This one cannot be read.` },
      { cause: error },
    )
  }
}

/** The text fields of a form; the first of each name counts. `stream` is a word there. */
function fieldsOf(form: FormData): Record<string, unknown> {
  if (!(form.get('file') instanceof Blob))
    throw new FaultError({ kind: 'request-invalid', param: 'file', problem: "'file' must be the recording, a file." })
  const fields: Record<string, unknown> = {}
  for (const [name, value] of form) if (typeof value === 'string') fields[name] ??= value
  if (fields['stream'] !== undefined) fields['stream'] = fields['stream'] === 'true'
  return fields
}

/** An answer that is not streamed: gathered whole, so that a replica that dies in the middle of it can be replaced. */
import { FaultError } from '../../domain/fault.ts'
import type { Exchange } from './exchange.ts'
import { answerHeaders, noteFirstByte, type Answer } from './answer.ts'
import type { Repair } from './ports.ts'
import { noteUsage } from './usage.ts'

/** Embeddings of a large batch are the largest answers there are. */
const mostBytes = 256 * 1024 * 1024

export function wholeAnswer(exchange: Exchange, repair: Repair | null): Answer {
  const chunks: Buffer[] = []
  let length = 0
  let type = ''
  return {
    head(contentType) {
      type = contentType
    },
    data(chunk) {
      length += chunk.length
      if (length > mostBytes) throw failed(`its answer is larger than ${mostBytes} bytes`)
      chunks.push(chunk)
      return 'more'
    },
    end() {
      const theirs = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
      // A transcript may be asked for as text or subtitles.
      const isText = exchange.form !== null && !type.startsWith('application/json')
      const body = isText ? theirs : toClient(theirs)
      noteFirstByte(exchange)
      exchange.lastHead = {
        status: 200,
        headers: {
          ...answerHeaders(exchange, isText ? type || 'text/plain; charset=utf-8' : 'application/json', true),
          'content-length': String(body.length),
        },
      }
      exchange.lastBytes = body
    },
  }

  /** The engine's own bytes when nothing has to be changed in them. */
  function toClient(theirs: Buffer): Buffer {
    const { translator } = exchange
    const parsed = parse(theirs)
    const answer = repair === null ? parsed : repair.whole(parsed)
    if (typeof answer !== 'object' || answer === null || Array.isArray(answer))
      throw failed('its answer is not a JSON object')
    noteUsage(exchange, 'usage' in answer ? answer.usage : null)
    if (translator === null) return repair === null ? theirs : Buffer.from(JSON.stringify(answer))
    return Buffer.from(JSON.stringify(translator.whole(answer)))
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw failed('its answer is not JSON', error)
  }
}

function failed(detail: string, cause?: unknown): FaultError {
  return new FaultError({ kind: 'engine-failed', status: 200, detail }, { cause })
}

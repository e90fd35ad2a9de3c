/** An answer that is not streamed: gathered whole, so that a replica that dies in the middle of it can be replaced. */
import { isUtf8 } from 'node:buffer'
import { answerProblem } from '../../domain/serving/index.ts'
import type { Exchange } from './exchange.ts'
import { answerHeaders, noteFirstByte, type Answer } from './answer.ts'
import { answerFailed, parseAnswer, recordOf, refuseError } from './parse-answer.ts'
import type { Repair } from './ports.ts'
import { noteUsage } from './usage.ts'

/** Embeddings of a large batch are the largest answers there are. */
const mostBytes = 256 * 1024 * 1024
/** What they hold is numbers, which are cheap; the others may hold what chats tell of each token. */
const mostValues = 5_000_000
const mostLevels = 500

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
      if (length > mostBytes) throw answerFailed(`its answer is larger than ${mostBytes} bytes`)
      chunks.push(chunk)
      return 'more'
    },
    end() {
      const theirs = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
      // A transcript may be asked for as text or subtitles.
      const isText = exchange.form !== null && !type.startsWith('application/json')
      const body = isText ? theirs : toClient(theirs)
      noteFirstByte(exchange)
      const headers = answerHeaders(exchange, isText ? type || 'text/plain; charset=utf-8' : 'application/json', true)
      headers['content-length'] = String(body.length)
      exchange.lastHead = { status: 200, headers }
      exchange.lastBytes = body
    },
  }

  /** The engine's own bytes when nothing has to be changed in them. */
  function toClient(theirs: Buffer): Buffer {
    const { ask, translator } = exchange
    const values = ask?.path === 'embeddings' ? Infinity : mostValues
    const parsed = parseAnswer(theirs.toString('utf8'), { what: 'its answer', most: { values, levels: mostLevels } })
    if (!Array.isArray(parsed)) refuseError(recordOf(parsed, 'its answer'))
    const answer = recordOf(repair === null ? parsed : repair.whole(parsed), 'its answer')
    const problem = ask === null ? null : answerProblem(ask, answer)
    if (problem !== null) throw answerFailed(problem)
    noteUsage(exchange, answer['usage'])
    exchange.tee?.whole(answer)
    // Bytes that are no UTF-8 became other characters when they were parsed.
    if (translator === null && answer === parsed && isUtf8(theirs)) return theirs
    if (translator === null) return Buffer.from(JSON.stringify(answer))
    return Buffer.from(JSON.stringify(translator.whole(answer)))
  }
}

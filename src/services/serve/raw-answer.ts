/** An answer that is neither text nor events (speech): its bytes go out as they come, the last of them after the journal has the record. */
import { answerHeaders, noteFirstByte, type Answer } from './answer.ts'
import type { Exchange } from './exchange.ts'
import { answerFailed } from './parse-answer.ts'

export function rawAnswer(exchange: Exchange): Answer {
  const { reply } = exchange
  /** One piece behind, so that there is a last one to hold back, and a replica that is lost before it can be replaced. */
  let held: Buffer | null = null
  let headers: Record<string, string> = {}
  return {
    head(contentType) {
      if (/^(application\/json|text\/html)/i.test(contentType)) throw answerFailed(`it answered with ${contentType}`)
      headers = answerHeaders(exchange, contentType || 'application/octet-stream')
    },
    data(chunk) {
      const before = held
      held = chunk
      if (before === null) return 'more'
      if (!reply.headSent) reply.head(200, headers)
      noteFirstByte(exchange)
      return reply.write(before) ? 'more' : 'wait'
    },
    end() {
      if (held === null) throw answerFailed('its answer is empty')
      noteFirstByte(exchange)
      if (!reply.headSent)
        exchange.lastHead = { status: 200, headers: { ...headers, 'content-length': String(held.length) } }
      exchange.lastBytes = held
    },
  }
}

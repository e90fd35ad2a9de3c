/** An answer that is neither text nor events (speech): its bytes go out as they come, the last of them after the journal has the record. */
import { FaultError } from '../../domain/fault.ts'
import { answerHeaders, noteFirstByte, type Answer } from './answer.ts'
import type { Exchange } from './exchange.ts'

export function rawAnswer(exchange: Exchange): Answer {
  const { reply } = exchange
  /** One piece behind, so that there is a last one to hold back. */
  let held: Buffer | null = null
  return {
    head(contentType) {
      if (reply.headSent) throw new FaultError({ kind: 'engine-lost', sentBytes: reply.sentBytes })
      reply.head(200, answerHeaders(exchange, contentType || 'application/octet-stream'))
    },
    data(chunk) {
      const before = held
      held = chunk
      if (before === null) return 'more'
      noteFirstByte(exchange)
      return reply.write(before) ? 'more' : 'wait'
    },
    end() {
      noteFirstByte(exchange)
      exchange.lastBytes = held
    },
  }
}

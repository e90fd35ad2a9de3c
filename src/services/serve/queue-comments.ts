/** What a stream is told while it waits for its place: comments, which clients pass over and proxies take for life. */
import type { Millis } from '../../domain/units.ts'
import { flagHeaders } from './answer.ts'
import type { Exchange } from './exchange.ts'

/** Until the first of them a refusal can still be a status of its own, which clients understand best. */
const everyMs = 5_000

export type QueueComments = {
  /** Its place in the queue (1 is next), and how long it is expected to wait. */
  tell: (place: number, expected: Millis) => void
  /** The wait is over. */
  stop: () => void
}

export function queueComments(exchange: Exchange): QueueComments {
  let timer: NodeJS.Timeout | null = null
  let words = ''
  return {
    tell(place, expected) {
      words = `: waiting, place ${place} in the queue, about ${Math.ceil(expected / 1000)} s\n\n`
      if (exchange.ask?.stream === true) timer ??= setInterval(write, everyMs)
    },
    stop() {
      if (timer !== null) clearInterval(timer)
    },
  }

  function write(): void {
    const { reply } = exchange
    if (exchange.gone) return
    if (!reply.headSent) {
      reply.head(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'x-request-id': exchange.id,
        'cache-control': 'no-cache',
        'x-accel-buffering': 'no',
        ...exchange.limitHeaders,
        ...flagHeaders(exchange.flags),
      })
    }
    reply.write(Buffer.from(words))
  }
}

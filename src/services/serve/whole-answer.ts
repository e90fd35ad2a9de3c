/** An answer that is not streamed: gathered whole, so that a replica that dies in the middle of it can be replaced. */
import { FaultError } from '../../domain/fault.ts'
import type { Exchange } from './exchange.ts'
import { answerHeaders, noteFirstByte, type Answer } from './answer.ts'
import { noteUsage } from './usage.ts'

/** Embeddings of a large batch are the largest answers there are. */
const mostBytes = 256 * 1024 * 1024

export function wholeAnswer(exchange: Exchange): Answer {
  const chunks: Buffer[] = []
  let length = 0
  return {
    head() {},
    data(chunk) {
      length += chunk.length
      if (length > mostBytes)
        throw new FaultError({
          kind: 'engine-failed',
          status: 200,
          detail: `its answer is larger than ${mostBytes} bytes`,
        })
      chunks.push(chunk)
      return 'more'
    },
    end() {
      const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
      noteUsage(exchange, readUsage(body))
      noteFirstByte(exchange)
      exchange.lastHead = {
        status: 200,
        headers: { ...answerHeaders(exchange, 'application/json'), 'content-length': String(body.length) },
      }
      exchange.lastBytes = body
    },
  }
}

function readUsage(body: Buffer): unknown {
  try {
    const answer: unknown = JSON.parse(body.toString('utf8'))
    if (typeof answer === 'object' && answer !== null && !Array.isArray(answer))
      return 'usage' in answer ? answer.usage : null
  } catch (error) {
    throw new FaultError({ kind: 'engine-failed', status: 200, detail: 'its answer is not JSON' }, { cause: error })
  }
  throw new FaultError({ kind: 'engine-failed', status: 200, detail: 'its answer is not a JSON object' })
}

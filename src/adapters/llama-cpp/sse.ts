/** Server-sent events towards a client: one JSON value an event, as fast as the client reads. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'

export const renderEvent = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`

export type EventStream = {
  /** Resolves once the client has room for more. Throws the signal's reason when it has left. */
  send(data: unknown): Promise<void>
  /** `[DONE]` and the end. */
  done(): void
  /** An error event and the end, without `[DONE]`: the answer is not whole. */
  fail(error: unknown): void
}

/** Sends the headers at once. */
export function openEventStream(response: ServerResponse, signal: AbortSignal): EventStream {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
  })
  response.flushHeaders()
  return {
    async send(data) {
      signal.throwIfAborted()
      if (!response.write(renderEvent(data))) await once(response, 'drain', { signal })
    },
    done() {
      response.end('data: [DONE]\n\n')
    },
    fail(error) {
      response.end(renderEvent(error))
    },
  }
}

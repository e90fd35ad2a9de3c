import { once } from 'node:events'
import { createServer, get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { openEventStream, renderEvent } from './sse.ts'
import type { EventStream } from './sse.ts'

/** Serves one stream to one client. */
async function serve(
  write: (events: EventStream) => void,
  read: (response: IncomingMessage) => Promise<void>,
): Promise<void> {
  const gone = new AbortController()
  const server = createServer((_, response) => {
    response.on('close', () => gone.abort(new Error('left')))
    write(openEventStream(response, gone.signal))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server's address is one.
  const { port } = server.address() as AddressInfo
  const request = get({ port, agent: false })
  const [response] = await once(request, 'response')
  await read(response)
  request.destroy()
  server.close()
  await once(server, 'close')
}

test('an event is one line, whatever its text', () => {
  expect(renderEvent({ text: 'a\n\nb' })).toBe('data: {"text":"a\\n\\nb"}\n\n')
})

test('a whole stream ends with DONE, a failed one without', async () => {
  await serve(
    events => void events.send({ n: 1 }).then(() => events.done()),
    async response => {
      expect(await text(response)).toBe('data: {"n":1}\n\ndata: [DONE]\n\n')
    },
  )
  await serve(
    events => events.fail({ error: { message: 'x' } }),
    async response => {
      expect(await text(response)).toBe('data: {"error":{"message":"x"}}\n\n')
    },
  )
})

test('a client that does not read makes the sender wait, and one that leaves ends the wait', async () => {
  let sent = 0
  const { promise: ended, resolve } = Promise.withResolvers<unknown>()
  const big = 'x'.repeat(1_000_000)
  await serve(
    async events => {
      try {
        for (; sent < 1000; sent++) await events.send(big)
        resolve('all sent')
      } catch (error) {
        resolve(error)
      }
    },
    async response => {
      response.pause()
      response.destroy()
      expect(await ended).toBeInstanceOf(Error)
    },
  )
  expect(sent).toBeLessThan(1000)
})

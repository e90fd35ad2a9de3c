import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { afterEach, expect, test, vi } from 'vitest'
import { ClientGone } from '../../services/serve/index.ts'
import { discardRest, readBody } from './body.ts'

/** What readBody uses of an IncomingMessage is a stream and its headers. */
const incoming = (headers: Record<string, string> = {}) =>
  Object.assign(new PassThrough(), { headers, complete: false, socket: { destroy: vi.fn<() => void>() } })
// A stand-in for the transport: a real one can't be made without a socket.
const asRequest = (stream: ReturnType<typeof incoming>) => stream as unknown as IncomingMessage

afterEach(() => {
  vi.useRealTimers()
})

test('a body arrives whole, however it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1 })), async pieces => {
      const request = incoming()
      const body = readBody(asRequest(request), 1_000_000)
      for (const piece of pieces) request.write(piece)
      request.end()
      expect(Buffer.from(await body)).toEqual(Buffer.concat(pieces))
    }),
    { numRuns: 50 },
  )
})

test('a body in thousands of pieces arrives whole', async () => {
  const text = Array.from({ length: 1_000 }, (_, n) => String(n)).join()
  const request = incoming()
  const body = readBody(asRequest(request), 1_000_000)
  for (const letter of text) request.write(letter)
  request.end()
  expect(String(await body)).toBe(text)
})

test('a body of exactly the limit is taken, one byte more is not', async () => {
  for (const [bytes, kind] of [
    [10, null],
    [11, 'body-too-large'],
  ] as const) {
    const request = incoming()
    const body = readBody(asRequest(request), 10)
    request.end(Buffer.alloc(bytes))
    if (kind === null) expect(await body).toHaveLength(10)
    else await expect(body).rejects.toMatchObject({ fault: { kind, limit: 10 } })
  }
})

test('a body that comes in drops is given up after a minute', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const request = incoming()
  const body = readBody(asRequest(request), 1_000)
  const refused = body.catch((error: unknown) => error)
  for (let i = 0; i < 60; i++) {
    request.write('x')
    vi.advanceTimersByTime(1_000)
  }
  expect(await refused).toMatchObject({ fault: { kind: 'body-too-slow', after: 60_000 } })
  expect(vi.getTimerCount()).toBe(0)
})

test('a client that leaves in the middle is no fault', async () => {
  const request = incoming()
  const body = readBody(asRequest(request), 1_000)
  request.write('x')
  request.destroy()
  await expect(body).rejects.toBeInstanceOf(ClientGone)
})

test('a compressed body is refused before it is read', () => {
  expect(() => readBody(asRequest(incoming({ 'content-encoding': 'gzip' })), 10)).toThrow(/gzip is not supported/)
  expect(() => readBody(asRequest(incoming({ 'content-encoding': 'identity' })), 10)).not.toThrow()
})

test('what is left of a refused body is read away, and told when it is over', async () => {
  const request = incoming()
  const over = vi.fn<() => void>()
  discardRest(asRequest(request), over)
  request.write(Buffer.alloc(100_000))
  expect(over).not.toHaveBeenCalled()
  request.end()
  await once(request, 'end')
  expect(over).toHaveBeenCalledOnce()
  expect(request.socket.destroy).not.toHaveBeenCalled()
})

test('a sender that goes on for ten seconds after its answer is dropped', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const request = incoming()
  discardRest(asRequest(request))
  vi.advanceTimersByTime(9_999)
  expect(request.socket.destroy).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(request.socket.destroy).toHaveBeenCalledOnce()
})

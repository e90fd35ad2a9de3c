import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import type { Target, WireCall } from '../../services/serve/index.ts'
import { openWire } from './wire.ts'

const closers: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

function wire(): ReturnType<typeof openWire> {
  const opened = openWire()
  closers.push(() => opened.close())
  return opened
}

async function listen(
  handler: RequestListener,
  socket?: string,
): Promise<{ target: Target; connections: () => number; close(): Promise<unknown> }> {
  let connections = 0
  const server = createServer(handler).on('connection', () => {
    connections++
  })
  await new Promise<void>(resolve => {
    if (socket === undefined) server.listen(0, '127.0.0.1', resolve)
    else server.listen(socket, resolve)
  })
  const close = async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  closers.push(close)
  // A TCP server that listens has an address object.
  const url = socket === undefined ? `http://127.0.0.1:${(server.address() as AddressInfo).port}/base/v1` : ''
  return {
    target: { address: socket === undefined ? { url } : { socket }, metrics: null, apiKey: null, served: null },
    connections: () => connections,
    close,
  }
}

type Heard = { head: [number, string][]; bytes: number; text: string; end: number; failed: Error[] }
const request = {
  path: '/chat/completions',
  body: '{"a":1}',
  contentType: 'application/json',
  requestId: 'id-1',
} as const

/** Calls and collects; `over` resolves at `end` or `failed`. */
function call(by: ReturnType<typeof openWire>, target: Target, onData: (chunk: Buffer) => boolean = () => true) {
  const heard: Heard = { head: [], bytes: 0, text: '', end: 0, failed: [] }
  const { promise: over, resolve } = Promise.withResolvers<void>()
  const { promise: began, resolve: begin } = Promise.withResolvers<void>()
  const made: WireCall = by.post(target, request, {
    head: (status, type) => heard.head.push([status, type]),
    data(chunk) {
      heard.bytes += chunk.length
      if (heard.bytes < 10_000) heard.text += chunk.toString()
      begin()
      return onData(chunk)
    },
    end() {
      heard.end++
      resolve()
    },
    failed(error) {
      heard.failed.push(error)
      resolve()
    },
  })
  return { made, heard, over, began }
}

const bodyOf = async (from: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const chunk of from) text += String(chunk)
  return text
}

test('a call carries path, body, id and key, and hears head, data and end in order', async () => {
  const { target } = await listen(async (from, to) => {
    const { method, url, headers } = from
    to.setHeader('content-type', 'application/json')
    to.end(
      JSON.stringify({
        method,
        url,
        id: headers['x-request-id'],
        key: headers.authorization,
        type: headers['content-type'],
        body: await bodyOf(from),
      }),
    )
  })
  const { heard, over } = call(wire(), { ...target, apiKey: 'k' })
  await over
  expect(heard.head).toEqual([[200, 'application/json']])
  expect(JSON.parse(heard.text)).toEqual({
    method: 'POST',
    url: '/base/v1/chat/completions',
    id: 'id-1',
    key: 'Bearer k',
    type: 'application/json',
    body: '{"a":1}',
  })
  expect([heard.end, heard.failed]).toEqual([1, []])
})

test('an engine on a Unix socket is called the same way', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hf-wire-'))
  closers.push(() => rmSync(folder, { recursive: true }))
  const { target } = await listen((from, to) => void to.end(`${from.url} ${from.headers.host}`), join(folder, 'e.sock'))
  const { heard, over } = call(wire(), target)
  await over
  expect(heard.text).toBe('/v1/chat/completions engine')
})

test('connections are used again', async () => {
  const { target, connections } = await listen(async (from, to) => {
    await bodyOf(from)
    to.end('x')
  })
  const by = wire()
  for (let i = 0; i < 5; i++) {
    await call(by, target).over
    // A connection is free in the turn after its answer.
    await new Promise(resolve => setImmediate(resolve))
  }
  expect(connections()).toBe(1)
})

test('nobody there is a failure, told once', async () => {
  const { target, close } = await listen(() => {})
  await close()
  const { heard, over } = call(wire(), target)
  await over
  expect(heard.failed.map(error => (error as NodeJS.ErrnoException).code)).toEqual(['ECONNREFUSED'])
  expect([heard.head, heard.end]).toEqual([[], 0])
})

test('a key that no header can carry fails the call after it was made, as any failure', async () => {
  const { target } = await listen((_, to) => void to.end('x'))
  const { heard, over } = call(wire(), { ...target, apiKey: 'two\nlines' })
  expect(heard.failed).toEqual([])
  await over
  expect(heard.failed).toHaveLength(1)
  expect(heard.failed[0]?.message).not.toContain('two')
})

test('a call that is aborted before it is connected never reaches the engine, and nothing is heard', async () => {
  const asked = vi.fn<RequestListener>((_, to) => void to.end('x'))
  const { target } = await listen(asked)
  const by = wire()
  const first = call(by, target)
  first.made.abort()
  first.made.abort()
  await call(by, target).over
  expect(asked).toHaveBeenCalledOnce()
  expect(first.heard).toEqual({ head: [], bytes: 0, text: '', end: 0, failed: [] })
})

test('an abort in the middle of an answer drops the connection, and nothing more is heard', async () => {
  const { promise: left, resolve } = Promise.withResolvers<void>()
  const { target } = await listen((_, to) => {
    to.on('close', resolve).write('first')
  })
  const { made, heard, began } = call(wire(), target)
  await began
  made.abort()
  await left
  expect(heard).toMatchObject({ text: 'first', end: 0, failed: [] })
})

test('an answer that is cut is a failure, not an end', async () => {
  const { target } = await listen((_, to) => {
    to.writeHead(200, { 'content-length': '100' }).write('first', () => to.destroy())
  })
  const { heard, over } = call(wire(), target)
  await over
  expect([heard.text, heard.end, heard.failed.length]).toEqual(['first', 0, 1])
})

test('a paused answer is not read on until it is resumed', async () => {
  const size = 64 * 1024 * 1024
  let response: ServerResponse | undefined
  const { target } = await listen((_, to) => {
    response = to
    const piece = Buffer.alloc(64 * 1024)
    let sent = 0
    const go = (): void => {
      while (sent < size) {
        sent += piece.length
        if (!to.write(piece)) return void to.once('drain', go)
      }
      to.end()
    }
    go()
  })
  let paused = true
  const { made, heard, began, over } = call(wire(), target, () => !paused)
  await began
  const before = heard.bytes
  // The sender's own buffers fill, and it waits.
  for (let i = 0; i < 50; i++) await new Promise(resolve => setImmediate(resolve))
  expect(heard.bytes).toBeLessThan(before + 1024 * 1024)
  expect(response?.writableNeedDrain).toBe(true)
  paused = false
  made.resume()
  await over
  expect([heard.bytes, heard.end]).toEqual([size, 1])
})

test('head is heard once, without interim answers', async () => {
  const { target } = await listen((_, to) => {
    to.writeEarlyHints({ link: '</x>; rel=preload' })
    to.writeHead(418).end('x')
  })
  const { heard, over } = call(wire(), target)
  await over
  expect(heard.head).toEqual([[418, '']])
})

test('a small GET is read whole; a large one, a slow one and a redirect are not followed', async () => {
  const { target } = await listen((from, to) => {
    if (from.url === '/base/v1/large') to.end('x'.repeat(2 * 1024 * 1024))
    else if (from.url === '/base/v1/moved') to.writeHead(302, { location: '/base/v1/models' }).end()
    else if (from.url === '/base/v1/models') to.end('models')
  })
  const by = wire()
  expect(await by.get(target, '/models', AbortSignal.timeout(5_000))).toEqual({ status: 200, text: 'models' })
  expect((await by.get(target, '/moved', AbortSignal.timeout(5_000))).status).toBe(302)
  await expect(by.get(target, '/large', AbortSignal.timeout(5_000))).rejects.toThrow(/larger than/)
  await expect(by.get(target, '/never', AbortSignal.timeout(50))).rejects.toThrow()
})

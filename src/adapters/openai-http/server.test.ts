import type { Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { FaultError } from '../../domain/fault.ts'
import { openEdge } from '../../domain/serving/index.ts'
import type { Exchange, Serve } from '../../services/serve/index.ts'
import { openHttp, sendFault, type HttpParts } from './server.ts'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const seen: Exchange[] = []
/** Answers with the body's length; reads it when the path is `embeddings`. */
const serve: Serve = async exchange => {
  seen.push(exchange)
  if (exchange.head.path === 'completions') {
    exchange.reply.head(413, { 'content-length': '2' })
    exchange.reply.end(Buffer.from('no'))
    return
  }
  const body = Buffer.from(String((await exchange.readBody(1_000_000)).length))
  exchange.reply.head(200, { 'content-length': String(body.length) })
  exchange.reply.end(body)
}

async function start(
  parts: Partial<HttpParts> = {},
): Promise<{ server: Server; url: string; port: number; reported: unknown[] }> {
  const reported: unknown[] = []
  const { server } = openHttp({
    edge: () => openEdge,
    warn: problem => reported.push(problem),
    serve,
    plain: {
      '/health': { answer: () => ({ status: 200, body: { status: 'ok' } }) },
      '/text': { answer: () => ({ status: 200, body: 'words', contentType: 'text/plain' }) },
      '/tree/': {
        methods: ['DELETE'],
        answer: ({ method, path, key }) => ({ status: 200, body: { method, path, key } }),
      },
      '/written': {
        only: ['POST'],
        answer: async ({ readBody, id }) => ({
          status: 200,
          body: { said: Buffer.from(await readBody(10)).toString(), id },
        }),
      },
      '/fault': {
        answer: () => {
          throw new FaultError({ kind: 'not-ready', why: 'testing' })
        },
      },
      '/later-fault': { answer: () => Promise.reject(new FaultError({ kind: 'not-ready', why: 'testing' })) },
      '/bug': {
        answer: () => {
          throw new TypeError('secret detail')
        },
      },
      '/later-bug': { answer: () => Promise.reject(new TypeError('secret detail')) },
    },
    relayed: ['api', '/v1/relayed'],
    relay: (request, response, { id }) =>
      sendFault(response, { kind: 'not-found', what: 'relayed', name: `${request.url} ${id.length}` }, id),
    report: error => reported.push(error),
    draining: () => false,
    ...parts,
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo
  return { server, url: `http://127.0.0.1:${port}`, port, reported }
}

/** Writes and reads until the server closes. */
function raw(port: number, bytes: string | Buffer): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
  let text = ''
  socket
    .on('data', data => {
      text += data.toString()
    })
    .on('error', () => {})
    .on('close', () => resolve(text))
  return promise
}

test('plain routes answer JSON or text, by path or by what is below it, with the key that was sent', async () => {
  const { url } = await start()
  expect(await (await fetch(`${url}/health?x=1`)).json()).toEqual({ status: 'ok' })
  expect(await (await fetch(`${url}/text`)).text()).toBe('words')
  const asked = (headers: Record<string, string>) => fetch(`${url}/tree/a/b`, { headers }).then(answer => answer.json())
  expect(await asked({ authorization: 'bearer  abc ' })).toEqual({ method: 'GET', path: '/tree/a/b', key: 'abc' })
  expect(await asked({ 'x-api-key': 'abc' })).toEqual({ method: 'GET', path: '/tree/a/b', key: 'abc' })
  expect(await asked({ authorization: 'Basic abc' })).toMatchObject({ key: null })
  expect(await asked({ authorization: 'Bearer a b' })).toMatchObject({ key: null })
  // Who says Authorization is not asked for another header.
  expect(await asked({ 'authorization': 'Basic abc', 'x-api-key': 'abc' })).toMatchObject({ key: null })
})

test('a route of our own may take a body, bounded, and then answers no GET', async () => {
  const { url } = await start()
  const answer = await fetch(`${url}/written`, { method: 'POST', body: 'words' })
  expect(await answer.json()).toEqual({ said: 'words', id: answer.headers.get('x-request-id') })
  const long = await fetch(`${url}/written`, { method: 'POST', body: 'more words than that' })
  expect(long.status).toBe(413)
  const read = await fetch(`${url}/written`)
  expect([read.status, read.headers.get('allow')]).toEqual([405, 'POST'])
})

test('unknown paths are 404, wrong methods 405 with what is allowed, both in four keys and with an id', async () => {
  const { url } = await start()
  for (const [method, path, status, allow] of [
    ['GET', '/nowhere', 404, null],
    ['GET', '/', 404, null],
    ['GET', '/constructor', 404, null],
    ['GET', '/__proto__', 404, null],
    ['GET', '/v1/embeddings', 405, 'POST'],
    ['POST', '/health', 405, 'GET, HEAD'],
    ['PUT', '/tree/x', 405, 'GET, HEAD, DELETE'],
  ] as const) {
    const answer = await fetch(url + path, { method })
    expect([answer.status, answer.headers.get('allow')], path).toEqual([status, allow])
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    const { error } = (await answer.json()) as { error: object }
    expect(Object.keys(error).toSorted()).toEqual(['code', 'message', 'param', 'type'])
  }
  for (const path of ['/api/x', '/v1/relayed?a=1'])
    expect(await (await fetch(`${url}${path}`)).text()).toContain('no relayed')
  expect(await (await fetch(`${url}/v1/relayed/x`)).text()).not.toContain('no relayed')
})

test('a fault is told as it is, a bug only to the log', async () => {
  const { url, reported } = await start()
  for (const path of ['/fault', '/later-fault']) {
    const answer = await fetch(url + path)
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1'])
  }
  expect(reported).toEqual([])
  for (const path of ['/bug', '/later-bug']) {
    const answer = await fetch(url + path)
    expect(answer.status).toBe(500)
    expect(await answer.text()).not.toContain('secret detail')
  }
  expect(reported).toHaveLength(2)
})

test('model routes become exchanges, with or without /v1, and a client’s own id is cut short', async () => {
  const { url } = await start()
  seen.length = 0
  const answer = await fetch(`${url}/embeddings`, {
    method: 'POST',
    body: 'x'.repeat(1000),
    headers: { 'x-request-id': 'y'.repeat(500) },
  })
  expect(await answer.text()).toBe('1000')
  expect(seen[0]?.head).toMatchObject({
    path: 'embeddings',
    route: '/embeddings',
    key: null,
    declaredBytes: 1000,
    from: '127.0.0.1',
    clientId: 'y'.repeat(128),
  })
  expect(seen[0]?.id).not.toContain('y')
})

test.each(['keep-alive', 'close'])(
  'a body that is refused unread is read away, so that its sender reads the answer (%s)',
  async connection => {
    const { port } = await start()
    const size = 3_000_000
    const head = `POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: ${connection}\r\ncontent-length: ${size}\r\n\r\n`
    const after = connection === 'close' ? '' : 'GET /text HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'
    const text = await raw(port, Buffer.concat([Buffer.from(head), Buffer.alloc(size), Buffer.from(after)]))
    expect(text).toMatch(/^HTTP\/1\.1 413 /)
    expect(text.split('HTTP/1.1 ')).toHaveLength(connection === 'close' ? 2 : 3)
  },
)

test('while the gateway drains, an answer ends its connection', async () => {
  const { port } = await start({ draining: () => true })
  expect(await raw(port, 'GET /health HTTP/1.1\r\nhost: x\r\n\r\n')).toMatch(/connection: close/i)
})

test('what the parser refuses is told in our words', async () => {
  const { port } = await start()
  for (const [bytes, status] of [
    ['nonsense\r\n\r\n', 400],
    [`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
  ] as const) {
    const text = await raw(port, bytes)
    expect(text).toContain(`HTTP/1.1 ${status} `)
    expect(Object.keys((JSON.parse(text.slice(text.indexOf('{'))) as { error: object }).error).toSorted()).toEqual([
      'code',
      'message',
      'param',
      'type',
    ])
  }
})

test('the absolute form of a target is taken; a missing host, another expectation or version are not', async () => {
  const { port } = await start()
  const ask = async (head: string) =>
    /^HTTP\/1\.1 (\d+)/.exec(await raw(port, `${head}\r\nconnection: close\r\n\r\n`))?.[1]
  expect(await ask('GET http://elsewhere:80/health HTTP/1.1\r\nhost: x')).toBe('200')
  expect(await ask('GET HTTPS://elsewhere/health?x HTTP/1.1\r\nhost: x')).toBe('200')
  expect(await ask('GET http://elsewhere HTTP/1.1\r\nhost: x')).toBe('404')
  expect(await ask('GET /health HTTP/1.1')).toBe('400')
  expect(await ask('GET /health HTTP/1.0')).toBe('200')
  expect(await ask('GET /health HTTP/1.1\r\nhost: x\r\nexpect: a-miracle')).toBe('400')
})

test('an answer that nobody reads is not waited for without an end, and one that is read leaves its connection as it was', async () => {
  const large = 'x'.repeat(64 * 1024 * 1024)
  const { server, url, port } = await start({
    plain: {
      '/large': { answer: () => ({ status: 200, body: large, contentType: 'text/plain' }) },
      '/small': { answer: () => ({ status: 200, body: 'x', contentType: 'text/plain' }) },
    },
  })
  const sockets: Socket[] = []
  server.on('connection', socket => sockets.push(socket))
  const client = connect(port, '127.0.0.1', () => client.write('GET /large HTTP/1.1\r\nhost: x\r\n\r\n'))
  client.pause().on('error', () => {})
  await expect.poll(() => sockets[0]?.writableLength ?? 0).toBeGreaterThan(0)
  expect(sockets[0]?.timeout).toBe(60_000)
  sockets[0]?.emit('timeout')
  await expect.poll(() => sockets[0]?.destroyed).toBe(true)
  client.destroy()
  await raw(port, 'GET /small HTTP/1.1\r\nhost: x\r\n\r\nGET /small HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  expect(sockets).toHaveLength(2)
  expect(sockets[1]?.timeout ?? 0).toBe(0)
  await (await fetch(`${url}/small`)).text()
  expect(sockets[2]?.timeout).toBeGreaterThan(60_000)
})

test('a stream that its client reads too slowly is given up after a minute, and one that is read goes on', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  closers.push(async () => vi.useRealTimers())
  const streams: Exchange[] = []
  const { port } = await start({
    serve: async exchange => {
      streams.push(exchange)
      exchange.reply.head(200, { 'content-type': 'text/event-stream' })
      const fill = (): void => {
        while (!exchange.gone && exchange.reply.write(Buffer.alloc(64 * 1024, 'x')));
      }
      exchange.reply.onDrain(fill)
      fill()
    },
  })
  const post = 'POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n'
  const open = (): Socket => connect(port, '127.0.0.1').on('error', () => {})
  const [slow, quick] = [open(), open()]
  let read = 0
  quick.on('data', data => {
    read += data.length
  })
  slow.pause().write(post)
  quick.write(post)
  await vi.waitFor(() => expect(streams).toHaveLength(2))
  await vi.waitFor(() => expect(read).toBeGreaterThan(64 * 1024 * 1024), { timeout: 20_000 })
  const stalled = streams.filter(({ gone }) => !gone)
  expect(stalled).toHaveLength(2)
  vi.advanceTimersByTime(59_000)
  const before = read
  await vi.waitFor(() => expect(read).toBeGreaterThan(before + 8 * 1024 * 1024), { timeout: 20_000 })
  vi.advanceTimersByTime(2_000)
  await vi.waitFor(() => expect(streams.map(({ gone }) => gone).toSorted()).toEqual([false, true]))
  const after = read
  await vi.waitFor(() => expect(read).toBeGreaterThan(after + 8 * 1024 * 1024), { timeout: 20_000 })
  slow.destroy()
  quick.destroy()
})

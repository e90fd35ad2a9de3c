import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { openEdge, type Edge } from '../../domain/serving/index.ts'
import { openHttp } from './server.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

type Started = {
  port: number
  server: Server
  warnings: string[]
  edge: Edge
  openLocal: (path: string) => Promise<void>
}

/** Answers every request with its client's address. `edge` may be changed while it runs. */
async function start(edge: Partial<Edge> = {}): Promise<Started> {
  const warnings: string[] = []
  const now = { ...openEdge, ...edge }
  const { server, openLocal } = openHttp({
    edge: () => now,
    warn: problem => warnings.push(problem),
    serve: async exchange => {
      const body = Buffer.from(`${exchange.head.from} ${(await exchange.readBody(1_000_000)).length}`)
      exchange.reply.head(200, { 'content-length': String(body.length) })
      exchange.reply.end(body)
    },
    plain: {
      '/who': { answer: ({ from }) => ({ status: 200, body: from, contentType: 'text/plain' }) },
      '/health': { answer: () => ({ status: 200, body: 'ok', contentType: 'text/plain' }) },
    },
    relayed: ['api'],
    relay: (_request, response, { from }) => void response.end(`relayed for ${from}`),
    report: error => warnings.push(String(error)),
    draining: () => false,
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    return new Promise(resolve => server.close(resolve))
  })
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo
  return { port, server, warnings, edge: now, openLocal }
}

type Sent = { from?: string; pieces: (string | Buffer)[]; path?: string }

/** From a loopback address of choice, in pieces that arrive apart; reads until the server ends the connection. */
async function send(port: number, { from = '127.0.0.1', pieces, path }: Sent): Promise<string> {
  const socket = path === undefined ? connect({ port, host: '127.0.0.1', localAddress: from }) : connect(path)
  let text = ''
  socket.on('data', data => {
    text += data.toString()
  })
  socket.on('error', () => {})
  socket.setNoDelay(true)
  const closed = new Promise(resolve => socket.once('close', resolve))
  for (const piece of pieces) {
    await new Promise<unknown>(resolve => socket.write(piece, resolve))
    await new Promise(resolve => setImmediate(resolve))
  }
  await closed
  return text
}

const get = (path = '/who', headers = ''): string =>
  `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}connection: close\r\n\r\n`
const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4)
const ask = async (port: number, sent: Partial<Sent> = {}): Promise<string> =>
  bodyOf(await send(port, { pieces: [get()], ...sent }))

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const binary = (source: readonly number[]): Buffer =>
  Buffer.concat([signature, Buffer.from([0x21, 0x11, 0, 12, ...source, 10, 0, 0, 1, 0x12, 0x34, 0, 80])])
const line = 'PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n'

test('D1 without trusted proxies the peer is the client, whatever headers say', async () => {
  const { port } = await start()
  expect(
    await ask(port, {
      pieces: [get('/who', 'x-forwarded-for: 1.2.3.4\r\nforwarded: for=1.2.3.4\r\nx-real-ip: 1.2.3.4\r\n')],
    }),
  ).toBe('127.0.0.1')
})

test('D1 a peer that is not trusted is the client though others are trusted', async () => {
  const { port } = await start({ trustedProxies: ['127.0.0.2'] })
  expect(await ask(port, { from: '127.0.0.3', pieces: [get('/who', 'x-forwarded-for: 1.2.3.4\r\n')] })).toBe(
    '127.0.0.3',
  )
  expect(await ask(port, { from: '127.0.0.2', pieces: [get('/who', 'x-forwarded-for: 1.2.3.4\r\n')] })).toBe('1.2.3.4')
})

test('D2 the address reaches the journal, the routes and the controller', async () => {
  const { port } = await start({ trustedProxies: ['127.0.0.0/8'] })
  const headers = 'x-forwarded-for: 6.6.6.6\r\nx-forwarded-for: 203.0.113.9, 127.0.0.9\r\n'
  const post = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n${headers}content-length: 5\r\nconnection: close\r\n\r\nhello`
  expect(await ask(port, { pieces: [post] })).toBe('203.0.113.9 5')
  expect(await ask(port, { pieces: [get('/who', headers)] })).toBe('203.0.113.9')
  expect(await ask(port, { pieces: [get('/api/x', headers)] })).toContain('relayed for 203.0.113.9')
})

test('each request on a kept connection has its own client', async () => {
  const { port } = await start({ trustedProxies: ['127.0.0.1'] })
  const kept = (client: string): string => `GET /who HTTP/1.1\r\nhost: x\r\nx-forwarded-for: ${client}\r\n\r\n`
  const text = await send(port, { pieces: [kept('1.1.1.1') + kept('2.2.2.2'), get()] })
  expect(text.match(/\r\n\r\n[\d.]+/g)?.map(part => part.trim())).toEqual(['1.1.1.1', '2.2.2.2', '127.0.0.1'])
})

test.each<[name: string, header: Buffer]>([
  ['version 1', Buffer.from(line)],
  ['version 2', binary([203, 0, 113, 9])],
])('D4 PROXY protocol, %s: the client is whom it names, however it is cut', async (_, header) => {
  const { port, warnings } = await start({ trustedProxies: ['127.0.0.1'] })
  const body = 'z'.repeat(100_000)
  const post = `POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`
  const whole = Buffer.concat([header, Buffer.from(post + body)])
  expect(await ask(port, { pieces: [whole] })).toBe('203.0.113.9 100000')
  expect(await ask(port, { pieces: [header, post, body] })).toBe('203.0.113.9 100000')
  const bytes = [...whole.subarray(0, header.length + 30)].map(byte => Buffer.from([byte]))
  expect(await ask(port, { pieces: [...bytes, whole.subarray(header.length + 30)] })).toBe('203.0.113.9 100000')
  expect(warnings).toEqual([])
})

test('D4 behind a trusted proxy that speaks no PROXY protocol, HTTP is read as it comes', async () => {
  const { port } = await start({ trustedProxies: ['127.0.0.1'] })
  expect(
    await ask(port, {
      pieces: [
        'P',
        'O',
        'ST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n',
        'ab',
      ],
    }),
  ).toBe('127.0.0.1 2')
})

test('D5 whom PROXY names is the peer from then on: believed when it is trusted itself', async () => {
  const { port } = await start({ trustedProxies: ['127.0.0.1', '203.0.113.9'] })
  const forwarded = get('/who', 'x-forwarded-for: 198.51.100.7\r\n')
  expect(await ask(port, { pieces: [line + forwarded] })).toBe('198.51.100.7')
  expect(await ask(port, { pieces: [`PROXY TCP4 5.6.7.8 10.0.0.1 1 2\r\n${forwarded}`] })).toBe('5.6.7.8')
  expect(await ask(port, { pieces: [`PROXY UNKNOWN\r\n${forwarded}`] })).toBe('198.51.100.7')
})

test('D4 from anybody else PROXY is no HTTP', async () => {
  for (const edge of [{}, { trustedProxies: ['127.0.0.2'] }]) {
    const { port } = await start(edge)
    for (const header of [Buffer.from(line), binary([203, 0, 113, 9])]) {
      const text = await send(port, { pieces: [Buffer.concat([header, Buffer.from(get())])] })
      expect(text).toMatch(/^HTTP\/1\.1 400 /)
      expect(text).not.toContain('203.0.113.9')
    }
  }
})

test('D6 a header that breaks its rules ends the connection, and it is told', async () => {
  const { port, warnings } = await start({ trustedProxies: ['127.0.0.1'] })
  expect(await send(port, { pieces: [`PROXY TCP4 nonsense\r\n${get()}`] })).toBe('')
  // A second one is not read as one.
  expect(await send(port, { pieces: [line + line + get()] })).toMatch(/^HTTP\/1\.1 400 /)
  expect(warnings).toEqual([expect.stringContaining('127.0.0.1 is a trusted proxy')])
})

test('a proxy that says nothing does not keep the gateway from closing', async () => {
  const { port, server } = await start({ trustedProxies: ['127.0.0.1'] })
  const socket = await connected(port, '127.0.0.1')
  socket.write('PRO')
  // Another connection's answer: by then the first bytes are read.
  await ask(port)
  const gone = once(socket, 'close')
  const closed = new Promise(resolve => server.close(resolve))
  await gone
  await closed
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
})

async function connected(port: number, from: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from }).on('error', () => {})
  closers.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

const limited = (requestsPerMinute: number | null, connections: number | null): Partial<Edge> => ({
  // Every address of this machine is loopback, which is not counted: clients come through a proxy.
  trustedProxies: ['127.0.0.1'],
  perAddress: { requestsPerMinute, connections },
})
const as = (client: string, path = '/who'): string => get(path, `x-forwarded-for: ${client}\r\n`)

test('D8 an address that asks too often is refused, and no other one', async () => {
  const { port, warnings } = await start(limited(3, null))
  const statusOf = async (request: string): Promise<string> => (await send(port, { pieces: [request] })).slice(9, 12)
  for (let i = 0; i < 3; i += 1) expect(await statusOf(as('203.0.113.9'))).toBe('200')
  const refused = await send(port, { pieces: [as('203.0.113.9')] })
  expect(refused).toMatch(/^HTTP\/1\.1 429 /)
  expect(refused).toMatch(/retry-after: (?:60|61)\r\n/)
  expect(JSON.parse(bodyOf(refused))).toMatchObject({
    error: { code: 'rate_limit_exceeded', message: expect.stringContaining("The address '203.0.113.9'") },
  })
  expect(await statusOf(as('203.0.113.10'))).toBe('200')
  // Spelled otherwise it is the same; in front of it stands what it wrote itself.
  expect(await statusOf(as('::ffff:203.0.113.9'))).toBe('429')
  expect(await statusOf(as('6.6.6.6, 203.0.113.9'))).toBe('429')
  expect(await statusOf(as('203.0.113.9', '/api/x'))).toBe('429')
  expect(await statusOf(as('203.0.113.9', '/health'))).toBe('200')
  expect(warnings).toHaveLength(1)
})

test('D7 a /64 is one subscriber', async () => {
  const { port } = await start(limited(2, null))
  const texts = []
  for (const client of ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::1'])
    texts.push(await send(port, { pieces: [as(client)] }))
  expect(texts.map(text => text.slice(9, 12))).toEqual(['200', '200', '429', '200'])
  expect(texts[2]).toContain('2001:db8:0:0::/64')
})

test('D8 a refused request’s body is not read: it is answered before it comes', async () => {
  const { port } = await start(limited(1, null))
  await send(port, { pieces: [as('203.0.113.9')] })
  const socket = await connected(port, '127.0.0.1')
  socket.write(
    'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 203.0.113.9\r\ncontent-length: 1000000\r\n\r\n',
  )
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 429 /)
})

test('D9 loopback and trusted proxies are not counted', async () => {
  const { port } = await start(limited(1, 1))
  const held = await Promise.all([
    connected(port, '127.0.0.1'),
    connected(port, '127.0.0.9'),
    connected(port, '127.0.0.9'),
  ])
  for (const from of ['127.0.0.1', '127.0.0.9'])
    for (let i = 0; i < 3; i += 1) expect(await ask(port, { from })).toBe(from)
  expect(held.every(socket => !socket.destroyed)).toBe(true)
})

test('an address that has as many connections as it may is told so, and may have another when one is closed', async () => {
  const { port, warnings } = await start(limited(null, 2))
  const from = 'PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n'
  const kept = `${from}GET /who HTTP/1.1\r\nhost: x\r\n\r\n`
  const held: Socket[] = []
  for (let i = 0; i < 2; i += 1) {
    const socket = await connected(port, '127.0.0.1')
    socket.write(kept)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toContain('203.0.113.9')
    held.push(socket)
  }
  const refused = await send(port, { pieces: [from + get()] })
  expect(refused).toMatch(/^HTTP\/1\.1 429 /)
  expect(JSON.parse(bodyOf(refused))).toMatchObject({ error: { code: 'too_many_connections', param: null } })
  expect(await ask(port, { pieces: [`PROXY TCP4 203.0.113.10 10.0.0.1 4711 80\r\n${get()}`] })).toBe('203.0.113.10')
  held[0]?.destroy()
  let again = ''
  while (!again.startsWith('HTTP/1.1 200')) again = await send(port, { pieces: [from + get()] })
  expect(warnings).toHaveLength(1)
})

test('the spec may change who is trusted and how much is allowed while connections are open', async () => {
  const { port, edge } = await start()
  expect(await ask(port, { pieces: [as('203.0.113.9')] })).toBe('127.0.0.1')
  Object.assign(edge, limited(1, null))
  expect(await ask(port, { pieces: [as('203.0.113.9')] })).toBe('203.0.113.9')
  expect(await send(port, { pieces: [as('203.0.113.9')] })).toMatch(/^HTTP\/1\.1 429 /)
  Object.assign(edge, openEdge)
  expect(await ask(port, { pieces: [as('203.0.113.9')] })).toBe('127.0.0.1')
})

test('this machine’s own user is let in at the Unix socket whatever stands at the door', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-door-'))
  closers.push(() => rmSync(folder, { recursive: true }))
  const { port, openLocal, warnings } = await start({
    ...limited(1, 1),
    tls: { cert: '/nowhere', key: '/nowhere', clientCa: '/nowhere' },
  })
  const path = join(folder, 'gateway.sock')
  await openLocal(path)
  for (let i = 0; i < 3; i += 1) expect(await ask(port, { path })).toBe('127.0.0.1')
  expect(await send(port, { pieces: [get()] })).toBe('')
  expect(warnings).toEqual([
    expect.stringContaining("gateway.tls.cert: /nowhere can't be read (ENOENT). Nobody can be served"),
  ])
})

import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import type { Fault } from '../../domain/fault.ts'
import { ClientGone, type Exchange } from '../../services/serve/index.ts'
import { openLane, type LaneParts } from './lane.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const close of closers.splice(0).toReversed()) await close()
})

const plain = (body: string, length = body.length): string =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n${body}`

/** Reads the body, and answers it. */
const echo = async (exchange: Exchange): Promise<void> => {
  const body = await exchange.readBody(1_000_000)
  exchange.reply.head(200, { 'content-length': String(body.length) })
  exchange.reply.end(body)
}

/** A lane on a port of its own. `exchanges`: all that were begun; `toNode`: connections that were handed over, with their bytes. */
async function start(parts: Partial<LaneParts> = {}) {
  const exchanges: Exchange[] = []
  const sockets: Socket[] = []
  const refused: string[] = []
  const reported: unknown[] = []
  const { serve = echo, ...others } = parts
  const lane = openLane({
    serve: exchange => {
      exchanges.push(exchange)
      return serve(exchange)
    },
    clientOf: ({ socket }) => socket.remoteAddress ?? '',
    refusal: () => null,
    draining: () => false,
    report: error => reported.push(error),
    toNode: socket => socket.on('data', data => socket.end(`node:http has ${data.toString()}`)),
    refuse(code, socket) {
      refused.push(code)
      socket.end(code)
    },
    ...others,
  })
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.push(socket)
    lane.take(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    lane.closeAll()
    lane.close()
    await new Promise(resolve => server.close(resolve))
  })
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo
  return { lane, port, exchanges, sockets, refused, reported }
}

/** A client, and all that it has been told. */
function open(port: number) {
  let told = ''
  const socket = connect(port, '127.0.0.1')
  closers.push(() => socket.destroy())
  socket.on('error', () => {}).on('data', data => (told += data.toString()))
  return { socket, told: () => told, answers: () => told.split('HTTP/1.1 ').length - 1 }
}

test('requests that come at once are answered one after another, in their order', async () => {
  const waiting: (() => void)[] = []
  const { port, exchanges } = await start({
    serve: async exchange => {
      await new Promise<void>(resolve => waiting.push(resolve))
      await echo(exchange)
    },
  })
  const client = open(port)
  client.socket.write(plain('one') + plain('two') + plain('three'))
  await vi.waitFor(() => expect(waiting).toHaveLength(1))
  expect(exchanges).toHaveLength(1)
  for (const count of [1, 2, 3]) {
    await vi.waitFor(() => expect(waiting).toHaveLength(count))
    waiting.at(-1)?.()
    await vi.waitFor(() => expect(client.answers()).toBe(count))
  }
  expect(client.told().replaceAll(/HTTP[^]*?\r\n\r\n/g, '|')).toBe('|one|two|three')
})

test('a thousand at once, each refused at the door, are answered all', async () => {
  const refusal: Fault = { kind: 'client-certificate-required' }
  const { port, exchanges, sockets } = await start({ refusal: () => refusal })
  const client = open(port)
  await vi.waitFor(() => expect(sockets).toHaveLength(1))
  // As one read.
  sockets[0]?.emit('data', Buffer.from(plain('x').repeat(1000)))
  await vi.waitFor(() => expect(client.answers()).toBe(1000))
  expect(exchanges).toEqual([])
})

test('what is not plain goes to node:http with every byte of it, and nothing comes back', async () => {
  const { port, exchanges } = await start()
  const client = open(port)
  const odd = 'GET /health HTTP/1.1\r\nhost: x\r\n\r\n'
  client.socket.write(plain('one') + odd + plain('two'))
  await vi.waitFor(() => expect(client.told()).toContain(`node:http has ${odd}${plain('two')}`))
  expect(client.told()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nonenode:http/)
  expect(exchanges).toHaveLength(1)
})

test('a path that no model answers is not the lane’s', async () => {
  const { port } = await start()
  const client = open(port)
  client.socket.write('POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n')
  await vi.waitFor(() => expect(client.told()).toMatch(/^node:http has POST \/v1\/files/))
})

test('a body of more than is ever thrown away is not the lane’s', async () => {
  const { port, exchanges } = await start()
  const most = 256 * 1024 * 1024
  const [allowed, beyond] = [open(port), open(port)]
  allowed.socket.write(plain('x', most))
  beyond.socket.write(plain('x', most + 1))
  await vi.waitFor(() => expect(beyond.told()).toMatch(/^node:http has POST \/v1\/chat/))
  await vi.waitFor(() => expect(exchanges).toHaveLength(1))
  expect(allowed.told()).not.toContain('node:http')
})

test('who sends more ahead of its turn than is held is not read from until then', async () => {
  let answer = (): void => {}
  const { port, sockets, exchanges } = await start({
    serve: async exchange => {
      if (exchanges.length === 1) await new Promise<void>(resolve => (answer = resolve))
      await echo(exchange)
    },
  })
  const client = open(port)
  const long = plain('y'.repeat(900_000))
  client.socket.write(plain('one') + long)
  await vi.waitFor(() => expect(sockets[0]?.isPaused()).toBe(true))
  expect(exchanges).toHaveLength(1)
  answer()
  await vi.waitFor(() => expect(client.told()).toHaveLength(900_000 + client.told().indexOf('yyy')))
  expect(client.answers()).toBe(2)
})

test('a body that nobody wants is read away, and the request behind it is served', async () => {
  const { port, exchanges } = await start({
    serve: async exchange => {
      if (exchanges.length > 1) return echo(exchange)
      exchange.reply.head(401, { 'content-length': '2' })
      exchange.reply.end(Buffer.from('no'))
    },
  })
  const client = open(port)
  client.socket.write(plain('x'.repeat(500_000), 1_000_000))
  await vi.waitFor(() => expect(client.told()).toMatch(/^HTTP\/1\.1 401 /))
  client.socket.write('x'.repeat(500_000) + plain('behind it'))
  await vi.waitFor(() => expect(client.told()).toMatch(/behind it$/))
  expect(exchanges).toHaveLength(2)
})

test('who stops in the middle of a body that nobody wants is dropped in the end', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const { port, sockets } = await start({
    serve: async exchange => {
      exchange.reply.head(401, { 'content-length': '2' })
      exchange.reply.end(Buffer.from('no'))
    },
  })
  const client = open(port)
  client.socket.write(plain('x', 1000))
  await vi.waitFor(() => expect(client.told()).toMatch(/no$/))
  vi.advanceTimersByTime(9_000)
  expect(sockets[0]?.destroyed).toBe(false)
  vi.advanceTimersByTime(2_000)
  expect(sockets[0]?.destroyed).toBe(true)
})

test('a body that does not come is given up after a minute, with words', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  let late: unknown = null
  const { port } = await start({
    serve: async exchange => {
      await exchange.readBody(10_000).catch((error: unknown) => (late = error))
      exchange.reply.head(408, { 'content-length': '0' })
      exchange.reply.end(null)
    },
  })
  const client = open(port)
  client.socket.write(plain('x', 1000))
  await vi.waitFor(() => expect(vi.getTimerCount()).toBeGreaterThan(0))
  vi.advanceTimersByTime(61_000)
  await vi.waitFor(() => expect(client.told()).toMatch(/^HTTP\/1\.1 408 /))
  expect(late).toMatchObject({ fault: { kind: 'body-too-slow' } })
})

test('a body of more than is allowed is refused before it is read', async () => {
  let refused: unknown = null
  const { port } = await start({
    serve: async exchange => {
      try {
        await exchange.readBody(100)
      } catch (error) {
        refused = error
      }
      exchange.reply.head(413, { 'content-length': '0' })
      exchange.reply.end(null)
    },
  })
  const client = open(port)
  client.socket.write(plain('x'.repeat(101)))
  await vi.waitFor(() => expect(client.told()).toMatch(/^HTTP\/1\.1 413 /))
  expect(refused).toMatchObject({ fault: { kind: 'body-too-large' } })
})

test('a client that leaves is heard of: while its body is read, and while it is answered', async () => {
  const interrupted: unknown[] = []
  const { port, exchanges } = await start({
    serve: async exchange => {
      exchange.interrupt = why => interrupted.push(why)
      await exchange.readBody(10_000)
      exchange.reply.head(200, { 'content-type': 'text/event-stream' })
      exchange.reply.write(Buffer.from('data: 1\n\n'))
    },
    report: () => {},
  })
  const early = open(port)
  early.socket.write(plain('x', 1000))
  await vi.waitFor(() => expect(exchanges).toHaveLength(1))
  early.socket.destroy()
  await vi.waitFor(() => expect(exchanges[0]?.gone).toBe(true))
  const late = open(port)
  late.socket.write(plain('x'))
  await vi.waitFor(() => expect(late.told()).toContain('data: 1'))
  late.socket.destroy()
  await vi.waitFor(() => expect(exchanges[1]?.gone).toBe(true))
  expect(interrupted.map(why => why instanceof ClientGone)).toEqual([true, true])
  // Nobody is there to be written to.
  expect(exchanges[1]?.reply.write(Buffer.from('data: 2\n\n'))).toBe(true)
  exchanges[1]?.reply.end(null)
})

test('who ends in the middle of a body is told so, and who ends after it is not answered', async () => {
  const { port, refused, exchanges } = await start({ serve: () => new Promise(() => {}) })
  const short = open(port)
  short.socket.end(plain('x', 1000))
  await vi.waitFor(() => expect(short.told()).toBe('HPE_INVALID_EOF_STATE'))
  expect(refused).toHaveLength(1)
  const whole = open(port)
  whole.socket.end(plain('x'))
  await vi.waitFor(() => expect(exchanges[1]?.gone).toBe(true))
  expect(whole.told()).toBe('')
})

test('a stream is framed piece by piece, and an answer that is larger than a write is whole', async () => {
  const large = Buffer.alloc(3_000_000, 'z')
  const { port } = await start({
    serve: async exchange => {
      exchange.reply.head(200, { 'content-type': 'text/event-stream' })
      exchange.reply.flush()
      exchange.reply.write(Buffer.from('data: 1\n\n'))
      exchange.reply.write(Buffer.alloc(0))
      exchange.reply.write(large)
      expect([exchange.reply.headSent, exchange.reply.sentBytes]).toEqual([true, large.length + 9])
      exchange.reply.end(Buffer.from('data: [DONE]\n\n'))
    },
  })
  const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', body: 'x' })
  expect(await answer.text()).toBe(`data: 1\n\n${large.toString()}data: [DONE]\n\n`)
})

test('pieces of every size are framed as HTTP says', async () => {
  const sizes = [1, 9, 15, 16, 17, 255, 256, 4095, 4096, 16_384, 16_385]
  const { port } = await start({
    serve: async exchange => {
      exchange.reply.head(200, { 'content-type': 'text/event-stream' })
      exchange.reply.flush()
      for (const size of sizes) exchange.reply.write(Buffer.alloc(size, 'x'))
      exchange.reply.end(null)
    },
  })
  const client = open(port)
  client.socket.write(plain('x'))
  await vi.waitFor(() => expect(client.told()).toMatch(/\r\n0\r\n\r\n$/))
  const chunks = sizes.map(size => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`)
  expect(client.told().split('\r\n\r\n').slice(1).join('\r\n\r\n')).toBe(`${chunks.join('')}0\r\n\r\n`)
})

test('a header that could end its line is not sent', async () => {
  const { port, reported } = await start({
    serve: async exchange => exchange.reply.head(200, { 'content-length': '0', 'x-made-up': 'a\r\nset-cookie: b' }),
  })
  const client = open(port)
  client.socket.write(plain('x'))
  await vi.waitFor(() => expect(client.told()).toMatch(/^HTTP\/1\.1 500 /))
  expect(client.told()).not.toContain('set-cookie')
  expect(reported).toEqual([expect.any(TypeError)])
})

test('while the gateway drains, an answer is the last on its connection', async () => {
  const { port } = await start({ draining: () => true })
  const client = open(port)
  client.socket.write(plain('one') + plain('two'))
  await new Promise(resolve => client.socket.once('close', resolve))
  expect(client.told()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\nConnection: close\r\n\r\none$/)
})

test('idle connections can be let go: not those that answer, nor those that have just come', async () => {
  const { lane, port, sockets } = await start({
    serve: exchange => (exchange.head.route === '/v1/embeddings' ? new Promise(() => {}) : echo(exchange)),
  })
  const [idle, busy] = [open(port), open(port)]
  open(port)
  idle.socket.write(plain('x'))
  await vi.waitFor(() => expect(idle.answers()).toBe(1))
  busy.socket.write(plain('x').replace('chat/completions', 'embeddings'))
  await vi.waitFor(() => expect(sockets).toHaveLength(3))
  await vi.waitFor(() => expect(sockets.map(socket => socket.bytesRead > 0).filter(Boolean)).toHaveLength(2))
  lane.closeIdle()
  await vi.waitFor(() => expect(sockets.filter(({ destroyed }) => destroyed)).toHaveLength(1))
  lane.closeAll()
  expect(sockets.every(({ destroyed }) => destroyed)).toBe(true)
})

test('a connection that says nothing is told so after ten seconds; one between requests is dropped after ninety', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  const { port, sockets, refused } = await start()
  const [silent, idle] = [open(port), open(port)]
  idle.socket.write(plain('x'))
  await vi.waitFor(() => expect([idle.answers(), sockets.length]).toEqual([1, 2]))
  vi.advanceTimersByTime(9_000)
  expect(refused).toEqual([])
  vi.advanceTimersByTime(2_000)
  expect(refused).toEqual(['ERR_HTTP_REQUEST_TIMEOUT'])
  // Ended, but not by the client: not waited for either.
  vi.advanceTimersByTime(1_000)
  await vi.waitFor(() => expect(silent.socket.closed).toBe(true))
  vi.advanceTimersByTime(76_000)
  expect(sockets.filter(({ destroyed }) => destroyed)).toHaveLength(1)
  vi.advanceTimersByTime(4_000)
  expect(sockets.every(({ destroyed }) => destroyed)).toBe(true)
})

test('an answer that nobody reads is not waited for without an end, and one that is read leaves its connection as it was', async () => {
  const large = Buffer.alloc(64 * 1024 * 1024)
  const { port, sockets } = await start({
    serve: async exchange => {
      exchange.reply.head(200, { 'content-length': String(large.length) })
      exchange.reply.end(large)
    },
  })
  const slow = open(port)
  slow.socket.pause().write(plain('x'))
  await vi.waitFor(() => expect(sockets[0]?.timeout).toBe(60_000))
  sockets[0]?.emit('timeout')
  await vi.waitFor(() => expect(sockets[0]?.destroyed).toBe(true))
  const quick = open(port)
  quick.socket.write(plain('x'))
  await vi.waitFor(() => expect(sockets[1]?.bytesWritten).toBeGreaterThan(large.length), { timeout: 20_000 })
  await vi.waitFor(() => expect([sockets[1]?.writableLength, sockets[1]?.timeout]).toEqual([0, 0]), { timeout: 20_000 })
  expect(sockets[1]?.destroyed).toBe(false)
})

test('a last answer that is still on its way goes out before its idle connection is let go', async () => {
  const large = Buffer.alloc(32 * 1024 * 1024)
  const { lane, port, sockets } = await start({
    serve: async exchange => {
      exchange.reply.head(200, { 'content-length': String(large.length) })
      exchange.reply.end(large)
    },
  })
  const client = connect(port, '127.0.0.1').pause()
  let read = 0
  client.on('error', () => {}).on('data', data => (read += data.length))
  client.write(plain('x'))
  await vi.waitFor(() => expect(sockets[0]?.writableLength).toBeGreaterThan(0))
  lane.closeIdle()
  client.resume()
  await new Promise(resolve => client.once('close', resolve))
  expect(read).toBeGreaterThan(large.length)
})

import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import {
  createServer as createTlsServer,
  getCACertificates,
  Server as TlsServer,
  setDefaultCACertificates,
} from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, expect, test, vi } from 'vitest'
import { openClient, toEndpoint, type Client } from './index.ts'

const closers: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
  vi.restoreAllMocks()
  vi.useRealTimers()
})

type Engine = { url: string; sockets: Socket[]; open: Set<Socket>; server: Server }

/** A server that does as told with each request, by its number; the connections it had, in order. */
async function listen(
  onRequest: (socket: Socket, request: string, number: number) => void,
  from = createServer(),
): Promise<Engine> {
  const sockets: Socket[] = []
  const open = new Set<Socket>()
  let number = 0
  from.on(from instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.push(socket)
    open.add(socket)
    let request = ''
    socket.on('error', () => {}).on('close', () => open.delete(socket))
    socket.on('data', data => {
      request += data.toString('latin1')
      const end = request.indexOf('\r\n\r\n')
      const length = Number(/content-length: (\d+)/.exec(request)?.[1] ?? 0)
      if (end === -1 || request.length < end + 4 + length) return
      const whole = request
      request = ''
      onRequest(socket, whole, number++)
    })
  })
  await new Promise<void>(resolve => from.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    for (const socket of open) socket.destroy()
    await new Promise(resolve => from.close(resolve))
  })
  // A TCP server that listens has an address object.
  return { url: `http://127.0.0.1:${(from.address() as AddressInfo).port}`, sockets, open, server: from }
}

function client(): Client {
  const opened = openClient()
  closers.push(() => opened.close())
  return opened
}

const answer = (text: string, headers = ''): string =>
  `HTTP/1.1 200 OK\r\n${headers}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`

type Asking = { method?: 'GET' | 'POST'; body?: string | Uint8Array; onData?: (chunk: Buffer) => boolean }

/** What was heard, and `over`: at `end` or `failed`. */
function ask(by: Client, url: string, { method = 'POST', body = '{}', onData = () => true }: Asking = {}) {
  const heard: string[] = []
  const { promise: over, resolve } = Promise.withResolvers<void>()
  const { promise: began, resolve: begin } = Promise.withResolvers<void>()
  const request = { method, path: '/x', headers: {}, body: method === 'GET' ? null : body }
  const call = by.send(toEndpoint({ url }), request, {
    head: status => void heard.push(String(status)),
    data(chunk) {
      heard.push(chunk.toString())
      begin()
      return onData(chunk)
    },
    end: () => resolve(void heard.push('end')),
    failed: error => resolve(void heard.push(`failed: ${error.message}`)),
  })
  return { call, heard, over, began }
}

/** The machine may have much else to do. */
const noneOpen = (engine: Engine): Promise<void> => expect.poll(() => engine.open.size, { timeout: 20_000 }).toBe(0)

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

async function answered(by: Client, url: string, asking: Asking = {}): Promise<string> {
  const { heard, over } = ask(by, url, asking)
  await over
  // A connection rests for a turn.
  await turn()
  return heard.join(' ')
}

test('of idle connections the one used last is used first', async () => {
  const engine = await listen((socket, request) => void socket.write(answer(request.slice(-1))))
  const by = client()
  await Promise.all(['1', '2', '3'].map(body => answered(by, engine.url, { body })))
  expect(engine.sockets).toHaveLength(3)
  const reused: (number | undefined)[] = []
  for (const [index, socket] of engine.sockets.entries()) socket.on('data', () => reused.push(index))
  for (let i = 0; i < 4; i++) await answered(by, engine.url)
  expect(new Set(reused).size).toBe(1)
})

test('request and answer of any size and text come through, in one write each', async () => {
  const engine = await listen((socket, request) => {
    const body = Buffer.from(request.slice(request.indexOf('\r\n\r\n') + 4), 'latin1')
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`)
    socket.write(body)
  })
  const by = client()
  const reads: number[] = []
  engine.server.on('connection', (socket: Socket) => socket.prependListener('data', data => reads.push(data.length)))
  for (const text of ['ascii', 'caf\u00e9', '\u65e5\u672c', '\u{1f600}', 'x'.repeat(1_000_000)])
    for (const body of [text, Buffer.from(text)]) {
      reads.length = 0
      const { heard, over } = ask(by, engine.url, { body })
      await over
      expect([heard[0], heard.slice(1, -1).join('') === text, heard.at(-1)]).toEqual(['200', true, 'end'])
      if (text.length < 100) expect(reads).toHaveLength(1)
    }
})

test.each([
  ['the engine says so', answer('x', 'connection: close\r\n')],
  ['it says so among others', answer('x', 'Connection: Keep-Alive, Close\r\n')],
  ['it speaks HTTP/1.0', answer('x').replace('1.1', '1.0')],
  ['it keeps idle ones for less than a moment', answer('x', 'keep-alive: timeout=1\r\n')],
  ['more comes than was asked for', `${answer('x')}HTTP/1.1 200 OK\r\n`],
])('a connection is not used again when %s', async (_, bytes) => {
  const engine = await listen(socket => void socket.write(bytes))
  const by = client()
  for (let i = 0; i < 2; i++) expect(await answered(by, engine.url)).toBe('200 x end')
  expect(engine.sockets).toHaveLength(2)
  await noneOpen(engine)
})

test('an idle connection is dropped when something comes on it, and nothing of that is heard', async () => {
  const engine = await listen((socket, _, number) => void socket.write(answer(String(number))))
  const by = client()
  expect(await answered(by, engine.url)).toBe('200 0 end')
  engine.sockets[0]?.write(answer('smuggled'))
  await noneOpen(engine)
  expect(await answered(by, engine.url)).toBe('200 1 end')
})

test('idle connections are used for 4 s, or for a second less than the engine says', async () => {
  let headers = ''
  const engine = await listen(socket => void socket.write(answer('x', headers)))
  const by = client()
  const started = performance.now()
  const clock = vi.spyOn(performance, 'now').mockReturnValue(started)
  const connectionsAfter = async (ms: number): Promise<number> => {
    await answered(by, engine.url)
    clock.mockReturnValue(performance.now() + ms)
    await answered(by, engine.url)
    return engine.sockets.length
  }
  expect(await connectionsAfter(3_990)).toBe(1)
  expect(await connectionsAfter(4_000)).toBe(2)
  headers = 'keep-alive: max=100, timeout=3\r\n'
  await answered(by, engine.url)
  expect(await connectionsAfter(1_990)).toBe(2)
  expect(await connectionsAfter(2_010)).toBe(3)
})

test('idle connections that are not asked for are closed, and nothing is left', async () => {
  const engine = await listen(socket => void socket.write(answer('x', 'keep-alive: timeout=2\r\n')))
  expect(await answered(client(), engine.url)).toBe('200 x end')
  expect(engine.open.size).toBe(1)
  await noneOpen(engine)
})

test('a request whose connection had been reset when it was written is sent over another, and asked once', async () => {
  const asked: number[] = []
  const engine = await listen((socket, _, number) => {
    asked.push(number)
    socket.write(answer(String(number)))
  })
  const by = client()
  await Promise.all([answered(by, engine.url), answered(by, engine.url)])
  // In one turn: the kernel knows of it, we have heard nothing.
  for (const socket of engine.open) socket.resetAndDestroy()
  expect(await answered(by, engine.url)).toBe('200 2 end')
  expect(asked).toEqual([0, 1, 2])
})

test('an engine that takes a request and closes may have done the work: a POST is told, a GET is sent once more', async () => {
  const asked: string[] = []
  for (const [method, times] of [
    ['POST', 1],
    ['GET', 2],
  ] as const) {
    const by = client()
    asked.length = 0
    const engine = await listen((socket, request) => {
      asked.push(request.slice(0, 4).trim())
      if (asked.length === 1) socket.write(answer('first'))
      else socket.destroy()
    })
    expect(await answered(by, engine.url, { method })).toBe('200 first end')
    expect(await answered(by, engine.url, { method })).toMatch(
      /^failed: 127\.0\.0\.1:\d+ closed the connection without an answer$/,
    )
    expect(asked).toEqual(Array.from({ length: 1 + times }, () => method))
  }
})

test('what fails in the middle of an answer is told, with the engine and the reason, and is never sent again', async () => {
  for (const [bytes, reason] of [
    ['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', /closed the connection before its answer was whole/],
    [
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nx',
      /the size of a chunk is no hexadecimal number/,
    ],
    ['HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\nhalf', /a header goes on in the next line/],
    ['SSH-2.0-x\r\n', /does not begin as HTTP\/1\.1/],
  ] as const) {
    const engine = await listen(socket => void socket.end(bytes))
    const { heard, over } = ask(client(), engine.url, { method: 'GET' })
    await over
    expect(heard.at(-1)).toMatch(/^failed: 127\.0\.0\.1:\d+/)
    expect(heard.at(-1)).toMatch(reason)
    expect(engine.sockets).toHaveLength(1)
  }
})

test('an answer that comes before its request has gone out is heard, and the connection is not used again', async () => {
  const server = createServer(socket => {
    socket.on('error', () => {}).pause()
    socket.write(answer('too large'))
  })
  const engine = await listen(() => {}, server)
  const by = client()
  for (let i = 1; i <= 2; i++) {
    expect(await answered(by, engine.url, { body: Buffer.alloc(32 * 1024 * 1024) })).toBe('200 too large end')
    expect(engine.sockets).toHaveLength(i)
  }
  for (const socket of engine.open) socket.resume()
  await noneOpen(engine)
})

test('the end of an answer that is paused waits until it is resumed', async () => {
  const engine = await listen(socket => void socket.write(answer('whole')))
  const { call, heard, began, over } = ask(client(), engine.url, { onData: () => false })
  await began
  for (let i = 0; i < 5; i++) await turn()
  expect(heard).toEqual(['200', 'whole'])
  call.resume()
  await over
  expect(heard).toEqual(['200', 'whole', 'end'])
})

test('chunks that come together are told as one piece, in a buffer of its own', async () => {
  const engine = await listen((socket, _, number) => {
    const text = String(number).repeat(10)
    socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n${text}\r\na\r\n${text}\r\n0\r\n\r\n`)
  })
  const by = client()
  const pieces: Buffer[] = []
  for (let i = 0; i < 3; i++)
    await answered(by, engine.url, {
      onData(chunk) {
        pieces.push(chunk)
        return true
      },
    })
  expect(pieces.map(String)).toEqual(['0'.repeat(20), '1'.repeat(20), '2'.repeat(20)])
})

test('who does not accept within 5 s is given up', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  // It takes the connection and never speaks TLS.
  const engine = await listen(() => {})
  const { heard, over } = ask(client(), engine.url.replace('http:', 'https:'))
  await once(engine.server, 'connection')
  vi.advanceTimersByTime(4_999)
  await turn()
  expect(heard).toEqual([])
  vi.advanceTimersByTime(1)
  await over
  expect(heard[0]).toMatch(/^failed: 127\.0\.0\.1:\d+ did not accept a connection within 5 s$/)
  await noneOpen(engine)
})

test('an https address is asked over TLS whose certificate must name it; connections are kept there too', async () => {
  const server = createTlsServer({ cert, key })
  const engine = await listen((socket, _, number) => void socket.write(answer(String(number))), server)
  const { port } = new URL(engine.url)
  const by = client()
  expect(await answered(by, `https://localhost:${port}`)).toMatch(/^failed: .*self-signed certificate/)
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, cert])
  closers.push(() => setDefaultCACertificates(before))
  engine.sockets.length = 0
  for (const expected of ['200 0 end', '200 1 end'])
    expect(await answered(by, `https://localhost:${port}`)).toBe(expected)
  expect(engine.sockets).toHaveLength(1)
  expect(await answered(by, `https://127.0.0.1:${port}`)).toBe('200 2 end')
  expect(await answered(by, `https://127.0.0.2:${port}`)).toMatch(/^failed: /)
})

test('a name with several addresses is tried until one accepts', async () => {
  const engine = await listen(socket => void socket.write(answer('x')))
  expect(await answered(client(), engine.url.replace('127.0.0.1', 'localhost'))).toBe('200 x end')
})

test('calls that end in every way leave no connection and no timer behind', async () => {
  const engine = await listen((socket, request, number) => {
    const how = number % 4
    if (how === 0) socket.write(answer(request.slice(-2)))
    if (how === 1) socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n')
    if (how === 2) socket.destroy()
    if (how === 3) socket.write('nonsense')
  })
  const by = client()
  for (let round = 0; round < 20; round++) {
    const calls = Array.from({ length: 20 }, (_, i) => ask(by, engine.url, { onData: () => i % 3 !== 0 }))
    for (const [i, { call }] of calls.entries()) if (i % 5 === 0) call.abort()
    await turn()
    for (const [i, { call, over }] of calls.entries()) {
      if (i % 2 === 0) call.resume()
      const settled = i % 5 === 0 || (await Promise.race([over.then(() => true), turn().then(() => false)]))
      if (!settled) call.abort()
    }
  }
  by.close()
  await noneOpen(engine)
  await expect
    .poll(() => process.getActiveResourcesInfo().filter(name => /^TCP(Socket)?Wrap$/i.test(name)).length, {
      timeout: 20_000,
    })
    .toBe(0)
})

test('a prompt that is sent is not kept while its answer takes its time', async () => {
  const engine = await listen(socket => void socket.write('HTTP/1.1 200 OK\r\n\r\nx'))
  const by = client()
  const asked = askWithPrompt()
  await asked.began
  await turn()
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  expect(asked.prompt.deref()).toBeUndefined()
  by.close()
  await asked.over

  /** Of its own, so that nothing of this test holds the prompt. */
  function askWithPrompt() {
    const body = Buffer.alloc(100_000, 'x')
    const { began, over } = ask(by, engine.url, { body })
    return { began, over, prompt: new WeakRef(body) }
  }
})

test('close ends what is under way, told as a failure', async () => {
  const engine = await listen(socket => void socket.write('HTTP/1.1 200 OK\r\n\r\nx'))
  const by = client()
  const { heard, began, over } = ask(by, engine.url)
  await began
  by.close()
  await over
  expect(heard).toEqual(['200', 'x', expect.stringMatching(/^failed: the connection to .* was closed here/)])
})

/** Of `localhost` and 127.0.0.1, by itself, until 2120. For this test alone. */
const cert = `-----BEGIN CERTIFICATE-----
MIIBZDCCAQqgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEP/AxvD7tOhJfh6
lUzk5ZQ6UTqQHDi79rXJVlXsx80lAZRX90Y8C4bQANmbo8igaYUhPNCaILoYvDBq
CE58pIejSzBJMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAMBgNVHRMEBTAD
AQH/MB0GA1UdDgQWBBR1CAVkqO2idVXRQtneqmK56yIHUDAKBggqhkjOPQQDAgNI
ADBFAiAmhTS2g9HnobRn+/cBgP5IeWdso+eJq/DTzqCuHT5VFAIhAM3lT2aWUzO7
khf7DA+Ca15RXuDjExlzjP9Rd5iDcRm6
-----END CERTIFICATE-----
`
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgW6Ip+wskuoCkQ5VA
KggtL8pQmojGwsthllMjAKsdPyChRANCAARD/wMbw+7ToSX4epVM5OWUOlE6kBw4
u/a1yVZV7MfNJQGUV/dGPAuG0ADZm6PIoGmFITzQmiC6GLwwaghOfKSH
-----END PRIVATE KEY-----
`

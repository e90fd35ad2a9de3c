/**
 * What a client sees over a connection that begins in the lane is what it sees over node:http alone. The reference is the same
 * gateway: a connection that begins with an empty line is node:http's from its first byte. There each request is sent when the one
 * before has been answered; in the lane they come as they like, cut anywhere and all at once.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FaultError } from '../../domain/fault.ts'
import { openEdge } from '../../domain/serving/index.ts'
import type { Exchange, Reply } from '../../services/serve/index.ts'
import { readPlainHead } from './plain-head.ts'
import { openHttp } from './server.ts'

type Behaviour = (exchange: Exchange) => Promise<void>

const large = Buffer.from(Array.from({ length: 40_000 }, (_, at) => at % 251))

/** More than the kernel takes for a client that does not read. */
const hugeBytes = 32 * 1024 * 1024

/** What a pipeline may do with a request, by the name that the client gives it. */
const behaviours: Record<string, Behaviour> = {
  'whole': async exchange => {
    const told = await echo(exchange)
    exchange.reply.head(200, { 'content-type': 'application/json', 'content-length': String(told.length) })
    exchange.reply.end(told)
  },
  'later': async exchange => {
    await turn()
    await turn()
    await behaviours['whole']?.(exchange)
  },
  'stream': async exchange => {
    const told = await echo(exchange)
    exchange.reply.head(200, { 'content-type': 'text/event-stream' })
    exchange.reply.flush()
    for (const piece of [told, Buffer.from('data: x\n\n'), large]) {
      await turn()
      exchange.reply.write(piece)
    }
    exchange.reply.end(Buffer.from('data: [DONE]\n\n'))
  },
  'stream-unflushed': async exchange => {
    await exchange.readBody(1_000_000)
    exchange.reply.head(200, { 'content-type': 'text/event-stream' })
    for (const piece of ['data: x\n\n', '', 'data: y\n\n']) exchange.reply.write(Buffer.from(piece))
    await turn()
    exchange.reply.end(null)
  },
  'pieces-of-a-whole': async exchange => {
    const told = await echo(exchange)
    exchange.reply.head(200, { 'content-length': String(told.length + large.length) })
    exchange.reply.write(told)
    exchange.reply.end(large)
  },
  'large': async exchange => {
    await exchange.readBody(1_000_000)
    exchange.reply.head(200, { 'content-length': String(large.length) })
    exchange.reply.end(large)
  },
  'empty': async exchange => {
    await exchange.readBody(1_000_000)
    exchange.reply.head(200, { 'x-empty': 'yes' })
    exchange.reply.end(null)
  },
  'unread': async ({ reply }) => refuse(reply, 413),
  'early': async exchange => {
    const body = exchange.readBody(1_000_000)
    refuse(exchange.reply, 429)
    await body
  },
  'huge': async exchange => {
    await exchange.readBody(1_000_000)
    exchange.reply.head(200, { 'content-length': String(hugeBytes) })
    exchange.reply.end(Buffer.alloc(hugeBytes, 'z'))
  },
  'short': async exchange => {
    await exchange.readBody(3)
    await behaviours['whole']?.(exchange)
  },
  'fault': () => Promise.reject(new FaultError({ kind: 'not-ready', why: 'testing' })),
  'bug': () => Promise.reject(new TypeError('a bug on purpose')),
  'bug-behind-its-answer': async exchange => {
    await behaviours['whole']?.(exchange)
    await turn()
    exchange.reply.write(Buffer.from('more'))
    exchange.reply.end(Buffer.from('more'))
    throw new TypeError('a bug on purpose')
  },
  'cut-behind-its-answer': async exchange => {
    await behaviours['whole']?.(exchange)
    await turn()
    exchange.reply.cut()
  },
  'unfit': async ({ reply }) => reply.head(200, { 'x-bad': 'a\r\nb: c' }),
  'cut': async exchange => {
    await exchange.readBody(1_000_000)
    exchange.reply.head(200, { 'content-type': 'text/event-stream' })
    exchange.reply.write(Buffer.from('data: x\n\n'))
    await turn()
    exchange.reply.cut()
  },
}

function refuse(reply: Reply, status: number): void {
  reply.head(status, { 'content-length': '2' })
  reply.end(Buffer.from('no'))
}

/** Everything that the pipeline is told of a request. */
async function echo({ head, readBody }: Exchange): Promise<Buffer> {
  const body = await readBody(1_000_000)
  return Buffer.from(
    JSON.stringify({ ...head, length: body.length, body: createHash('sha256').update(body).digest('hex') }),
  )
}

let server: Server
let port: number
/** What the pipeline was asked and what of it is over. */
const counts = { begun: 0, over: 0, gone: 0, bytes: 0 }
const reported: unknown[] = []

beforeAll(async () => {
  const http = openHttp({
    edge: () => openEdge,
    warn: problem => reported.push(problem),
    serve: async exchange => {
      counts.begun += 1
      try {
        await behaviours[exchange.head.clientId ?? 'whole']?.(exchange)
      } finally {
        counts.over += 1
        // Over node:http what is written behind an end is counted, though it is not sent.
        if (exchange.head.clientId !== 'bug-behind-its-answer') counts.bytes += exchange.reply.sentBytes
        if (exchange.gone) counts.gone += 1
      }
    },
    plain: { '/health': { answer: () => ({ status: 200, body: { status: 'ok' } }) } },
    relayed: ['api'],
    relay: (_request, response) => void response.end('relayed'),
    report: error => reported.push(error),
    draining: () => false,
  })
  ;({ server } = http)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server that listens has an address object.
  ;({ port } = server.address() as AddressInfo)
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

/**
 * What a client saw: all bytes, and whether the server ended the connection while the client would have gone on; and what the pipeline
 * and the log were told meanwhile.
 */
type Saw = { text: string; wasEnded: boolean; begun: number; bytes: number; reported: number }

/** Sends piece by piece, each once the server has read the one before; and each list of them once the server is still. */
async function converse(parts: readonly (readonly string[])[]): Promise<Saw> {
  const before = { ...counts, reported: reported.length }
  const taken = once(server, 'connection')
  const client = connect(port, '127.0.0.1').setNoDelay(true)
  let text = ''
  let isClosed = false
  client
    .on('data', data => {
      text += data.toString('latin1')
    })
    .on('error', () => {})
    .on('close', () => {
      isClosed = true
    })
  // What the event gives.
  const [socket] = (await taken) as [Socket]
  let sent = 0
  for (const pieces of parts) {
    for (const piece of pieces) {
      if (isClosed) break
      client.write(piece, 'latin1')
      sent += piece.length
      await untilRead()
    }
    await untilStill()
  }
  const wasEnded = isClosed
  if (!isClosed) client.end()
  while (!isClosed || !socket.destroyed) await turn()
  const [begun, bytes] = [counts.begun - before.begun, counts.bytes - before.bytes]
  return { text: normal(text), wasEnded, begun, bytes, reported: reported.length - before.reported }

  /** A socket that waits for its turn reads no more. */
  async function untilRead(): Promise<void> {
    while (socket.bytesRead < sent && !socket.isPaused() && !socket.destroyed) await turn()
  }

  /** Nothing moves: what was sent is read, nothing runs, and what was written has come. */
  async function untilStill(): Promise<void> {
    for (let still = 0, seen = ''; still < 5;) {
      await turn()
      if (isClosed) return
      const isMoving =
        socket.destroyed || socket.writableEnded || socket.bytesWritten > client.bytesRead || socket.bytesRead < sent
      const now = JSON.stringify([socket.bytesRead, socket.bytesWritten, client.bytesRead, counts])
      still = isMoving || now !== seen ? 0 : still + 1
      seen = now
    }
  }
}

const normal = (text: string): string =>
  text
    // Node answers with the words of a head that it could not write.
    .replaceAll(' 500 OK', ' 500 Internal Server Error')
    .replaceAll(/^date: .*$/gim, match => match.slice(0, 5))
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g, 'id')

const path = '/v1/chat/completions'
const post = (behaviour: string, body = '{"a": "b"}', headers = ''): string =>
  `POST ${path} HTTP/1.1\r\nhost: h\r\nx-request-id: ${behaviour}\r\ncontent-length: ${body.length}\r\n${headers}\r\n${body}`

const { huge: _apart, ...small } = behaviours
const plain: Record<string, string> = {
  ...Object.fromEntries(Object.keys(small).map(behaviour => [behaviour, post(behaviour)])),
  'nothing in the body': post('whole', ''),
  'bytes of all kinds': post('whole', large.subarray(0, 251).toString('latin1')),
  'a body that looks like a request': post('whole', post('whole', '{}')),
  'such a body, unread': post('unread', post('whole', '{}')),
  'a body of 100 KB': post('whole', 'x'.repeat(100_000)),
  'such a body, unread and large': post('unread', 'x'.repeat(100_000)),
  'every header that is read': post(
    'whole',
    '{}',
    'authorization: Bearer  a\r\nx-api-key: b\r\ncontent-type: text/plain; a="b"\r\nx-holdfast-conversation: c\r\nx-openwebui-chat-id: d\r\nx-openwebui-user-id: e\r\nx-forwarded-for: 192.0.2.1\r\nanthropic-version: 1\r\n',
  ),
  'a fault in another dialect': post('fault', '{}', 'anthropic-version: 1\r\n').replace(path, '/v1/messages'),
  'a name that is too long': post('whole', '{}', `x-openwebui-user-id: ${'u'.repeat(500)}\r\n`),
}

/** Served by node:http, and the connection goes on. */
const odd: Record<string, string> = {
  'chunks': `POST ${path} HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  'a query': post('whole').replace(path, `${path}?beta=true`),
  'a stream over node:http': post('stream', '{}', 'te: trailers\r\n'),
  'a GET': 'GET /health HTTP/1.1\r\nhost: h\r\n\r\n',
  'a path that is none': post('whole').replace(path, '/v1/nowhere'),
  'a path of the controller': post('whole').replace(path, '/api/v1/keys'),
  'another method': post('whole').replace('POST', 'PUT'),
  'an absolute target': post('whole').replace(path, `http://h${path}`),
  'an empty line first': `\r\n${post('whole')}`,
  'a tab before a value': post('whole', '{}', 'x:\ty\r\n'),
  'two keys': post('whole', '{}', 'authorization: Bearer a\r\nauthorization: Bearer b\r\n'),
  'a body that is coded': post('whole', '{}', 'content-encoding: gzip\r\n'),
}

/** Told to go on before they are answered. */
const answersTwice = { 'an expectation': post('whole', '{}', 'expect: 100-continue\r\n') }

/** Whose answer is the connection's last. */
const last: Record<string, string> = {
  'connection: close': post('whole', '{}', 'connection: close\r\n'),
  'a stream with connection: close': post('stream', '{}', 'connection: close\r\n'),
  'HTTP/1.0': post('whole').replace('HTTP/1.1', 'HTTP/1.0'),
  'two hosts': post('whole', '{}', 'host: other\r\n'),
  'no host': post('whole').replace('host: h\r\n', ''),
  'another expectation': post('whole', '{}', 'expect: a-miracle\r\n'),
  'two lengths': post('whole', '{}', 'content-length: 0\r\n'),
  'a length and chunks': post('whole', '{}', 'transfer-encoding: chunked\r\n'),
  'a space before a colon': post('whole', '{}', 'x : y\r\n'),
  'bare line feeds': post('whole').replaceAll('\r\n', '\n'),
  'a NUL': post('whole', '{}', 'x: a\0b\r\n'),
  'garbage': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
  'a head of 20 KB': post('whole', '{}', `x: ${'y'.repeat(20_000)}\r\n`),
  'half a head': post('whole').slice(0, 40),
  'half a body': post('whole').slice(0, -3),
}
const all: Record<string, string> = { ...plain, ...odd, ...last, ...answersTwice }

/** What node:http alone answers, each request in its own time. */
const viaNode = (requests: readonly string[]): Promise<Saw> =>
  converse([[`\r\n${requests[0] ?? ''}`], ...requests.slice(1).map(request => [request])])

test('the requests here are plain where they say so, and what begins with an empty line is not', () => {
  expect(Object.keys(plain).filter(name => readPlainHead(plain[name] ?? '') === null)).toEqual([])
  const lookPlain = ['half a body', 'a path that is none', 'a path of the controller']
  const others = Object.entries({ ...odd, ...last }).filter(([name]) => !lookPlain.includes(name))
  expect(others.filter(([, text]) => readPlainHead(text) !== null)).toEqual([])
  expect(Object.values(all).filter(text => readPlainHead(`\r\n${text}`) !== null)).toEqual([])
})

test.each(Object.entries(all))('%s: the same answer, alone and behind plain requests', async (name, text) => {
  const few = [[text], [post('whole'), text], [post('unread'), post('later'), text]]
  for (const requests of name in last ? few : [...few, [text, text, text]]) {
    const expected = await viaNode(requests)
    expect(expected.text).not.toBe('')
    expect(await converse(requests.map(request => [request]))).toEqual(expected)
    // Two that node:http reads at once it may answer otherwise than one by one.
    if (name in plain || requests.length < 3 || requests[0] !== text)
      expect(await converse([[requests.join('')]])).toEqual(expected)
  }
})

test('cut at each byte, a plain request, an odd one behind it and a plain one behind that are answered the same', async () => {
  for (const requests of [
    [post('whole'), odd['chunks'] ?? '', post('later', '{}')],
    [post('unread'), post('later', '{}'), post('fault')],
  ]) {
    const expected = await viaNode(requests)
    const whole = requests.join('')
    for (let at = 1; at < whole.length; at += 1) {
      expect(await converse([[whole.slice(0, at), whole.slice(at)]]), `cut at ${at}`).toEqual(expected)
    }
    expect(await converse([[...whole]]), 'byte by byte').toEqual(expected)
  }
})

test('any mix of plain and odd requests, cut anywhere, and then one that ends the connection', async () => {
  const oneOf = (requests: Record<string, string>) => fc.constantFrom(...Object.keys(requests))
  const { cut: endsIt, ...goesOn } = plain
  const endings = { ...last, ...answersTwice, cut: endsIt ?? '' }
  const mix = fc.array(fc.oneof({ weight: 3, arbitrary: oneOf(goesOn) }, oneOf(odd)), { minLength: 1, maxLength: 4 })
  const cuts = fc.array(fc.nat({ max: 9_999 }), { maxLength: 5 })
  const piecesOf = (text: string, cut: number[]): string[] => {
    const places = [0, ...cut.map(at => Math.trunc((at / 10_000) * text.length)), text.length].toSorted((a, b) => a - b)
    return places.slice(1).flatMap((to, at) => text.slice(places[at], to) || [])
  }
  await fc.assert(
    fc.asyncProperty(mix, oneOf(endings), cuts, cuts, async (names, ending, cut, cutOfEnding) => {
      const requests = names.map(name => all[name] ?? '')
      const end = all[ending] ?? ''
      const expected = await viaNode([...requests, end])
      // node:http forgets what it was to answer when it reads what it refuses in the same turn: so that is sent apart.
      expect(await converse([piecesOf(requests.join(''), cut), piecesOf(end, cutOfEnding)])).toEqual(expected)
    }),
    { numRuns: 150 },
  )
})

const patience = { interval: 0, timeout: 20_000 }

test('what comes piece by piece behind an answer that is not read yet is served once', async () => {
  const taken = once(server, 'connection')
  const client = connect(port, '127.0.0.1').setNoDelay(true).pause()
  // What the event gives.
  const [socket] = (await taken) as [Socket]
  client.write(post('huge'))
  await expect.poll(() => socket.writableNeedDrain, patience).toBe(true)
  const before = counts.begun
  const behind = post('whole', '{}', 'te: trailers\r\n')
  for (const letter of behind) {
    const read = socket.bytesRead
    client.write(letter)
    await expect.poll(() => socket.bytesRead, patience).toBeGreaterThan(read)
  }
  expect(socket.listenerCount('drain')).toBeLessThan(3)
  let text = ''
  client.on('data', data => {
    text = (text + data.toString('latin1')).replaceAll(/z{2,}/g, 'z')
  })
  client.resume()
  await expect.poll(() => text, patience).toContain('"body":')
  client.write(post('whole', '{}', 'connection: close\r\n'))
  await once(client, 'close')
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(Array.from({ length: 3 }, () => 'HTTP/1.1 200'))
  expect(counts.begun - before).toBe(2)
})

/** The same bytes through our client and through undici: the same outcome where they are well-formed, and never a laxer one. */
import { createServer, type AddressInfo, type Socket } from 'node:net'
import fc from 'fast-check'
import { Pool } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openClient, toEndpoint } from './index.ts'

type Outcome = { status: number; type: string; body: string } | 'refused'

const ok = 'HTTP/1.1 200 OK\r\n'
const plain = 'content-type: text/plain\r\n'
const chunked = `${ok}${plain}transfer-encoding: chunked\r\n\r\n`
const sized = (length: string): string => `${ok}${plain}content-length: ${length}\r\n\r\n`

const wellFormed: Record<string, string> = {
  'a length': `${sized('5')}hello`,
  'no body': sized('0'),
  'one chunk': `${chunked}5\r\nhello\r\n0\r\n\r\n`,
  'chunks in upper and lower case, with leading zeros': `${chunked}000A\r\n0123456789\r\n0a\r\nabcdefghij\r\n0\r\n\r\n`,
  'a chunk that holds line ends': `${chunked}8\r\na\r\n\r\n0\r\n\r\n0\r\n\r\n`,
  'extensions': `${chunked}5;name=value\r\nhello\r\n0;last\r\n\r\n`,
  'trailers': `${chunked}5\r\nhello\r\n0\r\nx-sum: 1\r\nx-time: 2 ms\r\n\r\n`,
  'only the last chunk': `${chunked}0\r\n\r\n`,
  'the end of the connection': `${ok}${plain}\r\nhello`,
  'HTTP/1.0 and the end of the connection': `HTTP/1.0 200 OK\r\n${plain}\r\nhello`,
  'HTTP/1.0 and a length': `HTTP/1.0 200 OK\r\n${plain}content-length: 5\r\n\r\nhello`,
  'connection: close': `${ok}connection: close\r\ncontent-length: 5\r\n\r\nhello`,
  'early hints first': `HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n${sized('2')}ok`,
  'processing, twice, first': `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 P\r\n\r\n${sized('2')}ok`,
  '204': 'HTTP/1.1 204 No Content\r\n\r\n',
  '304 with the length of what it stands for': 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n',
  '500 with a body': 'HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops',
  'an empty reason': 'HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok',
  'no reason': 'HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok',
  'a reason in Latin-1': 'HTTP/1.1 200 tr\xe8s bien\r\ncontent-length: 2\r\n\r\nok',
  'names in any case, spaces round values': `${ok}Content-Type:  text/x; a=b \t\r\nCONTENT-LENGTH:\t2\r\n\r\nok`,
  'an empty value': `${ok}x-empty:\r\nx-spaces:   \r\ncontent-length: 2\r\n\r\nok`,
  'many headers': `${ok}${Array.from({ length: 80 }, (_, i) => `x-${i}: ${i}\r\n`).join('')}content-length: 2\r\n\r\nok`,
  'a coding in upper case': `${ok}Transfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
}

const hostile: Record<string, string> = {
  'nothing at all': '',
  'half a status line': 'HTTP/1.1 2',
  'half a head': `${ok}content-le`,
  'a head without its end': `${ok}content-length: 2\r\n`,
  'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
  'HTTP/2': 'HTTP/2 200 OK\r\ncontent-length: 2\r\n\r\nok',
  'HTTP/0.9': '<html>hello</html>',
  'a version of two digits': 'HTTP/1.10 200 OK\r\n\r\n',
  'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
  'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
  'a status with a sign': 'HTTP/1.1 -20 OK\r\n\r\n',
  'two spaces before the status': 'HTTP/1.1  200 OK\r\n\r\n',
  'lines that end with LF alone': 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok',
  'one header that ends with LF alone': `${ok}x: y\ncontent-length: 2\r\n\r\nok`,
  'a bare CR in a value': `${ok}x: a\rb\r\ncontent-length: 2\r\n\r\nok`,
  'a NUL in a value': `${ok}x: a\0b\r\ncontent-length: 2\r\n\r\nok`,
  'a NUL in a name': `${ok}x\0: a\r\ncontent-length: 2\r\n\r\nok`,
  'a DEL in a value': `${ok}x: a\x7fb\r\ncontent-length: 2\r\n\r\nok`,
  'a folded header': `${ok}x: a\r\n b\r\ncontent-length: 2\r\n\r\nok`,
  'a folded first header': `${ok} content-length: 1\r\ncontent-length: 2\r\n\r\nok`,
  'a folded length': `${ok}content-length:\r\n 2\r\n\r\nok`,
  'a space before the colon': `${ok}content-length : 2\r\n\r\nok`,
  'no colon': `${ok}content-length 2\r\n\r\nok`,
  'no name': `${ok}: 2\r\ncontent-length: 2\r\n\r\nok`,
  'a negative length': `${sized('-5')}hello`,
  'a length with a plus': `${sized('+5')}hello`,
  'a hexadecimal length': `${sized('0x5')}hello`,
  'a length with a point': `${sized('5.0')}hello`,
  'an empty length': `${sized('')}hello`,
  'a length beyond 64 bits': `${sized('18446744073709551621')}hello`,
  'a length with a space in it': `${sized('1 5')}hello`,
  'a list of lengths': `${sized('5, 5')}hello`,
  'two lengths': `${ok}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`,
  'the same length twice': `${ok}content-length: 5\r\ncontent-length: 5\r\n\r\nhello`,
  'less than its length': `${sized('50')}hello`,
  'length and chunks': `${ok}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  'chunks and length': `${ok}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  'length and another coding': `${ok}content-length: 5\r\ntransfer-encoding: identity\r\n\r\nhello`,
  'two codings': `${ok}transfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  'chunked twice': `${ok}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  'chunked, then another': `${ok}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  'a coding with a control character before it': `${ok}transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
  'spaces after a coding, which some take for another one': `${ok}transfer-encoding: chunked \r\n\r\n0\r\n\r\n`,
  'spaces after a length': `${sized('5 ')}hello`,
  'an interim answer in HTTP/1.0': `HTTP/1.0 103 Early Hints\r\n\r\n${sized('2')}ok`,
  'chunks in HTTP/1.0': 'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  'no size': `${chunked}\r\nhello\r\n0\r\n\r\n`,
  'a negative size': `${chunked}-5\r\nhello\r\n0\r\n\r\n`,
  'a size with 0x': `${chunked}0x5\r\nhello\r\n0\r\n\r\n`,
  'a size that is no number': `${chunked}five\r\nhello\r\n0\r\n\r\n`,
  'a size beyond 64 bits': `${chunked}ffffffffffffffffff\r\nhello\r\n0\r\n\r\n`,
  'a size of 64 bits': `${chunked}ffffffffffffffff\r\nhello\r\n0\r\n\r\n`,
  'a space before a size': `${chunked} 5\r\nhello\r\n0\r\n\r\n`,
  'a size that ends with LF alone': `${chunked}5\nhello\r\n0\r\n\r\n`,
  'a size that ends with CR alone': `${chunked}5\rhello\r\n0\r\n\r\n`,
  'a chunk that is shorter than its size': `${chunked}6\r\nhello\r\n0\r\n\r\n`,
  'a chunk that is longer than its size': `${chunked}4\r\nhello\r\n0\r\n\r\n`,
  'a chunk that ends with LF alone': `${chunked}5\r\nhello\n0\r\n\r\n`,
  'an extension with a control character': `${chunked}5;a\x01b\r\nhello\r\n0\r\n\r\n`,
  'an extension that ends with LF alone': `${chunked}5;a\nhello\r\n0\r\n\r\n`,
  'a chunk that is cut': `${chunked}5\r\nhel`,
  'no last chunk': `${chunked}5\r\nhello\r\n`,
  'half a last chunk': `${chunked}5\r\nhello\r\n0\r\n`,
  'a trailer without a colon': `${chunked}5\r\nhello\r\n0\r\nnonsense\r\n\r\n`,
  'a trailer that ends with LF alone': `${chunked}0\r\nx: y\n\r\n`,
  'a trailer without an end': `${chunked}0\r\nx: y\r\n`,
  'a length in a trailer': `${chunked}0\r\ncontent-length: 3\r\n\r\n`,
  'an extension without a name': `${chunked}5;\r\nhello\r\n0\r\n\r\n`,
  'an extension with a quote that does not end': `${chunked}5;a="b\r\nhello\r\n0\r\n\r\n`,
  'extensions of 2 KB': `${chunked}5;${'x'.repeat(2_000)}\r\nhello\r\n0\r\n\r\n`,
  'trailers of 30 KB': `${chunked}0\r\n${'x: 12345678\r\n'.repeat(3_000)}\r\n`,
  'a protocol that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n',
  'only an interim answer': 'HTTP/1.1 103 Early Hints\r\n\r\n',
  'a head of 64 KB': `${ok}x: ${'y'.repeat(65_536)}\r\ncontent-length: 2\r\n\r\nok`,
  'a head of 20 KB in small headers': `${ok}${'x: 12345678\r\n'.repeat(1_600)}content-length: 2\r\n\r\nok`,
}

/** A server of one connection after another: each gets the bytes that were asked for by path, in pieces. */
const scripts = new Map<string, { pieces: Buffer[]; stays: boolean }>()
const sockets = new Set<Socket>()
const server = createServer({ noDelay: true }, socket => {
  sockets.add(socket)
  socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  socket.on('data', data => {
    const script = scripts.get(/^POST (\S+) /.exec(data.toString('latin1'))?.[1] ?? '')
    if (script !== undefined) play(socket, [...script.pieces], script.stays)
  })
})

/** A turn between two pieces, so that each is read alone. */
function play(socket: Socket, pieces: Buffer[], stays: boolean): void {
  const piece = pieces.shift()
  if (socket.destroyed) return
  if (piece === undefined) {
    if (!stays) socket.end()
    return
  }
  socket.write(piece, () => setImmediate(() => play(socket, pieces, stays)))
}

let url = ''
let theirs: Pool
let asked = 0
beforeAll(async () => {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // A TCP server that listens has an address object.
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  theirs = new Pool(url, { pipelining: 1 })
})
afterAll(async () => {
  await theirs.destroy()
  for (const socket of sockets) socket.destroy()
  await new Promise(resolve => server.close(resolve))
})

function script(pieces: Buffer[], stays: boolean): string {
  const path = `/${asked++}`
  scripts.set(path, { pieces, stays })
  return path
}

function throughOurs(pieces: Buffer[], stays = false): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const path = script(pieces, stays)
  const told = { status: 0, type: '', body: '' }
  const chunks: Buffer[] = []
  const endpoint = toEndpoint({ url })
  // Each on a connection of its own: most end with theirs.
  const ours = openClient()
  const request = { method: 'POST', path, headers: {}, body: '{}' } as const
  ours.send(endpoint, request, {
    head: (status, type) => Object.assign(told, { status, type }),
    data(chunk) {
      chunks.push(chunk)
      return true
    },
    end: () => resolve({ ...told, body: Buffer.concat(chunks).toString('latin1') }),
    failed: () => resolve('refused'),
  })
  return promise.finally(() => {
    ours.close()
    scripts.delete(path)
  })
}

async function throughTheirs(pieces: Buffer[], stays = false): Promise<Outcome> {
  const path = script(pieces, stays)
  try {
    const { statusCode, headers, body } = await theirs.request({ path, method: 'POST', body: '{}', reset: true })
    const type = headers['content-type']
    const bytes = Buffer.from(await body.arrayBuffer())
    // It leaves the spaces that end a value.
    const trimmed = typeof type === 'string' ? type.replace(/[ \t]+$/, '') : ''
    return { status: statusCode, type: trimmed, body: bytes.toString('latin1') }
  } catch {
    return 'refused'
  } finally {
    scripts.delete(path)
  }
}

/** What undici refuses though a client has to take it: `100 Continue` unasked. */
const soundAllTheSame = /^HTTP\/1\.1 100/m

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')
const cutAt = (bytes: Buffer, places: readonly number[]): Buffer[] =>
  [0, ...places.toSorted((a, b) => a - b)]
    .map((from, i, all) => bytes.subarray(from, all[i + 1]))
    .filter(({ length }) => length > 0)

describe.each(Object.entries(wellFormed))('well-formed: %s', (_, text) => {
  const bytes = bytesOf(text)

  test('ends as with undici', async () => {
    const expected = await throughTheirs([bytes])
    expect(expected).not.toBe('refused')
    expect(await throughOurs([bytes])).toEqual(expected)
    expect(
      await throughOurs(
        Array.from(bytes.subarray(0, 400), (_each, at) => bytes.subarray(at, at + 1)).concat([bytes.subarray(400)]),
      ),
    ).toEqual(expected)
  })

  test('ends the same wherever it is cut', async () => {
    const whole = await throughOurs([bytes])
    const places = Array.from({ length: Math.min(bytes.length - 1, 400) }, (_each, at) => at + 1)
    const cut = await Promise.all(places.map(at => throughOurs(cutAt(bytes, [at]))))
    for (const [at, outcome] of cut.entries()) expect(outcome, `cut after byte ${at + 1}`).toEqual(whole)
  })
})

test.each(Object.entries(wellFormed).filter(([, text]) => /content-length|chunked|204|304/i.test(text)))(
  'well-formed: %s ends though the connection stays',
  async (_, text) => {
    expect(await throughOurs([bytesOf(text)], true)).toEqual(await throughTheirs([bytesOf(text)], true))
  },
)

test.each(Object.entries(hostile))('hostile: %s is refused, in one piece and in single bytes', async (_, text) => {
  const bytes = bytesOf(text)
  expect(await throughOurs([bytes])).toBe('refused')
  const single = Array.from(bytes.subarray(0, 300), (_each, at) => bytes.subarray(at, at + 1))
  expect(await throughOurs([...single, bytes.subarray(300)].filter(({ length }) => length > 0))).toBe('refused')
})

test('whatever is done to well-formed bytes: what undici refuses is refused, and what both take is the same', async () => {
  const mutation = fc.record({
    at: fc.nat(),
    what: fc.oneof(
      fc.constantFrom(
        '',
        '\r',
        '\n',
        '\r\n',
        '\0',
        ' ',
        '\t',
        ':',
        ',',
        ';',
        '0',
        '5',
        '-',
        '+',
        'f',
        'x',
        '\x7f',
        '\xff',
      ),
      fc.constantFrom(
        'content-length: 3\r\n',
        'transfer-encoding: chunked\r\n',
        'HTTP/1.1 200 OK\r\n\r\n',
        '0\r\n\r\n',
      ),
    ),
    removed: fc.integer({ min: 0, max: 3 }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.values(wellFormed)),
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      fc.array(fc.nat(), { maxLength: 4 }),
      async (text, mutations, cuts) => {
        let mutated = text
        for (const { at, what, removed } of mutations) {
          const place = at % (mutated.length + 1)
          mutated = mutated.slice(0, place) + what + mutated.slice(place + removed)
        }
        const bytes = bytesOf(mutated)
        const pieces = cutAt(
          bytes,
          cuts.map(cut => cut % (bytes.length + 1)),
        )
        const [mine, reference] = await Promise.all([throughOurs(pieces), throughTheirs([bytes])])
        if (mine === 'refused' || (reference === 'refused' && soundAllTheSame.test(mutated))) return
        expect(mine, JSON.stringify(mutated)).toEqual(reference)
      },
    ),
    { numRuns: 600 },
  )
})

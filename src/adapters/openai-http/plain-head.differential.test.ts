/**
 * node:http is the measure of what bytes mean: whatever the plain grammar takes, node:http takes too, and reads as the same requests,
 * bodies and end. The grammar may refuse more, since what it refuses node:http reads anyway.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { clientRequests } from '../../../test/support/client-requests.ts'
import { smugglingCorpus } from '../../../test/support/smuggling-corpus.ts'
import { mostHeadBytes, mostHeaders, readPlainHead } from './plain-head.ts'

/** A request as its reader understood it, or why a reader stopped. */
type Seen =
  | { path: string; headers: Record<string, string>; length: number; body: string; isWhole: boolean; plain: unknown }
  | { stoppedBy: string }

/** What a plain head promises beside its path and headers. */
const plainly = { method: 'POST', version: '1.1', hosts: 1, expects: false, keepsAlive: true, coding: null }

const wasCut: Seen = { stoppedBy: 'HPE_INVALID_EOF_STATE' }

/** The headers that a reading has to agree on: all that the grammar gives. */
const headersRead = Object.keys(readPlainHead(firstOf(clientRequests))?.headers ?? {})

/** As `server.ts` sets it up. Who speaks to it: `viaNode`. */
const reference = createServer({ maxHeaderSize: mostHeadBytes, requireHostHeader: false })
reference.maxHeadersCount = mostHeaders
const readers = new WeakMap<object, Seen[]>()
reference.on('request', (request, response) => onRequest(request, response, false))
reference.on('checkContinue', (request, response) => onRequest(request, response, true))
reference.on('checkExpectation', (request, response) => onRequest(request, response, true))
reference.on('clientError', (error, socket) => {
  // Node's own codes for what its parser refuses.
  readers.get(socket)?.push({ stoppedBy: 'code' in error ? String(error.code) : error.message })
  // What came whole before it is still being read, in later turns.
  setImmediate(() => socket.destroy())
})

function onRequest(request: IncomingMessage, response: ServerResponse, expects: boolean): void {
  const names = request.rawHeaders.filter((_, at) => at % 2 === 0).map(name => name.toLowerCase())
  const { headers } = request
  const body: Buffer[] = []
  const seen = {
    path: request.url ?? '',
    headers: Object.fromEntries(
      headersRead.flatMap(name => {
        const value = headers[name]
        return typeof value === 'string' ? [[name, value]] : []
      }),
    ),
    length: Number(headers['content-length']),
    body: '',
    isWhole: false,
    plain: {
      method: request.method,
      version: request.httpVersion,
      hosts: names.filter(name => name === 'host').length,
      expects,
      keepsAlive: response.shouldKeepAlive,
      coding: headers['transfer-encoding'] ?? headers['content-encoding'] ?? null,
    },
  }
  readers.get(request.socket)?.push(seen)
  request.on('data', (chunk: Buffer) => {
    body.push(chunk)
    seen.body = Buffer.concat(body).toString('latin1')
  })
  request.on('end', () => {
    seen.isWhole = true
    response.end()
  })
  request.on('error', () => {})
}

/** What node:http makes of a connection with these bytes, which the client then ends. */
async function viaNode(text: string): Promise<Seen[]> {
  const seen: Seen[] = []
  const connection = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() })
  readers.set(connection, seen)
  const closed = new Promise(resolve => connection.once('close', resolve))
  connection.on('error', () => {})
  reference.emit('connection', connection)
  connection.push(Buffer.from(text, 'latin1'))
  // Bodies are read in later turns; an end that came before would cut them.
  await new Promise(resolve => setImmediate(resolve))
  await new Promise(resolve => setImmediate(resolve))
  connection.push(null)
  await closed
  return seen
}

/** What a lane for plain requests makes of them, with node:http for all that stands behind the last plain one. */
async function viaLane(text: string): Promise<Seen[]> {
  const seen: Seen[] = []
  let rest = text
  for (let head = readPlainHead(rest); head !== null; head = readPlainHead(rest)) {
    const { path, headers, contentLength, bytes } = head
    const body = rest.slice(bytes, bytes + contentLength)
    const isWhole = body.length === contentLength
    const given = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
    seen.push({ path, headers: Object.fromEntries(given), length: contentLength, body, isWhole, plain: plainly })
    if (!isWhole) return [...seen, wasCut]
    rest = rest.slice(bytes + contentLength)
  }
  return [...seen, ...(await viaNode(rest))]
}

const counted = { plain: 0, onlyNode: 0, neither: 0 }
const forget = (): unknown => Object.assign(counted, { plain: 0, onlyNode: 0, neither: 0 })

async function holdAgainstNode(text: string): Promise<void> {
  // As sockets bring it: else the two would not be told the same.
  expect(Buffer.from(text, 'latin1').toString('latin1')).toBe(text)
  const [lane, node] = await Promise.all([viaLane(text), viaNode(text)])
  expect(lane).toEqual(node)
  if (readPlainHead(text) !== null) counted.plain += 1
  else if (node.some(seen => 'path' in seen)) counted.onlyNode += 1
  else counted.neither += 1
}

const corpus = smugglingCorpus({ headers: { authorization: 'Bearer a' }, path: '/v1/chat', hiddenBody: name => name })
const oneClient = clientRequests['openai for JavaScript'] ?? ''
const short = 'POST /v1/a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nX-Request-ID: r\r\n\r\n{}'

test('what clients send, each behind every other', async () => {
  forget()
  const all = Object.values(clientRequests)
  for (const first of all) await Promise.all(all.map(second => holdAgainstNode(first + second)))
  expect(counted).toEqual({ plain: all.length ** 2, onlyNode: 0, neither: 0 })
})

test('what parsers have disagreed about, alone, behind a plain request and before one', async () => {
  forget()
  for (const { bytes } of corpus) {
    await Promise.all([bytes, oneClient + bytes, bytes + oneClient, short + bytes + short].map(holdAgainstNode))
  }
  expect(counted.plain).toBeGreaterThan(2 * corpus.length)
  expect(counted.neither).toBeGreaterThan(corpus.length)
})

/** Bytes that a parser has a rule for. */
const telling = [...'\0\t\n\v\r !"#,-./0159:;?A_aez{}\x7f\x80\xa0\xff']

test('two short requests, with any one byte changed, added or taken away', async () => {
  forget()
  const whole = short + short
  for (let at = 0; at <= whole.length; at += 1) {
    const [before, after] = [whole.slice(0, at), whole.slice(at)]
    const edits = telling.flatMap(byte => [before + byte + after, before + byte + after.slice(1)])
    await Promise.all([...edits, before + after.slice(1), before].map(holdAgainstNode))
  }
  expect(counted.plain).toBeGreaterThan(2_000)
  expect(counted.onlyNode).toBeGreaterThan(500)
  expect(counted.neither).toBeGreaterThan(500)
})

const word = fc.string({ unit: fc.constantFrom(...'abzAZ09-'), minLength: 1, maxLength: 8 })
const value = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: fc.constantFrom(...'aZ09 ~!:;,"=/'), minLength: 1, maxLength: 12 }) },
  fc.string({ unit: fc.constantFrom(...telling), maxLength: 6 }),
)
const name = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...headersRead) },
  { weight: 3, arbitrary: word },
  fc.constantFrom('accept', 'cookie', 'user-agent', 'constructor', '__proto__', 'x_y', 'date', 'via', 'set-cookie'),
)
const meaningful = fc.constantFrom(
  ...['connection: keep-alive', 'Connection: Keep-Alive', 'connection: close', 'connection: te', 'keep-alive: 5'],
  ...['connection: keep-alive, close', 'connection: close, keep-alive'],
  ...['expect: 100-continue', 'transfer-encoding: chunked', 'upgrade: h2c', 'content-length: 1', 'content-length: 0'],
  ...['host: other', 'proxy-connection: close', 'content-encoding: gzip', 'te: trailers', 'trailer: x'],
)
const header = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(name, fc.constantFrom(': ', ':'), value).map(parts => parts.join('')) },
  { weight: 1, arbitrary: meaningful },
)
const spelling = fc.constantFrom<(line: string) => string>(
  line => line,
  line => line.toLowerCase(),
  line => line.toUpperCase(),
)
const body = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: fc.constantFrom(...'{}" \r\n:a\xff'), maxLength: 30 }) },
  fc.constantFrom(short, '0\r\n\r\n', `1\r\na\r\n0\r\n\r\n${short}`),
)
const request = fc
  .record({
    line: fc.oneof(
      { weight: 12, arbitrary: word.map(path => `POST /v1/${path.toLowerCase()} HTTP/1.1`) },
      fc.constantFrom('POST /a?b HTTP/1.1', 'GET /a HTTP/1.1', 'POST http://a/b HTTP/1.1', 'POST /a HTTP/1.0'),
    ),
    headers: fc.oneof(
      { weight: 12, arbitrary: fc.array(header, { maxLength: 6 }) },
      fc.array(header, { minLength: mostHeaders - 4, maxLength: mostHeaders + 2 }),
      fc.nat({ max: 40 }).map(more => [`x: ${'y'.repeat(mostHeadBytes - 150 + 5 * more)}`]),
    ),
    body,
    /** How much the told length is off. */
    off: fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, fc.integer({ min: -3, max: 3 })),
    at: fc.nat(),
    spelling,
  })
  .map(({ line, headers, body: content, off, at, spelling: spell }) => {
    const lines = [...headers]
    const place = at % (lines.length + 1)
    lines.splice(place, 0, 'host: h', spell(`content-length: ${content.length + off}`))
    return `${line}\r\n${lines.map(each => `${each}\r\n`).join('')}\r\n${content}`
  })
const connection = fc.oneof(
  { weight: 6, arbitrary: fc.array(request, { minLength: 1, maxLength: 3 }).map(requests => requests.join('')) },
  fc.constantFrom(...Object.values(clientRequests)),
  fc.constantFrom(...corpus.map(({ bytes }) => bytes)),
)

test('generated requests, one behind the other', async () => {
  forget()
  await fc.assert(fc.asyncProperty(connection, holdAgainstNode), { numRuns: 2_000 })
  expect(counted.plain).toBeGreaterThan(700)
  expect(counted.onlyNode).toBeGreaterThan(200)
  expect(counted.neither).toBeGreaterThan(20)
})

type Change = (text: string, other: string, at: number) => string
const changes: Change[] = [
  (text, _, at) => text.slice(0, at) + text.slice(at + 1),
  (text, _, at) => text.slice(0, at) + (telling[at % telling.length] ?? '') + text.slice(at),
  (text, _, at) => text.slice(0, at) + (telling[at % telling.length] ?? '') + text.slice(at + 1),
  (text, _, at) => text.slice(0, at),
  (text, other, at) => text.slice(0, at) + other.slice(at % (other.length + 1)),
  (text, other, at) => text.slice(0, at) + other + text.slice(at),
  (text, _, at) => eachLine(text, at, (lines, line) => [...lines.slice(0, line), ...lines.slice(line + 1)]),
  (text, _, at) => eachLine(text, at, (lines, line) => [...lines.slice(0, line + 1), ...lines.slice(line)]),
  (text, other, at) =>
    eachLine(text, at, (lines, line) => lines.toSpliced(line, 0, ...other.split('\r\n').slice(1, 3))),
  (text, _, at) =>
    eachLine(text, at, (lines, line) =>
      lines.toSpliced(
        line,
        1,
        (lines[line] ?? '').replaceAll(/[a-z]/g, letter => letter.toUpperCase()),
      ),
    ),
]

test('generated requests with bytes and lines changed, repeated, taken away and spliced', async () => {
  forget()
  const change = fc.tuple(fc.constantFrom(...changes), fc.nat())
  await fc.assert(
    fc.asyncProperty(
      connection,
      connection,
      fc.array(change, { minLength: 1, maxLength: 3 }),
      async (first, second, made) => {
        const changed = made.reduce((text, [how, at]) => how(text, second, at % (text.length + 1)), first)
        await holdAgainstNode(changed)
      },
    ),
    { numRuns: 3_000 },
  )
  expect(counted.plain).toBeGreaterThan(400)
  expect(counted.onlyNode).toBeGreaterThan(300)
  expect(counted.neither).toBeGreaterThan(300)
})

function eachLine(text: string, at: number, how: (lines: string[], line: number) => string[]): string {
  const lines = text.split('\r\n')
  return how(lines, at % lines.length).join('\r\n')
}

function firstOf(all: Readonly<Record<string, string>>): string {
  return Object.values(all)[0] ?? ''
}

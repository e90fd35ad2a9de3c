/**
 * Engines that attack with the head of an answer, or with what stands behind it: it is refused, or taken, and either way nothing
 * of it but the kind of content comes through to the client.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { says, startRawEngine, type HostileEngine } from '../support/hostile-engine.ts'
import { startGateway, testKey } from '../support/in-process-gateway.ts'
import { rawPost, sendRaw } from '../support/raw-http.ts'

const evil = 'evil-of-the-engine'
const json =
  '{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"}}]}'
const events = 'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n'
const cookie = `set-cookie: ${evil}=1`
const ok = 'HTTP/1.1 200 OK'
const many = (count: number): string => Array.from({ length: count }, (_, n) => `x-${n}: ${evil}`).join('\r\n')
const hiddenAnswer = `${ok}\r\n${cookie}\r\ncontent-length: ${evil.length}\r\n\r\n${evil}`

type Kind = 'whole' | 'stream'
const typeOf: Record<Kind, string> = { whole: 'application/json', stream: 'text/event-stream' }
const bodyOf: Record<Kind, string> = { whole: json, stream: events }

/** First lines, with a good head behind them. */
const badFirstLines = {
  'a bare CR and a header': `${ok}\r${cookie}`,
  'a bare LF and a header': `${ok}\n${cookie}`,
  'a NUL in the reason': `${ok}\0${evil}`,
  'a bell in the reason': `${ok}\x07`,
  'a DEL in the reason': `${ok}\x7f`,
  'two spaces': 'HTTP/1.1  200 OK',
  'a tab for a space': 'HTTP/1.1\t200 OK',
  'a status of four digits': 'HTTP/1.1 2000 OK',
  'a status of two digits': 'HTTP/1.1 20 OK',
  'a status below 100': 'HTTP/1.1 099 OK',
  'a negative status': 'HTTP/1.1 -200 OK',
  'a signed status': 'HTTP/1.1 +200 OK',
  'a status in hex': 'HTTP/1.1 0xc8 OK',
  'no status': 'HTTP/1.1',
  'a status in words': 'HTTP/1.1 OK',
  'no version': '200 OK',
  'HTTP/2': 'HTTP/2 200',
  'HTTP/0.9': 'HTTP/0.9 200 OK',
  'HTTP/1.2': 'HTTP/1.2 200 OK',
  'HTTP/11.1': 'HTTP/11.1 200 OK',
  'small letters': 'http/1.1 200 OK',
  'another protocol': 'ICY 200 OK',
  'a space in front': ` ${ok}`,
  'an empty line in front': `\r\n${ok}`,
  'a byte order mark in front': `\u00ef\u00bb\u00bf${ok}`,
  'a request': 'POST /v1/chat/completions HTTP/1.1',
  'a reason of 20 KB': `${ok} ${evil.repeat(1_200)}`,
}

/** Headers that no head may have, behind a good first line. */
const badHeaders = {
  'a bare CR in a value': `x-a: b\r${cookie}`,
  'a bare LF in a value': `x-a: b\n${cookie}`,
  'an LF CR': `x-a: b\n\r${cookie}`,
  'a CR CR LF': `x-a: b\r\r\n${cookie}`,
  'a NUL in a value': `x-a: b\0${evil}`,
  'a NUL in a name': `x-a\0: ${evil}`,
  'a vertical tab in a value': `x-a: \x0b${evil}`,
  'a DEL in a value': `x-a: \x7f${evil}`,
  'a CR in the type': `content-type: text/html\r${cookie}`,
  'an LF in the type': `content-type: text/html\n${cookie}`,
  'a space in a name': `x a: ${evil}`,
  'a space before the colon': `x-a : ${evil}`,
  'a tab before the colon': `transfer-encoding\t: chunked`,
  'no name': `: ${evil}`,
  'no colon': evil,
  'a folded line': `x-a: b\r\n ${cookie}`,
  'a folded line of tabs': `x-a: b\r\n\t${cookie}`,
  'a folded line at once': ` ${cookie}`,
  'a name in quotes': `"set-cookie": ${evil}`,
  'a name with a letter beyond ASCII': `x-\u00e9: ${evil}`,
  'a bracket in a name': `x(a): ${evil}`,
  'a hundred and one headers': many(101),
  'ten thousand headers': many(10_000),
  'a header of 20 KB': `x-a: ${evil.repeat(1_200)}`,
}

/** What tells of the body's end in two ways, or in one that nobody knows. Whoever takes it as it may be meant gets a good body. */
const badEnds = {
  'two lengths': 'content-length: LENGTH\r\ncontent-length: 6',
  'two lengths, the second good': 'content-length: 6\r\ncontent-length: LENGTH',
  'one length twice': 'content-length: LENGTH\r\ncontent-length: LENGTH',
  'a list of lengths': 'content-length: LENGTH, LENGTH',
  'a signed length': 'content-length: +LENGTH',
  'a negative length': 'content-length: -LENGTH',
  'a length in hex': 'content-length: 0xHEX',
  'a length with an exponent': 'content-length: LENGTHe0',
  'a length with a point': 'content-length: LENGTH.0',
  'a length and a space': 'content-length: LENGTH ',
  'a length and another behind a space': 'content-length: LENGTH 6',
  'a length with an underscore': 'content-length: 0_LENGTH',
  'a length in seventeen digits': 'content-length: 00000000000000LENGTH',
  'an empty length': 'content-length:',
  'a length in words': 'content-length: all',
  'a length with a digit beyond ASCII': 'content-length: LENGTH\u00b2',
  'a length and chunks': 'content-length: LENGTH\r\ntransfer-encoding: chunked',
  'chunks and a length': 'transfer-encoding: chunked\r\ncontent-length: LENGTH',
  'chunks, twice': 'transfer-encoding: chunked\r\ntransfer-encoding: chunked',
  'chunks of chunks': 'transfer-encoding: chunked, chunked',
  'identity': 'transfer-encoding: identity',
  'identity and chunks': 'transfer-encoding: identity, chunked',
  'chunks and identity': 'transfer-encoding: chunked, identity',
  'gzip and chunks': 'transfer-encoding: gzip, chunked',
  'an unknown coding': 'transfer-encoding: xchunked',
  'a coding with a parameter': 'transfer-encoding: chunked;a=b',
  'a coding in quotes': 'transfer-encoding: "chunked"',
  'a coding and a space': 'transfer-encoding: chunked ',
  'a coding and a vertical tab': 'transfer-encoding: \x0bchunked',
  'no coding': 'transfer-encoding:',
}

/** Chunks that break their own rules before their data. */
const badChunks = {
  'a size with a prefix': `0xHEX\r\nBODY\r\n0\r\n\r\n`,
  'a size with a sign': `+HEX\r\nBODY\r\n0\r\n\r\n`,
  'a size in fifteen digits': `000000000000HEX\r\nBODY\r\n0\r\n\r\n`,
  'a size behind a space': ` HEX\r\nBODY\r\n0\r\n\r\n`,
  'a size and a space': `HEX \r\nBODY\r\n0\r\n\r\n`,
  'a size and a bare LF': `HEX\nBODY\r\n0\r\n\r\n`,
  'a size and a bare CR': `HEX\rBODY\r\n0\r\n\r\n`,
  'an empty line in front': `\r\nHEX\r\nBODY\r\n0\r\n\r\n`,
  'extensions of 20 KB': `HEX;x=${evil.repeat(1_200)}\r\nBODY\r\n0\r\n\r\n`,
  'an extension with a bare LF': `HEX;x\n${cookie}\r\nBODY\r\n0\r\n\r\n`,
  'an extension with a NUL': `HEX;x=\0\r\nBODY\r\n0\r\n\r\n`,
  'an extension without a name': `HEX;=x\r\nBODY\r\n0\r\n\r\n`,
}

/** The same, behind it: a stream's client may have its answer by then. */
const badTails = {
  'a bare LF behind the data': `HEX\r\nBODY\n0\r\n\r\n`,
  'nothing behind the data': `HEX\r\nBODY0\r\n\r\n`,
  'no last chunk': `HEX\r\nBODY\r\n`,
  'a trailer that tells the length': `HEX\r\nBODY\r\n0\r\ncontent-length: 5\r\n\r\n`,
  'a trailer that tells of chunks': `HEX\r\nBODY\r\n0\r\ntransfer-encoding: chunked\r\n\r\n`,
  'a trailer with control characters': `HEX\r\nBODY\r\n0\r\nx-a: \0${evil}\r\n\r\n`,
  'a trailer without a name': `HEX\r\nBODY\r\n0\r\n: ${evil}\r\n\r\n`,
  'trailers of 20 KB': `HEX\r\nBODY\r\n0\r\n${`x-a: ${evil}\r\n`.repeat(1_200)}\r\n`,
}

/** Headers that say something to a client, or to a proxy: well-formed, and not the engine's to say. */
const notItsOwn = {
  'cookies': `${cookie}\r\nset-cookie2: ${evil}`,
  'our own headers': `x-holdfast-version: ${evil}\r\nx-holdfast-replica: ${evil}\r\nx-holdfast-attempts: 99\r\nx-holdfast-${evil}: 1`,
  'another request id': `x-request-id: ${evil}\r\nrequest-id: ${evil}`,
  'other limits': `x-ratelimit-remaining-requests: ${evil}\r\nx-ratelimit-limit-tokens: ${evil}\r\nretry-after: 99999`,
  'hop by hop': `connection: x-${evil}, keep-alive\r\nx-${evil}: 1\r\nkeep-alive: timeout=99, ${evil}\r\nproxy-connection: ${evil}\r\nte: ${evil}\r\ntrailer: ${evil}\r\nupgrade: ${evil}`,
  'who are you': `www-authenticate: Basic realm="${evil}"\r\nproxy-authenticate: Basic realm="${evil}"\r\nauthentication-info: ${evil}`,
  'elsewhere': `location: http://${evil}/\r\nrefresh: 0;url=http://${evil}/\r\nlink: <http://${evil}/>; rel=preload\r\nalt-svc: h3="${evil}:443"\r\ncontent-location: /${evil}`,
  'files of the proxy': `x-accel-redirect: /${evil}\r\nx-sendfile: /${evil}\r\nx-accel-buffering: ${evil}`,
  'rules for browsers': `access-control-allow-origin: ${evil}\r\ncontent-security-policy: ${evil}\r\nstrict-transport-security: max-age=1; ${evil}\r\nclear-site-data: "*"\r\ncontent-disposition: attachment; filename=${evil}`,
  'of a cache': `cache-control: public, ${evil}\r\nage: 5\r\netag: "${evil}"\r\nvary: ${evil}\r\nexpires: ${evil}`,
  'who it is': `server: ${evil}\r\nx-powered-by: ${evil}\r\nvia: 1.1 ${evil}\r\ndate: ${evil}`,
  'ninety others': many(90),
}

/** Bytes behind an answer that is whole. */
const behind = {
  'another answer': hiddenAnswer,
  'half of another': hiddenAnswer.slice(0, 40),
  'nonsense': `\0\r\n\r\n${evil}`,
}

type Case = { name: string; bytes: (kind: Kind) => string }
const typed = (kind: Kind, more: string): string => `${ok}\r\n${more}\r\ncontent-type: ${typeOf[kind]}\r\n`
const whole = (kind: Kind): string => `content-length: ${bodyOf[kind].length}\r\n\r\n${bodyOf[kind]}`
const hex = (kind: Kind): string => bodyOf[kind].length.toString(16)
const chunked = (kind: Kind): string => `${hex(kind)}\r\n${bodyOf[kind]}\r\n0\r\n\r\n`
const filled = (text: string, kind: Kind): string =>
  text.replaceAll('LENGTH', String(bodyOf[kind].length)).replaceAll('HEX', hex(kind)).replaceAll('BODY', bodyOf[kind])
const casesOf = <T extends string>(
  of: string,
  from: Record<T, string>,
  bytes: (one: string, kind: Kind) => string,
): Case[] =>
  Object.entries<string>(from).map(([name, one]) => ({ name: `${of}: ${name}`, bytes: kind => bytes(one, kind) }))

const refused: Case[] = [
  ...casesOf('first line', badFirstLines, (line, kind) => `${line}\r\ncontent-type: ${typeOf[kind]}\r\n${whole(kind)}`),
  ...casesOf('header', badHeaders, (header, kind) => typed(kind, header) + whole(kind)),
  ...casesOf(
    'end',
    badEnds,
    (end, kind) => `${typed(kind, filled(end, kind))}\r\n${/chunked/.test(end) ? chunked(kind) : bodyOf[kind]}`,
  ),
  ...casesOf(
    'chunks',
    badChunks,
    (chunks, kind) => typed(kind, 'transfer-encoding: chunked') + `\r\n${filled(chunks, kind)}`,
  ),
]
const refusedLate = casesOf(
  'chunks',
  badTails,
  (chunks, kind) => typed(kind, 'transfer-encoding: chunked') + `\r\n${filled(chunks, kind)}`,
)
const taken: Case[] = [
  ...casesOf('head', notItsOwn, (headers, kind) => typed(kind, headers) + whole(kind)),
  ...casesOf('behind it', behind, (more, kind) => typed(kind, 'x-a: b') + whole(kind) + more),
  {
    name: 'chunks: trailers',
    bytes: kind =>
      `${typed(kind, `trailer: set-cookie`)}transfer-encoding: chunked\r\n\r\n${hex(kind)};x=${evil}\r\n${bodyOf[kind]}\r\n0\r\n${cookie}\r\nx-holdfast-version: ${evil}\r\n\r\n`,
  },
  {
    name: 'interim answers with headers of their own',
    bytes: kind =>
      `HTTP/1.1 103 Early Hints\r\n${cookie}\r\nlink: <${evil}>\r\n\r\n${typed(kind, 'x-a: b')}${whole(kind)}`,
  },
]

const plain: Case = { name: 'plain', bytes: kind => typed(kind, 'x-a: b') + whole(kind) }

const kinds: Kind[] = ['whole', 'stream']
const numbered = [plain, ...refused, ...refusedLate, ...taken].flatMap(({ bytes }, n) =>
  kinds.map(kind => [`${n}-${kind}`, says(Buffer.from(bytes(kind), 'latin1'))] as const),
)

let engine: HostileEngine
beforeAll(async () => {
  engine = await startRawEngine(new Map(numbered))
})
afterAll(() => engine?.close())

type Got = { status: number; names: string[]; head: string; body: string }

/** What a client of a gateway in front of that engine reads, byte for byte. */
async function ask(path: string, kind: Kind): Promise<Got> {
  const gateway = await startGateway({ replicas: [{ url: `${engine.url}/${path}` }] })
  try {
    const body = JSON.stringify({
      model: 'coder',
      stream: kind === 'stream',
      messages: [{ role: 'user', content: 'hi' }],
    })
    const head = { authorization: `Bearer ${testKey}`, connection: 'close' }
    const { text, statuses, closed } = await sendRaw(gateway.port, rawPost('/v1/chat/completions', body, head), {
      readMs: 8_000,
    })
    expect(closed).toBe(true)
    expect(statuses).toHaveLength(1)
    expect(gateway.unexpected).toEqual([])
    await gateway.untilClosed(1)
    expect(gateway.gate.inFlight).toBe(0)
    const end = text.indexOf('\r\n\r\n')
    const lines = text.slice(0, end).split('\r\n').slice(1)
    const names = lines.map(line => line.slice(0, line.indexOf(':')).toLowerCase())
    return { status: statuses[0] ?? 0, names: names.toSorted(), head: text.slice(0, end), body: text.slice(end) }
  } finally {
    await gateway.close()
  }
}

describe.each(kinds)('%s', kind => {
  test('what is malformed is refused, in our words, and nothing of it is passed on', async () => {
    const problems = await problemsOf(refused, 1, kind, got => {
      // A stream's head goes out as soon as the engine's has come; what is wrong behind it is told in an event.
      expect(got.status).toBeOneOf(kind === 'stream' ? [502, 200] : [502])
      expectRefused(got)
    })
    expect(problems).toEqual([])
  })

  test('what is malformed at its end is refused as long as that can be told', async () => {
    const problems = await problemsOf(refusedLate, 1 + refused.length, kind, got => {
      if (kind === 'whole') expectRefused(got)
      // Whether the answer was out by then is decided by how the bytes came.
      else expect(got.body).toMatch(/"error":\{|\[DONE\]/)
      expect(got.head + got.body).not.toContain(evil)
    })
    expect(problems).toEqual([])
  })

  test('what is not its to say is left out, and the answer comes through', async () => {
    const { names: usual } = await ask(`0-${kind}`, kind)
    expect(usual).toContain('x-holdfast-version')
    const problems = await problemsOf(
      taken,
      1 + refused.length + refusedLate.length,
      kind,
      ({ status, names, head, body }) => {
        expect(status).toBe(200)
        expect(body).toContain('"content":"hi"')
        expect(names).toEqual(usual)
        expect(head).not.toContain(evil)
        expect(body).not.toContain(evil)
      },
    )
    expect(problems).toEqual([])
  })
})

function expectRefused({ head, body }: Got): void {
  expect(body).toContain('"error":{')
  expect(body).not.toContain('[DONE]')
  expect(head + body).not.toContain(evil)
}

/** All that fail, in one list. */
async function problemsOf(cases: Case[], from: number, kind: Kind, judge: (got: Got) => void): Promise<string[]> {
  const problems: string[] = []
  for (const [at, { name }] of cases.entries()) {
    try {
      judge(await ask(`${from + at}-${kind}`, kind))
    } catch (error) {
      problems.push(`${name}: ${String(error).replaceAll(/\s+/g, ' ').slice(0, 300)}`)
    }
  }
  return problems
}

import { describe, expect, test } from 'vitest'
import { clientRequests } from '../../../test/support/client-requests.ts'
import { mostHeadBytes, mostHeaders, readPlainHead } from './plain-head.ts'

const line = 'POST /v1/chat/completions HTTP/1.1'
const host = 'host: holdfast'
const length = 'content-length: 5'

const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`
/** Among what makes a head plain. */
const withHeader = (...headers: string[]): string => head(line, host, ...headers, length)
const withLine = (requestLine: string): string => head(requestLine, host, length)
const withLength = (value: string): string => head(line, host, `content-length:${value}`)

describe('plain', () => {
  test.each(Object.entries(clientRequests))('%s', (_client, text) => {
    const read = readPlainHead(text)
    const [, path] = text.split(' ')
    const bytes = text.indexOf('\r\n\r\n') + 4
    expect(read).toMatchObject({ path, bytes, contentLength: text.length - bytes })
    // By another way to the same: clients repeat no header.
    const wanted = /^(authorization|content-type|anthropic-version): (.*)$/gim
    const named = [...text.slice(0, bytes).matchAll(wanted)].map(([, name, value]) => [name?.toLowerCase(), value])
    expect(Object.entries(read?.headers ?? {}).filter(([, value]) => value !== undefined)).toEqual(
      expect.arrayContaining(named),
    )
    expect(Object.values(read?.headers ?? {}).filter(value => value !== undefined)).toHaveLength(named.length)
  })

  test('each header that the gateway reads, in any case and with or without a space before its value', () => {
    const all = {
      'anthropic-version': '2023-06-01',
      'authorization': 'Bearer  sk-x',
      'content-type': 'application/json; charset="utf-8"',
      'x-api-key': 'sk-y',
      'x-forwarded-for': '192.0.2.1, 2001:db8::1',
      'x-holdfast-conversation': 'c1',
      'x-openwebui-chat-id': 'c2',
      'x-openwebui-user-id': 'u1',
      'x-request-id': 'r:1',
    }
    const names = Object.entries(all)
    for (const spelt of [
      names.map(([name, value]) => `${name}: ${value}`),
      names.map(([name, value]) => `${name.toUpperCase()}:${value}`),
      names.map(([name, value]) => `${name}: ${value}`).toReversed(),
    ]) {
      expect(readPlainHead(withHeader(...spelt))?.headers).toEqual(all)
    }
  })

  test.each([
    ['a body of nothing', withLength(' 0'), 0],
    ['zeros before a length', withLength(' 0005'), 5],
    ['no space before a length', withLength('5'), 5],
    ['ten digits', withLength(' 9999999999'), 9_999_999_999],
    ['a path without /v1', withLine('POST /chat/completions HTTP/1.1'), 5],
    ['an empty segment, as node:http leaves it', withLine('POST //v1/chat/completions HTTP/1.1'), 5],
    ['connection: Keep-Alive', withHeader('Connection: Keep-Alive'), 5],
    ['connection, twice the same', withHeader('connection: keep-alive', 'connection: keep-alive'), 5],
    ['a header that means nothing here, twice', withHeader('accept: a', 'accept: b'), 5],
    ['a header named as an object’s own', withHeader('constructor: x', 'toString: x', 'hasOwnProperty: x'), 5],
    ['a header that only looks like a length', withHeader('content-length-: 6', 'x-content-length: 7'), 5],
    ['colons and quotes in a value', withHeader(`x: :a:b "c" 'd' \\ {e}`), 5],
    ['a value that looks like a request', withHeader('x: POST / HTTP/1.1'), 5],
  ])('%s', (_name, text, contentLength) => {
    expect(readPlainHead(text)).toMatchObject({ bytes: text.length, contentLength })
  })

  test('what stands behind a head changes nothing of how it is read', () => {
    const text = withHeader('authorization: Bearer a')
    const alone = readPlainHead(text)
    expect(alone?.bytes).toBe(text.length)
    for (const behind of ['hello', '\r\n', '\r\n\r\n', ' ', '\n', ':', '\0', text, `authorization: Bearer b\r\n\r\n`])
      expect(readPlainHead(text + behind)).toEqual(alone)
  })

  test('as many headers as node:http keeps, and as many bytes as it takes', () => {
    const filler = Array.from({ length: mostHeaders - 2 }, (_, at) => `x-${at}: y`)
    expect(readPlainHead(withHeader(...filler))).not.toBeNull()
    expect(readPlainHead(withHeader(...filler, 'x: y'))).toBeNull()
    const padded = (bytes: number): string => {
      const bare = withHeader('x: ').length
      return withHeader(`x: ${'y'.repeat(bytes - bare)}`)
    }
    expect(readPlainHead(padded(mostHeadBytes))?.bytes).toBe(mostHeadBytes)
    expect(readPlainHead(padded(mostHeadBytes + 1))).toBeNull()
  })
})

describe('not whole', () => {
  test.each(Object.entries(clientRequests))('%s, at every byte before its head’s end', (_client, text) => {
    const bytes = text.indexOf('\r\n\r\n') + 4
    for (let at = 0; at < bytes; at += 1) expect(readPlainHead(text.slice(0, at))).toBeNull()
  })
})

/** All that a byte can be. */
const everyByte = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
const isIn = (allowed: RegExp) => (byte: string) => allowed.test(byte)
const spelt = (byte: string): string => `0x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`

describe('every byte, in each place', () => {
  const cases: Record<string, { text: (byte: string) => string; allowed: RegExp }> = {
    'in a value': { text: byte => withHeader(`x: a${byte}b`), allowed: /[ -~]/ },
    'at a value’s start': { text: byte => withHeader(`x: ${byte}b`), allowed: /[!-~]/ },
    'at a value’s end': { text: byte => withHeader(`x: a${byte}`), allowed: /[!-~]/ },
    'as a whole value': { text: byte => withHeader(`x:${byte}`), allowed: /[!-~]/ },
    'before a value': { text: byte => withHeader(`x:${byte}b`), allowed: /[ -~]/ },
    'in a name': { text: byte => withHeader(`a${byte}b: c`), allowed: /[A-Za-z0-9:-]/ },
    'at a name’s start': { text: byte => withHeader(`${byte}b: c`), allowed: /[A-Za-z0-9-]/ },
    'before the colon': { text: byte => withHeader(`a${byte}: c`), allowed: /[A-Za-z0-9:-]/ },
    'before a length': { text: byte => withLength(`${byte}5`), allowed: /[0-9 ]/ },
    'in a length': { text: byte => withLength(` 5${byte}5`), allowed: /[0-9]/ },
    'behind a length': { text: byte => withLength(` 5${byte}`), allowed: /[0-9]/ },
    'in the path': { text: byte => withLine(`POST /v1${byte}chat HTTP/1.1`), allowed: /[a-z0-9/_-]/ },
    'before the path': { text: byte => withLine(`POST ${byte}/chat HTTP/1.1`), allowed: /\// },
    'behind the path': { text: byte => withLine(`POST /chat${byte} HTTP/1.1`), allowed: /[a-z0-9/_-]/ },
    'behind the version': { text: byte => withLine(`POST /chat HTTP/1.1${byte}`), allowed: /$^/ },
    'before the method': { text: byte => withLine(`${byte}POST /chat HTTP/1.1`), allowed: /$^/ },
    'in place of the method’s space': { text: byte => withLine(`POST${byte}/chat HTTP/1.1`), allowed: / / },
    'in place of a line’s CR': {
      text: byte => withHeader('x: y').replace('x: y\r\n', `x: y${byte}\n`),
      allowed: /\r/,
    },
    'in place of a line’s LF': {
      text: byte => withHeader('x: y').replace('x: y\r\n', `x: y\r${byte}`),
      allowed: /\n/,
    },
    'at a line’s start': { text: byte => withHeader(`${byte}x: y`), allowed: /[A-Za-z0-9-]/ },
    'between head and blank line': {
      text: byte => withHeader('x: y').replace(/\r\n\r\n$/, `\r\n${byte}\r\n`),
      allowed: /$^/,
    },
    'in place of the last CR': { text: byte => withHeader('x: y').replace(/\r\n$/, `${byte}\n`), allowed: /\r/ },
    'in place of the last LF': { text: byte => withHeader('x: y').replace(/\n$/, byte), allowed: /\n/ },
  }

  test.each(Object.entries(cases))('%s', (_name, { text, allowed }) => {
    const accepted = everyByte.filter(byte => readPlainHead(text(byte)) !== null)
    expect(accepted.map(spelt)).toEqual(everyByte.filter(isIn(allowed)).map(spelt))
  })
})

describe('not plain', () => {
  const crlf = withHeader('x: y')
  const lines: Record<string, string[]> = {
    'nothing': ['', '\r\n', '\r\n\r\n', '\r\n\r\n\r\n\r\n', ' \r\n\r\n'],
    'a request line alone': [head(line), `${line}\r\n\r\n`],
    'another method': [
      'GET',
      'PUT',
      'DELETE',
      'HEAD',
      'OPTIONS',
      'PATCH',
      'CONNECT',
      'PRI',
      'post',
      'Post',
      'POSTS',
    ].map(method => withLine(`${method} /v1/chat/completions HTTP/1.1`)),
    'another version': [
      'HTTP/1.0',
      'HTTP/1.2',
      'HTTP/2.0',
      'HTTP/0.9',
      'HTTP/1',
      'http/1.1',
      'HTTP/1.10',
      'HTTP/01.1',
      '',
    ].map(version => withLine(`POST /v1/chat/completions ${version}`)),
    'another target': [
      ...['http://holdfast/v1/chat/completions', 'holdfast:80', '*', '', 'v1/chat/completions', '/'],
      ...[
        '/v1/chat/completions?beta=true',
        '/v1/chat/completions#x',
        '/v1/chat/completions?',
        '/v1/%63hat/completions',
      ],
      ...['/v1/../v1/chat/completions', '/v1/./chat', '/v1;x/chat', '/v1\\chat', '/V1/chat/completions', '/v1/chât'],
      ...['/v1/chat/completions x', '/v1/chat\0', '//holdfast.test/v1'],
    ].map(target => withLine(`POST ${target} HTTP/1.1`)),
    'other spaces in the request line': [
      ...['POST  /chat HTTP/1.1', 'POST /chat  HTTP/1.1', ' POST /chat HTTP/1.1', 'POST /chat HTTP/1.1 '],
      ...['POST\t/chat HTTP/1.1', 'POST /chat\tHTTP/1.1', 'POST /chat HTTP /1.1'],
    ].map(withLine),
    'something before the request': [
      '\r\n',
      '\n',
      '\r\n\r\n',
      ' ',
      '\0',
      '\x16\x03\x01',
      '0\r\n\r\n',
      '\xef\xbb\xbf',
    ].map(before => before + crlf),
    'other ends of lines': [
      crlf.replaceAll('\r\n', '\n'),
      crlf.replaceAll('\r\n', '\r'),
      crlf.replaceAll('\r\n', '\n\r'),
      crlf.replaceAll('\r\n', '\r\r\n'),
      crlf.replace(`${line}\r\n`, `${line}\n`),
      crlf.replace('x: y\r\n', 'x: y\n'),
      head(line, host, length, 'x: y\nauthorization: Bearer a'),
      crlf.replace('x: y\r\n', 'x: y\r'),
      crlf.replace(/\r\n\r\n$/, '\n\n'),
      crlf.replace(/\r\n\r\n$/, '\r\n\n'),
      crlf.replace(/\r\n\r\n$/, '\n\r\n'),
      crlf.replace(/\r\n\r\n$/, '\r\n\r\r\n'),
      // The first blank line that a search for CRLF CRLF finds is not the one that a reader of lines finds.
      crlf.replace(/\r\n\r\n$/, `\n\nhello${crlf}`),
      crlf.replace(/\r\n\r\n$/, `\r\n\nhello${crlf}`),
    ],
    'folded lines': [withHeader('x: a\r\n b'), withHeader('x: a\r\n\tb'), withHeader('x:\r\n b'), withHeader(' x: y')],
    'no name, or no value': [':', ': y', 'x', 'x:', 'x: ', 'x:  ', 'x: \t', ''].map(header => withHeader(header)),
    'names beyond letters, digits and hyphens': [
      ...['x y', 'x ', 'x\t', 'x_y', 'x.y', "x'y", 'x/y', '(x)', 'x@y', 'é', '__proto__', 'x\0', '"x"', 'x;y', '!x'],
    ].map(name => withHeader(`${name}: z`)),
    'values with more than words and single spaces before them': [
      ...['  a', '\ta', 'a\t', 'a ', 'a\tb', 'a\0b', 'a\x7fb', 'a\x0bb', 'é', '\xa0', 'a\xff', '\x85'],
    ].map(value => withHeader(`x: ${value}`)),
    'hosts': [
      head(line, length),
      head(line, host, host, length),
      head(line, host, 'Host: other', length),
      head(line, host, 'HOST:', length),
      head(line, 'host:', length),
      head(line, 'host: ', length),
    ],
    'lengths': [
      head(line, host),
      head(line, host, length, length),
      head(line, host, length, 'Content-Length: 6'),
      head(line, host, length, 'content-length:'),
      ...[
        '',
        ' ',
        '  5',
        ' 5 ',
        '\t5',
        ' +5',
        ' -5',
        ' -0',
        ' 5,5',
        ' 5, 5',
        ' 5;',
        ' 0x5',
        ' 5e0',
        ' 5.0',
        ' 5 5',
      ].map(withLength),
      ...[' "5"', ' five', ' NaN', ' Infinity', ' 5a', ' 1_0', ' ٥', ' \xd9\xa5', ' \xb2', ' 5\0', ' 5\xa0'].map(
        withLength,
      ),
      ...[' 12345678901', ' 18446744073709551621', ` ${'9'.repeat(20)}`, ` ${'0'.repeat(20)}`].map(withLength),
    ],
    'what asks more of a connection, or tells a body otherwise': [
      ...[
        'transfer-encoding: chunked',
        'Transfer-Encoding: identity',
        'TRANSFER-ENCODING:x',
        'transfer-encoding: gzip, chunked',
      ],
      ...[
        'expect: 100-continue',
        'Expect: a-miracle',
        'upgrade: websocket',
        'Upgrade: h2c',
        'te: trailers',
        'trailer: x',
      ],
      ...[
        'connection: close',
        'Connection: Close',
        'connection: te',
        'connection: keep-alive, close',
        'connection: upgrade',
      ],
      ...[
        'connection: keep-alive, te',
        'connection: content-length',
        'connection: keep-alive,',
        'connection: keep-alivee',
      ],
      ...['proxy-connection: close', 'Proxy-Connection: keep-alive', 'keep-alive: timeout=5', 'Keep-Alive: 5'],
      ...['content-encoding: gzip', 'content-encoding: identity'],
    ].map(header => withHeader(header)),
    'twice what is read': [
      ...[
        'anthropic-version',
        'authorization',
        'content-type',
        'x-api-key',
        'x-forwarded-for',
        'x-holdfast-conversation',
      ],
      ...['x-openwebui-chat-id', 'x-openwebui-user-id', 'x-request-id'],
    ].flatMap(name => [
      withHeader(`${name}: a`, `${name}: a`),
      withHeader(`${name}: a`, `${name.toUpperCase()}: b`),
      withHeader(`${name}: a`, 'x: y', `${name}:b`),
    ]),
    'chunks, in odd spellings': [
      withHeader('transfer-encoding : chunked'),
      withHeader('transfer-encoding:\r\n chunked'),
    ],
  }

  test.each(Object.entries(lines))('%s', (_name, texts) => {
    expect(texts.filter(text => readPlainHead(text) !== null)).toEqual([])
  })
})

test('it takes time by the length of what came alone', () => {
  const worst = [
    'a '.repeat(8_000),
    'a'.repeat(16_000),
    ' '.repeat(16_000),
    'a:'.repeat(8_000),
    '\r\n'.repeat(8_000),
    'a: b\r\n'.repeat(2_700),
  ]
  // Were any of them tried in all ways, this test would not end.
  for (const filler of worst) expect(readPlainHead(`${line}\r\nx: ${filler}\0\r\n\r\n`)).toBeNull()
})

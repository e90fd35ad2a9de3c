/** Requests hidden in others: families of what parsers have disagreed about, each case with what it must come to. */
import { Buffer } from 'node:buffer'

/**
 * `refused`: nothing of it may be understood, and the connection ends. `one`: HTTP allows exactly one reading, in which the hidden
 * request is part of a body, or there is none.
 */
export type SmugglingCase = { name: string; expected: 'refused' | 'one'; bytes: string }

export type CorpusParts = {
  /** Of the outer request and the hidden one. */
  headers: Record<string, string>
  path: string
  /** The hidden request's body. `name`: the case's. */
  hiddenBody: (name: string) => string
}

/** Bytes are latin1. Names are unique and can stand in a query. */
export function smugglingCorpus({ headers, path, hiddenBody }: CorpusParts): SmugglingCase[] {
  const cases: SmugglingCase[] = []
  const own = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const common = `host: holdfast\r\n${own.join('')}content-type: application/json\r\n`
  const start = `POST ${path} HTTP/1.1\r\n${common}`

  const hiddenIn = (name: string): string => {
    const body = hiddenBody(name)
    return `POST ${path}?smuggled=${name} HTTP/1.1\r\n${common}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  }

  function family(title: string, expected: SmugglingCase['expected'], make: (hidden: string) => string[]): void {
    // Twice: a case's hidden request carries the case's own name.
    for (const at of make('').keys()) {
      const name = `${title}-${at + 1}`
      cases.push({ name, expected, bytes: make(hiddenIn(name))[at] ?? '' })
    }
  }

  const chunked = (hidden: string): string => `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`
  const head = (lines: string): string => `${start}${lines}\r\n\r\n`

  family('length', 'refused', hidden =>
    [
      ...[
        '+5',
        '-5',
        '-0',
        '5 5',
        '5,5',
        '5, 5',
        '5,6',
        '5;',
        '5;a',
        '0x5',
        '5h',
        '5e0',
        '5.0',
        '5a',
        'a5',
        '0 5',
        '1_0',
        '"5"',
        "'5'",
      ],
      ...[
        '',
        'five',
        'NaN',
        '0b101',
        '0o5',
        '5/5',
        '5\t5',
        '5\x0b',
        '\x0b5',
        '5\x0c',
        '5\x00',
        '\x005',
        '5\xa0',
        '\xa05',
        '\xd9\xa5',
      ],
      ...['18446744073709551616', '18446744073709551621', '9'.repeat(40), '٥'],
    ].map(value => head(`content-length: ${Buffer.from(value, 'latin1').toString('latin1')}`) + `hello${hidden}`),
  )
  family('lengths', 'refused', hidden =>
    ['5|6', '6|5', '5|5', '0|5', '5|0', '5|05', '5|', '|5', '5|+5'].map(both => {
      const [a, b] = both.split('|')
      return head(`content-length: ${a}\r\nContent-Length: ${b}`) + `hello${hidden}`
    }),
  )
  family('length-and-chunks', 'refused', hidden =>
    [
      'transfer-encoding: chunked',
      'Transfer-Encoding: Chunked',
      'TRANSFER-ENCODING: CHUNKED',
      'transfer-encoding:chunked',
      'transfer-encoding:\tchunked',
    ].flatMap(coding => [
      `${head(`content-length: 4\r\n${coding}`)}${chunked(hidden)}`,
      `${head(`${coding}\r\ncontent-length: ${hidden.length + 5}`)}0\r\n\r\n${hidden}`,
      `${head(`${coding}\r\nx: y\r\ncontent-length: 0`)}${chunked(hidden)}`,
    ]),
  )
  family('coding', 'refused', hidden =>
    [
      ...[
        'xchunked',
        'chunkedx',
        'chunked, identity',
        'chunked,identity',
        'identity',
        'gzip',
        'chunked, gzip',
        'chunked;q=1',
        'chunked ;a',
        'chunked; a=b',
      ],
      ...[
        '"chunked"',
        "'chunked'",
        '\x0bchunked',
        'chunked\x0b',
        '\x00chunked',
        'chunked\x00',
        '\xa0chunked',
        'chunked\xa0',
        'ch\tunked',
        'chu nked',
      ],
      ...['', 'chunked x', 'chunked\x7f', 'cow', 'deflate', 'x, gzip', 'chunke', 'chunked/1'],
    ].map(value => head(`transfer-encoding: ${value}`) + chunked(hidden)),
  )
  family('coding-and-length', 'refused', hidden =>
    ['xchunked', 'identity', 'chunked, identity', '\x0bchunked', 'chu nked', 'gzip', 'chunked, cow'].flatMap(value => [
      head(`transfer-encoding: ${value}\r\ncontent-length: 5`) + `hello${hidden}`,
      head(`content-length: 5\r\ntransfer-encoding: ${value}`) + `hello${hidden}`,
    ]),
  )
  family('codings', 'refused', hidden =>
    ['chunked|x', 'chunked|identity', 'chunked|gzip', 'chunked|'].map(both => {
      const [a, b] = both.split('|')
      return head(`transfer-encoding: ${a}\r\ntransfer-encoding: ${b}`) + chunked(hidden)
    }),
  )
  family('coding-in-1.0', 'refused', hidden =>
    ['transfer-encoding: chunked', 'transfer-encoding: chunked\r\nconnection: keep-alive'].map(
      lines => head(lines).replace('HTTP/1.1', 'HTTP/1.0') + chunked(hidden),
    ),
  )
  const inChunks = head('transfer-encoding: chunked')
  family('chunk-size', 'refused', hidden =>
    [
      ...[
        '5 ',
        ' 5',
        '+5',
        '-5',
        '0x5',
        '5_',
        '_5',
        '1_0',
        '5h',
        '5,',
        '5.0',
        '5\x00',
        '5\x0b',
        '5\xa0',
        '"5"',
        '',
        'five',
        'g',
      ],
      ...['fffffffffffffffff', '10000000000000005', 'ffffffffffffffff5', `5\t`, '5 5', '-', '0x', '\xd9\xa5'],
    ].map(size => `${inChunks}${size}\r\nhello\r\n0\r\n\r\n${hidden}`),
  )
  family('chunk-line', 'refused', hidden =>
    [
      `5\nhello\r\n0\r\n\r\n`,
      `5\rhello\r\n0\r\n\r\n`,
      `5;a\nhello\r\n0\r\n\r\n`,
      `5;a\rb\r\nhello\r\n0\r\n\r\n`,
      `5;a\0\r\nhello\r\n0\r\n\r\n`,
      `5;a="\n"\r\nhello\r\n0\r\n\r\n`,
      `5\r\r\nhello\r\n0\r\n\r\n`,
    ].map(body => `${inChunks}${body}${hidden}`),
  )
  family('chunk-end', 'refused', hidden =>
    ['hello\n', 'helloXX', 'hello', 'hello\r', 'hello\rX', 'hello!\r\n', 'hell\r\n', 'hello\n\r', 'hello\r\n\r\n'].map(
      data => `${inChunks}5\r\n${data}0\r\n\r\n${hidden}`,
    ),
  )
  family('last-chunk', 'refused', hidden =>
    [
      `0\n\n${hidden}`,
      `0\r\n\n${hidden}`,
      `0\n\r\n${hidden}`,
      `0 \r\n\r\n${hidden}`,
      `-0\r\n\r\n${hidden}`,
      `0\r\n\r${hidden}`,
      `0\r\n\rX${hidden}`,
    ].map(body => `${inChunks}${body}`),
  )
  family('trailer', 'refused', hidden =>
    [
      `0\r\nx : y\r\n\r\n${hidden}`,
      `0\r\n x: y\r\n\r\n${hidden}`,
      `0\r\nx\r\n\r\n${hidden}`,
      `0\r\nx: a\0\r\n\r\n${hidden}`,
      `0\r\nx: a\rb\r\n\r\n${hidden}`,
      `0\r\nx: y\n\n${hidden}`,
      `0\r\ncontent-length: 5\r\n\r\n${hidden}`,
      `0\r\ntransfer-encoding: chunked\r\n\r\n${hidden}`,
      `0\r\n${hidden}`,
    ].map(body => `${inChunks}${body}`),
  )
  const empty = 'content-length: 0\r\n\r\n'
  family('line-feeds', 'refused', hidden => [
    `${start}${empty}`.replaceAll('\r\n', '\n') + hidden,
    `${start.replace('HTTP/1.1\r\n', 'HTTP/1.1\n')}${empty}${hidden}`,
    `${start}x: y\n${empty}${hidden}`,
    `${start}x: y\ncontent-length: 5\r\n\r\nhello${hidden}`,
    `${start}content-length: 0\n\n${hidden}`,
    `${start}content-length: 0\r\n\n${hidden}`,
    `${start}content-length: 0\n\r\n${hidden}`,
  ])
  family('carriage-returns', 'refused', hidden => [
    `${start}x: a\rcontent-length: 5\r\n\r\nhello${hidden}`,
    `${start}x: a\r\rcontent-length: 0\r\n\r\n${hidden}`,
    `${start}x: a\r\r\n${empty}${hidden}`,
    `${start}content-length: 0\r\r\n\r\n${hidden}`,
    `${start}content-length: 0\r\n\r\r\n${hidden}`,
    `${start}\rcontent-length: 0\r\n\r\n${hidden}`,
    `${`${start}${empty}`.replaceAll('\r\n', '\r')}${hidden}`,
  ])
  family('name', 'refused', hidden =>
    [
      ...[
        'transfer-encoding ',
        'transfer-encoding\t',
        ' transfer-encoding',
        '\ttransfer-encoding',
        'transfer-encoding\0',
        'transfer-encoding\x0b',
        'transfer-encoding\xa0',
      ],
      ...[
        'transfer encoding',
        'transfer-encoding;',
        '"transfer-encoding"',
        '(transfer-encoding)',
        'transfer-encoding\x7f',
        '\xff\xfetransfer-encoding',
        'transfer-encoding\r',
        '@',
        '',
        '[x]',
        'x/y',
        'x=y',
        'x{}',
      ],
    ].map(name => `${start.replace('host: holdfast\r\n', `host: holdfast\r\n${name}: chunked\r\n`)}${empty}${hidden}`),
  )
  family('name-of-length', 'refused', hidden =>
    [
      'content-length ',
      ' content-length',
      'content-length\t',
      'content-length\0',
      'content length',
      'content-length\x0c',
    ].map(name => `${start.replace('host: holdfast\r\n', `host: holdfast\r\n${name}: 5\r\n`)}${empty}${hidden}`),
  )
  family('folded', 'refused', hidden => [
    `${head('transfer-encoding:\r\n chunked')}${chunked(hidden)}`,
    `${head('transfer-encoding:\r\n\tchunked')}${chunked(hidden)}`,
    `${head('content-length:\r\n 5')}hello${hidden}`,
    `${head('x: a\r\n transfer-encoding: chunked\r\ncontent-length: 5')}hello${hidden}`,
    `${head('x: a\r\n content-length: 5\r\ncontent-length: 0')}${hidden}`,
    `${head('transfer-encoding: chunked\r\n , identity')}${chunked(hidden)}`,
    `${head('content-length: 1\r\n 0')}0123456789${hidden}`,
  ])
  const controls = [...Array.from({ length: 0x20 }, (_, code) => code), 0x7f].filter(
    code => ![0x09, 0x0a, 0x0d].includes(code),
  )
  family('control-character', 'refused', hidden =>
    controls.map(code => `${start}x: a${String.fromCharCode(code)}b\r\n${empty}${hidden}`),
  )
  family('request-line', 'refused', hidden =>
    [
      ...[`POST\t${path} HTTP/1.1`, `POST ${path} HTTP/1.1 `, `POST ${path} HTTP/1.1 x`, `POST ${path}\tHTTP/1.1`],
      ...[
        `POST ${path} HTTP/1.10`,
        `POST ${path} HTTP/01.1`,
        `POST ${path} http/1.1`,
        `POST ${path} HTTP/1.1\x0b`,
        `POST ${path} HTTP/1,1`,
        `POST ${path} HTTP/2.0`,
      ],
      ...[
        `POST ${path} x HTTP/1.1`,
        `POST ${path}\0 HTTP/1.1`,
        `post ${path} HTTP/1.1`,
        `POST: ${path} HTTP/1.1`,
        `PO ST ${path} HTTP/1.1`,
        `POST HTTP/1.1`,
        `POST`,
        ` POST ${path} HTTP/1.1`,
        `POST ${path} HTTP/1.2`,
        `POST ${path} ICE/1.0`,
      ],
    ].map(line => `${line}\r\n${common}${empty}${hidden}`),
  )
  family('host', 'refused', hidden =>
    ['host: a\r\nhost: b', 'host: a\r\nHost: a', 'host: a\r\nhost:'].map(
      hosts =>
        `POST ${path} HTTP/1.1\r\n${common.replace('host: holdfast', hosts)}content-length: 5\r\n\r\nhello${hidden}`,
    ),
  )

  // What HTTP allows, in which the hidden request is a body.
  family('body', 'one', hidden => [
    head(`content-length: ${hidden.length}`) + hidden,
    head(`content-length:${hidden.length}`) + hidden,
    head(`content-length:\t ${hidden.length} \t`) + hidden,
    head(`content-length: 000${hidden.length}`) + hidden,
    inChunks + chunked(hidden),
    head('transfer-encoding: CHUNKED') + chunked(hidden),
    head('transfer-encoding: \t chunked') + chunked(hidden),
    head('transfer-encoding: gzip, chunked') + chunked(hidden),
    `${inChunks}${hidden.length.toString(16).toUpperCase()};a=b;c="d"\r\n${hidden}\r\n0;x\r\n\r\n`,
    `${inChunks}0000${hidden.length.toString(16)}\r\n${hidden}\r\n000\r\n\r\n`,
    `${inChunks}${chunked(hidden).replace('\r\n0\r\n\r\n', '\r\n0\r\nhost: elsewhere\r\nauthorization: Bearer another\r\n\r\n')}`,
    `${head('connection: content-length\r\ncontent-length: ' + String(hidden.length))}${hidden}`,
    `${head('connection: transfer-encoding\r\ntransfer-encoding: chunked')}${chunked(hidden)}`,
    `${head('content_length: 5\r\ntransfer_encoding: chunked\r\ncontent-length: ' + String(hidden.length))}${hidden}`,
    `${head('upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAAP__\r\ncontent-length: ' + String(hidden.length))}${hidden}`,
    `${head('expect: 100-continue\r\ncontent-length: ' + String(hidden.length))}${hidden}`,
    `${head(`x: transfer-encoding: chunked\r\ncontent-length: ${hidden.length}`)}${hidden}`,
    ...[`POST  ${path} HTTP/1.1`, `POST ${path}  HTTP/1.1`].map(
      line => `${line}\r\n${common}content-length: ${hidden.length}\r\n\r\n${hidden}`,
    ),
    `POST http://elsewhere${path} HTTP/1.1\r\n${common}content-length: ${hidden.length}\r\n\r\n${hidden}`,
    `\r\n\r\n${head(`content-length: ${hidden.length}`)}${hidden}`,
  ])
  return cases
}

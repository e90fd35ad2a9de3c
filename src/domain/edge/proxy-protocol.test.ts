import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readProxyHeader } from './proxy-protocol.ts'

const text = (line: string): Uint8Array => Uint8Array.from(line, character => character.charCodeAt(0))
const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const binary = (command: number, family: number, rest: number[], told = rest.length): Uint8Array =>
  Uint8Array.from([...signature, command, family, told >> 8, told & 0xff, ...rest])
const four = [203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x34, 0, 80]
const six = [0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 1, ...Array<number>(16).fill(9), 0x12, 0x34, 0, 80]

const line = 'PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n'

test('D4 version 1 tells the source, and what follows is not touched', () => {
  expect(readProxyHeader(text(`${line}GET /`))).toEqual({ kind: 'header', bytes: line.length, source: '203.0.113.9' })
  const longest = `PROXY TCP6 ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`
  expect(readProxyHeader(text(longest))).toMatchObject({ kind: 'header', source: `${'ffff:'.repeat(7)}ffff` })
})

test('D4 version 2 tells the source, with extensions behind it', () => {
  expect(readProxyHeader(binary(0x21, 0x11, four))).toEqual({ kind: 'header', bytes: 28, source: '203.0.113.9' })
  expect(readProxyHeader(binary(0x21, 0x11, [...four, 1, 0, 1, 0xff]))).toMatchObject({
    bytes: 32,
    source: '203.0.113.9',
  })
  expect(readProxyHeader(binary(0x21, 0x21, six))).toEqual({
    kind: 'header',
    bytes: 52,
    source: '2001:db8:0:0:0:0:0:1',
  })
})

test('D5 LOCAL, UNKNOWN and other families say nothing', () => {
  for (const header of [
    text('PROXY UNKNOWN\r\n'),
    text('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'),
    binary(0x20, 0, []),
    binary(0x20, 0x11, four),
    binary(0x21, 0, []),
    binary(0x21, 0x12, four),
    binary(0x21, 0x31, Array<number>(216).fill(1)),
    binary(0x21, 0xff, [1, 2, 3]),
  ])
    expect(readProxyHeader(header)).toEqual({ kind: 'header', bytes: header.length, source: null })
})

test.each([
  'PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\n',
  'PROXY TCP4 203.0.113.9 10.0.0.1 4711 65536\r\n',
  'PROXY TCP4 203.0.113.9 10.0.0.1 04711 80\r\n',
  'PROXY TCP4 203.0.113.9 10.0.0.1 -1 80\r\n',
  'PROXY TCP4 203.0.113.999 10.0.0.1 4711 80\r\n',
  'PROXY TCP4 ::1 ::1 4711 80\r\n',
  'PROXY TCP6 203.0.113.9 10.0.0.1 4711 80\r\n',
  'PROXY TCP4 203.0.113.9  10.0.0.1 4711 80\r\n',
  'PROXY TCP4 203.0.113.9 10.0.0.1 4711 80 \r\n',
  'PROXY TCP5 203.0.113.9 10.0.0.1 4711 80\r\n',
  'PROXY UNKNOWN\n',
  'PROXY UNKNOWNx\r\n',
  'PROXY \r\n',
  `PROXY UNKNOWN ${'x'.repeat(200)}`,
])('D6 %j is bad', bytes => {
  expect(readProxyHeader(text(bytes)).kind).toBe('bad')
})

test('D6 a version 2 that breaks its rules is bad', () => {
  for (const header of [
    binary(0x11, 0x11, four),
    binary(0x31, 0x11, four),
    binary(0x22, 0x11, four),
    binary(0x2f, 0x11, four),
    binary(0x21, 0x11, four.slice(0, 11)),
    binary(0x21, 0x21, six.slice(0, 35)),
    binary(0x21, 0x11, four, 0xffff),
  ])
    expect(readProxyHeader(header).kind).toBe('bad')
})

test('D6 a client’s own first bytes are told apart at the first that differs', () => {
  for (const bytes of [
    'G',
    'POST / HTTP/1.1',
    'PUT',
    'PRI * HTTP/2.0',
    'PROPFIND /',
    'PROXy',
    '\x16\x03\x01',
    '\r\n\r\nGET',
    'proxy ',
  ])
    expect(readProxyHeader(text(bytes)), bytes).toEqual({ kind: 'none' })
  for (const bytes of ['', 'P', 'PRO', 'PROXY', 'PROXY TCP4 1', '\r', '\r\n\r\n\0'])
    expect(readProxyHeader(text(bytes)), bytes).toEqual({ kind: 'more' })
})

test('D4 a header that comes in pieces is read as it is whole, and never before', () => {
  for (const whole of [text(line), binary(0x21, 0x11, four), binary(0x21, 0x21, [...six, 1, 2, 3])])
    for (let cut = 0; cut < whole.length; cut += 1)
      expect(readProxyHeader(whole.subarray(0, cut)), String(cut)).toEqual({ kind: 'more' })
})

test('D6 whatever comes is read without a failure', () => {
  const start = fc.constantFrom<number[]>(
    [],
    signature,
    [...text('PROXY ')],
    [...signature, 0x21, 0x11],
    [...signature, 0x21, 0x21],
  )
  fc.assert(
    fc.property(start, fc.array(fc.integer({ min: 0, max: 255 })), (head, more) => {
      const bytes = Uint8Array.from([...head, ...more])
      const reading = readProxyHeader(bytes)
      if (reading.kind === 'header') expect(reading.bytes).toBeLessThanOrEqual(bytes.length)
    }),
  )
})

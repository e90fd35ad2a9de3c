import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { OpenRecord } from '../../domain/journal/index.ts'
import { instant, keyId, modelName, requestId } from '../../domain/units.ts'
import { openLines } from './lines.ts'
import type { Lines } from './lines.ts'

const record = (id: string, alias: string | null = null): OpenRecord => ({
  t: 'open',
  id: requestId(id),
  at: instant(1),
  alias,
  team: null,
  route: '/',
  stream: false,
  key: keyId('k'),
  model: modelName('m'),
})
const textOf = (lines: Lines): string => Buffer.from(lines.unwritten()).toString()
const digestsOf = (text: string): string =>
  text
    .split(/(?<=\n)/)
    .map(line => createHash('sha256').update(line).digest('hex'))
    .join('')

test('a line is the record as JSON, with a salt at its end', () => {
  const lines = openLines()
  lines.add(record('1', 'Jürgen "J"\n😀 \ud800'))
  const text = textOf(lines)
  const { salt, ...rest } = JSON.parse(text)
  expect(rest).toEqual(record('1', 'Jürgen "J"\n😀 \ud800'))
  expect(text).toBe(`${JSON.stringify({ ...rest, salt })}\n`)
  expect(salt).toMatch(/^[\w-]{22}$/)
})

test('no two of a thousand salts are the same', () => {
  const lines = openLines()
  for (let at = 0; at < 1000; at++) lines.add(record('1'))
  expect(new Set(textOf(lines).split('\n')).size).toBe(1001)
})

test('only lines that are in the file are digested, once each, in their order', () => {
  const lines = openLines()
  for (const id of ['1', '2']) lines.add(record(id))
  const first = textOf(lines)
  expect(lines.keep(first.length)).toBe(2)
  lines.add(record('3'))
  const third = textOf(lines)
  expect(JSON.parse(third).id).toBe('3')
  expect(lines.takeDigests()).toBe(digestsOf(first))
  expect(textOf(lines)).toBe(third)
  expect(lines.keep(third.length)).toBe(1)
  expect(lines.takeDigests()).toBe(digestsOf(third))
  expect(lines.takeDigests()).toBe('')
})

test('what did not get into the file is forgotten', () => {
  const lines = openLines()
  for (const id of ['1', '2', '3']) lines.add(record(id))
  const first = textOf(lines).split(/(?<=\n)/, 1)[0] ?? ''
  expect(lines.keep(first.length)).toBe(1)
  expect(textOf(lines)).toBe('')
  lines.add(record('4'))
  const fourth = textOf(lines)
  expect(lines.keep(fourth.length)).toBe(1)
  expect(lines.takeDigests()).toBe(digestsOf(first + fourth))
})

test('lines longer than the buffer find room, and those before them stay', () => {
  const lines = openLines()
  lines.add(record('short'))
  const first = textOf(lines)
  lines.keep(first.length)
  lines.add(record('long', 'é'.repeat(300_000)))
  lines.add(record('short again'))
  const rest = textOf(lines)
  const ids = rest
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line).id)
  expect(ids).toEqual(['long', 'short again'])
  expect(lines.takeDigests()).toBe(digestsOf(first))
  expect(textOf(lines)).toBe(rest)
  lines.keep(Buffer.byteLength(rest))
  expect(lines.takeDigests()).toBe(digestsOf(rest))
})

test('lines are due once there are enough of them in the file', () => {
  const lines = openLines()
  while (lines.unwritten().length < 16 * 1024) lines.add(record('1'))
  expect(lines.due()).toBe(false)
  lines.keep(lines.unwritten().length)
  expect(lines.due()).toBe(true)
  lines.takeDigests()
  expect(lines.due()).toBe(false)
})

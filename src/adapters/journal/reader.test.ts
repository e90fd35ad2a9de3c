import { appendFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { epochStart } from '../../domain/journal/index.ts'
import type { Position, Reading } from '../../domain/journal/index.ts'
import { openJournalReader } from './index.ts'
import { parseRecord } from './parse.ts'

let folder: string
const epoch = '0192d0c0-0000-7000-8000-000000000001'
const path = (segment: number): string => join(folder, epoch, `00000${segment}.jsonl`)
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-reader-'))
  mkdirSync(join(folder, epoch))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const show = (reading: Reading): string =>
  reading.kind === 'lines'
    ? `${reading.lines.map(line => line.text).join(' ')} → ${reading.next.segment}:${reading.next.offset}`
    : reading.kind
const read = async (from: Position, windowBytes?: number): Promise<string> =>
  show(await openJournalReader({ folder, ...(windowBytes === undefined ? {} : { windowBytes }) }).read(epoch, from))

test('whole lines come, with the position after them; a torn one waits', async () => {
  writeFileSync(path(1), 'one\ntwo\nthr')
  expect(await read(epochStart)).toBe('one two → 1:8')
  expect(await read({ segment: 1, offset: 8 })).toBe('tail')
  appendFileSync(path(1), 'ee\n')
  expect(await read({ segment: 1, offset: 8 })).toBe('three → 1:14')
})

test('a torn line that is cut off and replaced is read as what it became', async () => {
  writeFileSync(path(1), 'one\ntorn')
  expect(await read({ segment: 1, offset: 4 })).toBe('tail')
  truncateSync(path(1), 4)
  appendFileSync(path(1), 'new\n')
  expect(await read({ segment: 1, offset: 4 })).toBe('new → 1:8')
})

test('a read takes so many bytes at most, and more only for one long line', async () => {
  writeFileSync(path(1), `a\nb\nc\n${'long'.repeat(10)}\nd\n`)
  expect(await read(epochStart, 5)).toBe('a b → 1:4')
  expect(await read({ segment: 1, offset: 6 }, 5)).toBe(`${'long'.repeat(10)} d → 1:49`)
})

test('a segment ends when it is read and a later one is there', async () => {
  writeFileSync(path(1), 'one\n')
  expect(await read({ segment: 1, offset: 4 })).toBe('tail')
  writeFileSync(path(2), '')
  expect(await openJournalReader({ folder }).read(epoch, { segment: 1, offset: 4 })).toEqual({
    kind: 'segment-end',
    torn: false,
    next: { segment: 2, offset: 0 },
  })
})

test('a missing segment and a missing epoch are told', async () => {
  writeFileSync(path(3), 'one\n')
  expect(await read(epochStart)).toBe('segment-missing')
  rmSync(join(folder, epoch), { recursive: true })
  expect(await read(epochStart)).toBe('epoch-missing')
})

test('only epochs are listed, and a journal that is not there has none', async () => {
  mkdirSync(join(folder, `.draft-${epoch}`))
  mkdirSync(join(folder, 'lost+found'))
  expect(await openJournalReader({ folder }).epochs()).toEqual([epoch])
  expect(await openJournalReader({ folder: join(folder, 'none') }).epochs()).toEqual([])
})

test('a line that is no record is null', () => {
  expect(parseRecord('{"t":"gap","at":1,"until":2,"lost":3}')).toEqual({ t: 'gap', at: 1, until: 2, lost: 3 })
  for (const line of ['', 'nonsense', '{"t":"later"}', '{"t":"gap","at":1}', '{"t":"block","n":1}'])
    expect(parseRecord(line)).toBeNull()
})

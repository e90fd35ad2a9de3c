import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openJournalReader } from '../adapters/journal/index.ts'
import { genesis, parseBlock, seal } from '../domain/journal/index.ts'
import type { Anchor } from '../domain/journal/index.ts'
import { verifyAudit } from './verify-audit.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-verify-'))
})
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const epochName = (n: number): string => `0192d0c0-0000-7000-8000-${String(n).padStart(12, '0')}`
const one = epochName(1)
const { newDigest, digestOf } = openJournalReader({ folder: '' })
const pathOf = (segment: number, epoch = one): string => join(folder, epoch, `00000${segment}.jsonl`)
const record = (n: number): string => `{"t":"gap","at":${n},"until":${n},"lost":1,"é":"✓"}\n`

/**
 * Writes an epoch: a list of segments, each a list of blocks, each so many records. Answers the anchor of each segment.
 * `first`: with blocks of the first form, over the lines themselves.
 */
function writeEpoch(plan: number[][], { epoch = one, say = record, tail = '', first = false } = {}): Anchor[] {
  mkdirSync(join(folder, epoch), { recursive: true })
  let head = genesis(epoch, newDigest)
  let count = 0
  return plan.map((blocks, at) => {
    const segment = at + 1
    let text = ''
    for (const lines of blocks) {
      const texts = Array.from({ length: lines }, () => say(++count))
      const sealed = texts.join('')
      const digest = newDigest()
      for (const line of texts) digest.update(first ? line : digestOf(line))
      const block = seal(digest, { n: head.n + 1, segment, lines, prev: head.hash, ...(first ? {} : { v: 2 }) })
      head = { n: head.n + 1, hash: block.hash }
      text += sealed + block.line
    }
    writeFileSync(pathOf(segment, epoch), segment === plan.length ? text + tail : text)
    return { epoch, segment, ...head }
  })
}

const linesOf = (segment: number): string[] => readFileSync(pathOf(segment), 'utf8').split(/(?<=\n)/)
const putLines = (segment: number, lines: string[]): void => writeFileSync(pathOf(segment), lines.join(''))
const verify = (anchors: Anchor[]) => verifyAudit({ journal: openJournalReader({ folder, windowBytes: 256 }), anchors })
async function finding(anchors: Anchor[]): Promise<string> {
  const audit = await verify(anchors)
  if (audit.result === 'intact') return 'intact'
  return audit.findings.map(found => `${found.what} ${found.segment}:${found.line}`).join(', ')
}

test('J6 what nobody touched is intact', async () => {
  const anchors = writeEpoch([[3, 1], [2]])
  expect(await verify(anchors)).toMatchObject({
    result: 'intact',
    epochs: [{ result: 'intact', epoch: one, blocks: 3, lines: 6, unsealed: 0, ended: false }],
  })
})

test('J3 a chain of the first form, and one that goes on in the second, are intact', async () => {
  const anchors = writeEpoch([[3, 1], [2]], { first: true })
  expect(await verify(anchors)).toMatchObject({ result: 'intact', epochs: [{ blocks: 3, lines: 6 }] })
  const digest = newDigest()
  digest.update(digestOf(record(9)))
  const head = anchors[1] ?? expect.fail()
  const { line } = seal(digest, { n: 4, segment: 2, lines: 1, prev: head.hash, v: 2, end: true })
  putLines(2, [...linesOf(2), record(9), line])
  expect(await verify(anchors)).toMatchObject({ result: 'intact', epochs: [{ blocks: 4, lines: 7, ended: true }] })
})

test('J6 lines of a live epoch that wait for their block are fine, be the last one torn', async () => {
  const anchors = writeEpoch([[3]], { tail: `${record(9)}{"t":"cl` })
  expect(await verify(anchors)).toMatchObject({ result: 'intact', epochs: [{ lines: 4, unsealed: 1 }] })
})

test('J7 an edited line is found, with the lines its block seals', async () => {
  const anchors = writeEpoch([[3], [2, 2]])
  putLines(
    2,
    linesOf(2).map(line => line.replace('"at":6', '"at":7')),
  )
  expect(await verify(anchors)).toMatchObject({
    findings: [
      {
        what: 'edited',
        epoch: one,
        segment: 2,
        line: 6,
        detail: 'Block 3 does not match: lines 4 to 5 changed or moved.',
      },
    ],
  })
})

test('J7 two lines of one block that changed places are found', async () => {
  const anchors = writeEpoch([[3]])
  const [first = '', second = '', ...rest] = linesOf(1)
  putLines(1, [second, first, ...rest])
  expect(await finding(anchors)).toBe('edited 1:4')
})

test('J7 a line added to a block is found', async () => {
  const anchors = writeEpoch([[3]])
  putLines(1, [record(0), ...linesOf(1)])
  expect(await finding(anchors)).toBe('edited 1:5')
})

test('J8 a line cut out of a block is found', async () => {
  const anchors = writeEpoch([[3, 2]])
  putLines(1, linesOf(1).toSpliced(1, 1))
  expect(await finding(anchors)).toBe('cut 1:3')
})

test('J8 a whole block cut out of the middle is found', async () => {
  const anchors = writeEpoch([[2, 2, 2]])
  putLines(1, linesOf(1).toSpliced(3, 3))
  expect(await finding(anchors)).toBe('cut 1:6')
})

test('J8 a tail that the controller saw and that is gone is found', async () => {
  const anchors = writeEpoch([[2, 2]])
  putLines(1, linesOf(1).slice(0, 3))
  expect(await finding(anchors)).toBe('cut 1:3')
})

test('J9 a chain written anew from some line on is found', async () => {
  const anchors = writeEpoch([[2], [2], [2]])
  writeEpoch([[2], [2], [2]], { say: n => (n === 3 ? record(333) : record(n)) })
  expect(await finding(anchors)).toBe('rewritten 2:3')
})

test('J9 an epoch that stands under another’s name is found', async () => {
  writeEpoch([[2]], { epoch: epochName(2) })
  mkdirSync(join(folder, one))
  writeFileSync(pathOf(1), readFileSync(pathOf(1, epochName(2))))
  expect(await finding([])).toBe('rewritten 1:3')
})

test('J10 blocks that changed places are found', async () => {
  const anchors = writeEpoch([[1, 1, 1]])
  const [a = '', b = '', c = '', d = '', ...rest] = linesOf(1)
  putLines(1, [c, d, a, b, ...rest])
  expect(await finding(anchors)).toBe('reordered 1:2')
})

test('J10 a block that moved to another segment is found', async () => {
  const anchors = writeEpoch([[1, 1], [1]])
  putLines(2, [...linesOf(1).slice(2), ...linesOf(2)])
  putLines(1, linesOf(1).slice(0, 2))
  expect(await finding(anchors)).toBe('reordered 2:2')
})

test('J11 a removed segment is found: the first, one between, the last, and all', async () => {
  for (const gone of [1, 2, 3]) {
    const anchors = writeEpoch([[1], [1], [1]])
    rmSync(pathOf(gone))
    expect(await finding(anchors)).toBe(`missing-segment ${gone}:0`)
  }
  const anchors = writeEpoch([[1], [1]])
  rmSync(join(folder, one), { recursive: true })
  mkdirSync(join(folder, one))
  expect(await finding(anchors)).toBe('missing-segment 1:0')
})

test('J11 a removed epoch is found, and the others are verified all the same', async () => {
  const anchors = [1, 2, 3].flatMap(n => writeEpoch([[n]], { epoch: epochName(n) }))
  rmSync(join(folder, epochName(2)), { recursive: true })
  expect(await verify(anchors)).toMatchObject({
    findings: [{ what: 'missing-epoch', epoch: epochName(2) }],
    epochs: [{ epoch: one }, { epoch: epochName(3) }],
  })
})

test('J12 a torn line where the writer had gone on is found', async () => {
  const anchors = writeEpoch([[1], [1]])
  writeFileSync(pathOf(1), `${linesOf(1).join('')}{"t":`)
  expect(await finding(anchors)).toBe('torn 1:3')
})

test('J12 nothing may stand after an epoch’s end', async () => {
  const anchors = writeEpoch([[1]])
  const [line = '', blockText = ''] = linesOf(1)
  const block = parseBlock(blockText.trimEnd())
  if (!block) throw new Error('The epoch ends in its block.')
  const digest = newDigest()
  digest.update(digestOf(line))
  const end = seal(digest, { ...block, end: true })
  const ended = anchors.map(anchor => ({ ...anchor, hash: end.hash }))
  putLines(1, [line, end.line])
  expect(await finding(ended)).toBe('intact')
  putLines(1, [line, end.line, record(1)])
  expect(await finding(ended)).toBe('edited 1:3')
  putLines(1, [line, end.line, '{"t"'])
  expect(await finding(ended)).toBe('torn 1:3')
})

const plans = fc.array(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 3,
})
const anyPlace = fc.nat()
const runs = { numRuns: 80 }

/** Breaks an epoch of any shape at a place; expects it found. `change` answers null where there is nothing to change. */
async function breaks(plan: number[][], place: number, change: (bytes: Buffer) => Buffer | null): Promise<void> {
  const anchors = writeEpoch(plan, { first: place % 4 === 0 })
  const path = pathOf(1 + (place % plan.length))
  const before = readFileSync(path)
  const after = change(before)
  if (after === null || after.equals(before)) return
  writeFileSync(path, after)
  expect(await finding(anchors)).not.toBe('intact')
}

test('J7 any other byte anywhere under an anchor is found', () =>
  fc.assert(
    fc.asyncProperty(plans, anyPlace, anyPlace, fc.integer({ min: 1, max: 255 }), (plan, place, at, flip) =>
      breaks(plan, place, bytes => {
        const changed = Buffer.from(bytes)
        const where = at % bytes.length
        changed[where] = (bytes[where] ?? 0) ^ flip
        return changed
      }),
    ),
    runs,
  ))

test('J8 any cut anywhere under an anchor is found', () =>
  fc.assert(
    fc.asyncProperty(plans, anyPlace, anyPlace, fc.integer({ min: 1, max: 2000 }), (plan, place, at, length) =>
      breaks(plan, place, bytes => {
        const from = at % bytes.length
        return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + length)])
      }),
    ),
    runs,
  ))

test('J10 any two lines that change places under an anchor are found', () =>
  fc.assert(
    fc.asyncProperty(plans, anyPlace, anyPlace, anyPlace, (plan, place, a, b) =>
      breaks(plan, place, bytes => {
        const lines = bytes.toString().split(/(?<=\n)/)
        const [x, y] = [a % lines.length, b % lines.length]
        return Buffer.from(
          lines
            .with(x, lines[y] ?? '')
            .with(y, lines[x] ?? '')
            .join(''),
        )
      }),
    ),
    runs,
  ))

test('J7 anything put in anywhere under an anchor is found', () =>
  fc.assert(
    fc.asyncProperty(
      plans,
      anyPlace,
      anyPlace,
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      (plan, place, at, more) =>
        breaks(plan, place, bytes => {
          // After the last block there is only the unsealed tail of a live epoch.
          const from = at % bytes.length
          return Buffer.concat([bytes.subarray(0, from), more, bytes.subarray(from)])
        }),
    ),
    runs,
  ))

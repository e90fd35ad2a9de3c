/** Repair: ends the epochs of gateways that died. Rule J13 of SPEC.md. Safe to be killed in, and to be run again. */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { genesis, parseBlock, seal } from '../../domain/journal/index.ts'
import type { BlockRecord, Head } from '../../domain/journal/index.ts'
import { newSha256, sha256OfLine } from './digest.ts'
import { isDraftName, isEpochName, segmentPath, segmentsAmong, writerFile } from './layout.ts'
import { isAlive, readMark, roleOf } from './writer-mark.ts'
import type { WriterRole } from './writer-mark.ts'

const newline = 0x0a
const windowBytes = 64 * 1024
const blockStart = Buffer.from('{"t":"block",')

/** Ends every epoch whose writer, of this role, is dead. Answers how many are still being written by someone else. */
export function repairJournal({
  folder,
  role = 'gateway',
  onProblem,
}: {
  folder: string
  role?: WriterRole
  onProblem: (problem: string, cause: unknown) => void
}): { alive: number } {
  let alive = 0
  for (const name of readdirSync(folder)) {
    const epochFolder = join(folder, name)
    const mark = isEpochName(name) || isDraftName(name) ? readMark(epochFolder) : null
    if (mark !== null && roleOf(mark) !== role) continue
    try {
      if (isDraftName(name)) {
        if (mark === null || !isAlive(mark)) rmSync(epochFolder, { recursive: true, force: true })
      } else if (mark !== null && isAlive(mark)) {
        alive++
      } else if (mark !== null) {
        endEpoch(folder, name)
        rmSync(join(epochFolder, writerFile), { force: true })
      }
    } catch (error) {
      onProblem(`The journal's epoch ${name} was left by a process that died and can't be repaired now.`, error)
    }
  }
  return { alive }
}

/** Cuts off what is torn, seals what is not, and makes it last. Does nothing to an epoch that has its end. */
function endEpoch(folder: string, epoch: string): void {
  const segments = segmentsAmong(readdirSync(join(folder, epoch)))
  const last = segments.at(-1) ?? 1
  const descriptor = openSync(segmentPath(folder, epoch, last), 'a+', 0o600)
  try {
    const size = fstatSync(descriptor).size
    const { block, unsealed, from } = readTail(descriptor, size)
    const whole = wholeLines(unsealed)
    if (from + whole.length < size) ftruncateSync(descriptor, from + whole.length)
    if (!(block?.end && whole.length === 0)) {
      const head = block ?? headBefore({ folder, epoch, segments: segments.slice(0, -1) })
      const digest = newSha256()
      const lines = linesOf(whole)
      for (const each of lines) digest.update(sha256OfLine(each))
      const { line } = seal(digest, {
        v: 2,
        n: head.n + 1,
        segment: last,
        lines: lines.length,
        prev: head.hash,
        repaired: true,
        end: true,
      })
      writeSync(descriptor, line)
    }
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** The last block of a segment and the bytes after it, found from the end: what is unsealed is short. */
export function readTail(
  descriptor: number,
  size: number,
): { block: BlockRecord | null; unsealed: Buffer; from: number } {
  let from = size
  let tail = Buffer.alloc(0)
  while (from > 0) {
    const length = Math.min(windowBytes, from)
    const window = Buffer.alloc(length)
    readSync(descriptor, window, 0, length, from - length)
    from -= length
    tail = Buffer.concat([window, tail])
    for (let at = tail.lastIndexOf(blockStart); at >= 0; at = at === 0 ? -1 : tail.lastIndexOf(blockStart, at - 1)) {
      const startsLine = at === 0 ? from === 0 : tail[at - 1] === newline
      const end = tail.indexOf(newline, at)
      const block = startsLine && end >= 0 ? parseBlock(tail.toString('utf8', at, end)) : null
      if (block) return { block, unsealed: tail.subarray(end + 1), from: from + end + 1 }
    }
  }
  return { block: null, unsealed: tail, from: 0 }
}

/** Up to the first line that is torn or, after a power cut, not JSON. */
export function wholeLines(bytes: Buffer): Buffer {
  let kept = 0
  for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, kept)) {
    try {
      JSON.parse(bytes.toString('utf8', kept, end))
    } catch {
      break
    }
    kept = end + 1
  }
  return bytes.subarray(0, kept)
}

function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = []
  let start = 0
  for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
    lines.push(bytes.subarray(start, end + 1))
    start = end + 1
  }
  return lines
}

/** A segment begins where the one before ended in its block; an epoch's first block follows from its name. */
function headBefore({ folder, epoch, segments }: { folder: string; epoch: string; segments: number[] }): Head {
  const before = segments.at(-1)
  if (before === undefined) return genesis(epoch, newSha256)
  const descriptor = openSync(segmentPath(folder, epoch, before), 'r')
  try {
    const { block } = readTail(descriptor, fstatSync(descriptor).size)
    if (!block) throw new Error(`Segment ${before} of epoch ${epoch} has no block.`)
    return block
  } finally {
    closeSync(descriptor)
  }
}

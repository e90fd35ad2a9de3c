/** Lines on their way: each is put behind the last in one buffer, written from there, and digested from there. */
import { randomFillSync } from 'node:crypto'
import type { JournalRecord } from '../../domain/journal/index.ts'
import { sha256OfLine } from './digest.ts'

export type Lines = ReturnType<typeof openLines>

/** Room for the lines of a turn, and of those before it that are not digested yet. */
const usualBytes = 64 * 1024
/** About forty lines: so many in a row are digested for half of what one costs between other work, and in 0.1 ms. */
const dueBytes = 16 * 1024

export function openLines() {
  let bytes = Buffer.allocUnsafeSlow(usualBytes)
  /** Where each line ends; those `written` are in the file, the rest is not. */
  let ends: number[] = []
  let written = 0
  let end = 0

  const startOf = (line: number): number => ends[line - 1] ?? 0

  function makeRoom(more: number): void {
    if (end + more <= bytes.length) return
    const wider = Buffer.allocUnsafeSlow(Math.max(end + more, 2 * bytes.length))
    bytes.copy(wider, 0, 0, end)
    bytes = wider
  }

  return {
    add(record: JournalRecord): void {
      const text = JSON.stringify(record)
      // No character is more than three bytes long.
      makeRoom(3 * text.length + saltedBytes)
      end = putSalt(bytes, end + bytes.write(text, end) - 1)
      ends.push(end)
    },

    /** The lines that are not in the file. Good until the next `add`. */
    unwritten: (): Uint8Array => bytes.subarray(startOf(written), end),

    /** So many bytes of the unwritten lines, whole ones, are in the file now; the rest is forgotten. Answers how many lines stay. */
    keep(kept: number): number {
      const before = written
      end = startOf(before) + kept
      while (written < ends.length && startOf(written + 1) <= end) written++
      ends.length = written
      return written - before
    },

    /** Whether there is enough in the file to digest. */
    due: (): boolean => startOf(written) >= dueBytes,

    /** The digests of all lines that came into the file since last time, in their order. */
    takeDigests(): string {
      let digests = ''
      for (let line = 0; line < written; line++)
        digests += sha256OfLine(bytes.subarray(startOf(line), startOf(line + 1)))
      const from = startOf(written)
      const rest = bytes.subarray(from, end)
      if (bytes.length > usualBytes) bytes = Buffer.allocUnsafeSlow(Math.max(usualBytes, rest.length))
      bytes.set(rest)
      ends = ends.slice(written).map(each => each - from)
      written = 0
      end -= from
      return digests
    },
  }
}

/** Random letters by the thousand: one call for each line would cost as much as the line. */
const saltLetters = 22
const random = Buffer.alloc((saltLetters * 256 * 3) / 4)
const salts = Buffer.alloc(saltLetters * 256)
let saltAt = salts.length

const beforeSalt = Buffer.from(',"salt":"')
const afterSalt = Buffer.from('"}\n')
const saltedBytes = beforeSalt.length + saltLetters + afterSalt.length

/** Ends a line. The salt keeps its digest from telling what the line was (J19). */
function putSalt(bytes: Uint8Array, at: number): number {
  if (saltAt === salts.length) {
    salts.write(randomFillSync(random).toString('base64url'), 'latin1')
    saltAt = 0
  }
  bytes.set(beforeSalt, at)
  const start = at + beforeSalt.length
  for (let letter = 0; letter < saltLetters; letter++) bytes[start + letter] = salts[saltAt + letter] ?? 0
  saltAt += saltLetters
  bytes.set(afterSalt, start + saltLetters)
  return at + saltedBytes
}

/** The journal's reader: whole lines from a position on, while the gateway may be writing. */
import { open, readdir } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { JournalReader, Line, Position, Reading } from '../../domain/journal/index.ts'
import { newSha256, sha256OfLine } from './digest.ts'
import { isEpochName, segmentPath, segmentsAmong } from './layout.ts'
import { parseRecord } from './parse.ts'

const newline = 0x0a
const longestLineBytes = 16 * 1024 * 1024

/** `folder` need not exist yet. `windowBytes`: how much one read takes at most. */
export function openJournalReader({
  folder,
  windowBytes = 512 * 1024,
}: {
  folder: string
  windowBytes?: number
}): JournalReader {
  return {
    async epochs() {
      return ((await filesOf(folder)) ?? []).filter(isEpochName).sort()
    },

    async read(epoch, from) {
      const first = await readLines(epoch, from)
      if (first.lines.length > 0) return toReading(first.lines, from)
      const files = await filesOf(join(folder, epoch))
      if (files === null) return { kind: 'epoch-missing' }
      const later = segmentsAmong(files).filter(segment => segment > from.segment)
      if (later.length === 0) return { kind: 'tail', torn: first.rest > 0 }
      // The writer never goes back: what this segment holds now, it holds for good. It may have grown since the read above.
      const again = await readLines(epoch, from)
      if (again.lines.length > 0) return toReading(again.lines, from)
      const next = { segment: from.segment + 1, offset: 0 }
      if (again.missing) return { kind: 'segment-missing', segment: from.segment, next }
      return { kind: 'segment-end', torn: again.rest > 0, next }
    },

    async settle(epoch, segment) {
      await withSegment(epoch, segment, handle => handle.datasync())
    },

    parse: parseRecord,
    newDigest: newSha256,
    digestOf: sha256OfLine,
  }

  async function readLines(epoch: string, from: Position): Promise<{ lines: Line[]; rest: number; missing: boolean }> {
    const found = await withSegment(epoch, from.segment, async handle => {
      for (let size = windowBytes; ; size *= 2) {
        const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(size), 0, size, from.offset)
        const lines = splitLines(buffer.subarray(0, bytesRead))
        if (lines.length > 0 || bytesRead < size) return { lines, rest: bytesRead, missing: false }
        if (size >= longestLineBytes)
          throw new Error(
            `A journal line is longer than ${size} bytes: ${epoch}, segment ${from.segment}, byte ${from.offset}.`,
          )
      }
    })
    return found ?? { lines: [], rest: 0, missing: true }
  }

  async function withSegment<T>(
    epoch: string,
    segment: number,
    use: (handle: FileHandle) => Promise<T>,
  ): Promise<T | null> {
    let handle: FileHandle
    try {
      handle = await open(segmentPath(folder, epoch, segment), 'r')
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
    try {
      return await use(handle)
    } finally {
      await handle.close()
    }
  }
}

function toReading(lines: Line[], from: Position): Reading {
  const length = lines.reduce((sum, line) => sum + line.bytes.length, 0)
  return { kind: 'lines', lines, next: { segment: from.segment, offset: from.offset + length } }
}

/** What follows the last newline is left for the next read: it may be torn, and cut off meanwhile. */
function splitLines(bytes: Buffer): Line[] {
  const lines: Line[] = []
  let start = 0
  for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
    lines.push({ text: bytes.toString('utf8', start, end), bytes: bytes.subarray(start, end + 1) })
    start = end + 1
  }
  return lines
}

async function filesOf(path: string): Promise<string[] | null> {
  try {
    return await readdir(path)
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

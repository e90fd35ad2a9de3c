/** Reads text files that may be anything: missing, huge, not text. */
import { isUtf8 } from 'node:buffer'
import { open } from 'node:fs/promises'

export type TextReading = { ok: true; text: string } | { ok: false; message: string; line: number }

/** A file's text, at most `limit` bytes of UTF-8 (a byte order mark is dropped). What goes wrong is told, never thrown. */
export async function readText(path: string, limit: number): Promise<TextReading> {
  const read = await readBytes(path, limit + 1)
  if (!('bytes' in read)) return { ok: false, message: read.message, line: 1 }
  const { bytes } = read
  if (bytes.length > limit)
    return { ok: false, message: `is larger than the ${limit / 1024 ** 2} MiB allowed`, line: 1 }
  if (!isUtf8(bytes)) return { ok: false, message: 'is not UTF-8: save it in that encoding', line: firstBadLine(bytes) }
  return { ok: true, text: new TextDecoder().decode(bytes) }
}

/** Not by the size that the file system tells: devices and pipes tell none. */
async function readBytes(path: string, most: number): Promise<{ bytes: Buffer } | { message: string }> {
  try {
    await using file = await open(path, 'r')
    const chunks: Buffer[] = []
    let size = 0
    while (size < most) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(64 * 1024, most - size)))
      if (bytesRead === 0) break
      chunks.push(buffer.subarray(0, bytesRead))
      size += bytesRead
    }
    return { bytes: Buffer.concat(chunks) }
  } catch (error) {
    return { message: sayWhy(error) }
  }
}

const reasons: Record<string, string> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EISDIR: 'is a folder, not a file',
  EACCES: 'may not be read by this user',
}

function sayWhy(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  return reasons[code] ?? `cannot be read (${code})`
}

function firstBadLine(bytes: Buffer): number {
  let line = 1
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start)
    const end = newline < 0 ? bytes.length : newline + 1
    if (!isUtf8(bytes.subarray(start, end))) return line
    start = end
  }
  return line
}

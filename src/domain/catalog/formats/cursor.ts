/** A cursor over one file: numbers and texts in order, through a window that never holds more than a piece of it. */
import { FormatError, type Reading } from './reading.ts'

export type Cursor = {
  /** Where the next byte stands. */
  readonly at: number
  readonly size: number
  /** Read all numbers with the highest byte first from now on. */
  bigEndian: boolean
  seek(at: number): void
  /** The next bytes; they are gone with the next call. Throws FormatError when the file ends before. */
  take(bytes: number): Reading<Uint8Array>
  u8(): Reading<number>
  u16(): Reading<number>
  u32(): Reading<number>
  /** Above 2^53 it is inexact, and larger than anything it could truly be. */
  u64(): Reading<number>
  view(bytes: number): Reading<DataView>
}

const firstWindow = 64 * 1024
const largestWindow = 4 * 1024 * 1024

/** `size`: Infinity when nobody knows. `mostBytes`: read in all before it is refused. `from`: where it begins. */
export function openCursor({ size, mostBytes, from = 0 }: { size: number; mostBytes: number; from?: number }): Cursor {
  let window: Uint8Array = new Uint8Array(0)
  let windowAt = from
  let at = from
  let readBytes = 0
  let nextWindow = firstWindow

  function* fill(bytes: number): Reading<void> {
    if (at + bytes > size) throw ended(at, bytes, size)
    const asked = Math.min(Math.max(bytes, nextWindow), size - at)
    readBytes += asked
    if (readBytes > mostBytes)
      throw new FormatError(
        at,
        `more than ${mostBytes} bytes were read and the header still goes on`,
        'No real model has such a header: the file is damaged or made to harm',
      )
    nextWindow = Math.min(nextWindow * 2, largestWindow)
    const got = yield { kind: 'bytes', at, bytes: asked }
    if (got.length < bytes) throw ended(at, bytes, at + got.length)
    window = got
    windowAt = at
  }

  function* take(bytes: number): Reading<Uint8Array> {
    if (at < windowAt || at + bytes > windowAt + window.length) yield* fill(bytes)
    const taken = window.subarray(at - windowAt, at - windowAt + bytes)
    at += bytes
    return taken
  }

  function* view(bytes: number): Reading<DataView> {
    const taken = yield* take(bytes)
    return new DataView(taken.buffer, taken.byteOffset, taken.byteLength)
  }

  return {
    get at() {
      return at
    },
    size,
    bigEndian: false,
    seek(to) {
      at = to
    },
    take,
    view,
    *u8() {
      return (yield* view(1)).getUint8(0)
    },
    *u16() {
      return (yield* view(2)).getUint16(0, !this.bigEndian)
    },
    *u32() {
      return (yield* view(4)).getUint32(0, !this.bigEndian)
    },
    *u64() {
      return Number((yield* view(8)).getBigUint64(0, !this.bigEndian))
    },
  }
}

const ended = (at: number, bytes: number, size: number): FormatError =>
  new FormatError(
    at,
    `${bytes} bytes are needed here and the file ends at byte ${size}`,
    'It is not whole: fetch it again',
  )

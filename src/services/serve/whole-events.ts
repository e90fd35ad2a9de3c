/** Whole events out of a stream's pieces. An event that is long is not copied again with each piece of it. */
import { FaultError } from '../../domain/fault.ts'

/** An event longer than this is not a token. */
const longestEvent = 8 * 1024 * 1024
/** Pieces kept apart, at most: a piece of a few bytes costs more than its bytes. */
const mostPieces = 256

/** Gives, for each piece, all events that end with it; `null`: none does. Throws when an event grows too long. */
export function wholeEvents(): (piece: Buffer) => Buffer | null {
  /** The beginning of an event whose end has not come. */
  let pieces: Buffer[] = []
  let length = 0

  return piece => {
    if (length === 0) return cut(piece)
    const seam = Buffer.concat([lastBytes(), piece])
    if (endOfLastEvent(seam) > 0) {
      const bytes = Buffer.concat([...pieces, piece])
      pieces = []
      length = 0
      return cut(bytes)
    }
    keep(piece)
    return null
  }

  function cut(bytes: Buffer): Buffer | null {
    // Nearly every piece ends with its event: two bytes tell, where a search has to begin first.
    if (bytes[bytes.length - 1] === lf && bytes[bytes.length - 2] === lf) return bytes
    const end = endOfLastEvent(bytes)
    if (end < bytes.length) keep(bytes.subarray(end))
    if (end === 0) return null
    return end === bytes.length ? bytes : bytes.subarray(0, end)
  }

  function keep(piece: Buffer): void {
    if (pieces.length === mostPieces) pieces = [Buffer.concat(pieces)]
    pieces.push(piece)
    length += piece.length
    if (length <= longestEvent) return
    const detail = `an event of its stream is longer than ${longestEvent} bytes`
    throw new FaultError({ kind: 'engine-failed', status: 200, detail })
  }

  /** The end of an event is four bytes at most, and may be cut anywhere. */
  function lastBytes(): Buffer {
    const last = pieces.at(-1) ?? Buffer.alloc(0)
    return last.length >= 3 || pieces.length === 1 ? last.subarray(-3) : Buffer.concat(pieces).subarray(-3)
  }
}

const lf = 10

/** Where the last whole event ends; 0: there is none. */
function endOfLastEvent(bytes: Buffer): number {
  const bare = bytes.lastIndexOf('\n\n')
  const crlf = bytes.lastIndexOf('\r\n\r\n')
  return Math.max(bare === -1 ? 0 : bare + 2, crlf === -1 ? 0 : crlf + 4)
}

/** The body of an answer, out of a connection's reads: its bytes, without the framing, in buffers of their own. */
import { Malformed, type Head } from './head.ts'

/** Of one chunk's extensions, and of all trailers. */
const mostExtensionBytes = 1024
const mostTrailerBytes = 16 * 1024
/** More than a number can count exactly. */
const mostSizeDigits = 13

const tab = 9
const cr = 13
const lf = 10
const semicolon = 59
const colon = 58

/** What comes next. In `data` bytes are taken in bulk; in all others one by one. */
type State =
  | 'data'
  | 'size'
  | 'extension'
  | 'size-lf'
  | 'data-cr'
  | 'data-lf'
  | 'trailer-start'
  | 'trailer-name'
  | 'trailer-value'
  | 'trailer-lf'
  | 'last-lf'
  | 'over'

/** A class: it is the state of one body, and its fields are read for each byte of framing. */
export class BodyReader {
  #state: State
  /** Of the body, or of its chunk. */
  #left: number
  #digits = 0
  #extensions = ''
  #trailerBytes = 0
  #trailer = ''
  readonly #chunked: boolean
  readonly #endsWithConnection: boolean
  /** How many bytes of the last read were this body's. */
  taken = 0

  constructor(framing: Head['framing']) {
    this.#chunked = framing.by === 'chunks'
    this.#endsWithConnection = framing.by === 'close'
    this.#left = framing.by === 'length' ? framing.bytes : Infinity
    this.#state = this.#left === 0 ? 'over' : 'data'
    if (this.#chunked) this.#beginChunk()
  }

  get isOver(): boolean {
    return this.#state === 'over'
  }

  /** The connection has ended: whether that is the body's end too. */
  endsHere(): boolean {
    return this.#endsWithConnection || this.isOver
  }

  /** What `bytes[from, to)` holds of the body, all in one copy; `null`: nothing. Throws Malformed. */
  read(bytes: Buffer, from: number, to: number): Buffer | null {
    let at = from
    let out: Buffer | null = null
    let filled = 0
    while (at < to && this.#state !== 'over') {
      if (this.#state !== 'data') {
        this.#step(bytes[at++] ?? 0)
        continue
      }
      const size = Math.min(this.#left, to - at)
      if (out === null) out = Buffer.allocUnsafe(size)
      else if (filled + size > out.length) {
        // A second chunk in one read: nothing after it can need more room than the rest of the read.
        const wider = Buffer.allocUnsafe(filled + to - at)
        out.copy(wider, 0, 0, filled)
        out = wider
      }
      bytes.copy(out, filled, at, at + size)
      filled += size
      at += size
      this.#left -= size
      if (this.#left === 0) this.#state = this.#chunked ? 'data-cr' : 'over'
    }
    this.taken = at - from
    return out === null || out.length === filled ? out : out.subarray(0, filled)
  }

  #beginChunk(): void {
    this.#state = 'size'
    this.#left = 0
    this.#digits = 0
  }

  #step(byte: number): void {
    switch (this.#state) {
      case 'size': {
        const digit = hexDigits[byte] ?? notHex
        if (digit !== notHex) {
          if (++this.#digits > mostSizeDigits) throw new Malformed('the size of a chunk is too large')
          this.#left = this.#left * 16 + digit
          return
        }
        if (this.#digits > 0 && byte === cr) this.#state = 'size-lf'
        else if (this.#digits > 0 && byte === semicolon) {
          this.#state = 'extension'
          this.#extensions = ';'
        } else throw new Malformed('the size of a chunk is no hexadecimal number')
        return
      }
      case 'extension':
        if (byte === cr) {
          if (!extensions.test(this.#extensions))
            throw new Malformed('what follows the size of a chunk is no extension')
          this.#state = 'size-lf'
          return
        }
        this.#extensions += String.fromCharCode(byte)
        if (this.#extensions.length > mostExtensionBytes) throw new Malformed('the extensions of a chunk are too long')
        return
      case 'size-lf':
        requireByte(byte, lf)
        this.#state = this.#left === 0 ? 'trailer-start' : 'data'
        return
      case 'data-cr':
        requireByte(byte, cr)
        this.#state = 'data-lf'
        return
      case 'data-lf':
        requireByte(byte, lf)
        this.#beginChunk()
        return
      case 'trailer-start':
        if (byte === cr) {
          this.#state = 'last-lf'
          return
        }
        this.#state = 'trailer-name'
        this.#trailer = ''
        this.#trailerName(byte)
        return
      case 'trailer-name':
        if (byte !== colon) {
          this.#trailerName(byte)
          return
        }
        if (framingNames.has(this.#trailer.toLowerCase()))
          throw new Malformed('a trailer speaks of the end of the body, which has come')
        this.#state = 'trailer-value'
        return
      case 'trailer-value':
        if (byte === cr) this.#state = 'trailer-lf'
        else this.#passTrailer(byte)
        return
      case 'trailer-lf':
        requireByte(byte, lf)
        this.#state = 'trailer-start'
        return
      case 'last-lf':
        requireByte(byte, lf)
        this.#state = 'over'
        return
      case 'data':
      case 'over':
        return
      default:
        return this.#state satisfies never
    }
  }

  #trailerName(byte: number): void {
    if (isNameByte[byte] !== 1) throw new Malformed('a trailer has no name, or a name that none can have')
    this.#trailer += String.fromCharCode(byte)
    this.#passTrailer(byte)
  }

  #passTrailer(byte: number): void {
    if (byte !== tab && (byte < 32 || byte === 127)) throw new Malformed('a trailer has control characters')
    if (++this.#trailerBytes > mostTrailerBytes) throw new Malformed('its trailers are too long')
  }
}

const framingNames: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding'])

function requireByte(byte: number, expected: number): void {
  if (byte !== expected) throw new Malformed('a chunk does not end where it should')
}

const notHex = 255
const hexDigits = Uint8Array.from({ length: 256 }, (_, byte) => {
  const text = String.fromCharCode(byte)
  return /^[0-9a-fA-F]$/.test(text) ? Number.parseInt(text, 16) : notHex
})
const isNameByte = Uint8Array.from({ length: 256 }, (_, byte) =>
  /^[\w!#$%&'*+\-.^`|~]$/.test(String.fromCharCode(byte)) ? 1 : 0,
)
/** Names, some with a value. What may stand in it can't overlap, so the time it takes grows with the length alone. */
const extensions =
  /^(?:;[\w!#$%&'*+\-.^`|~]+(?:=(?:[\w!#$%&'*+\-.^`|~]+|"(?:[\t !\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)+$/

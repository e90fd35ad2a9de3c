/** A reply over a connection of the lane: head and body go out in one write, and so does each piece of a stream. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Reply } from '../../services/serve/index.ts'
import { unreadMs } from './body.ts'

export type LaneReplyParts = {
  socket: Socket
  /** The answer is the last on its connection. */
  isLast: () => boolean
  /** All of the answer was handed to the socket. `wasLast`: its head said so. */
  onEnd: (wasLast: boolean) => void
}

/** To copy more than this costs more than a second piece to write. */
const mostJoinedBytes = 16 * 1024

/** A class: one is made for each request. After its end, or the connection's, it does nothing. */
export class LaneReply implements Reply {
  readonly #parts: LaneReplyParts
  /** Not sent yet; '' : there is none, or no more. */
  #head = ''
  #headSent = false
  #chunked = false
  #last = false
  #ended = false
  #sentBytes = 0
  /** Runs while what was written waits for the client. */
  #unread: NodeJS.Timeout | null = null
  #onDrain: (() => void) | null = null

  constructor(parts: LaneReplyParts) {
    this.#parts = parts
  }

  get headSent(): boolean {
    return this.#headSent
  }

  get sentBytes(): number {
    return this.#sentBytes
  }

  head(status: number, headers: Record<string, string>): void {
    this.#last = this.#parts.isLast()
    this.#chunked = headers['content-length'] === undefined
    this.#head = renderHead(status, headers, { isLast: this.#last, isChunked: this.#chunked })
    this.#headSent = true
  }

  flush(): void {
    if (this.#head === '' || this.#isOver()) return
    this.#parts.socket.write(this.#head, 'latin1')
    this.#head = ''
  }

  write(bytes: Uint8Array): boolean {
    if (bytes.length === 0 || this.#isOver()) return true
    this.#sentBytes += bytes.length
    const isPiece = this.#chunked && this.#head === '' && bytes.length <= mostJoinedBytes
    const more = isPiece ? this.#parts.socket.write(frame(bytes)) : this.#send(bytes, '')
    if (!more) this.#dropUnread()
    return more
  }

  end(bytes: Uint8Array | null): void {
    if (this.#isOver()) return
    this.#ended = true
    this.#sentBytes += bytes?.length ?? 0
    this.#send(bytes ?? nothing, this.#chunked ? '0\r\n\r\n' : '')
    this.#parts.onEnd(this.#last)
  }

  cut(): void {
    // Behind its end the connection is another request's.
    if (!this.#ended) this.#parts.socket.destroy()
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener
  }

  #isOver(): boolean {
    return this.#ended || !this.#parts.socket.writable
  }

  /** Head, when it has not gone yet, `bytes` in their frame, and `last`. */
  #send(bytes: Uint8Array, last: string): boolean {
    const { socket } = this.#parts
    const isFramed = this.#chunked && bytes.length > 0
    const before = isFramed ? `${this.#head}${bytes.length.toString(16)}\r\n` : this.#head
    const after = isFramed ? `\r\n${last}` : last
    this.#head = ''
    if (bytes.length <= mostJoinedBytes) {
      const joined = Buffer.allocUnsafe(before.length + bytes.length + after.length)
      joined.write(before, 0, 'latin1')
      joined.set(bytes, before.length)
      joined.write(after, before.length + bytes.length, 'latin1')
      return socket.write(joined)
    }
    socket.cork()
    socket.write(before, 'latin1')
    const more = socket.write(bytes)
    const all = after === '' ? more : socket.write(after, 'latin1')
    socket.uncork()
    return all
  }

  /** What is buffered is little; a client that takes longer for it holds an engine for nothing. */
  #dropUnread(): void {
    if (this.#unread !== null) return
    const { socket } = this.#parts
    const stop = (): void => {
      if (this.#unread !== null) clearTimeout(this.#unread)
      this.#unread = null
      socket.off('drain', onDrain).off('close', stop)
    }
    const onDrain = (): void => {
      stop()
      if (!this.#ended) this.#onDrain?.()
    }
    this.#unread = setTimeout(() => socket.destroy(), unreadMs)
    socket.on('drain', onDrain).on('close', stop)
  }
}

const nothing = new Uint8Array(0)

/** A piece of a stream as HTTP's chunk. Letter by letter: two calls into Node for its few letters cost three times as much. */
function frame(bytes: Uint8Array): Buffer {
  let digits = 1
  for (let rest = bytes.length >> 4; rest > 0; rest >>= 4) digits++
  const end = digits + 2 + bytes.length
  const framed = Buffer.allocUnsafe(end + 2)
  for (let at = digits, rest = bytes.length; at > 0; rest >>= 4) framed[--at] = hex[rest & 15] ?? 0
  framed[digits] = cr
  framed[digits + 1] = lf
  framed.set(bytes, digits + 2)
  framed[end] = cr
  framed[end + 1] = lf
  return framed
}

const hex = Buffer.from('0123456789abcdef')
const cr = 0x0d
const lf = 0x0a

type Framing = { isLast: boolean; isChunked: boolean }

/** As node:http writes them. Throws at a value that could end its line. */
function renderHead(status: number, headers: Record<string, string>, { isLast, isChunked }: Framing): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`
  for (const name of Object.keys(headers)) {
    const value = headers[name] ?? ''
    if (unfit.test(value))
      throw new TypeError(`The header ${name} can't be sent: it holds a control character or one beyond Latin-1.`)
    head += `${name}: ${value}\r\n`
  }
  const framing = isChunked ? 'Transfer-Encoding: chunked\r\n' : ''
  return `${head}Date: ${dateNow()}\r\n${isLast ? closes : staysOpen}${framing}\r\n`
}

const unfit = /[^\t\x20-\x7e\x80-\xff]/
const closes = 'Connection: close\r\n'
/** As long as `server.ts` says. */
export const keepAliveMs = 90_000
const staysOpen = `Connection: keep-alive\r\nKeep-Alive: timeout=${keepAliveMs / 1000}\r\n`

/** Spelt once a second. */
let dateSecond = -1
let date = ''
function dateNow(): string {
  const now = Date.now()
  const second = Math.trunc(now / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    date = new Date(now).toUTCString()
  }
  return date
}

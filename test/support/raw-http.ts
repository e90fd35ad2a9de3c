/** HTTP as bytes on a socket, for requests that no client library would send. */
import { connect } from 'node:net'

export type RawOptions = {
  /** Half-closes after the last byte, as a client that was cut off. */
  halfClose?: boolean
  /** How long the answer is read when the server does not end the connection. */
  readMs?: number
  /** Enough was read: the connection is dropped. */
  until?: (text: string) => boolean
}

/** `text` is latin1. `closed`: the server ended the connection, rather than this side's patience. */
export type RawAnswer = { text: string; closed: boolean; statuses: number[]; tookMs: number }

/** Writes the pieces one after another and reads until the server ends the connection. Never rejects. */
export function sendRaw(
  port: number,
  pieces: string | Buffer | Iterable<string | Buffer>,
  { halfClose = false, readMs = 3_000, until }: RawOptions = {},
): Promise<RawAnswer> {
  const { promise, resolve } = Promise.withResolvers<RawAnswer>()
  const startedMs = performance.now()
  const socket = connect(port, '127.0.0.1')
  let text = ''
  const settle = (closed: boolean): void => {
    clearTimeout(timer)
    socket.destroy()
    resolve({ text, closed, statuses: statusesIn(text), tookMs: performance.now() - startedMs })
  }
  const timer = setTimeout(() => settle(false), readMs)
  socket.on('data', data => {
    text += data.toString('latin1')
    if (until?.(text) === true) settle(false)
  })
  // A reset is a way of closing; 'close' follows.
  socket.on('error', () => {})
  socket.on('close', () => settle(true))
  void writeAll()
  return promise

  async function writeAll(): Promise<void> {
    const list = typeof pieces === 'string' || Buffer.isBuffer(pieces) ? [pieces] : pieces
    for (const piece of list) {
      if (socket.destroyed) return
      const bytes = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece
      if (!socket.write(bytes)) {
        await new Promise<void>(drained => {
          socket.once('drain', drained).once('close', drained)
        })
      }
    }
    if (halfClose) socket.end()
  }
}

/** The status of every answer in the text, `100 Continue` left out. */
function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(match => Number(match[1])).filter(status => status !== 100)
}

/** A request with a body, the length right unless a header of that name is given. */
export function rawPost(path: string, body: string | Buffer, headers: Record<string, string> = {}): Buffer {
  const given = new Set(Object.keys(headers).map(name => name.toLowerCase()))
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const all = {
    'host': 'holdfast',
    ...(given.has('content-length') || given.has('transfer-encoding')
      ? {}
      : { 'content-length': String(bytes.length) }),
    'content-type': 'application/json',
    ...headers,
  }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${head.join('')}\r\n`, 'latin1'), bytes])
}

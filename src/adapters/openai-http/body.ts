/** Reads a request's body once, bounded in size and time. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { FaultError } from '../../domain/fault.ts'
import { bytes, millis } from '../../domain/units.ts'
import { ClientGone } from '../../services/serve/index.ts'

/** A body that takes longer comes from a stalled or hostile client. */
export const bodyMs = 60_000
/** Pieces that are kept as they came. One of a byte costs hundreds, so a body in such pieces would cost gigabytes. */
const mostLoose = 256

/** Throws FaultError `body-too-large`, `body-too-slow`, `body-encoding-unsupported`; ClientGone when the client leaves meanwhile. */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<Uint8Array> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    throw new FaultError({ kind: 'body-encoding-unsupported', encoding: encoding.slice(0, 32) })
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const joined: Buffer[] = []
  let loose: Buffer[] = []
  let length = 0
  let settled = false
  const timer = setTimeout(
    () => settle(() => reject(new FaultError({ kind: 'body-too-slow', after: millis(bodyMs) }))),
    bodyMs,
  )
  // They stay: to take them off again costs as much as all else here.
  request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose)
  return promise

  function onData(chunk: Buffer): void {
    if (settled) return
    length += chunk.length
    if (length > limitBytes) {
      settle(() => reject(new FaultError({ kind: 'body-too-large', limit: bytes(limitBytes) })))
      return
    }
    loose.push(chunk)
    if (loose.length < mostLoose) return
    joined.push(Buffer.concat(loose))
    loose = []
  }

  function onEnd(): void {
    settle(() => {
      const only = joined.length === 0 && loose.length === 1 ? loose[0] : undefined
      resolve(only ?? Buffer.concat([...joined, ...loose]))
    })
  }

  function onClose(): void {
    settle(() => reject(new ClientGone()))
  }

  function settle(then: () => void): void {
    if (settled) return
    settled = true
    clearTimeout(timer)
    then()
    joined.length = 0
    loose = []
  }
}

/** How long an answer waits for a client that does not read what was sent, before its connection is dropped. */
export const unreadMs = 60_000

/** What of a refused body is read and thrown away, so that its sender gets to read the answer. */
export const mostDiscardedBytes = 256 * 1024 * 1024
/** And for so long. */
export const discardMs = 10_000

/**
 * Ends an answer with its last bytes. When the connection ends with it, an unfinished body is read first: to close on
 * unread bytes resets the connection, and the answer with it.
 */
export function endAnswer(response: ServerResponse, last: Uint8Array | null): void {
  const { req: request } = response
  // What is left of it stands before the next request on the connection.
  if (!request.complete) response.once('finish', () => discardRest(request))
  if (response.shouldKeepAlive || request.complete) response.end(last)
  else {
    if (last !== null) response.write(last)
    discardRest(request, () => response.end())
  }
  dropUnread(response)
}

/** What the kernel has not taken by now, its client may never read. Node starts the time again with any progress. */
function dropUnread(response: ServerResponse): void {
  const { socket } = response
  if (socket === null || socket.writableLength === 0) return
  socket.setTimeout(unreadMs)
  response.once('finish', () => {
    // A request that came behind this one may take as long as it needs; between requests Node sets a time of its own.
    if (socket.timeout === unreadMs) socket.setTimeout(0)
  })
}

/** Lets an unfinished body run dry, within bounds, and beyond them drops the connection. */
export function discardRest(request: IncomingMessage, onOver: () => void = () => {}): void {
  if (request.complete || request.destroyed) {
    onOver()
    return
  }
  let left = mostDiscardedBytes
  const drop = (): void => {
    request.socket.destroy()
  }
  const timer = setTimeout(drop, discardMs)
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) drop()
  })
  request.once('close', () => clearTimeout(timer))
  request.once('end', () => {
    clearTimeout(timer)
    onOver()
  })
  request.resume()
}

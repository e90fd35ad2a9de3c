/**
 * One connection to an engine: one request at a time, its answer as it comes. Reads go into one buffer that all
 * connections share (Node's `onread`): what an answer holds is copied out of it, once and to its size, before the
 * callback returns.
 */
import { connect as connectPlain, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { BodyReader } from './body.ts'
import type { Endpoint } from './endpoint.ts'
import { headEnd, Malformed, mayBecomeHead, mostHeadBytes, parseHead, type Head } from './head.ts'
import type { RequestText } from './request.ts'

/** Who waits for the answer. `data` gives buffers of its own; `false` from it: no more until `resume`. */
export interface Asker {
  head(head: Head): void
  data(chunk: Buffer): boolean
  end(): void
  /** `untouched`: no byte of an answer had come. */
  lost(error: Error, untouched: boolean): void
}

export interface Owner {
  /** It can take a request: it has just been opened, or an answer is whole. */
  ready(connection: Connection): void
  /** It has ended, perhaps before it was open; told once. */
  gone(connection: Connection, why: Error | null): void
  /** Of the address, for a quicker handshake the next time. */
  ticket: Buffer | null
}

/** An engine on the same network that takes longer than this to accept is as good as gone. */
const connectMs = 5_000
/** Below the 5 s after which common engines (uvicorn, llama-server) close idle connections. */
const keepMs = 4_000
/** Nobody tells more than a few interim answers (100, 103); one that tells them without end is mad. */
const mostInterim = 16
const shared = Buffer.allocUnsafeSlow(64 * 1024)

/** A class: it owns a socket's life. */
export class Connection {
  readonly #owner: Owner
  readonly #endpoint: Endpoint
  readonly #socket: Socket
  readonly #connecting: NodeJS.Timeout
  #asker: Asker | null = null
  /** The beginning of a head whose end has not come. */
  #begun = ''
  #interim = 0
  #body: BodyReader | null = null
  #keepMs = 0
  #touched = false
  #paused = false
  isOpen = true
  /** On the clock that never goes back; 0 while it serves. */
  idleUntil = 0
  /** It has served before, so its engine may have closed it by now. */
  used = false

  constructor(endpoint: Endpoint, owner: Owner) {
    this.#endpoint = endpoint
    this.#owner = owner
    const onread: OnReadOpts = { buffer: shared, callback: length => this.#onRead(length) }
    this.#socket = openSocket(endpoint, owner, onread)
    this.#connecting = setTimeout(
      () => this.#fail(new Error(`${endpoint.host} did not accept a connection within ${connectMs / 1000} s`)),
      connectMs,
    )
    this.#socket
      .once(endpoint.serverName === null ? 'connect' : 'secureConnect', () => {
        clearTimeout(this.#connecting)
        this.#owner.ready(this)
      })
      .on('end', () => this.#onEnd())
      .on('error', error => this.#fail(error))
      .on('close', () => this.#fail(new Error(`${endpoint.host} closed the connection`)))
  }

  /**
   * Sends a request; `false`: the kernel took none of it, since the connection had been closed by then. The engine
   * can't have seen it, and it may be sent again elsewhere.
   */
  send({ text, encoding, bytes }: RequestText, asker: Asker): boolean {
    const socket = this.#socket
    this.#asker = asker
    this.#touched = false
    this.#interim = 0
    this.idleUntil = 0
    if (bytes === null) socket.write(text, encoding)
    else {
      socket.cork()
      socket.write(text, encoding)
      socket.write(bytes)
      socket.uncork()
    }
    if (socket.errored === null && !socket.destroyed) return true
    this.#asker = null
    this.drop()
    return false
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#body?.isOver === true) this.#complete(true)
    else this.#socket.resume()
  }

  /** Ends it at once; who waits hears of it. */
  close(): void {
    this.#fail(new Error(`the connection to ${this.#endpoint.host} was closed here`))
  }

  /** Ends it at once; who waited hears nothing more. */
  drop(why: Error | null = null): void {
    this.#asker = null
    if (!this.isOpen) return
    this.isOpen = false
    clearTimeout(this.#connecting)
    this.#socket.destroy()
    this.#owner.gone(this, why)
  }

  /** `false`: nothing more is read until the socket is resumed. */
  #onRead(length: number): boolean {
    // Nobody asked: what comes now would be taken for the next one's answer.
    if (this.#asker === null) this.drop()
    else {
      try {
        this.#take(length)
      } catch (error) {
        this.#fail(error instanceof Malformed ? new Error(`${this.#endpoint.host}: ${error.message}`) : toError(error))
      }
    }
    return this.isOpen && !this.#paused
  }

  #take(length: number): void {
    this.#touched = true
    let at = 0
    while (this.#body === null) {
      at = this.#takeHead(at, length)
      if (at === -1 || !this.isOpen) return
    }
    const body = this.#body
    const chunk = body.read(shared, at, length)
    const hasMore = at + body.taken < length
    if (chunk !== null && this.#asker?.data(chunk) === false) this.#paused = true
    if (!this.isOpen || !body.isOver) return
    if (hasMore) this.#keepMs = 0
    if (!this.#paused) this.#complete(true)
  }

  /** Where the head ends in the shared buffer; -1: not in this read. Interim answers are passed over. */
  #takeHead(from: number, to: number): number {
    const before = this.#begun.length
    const text = this.#begun + shared.toString('latin1', from, Math.min(to, from + mostHeadBytes - before))
    const found = text.indexOf(headEnd, Math.max(0, before - headEnd.length))
    if (found === -1) {
      if (!mayBecomeHead(text)) throw new Malformed('it does not begin as HTTP/1.1')
      if (text.length >= mostHeadBytes) throw new Malformed(`its head is longer than ${mostHeadBytes} bytes`)
      this.#begun = text
      return -1
    }
    const end = found + headEnd.length
    this.#begun = ''
    const head = parseHead(text.slice(0, end))
    if (head.status < 200) this.#passInterim(head)
    else {
      this.#keepMs = head.keepMs
      this.#body = new BodyReader(head.framing)
      this.#asker?.head(head)
    }
    const next = from + end - before
    // An interim answer may end with the read.
    return this.#body === null && next === to ? -1 : next
  }

  #passInterim({ status }: Head): void {
    if (status === 101) throw new Malformed('it changes to a protocol that nobody asked for')
    if (++this.#interim > mostInterim) throw new Malformed('it has too many interim answers')
  }

  /** The answer is whole. The connection is free before its end is told: who hears it may ask again. */
  #complete(mayKeep: boolean): void {
    const asker = this.#asker
    this.#asker = null
    this.#body = null
    this.used = true
    // An answer may come before its request has gone out: what is left of that would begin the next one.
    if (mayKeep && this.#keepMs > 0 && this.#socket.writableLength === 0 && this.#socket.writable) {
      this.idleUntil = performance.now() + Math.min(keepMs, this.#keepMs)
      this.#owner.ready(this)
    } else this.drop()
    asker?.end()
  }

  #onEnd(): void {
    if (this.#asker !== null && this.#body?.endsHere() === true) this.#complete(false)
    else if (this.#asker !== null && this.#touched)
      this.#fail(new Error(`${this.#endpoint.host} closed the connection before its answer was whole`))
    else this.#fail(new Error(`${this.#endpoint.host} closed the connection without an answer`))
  }

  #fail(error: Error): void {
    const asker = this.#asker
    const untouched = !this.#touched
    this.drop(error)
    asker?.lost(error, untouched)
  }
}

function openSocket(endpoint: Endpoint, owner: Owner, onread: OnReadOpts): Socket {
  const { connect, serverName } = endpoint
  const options = { ...connect, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000, onread }
  if (serverName === null) return connectPlain(options)
  const socket: TLSSocket = connectTls({
    ...options,
    ALPNProtocols: ['http/1.1'],
    ...(serverName === '' ? {} : { servername: serverName }),
    ...(owner.ticket === null ? {} : { session: owner.ticket }),
  })
  return socket.on('session', ticket => {
    owner.ticket = ticket
  })
}

const toError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)))

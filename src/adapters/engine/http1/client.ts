/**
 * HTTP/1.1 towards engines: a stack of idle connections for each address, so that the one used last, whose engine is
 * least likely to have given it up, is used first. No pipelining: an answer that takes minutes must hold up no other.
 */
import { Connection, type Asker, type Owner } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import type { Head } from './head.ts'
import { renderRequest, type Request, type RequestText } from './request.ts'

/** Called in this order: `head` once, `data` any number of times, then `end` or `failed` once. After `abort`: nothing. */
export interface Listener {
  head(status: number, contentType: string): void
  /** `false`: no more until `resume`. */
  data(chunk: Buffer): boolean
  end(): void
  failed(error: Error): void
}

export interface Call {
  /** Drops the connection at once. */
  abort(): void
  resume(): void
}

export interface Client {
  /** Tells nothing before it returns. */
  send(endpoint: Endpoint, request: Request, listener: Listener): Call
  /** Drops all connections; calls under way fail. */
  close(): void
}

/** How often idle connections are looked through. Beyond their time they are not used, whenever they are found. */
const sweepMs = 1_000

export function openClient(): Client {
  const pools = new Map<string, Pool>()
  return {
    send(endpoint, request, listener) {
      const call = new Sending(listener)
      try {
        call.begin(poolOf(endpoint), renderRequest(request, endpoint.host), request.method === 'GET')
      } catch (error) {
        const why = error instanceof Error ? error : new Error(String(error))
        queueMicrotask(() => call.lost(why, false))
      }
      return call
    },
    close() {
      for (const pool of pools.values()) pool.close()
    },
  }

  function poolOf(endpoint: Endpoint): Pool {
    let pool = pools.get(endpoint.key)
    if (pool === undefined) {
      pool = new Pool(endpoint, () => pools.delete(endpoint.key))
      pools.set(endpoint.key, pool)
    }
    return pool
  }
}

/** All connections to one address. A class: it owns them. */
class Pool implements Owner {
  readonly #endpoint: Endpoint
  readonly #onEmpty: () => void
  readonly #open = new Set<Connection>()
  readonly #idle: Connection[] = []
  /** Those whose answer ended in this turn. */
  #resting: Connection[] = []
  /** For whom a connection is being opened. */
  readonly #waiting = new Map<Connection, Sending>()
  #sweeper: NodeJS.Timeout | null = null
  ticket: Buffer | null = null

  constructor(endpoint: Endpoint, onEmpty: () => void) {
    this.#endpoint = endpoint
    this.#onEmpty = onEmpty
  }

  /** An idle connection that may still be used. */
  take(): Connection | null {
    const now = performance.now()
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.idleUntil > now) return connection
      connection.drop()
    }
    return null
  }

  dial(call: Sending): Connection {
    const connection = new Connection(this.#endpoint, this)
    this.#open.add(connection)
    this.#waiting.set(connection, call)
    this.#sweepLater()
    return connection
  }

  ready(connection: Connection): void {
    const call = this.#waiting.get(connection)
    if (call !== undefined) {
      this.#waiting.delete(connection)
      call.sendOver(connection)
      return
    }
    if (this.#resting.length === 0) setImmediate(() => this.#rested())
    this.#resting.push(connection)
  }

  /** A turn later: by then an engine that closes its connections without saying so has been heard. */
  #rested(): void {
    for (const connection of this.#resting) if (connection.isOpen) this.#idle.push(connection)
    this.#resting = []
  }

  gone(connection: Connection, why: Error | null): void {
    this.#open.delete(connection)
    const at = connection.idleUntil === 0 ? -1 : this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
    const call = this.#waiting.get(connection)
    this.#waiting.delete(connection)
    if (why !== null) call?.lost(why, false)
  }

  close(): void {
    for (const connection of [...this.#open]) connection.close()
    if (this.#sweeper !== null) clearTimeout(this.#sweeper)
  }

  /** Goes on as long as there is a connection. */
  #sweepLater(): void {
    this.#sweeper ??= setTimeout(() => {
      this.#sweeper = null
      const now = performance.now()
      for (const connection of this.#idle.filter(({ idleUntil }) => idleUntil <= now)) connection.drop()
      if (this.#open.size === 0) this.#onEmpty()
      else this.#sweepLater()
    }, sweepMs).unref()
  }
}

/** One call. A class: it owns the call's life, and one is made for each request. */
class Sending implements Call, Asker {
  readonly #listener: Listener
  #pool: Pool | null = null
  #request: RequestText | null = null
  #isIdempotent = false
  #connection: Connection | null = null
  #over = false

  constructor(listener: Listener) {
    this.#listener = listener
  }

  /**
   * A connection that turns out closed when the request is written took none of it: then another, and none is asked twice.
   * One that closes after that may have let the engine see the request, and a completion that runs twice costs twice, so
   * what fails then is told. Only a GET is sent again, once, when a connection that was kept breaks without a byte.
   */
  begin(pool: Pool, request: RequestText, isIdempotent: boolean): void {
    this.#pool = pool
    this.#request = request
    this.#isIdempotent = isIdempotent
    for (let kept = pool.take(); kept !== null; kept = pool.take()) if (this.sendOver(kept)) return
    this.#connection = pool.dial(this)
  }

  sendOver(connection: Connection): boolean {
    this.#connection = connection
    if (this.#request === null) throw new TypeError('a call is sent once, after it has begun')
    if (connection.send(this.#request, this)) {
      // A prompt may be long, and its answer take minutes.
      if (!this.#isIdempotent) this.#request = null
      return true
    }
    if (!connection.used)
      queueMicrotask(() => this.lost(new Error('the connection was closed as it was opened'), false))
    return false
  }

  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#connection?.drop()
  }

  resume(): void {
    if (!this.#over) this.#connection?.resume()
  }

  head({ status, contentType }: Head): void {
    if (!this.#over) this.#listener.head(status, contentType)
  }

  data(chunk: Buffer): boolean {
    return this.#over || this.#listener.data(chunk)
  }

  end(): void {
    if (this.#over) return
    this.#over = true
    this.#listener.end()
  }

  lost(error: Error, untouched: boolean): void {
    if (this.#over) return
    if (untouched && this.#isIdempotent && this.#pool !== null && this.#connection?.used === true) {
      this.#connection = this.#pool.dial(this)
      return
    }
    this.#over = true
    this.#listener.failed(error)
  }
}

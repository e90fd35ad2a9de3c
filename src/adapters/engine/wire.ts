/** The wire: HTTP towards engines, over undici's dispatcher. The one file that knows undici. */
import { Pool, type Dispatcher } from 'undici'
import type { EngineAddress, Target, Wire, WireCall, WireListener } from '../../services/serve/index.ts'

/** An engine on the same network that takes longer than this to accept is as good as gone. */
const connectMs = 5_000
/** Below the 5 s after which common engines (uvicorn, llama-server) close idle connections. */
const keepAliveMs = 4_000
const mostGetBytes = 1024 * 1024

/** A pool of connections for each address, made when it is first asked. */
export function openWire(): Wire {
  const pools = new Map<string, { pool: Pool; base: string }>()

  function poolOf(address: Target['address']): { pool: Pool; base: string } {
    const key = 'url' in address ? address.url : address.socket
    let entry = pools.get(key)
    if (entry === undefined) {
      entry = openPool(address)
      pools.set(key, entry)
    }
    return entry
  }

  return {
    post(target, { path, body, contentType, requestId }, listener) {
      const { pool, base } = poolOf(target.address)
      const handler = new CallHandler(listener)
      const headers = { ...headersOf(target), 'content-type': contentType, 'x-request-id': requestId }
      pool.dispatch({ method: 'POST', path: below(base, path), headers, body }, handler)
      return handler
    },
    async get(target, path, signal) {
      const elsewhere = isWholeAddress(path)
      const { pool, base } = poolOf(elsewhere ? { url: path } : target.address)
      const answer = await pool.request({
        method: 'GET',
        path: elsewhere ? base : below(base, path),
        headers: elsewhere ? {} : headersOf(target),
        signal,
      })
      let text = ''
      for await (const chunk of answer.body.setEncoding('utf8')) {
        text += String(chunk)
        if (text.length > mostGetBytes)
          throw new Error(`the answer to GET ${path} is larger than ${mostGetBytes} bytes`)
      }
      return { status: answer.statusCode, text }
    },
    async close() {
      await Promise.all([...pools.values()].map(({ pool }) => pool.destroy()))
    },
  }
}

function openPool(address: Target['address']): { pool: Pool; base: string } {
  const url = new URL('url' in address ? address.url : 'http://engine/v1')
  const pool = new Pool(url.origin, {
    pipelining: 1,
    keepAliveTimeout: keepAliveMs,
    // Deadlines are the relay's: it knows what is awaited and why.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: connectMs },
    allowH2: false,
    ...('socket' in address ? { socketPath: address.socket } : {}),
  })
  return { pool, base: url.pathname.replace(/\/$/, '') }
}

const isWholeAddress = (path: EngineAddress | `http${string}`): path is `http${string}` => path.startsWith('http')

/** `~` is the base without the version that ends it. */
const below = (base: string, path: EngineAddress): string =>
  path.startsWith('~') ? base.replace(/\/v\d+$/, '') + path.slice(1) : base + path

function headersOf({ apiKey }: Target): Record<string, string> {
  return apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }
}

/** Turns undici's callbacks into a WireListener's, and lets it abort at any moment. A class: it owns a call's life. */
class CallHandler implements Dispatcher.DispatchHandler, WireCall {
  readonly #listener: WireListener
  #controller: Dispatcher.DispatchController | null = null
  #over = false

  constructor(listener: WireListener) {
    this.#listener = listener
  }

  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#controller?.abort(new Error('cancelled'))
  }

  resume(): void {
    if (!this.#over) this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // Cancelled while it waited for a connection.
    if (this.#over) controller.abort(new Error('cancelled'))
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.#over || status < 200) return
    const type = headers['content-type']
    this.#listener.head(status, typeof type === 'string' ? type : '')
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#over && !this.#listener.data(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    if (this.#over) return
    this.#over = true
    this.#listener.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    // What can't be sent at all fails within `dispatch`: nobody holds the call yet.
    if (this.#controller === null) queueMicrotask(() => this.#fail(error))
    else this.#fail(error)
  }

  #fail(error: Error): void {
    if (this.#over) return
    this.#over = true
    this.#listener.failed(error)
  }
}

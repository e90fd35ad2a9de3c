/** The server: an OpenAI-shaped model server on loopback that fails in every way a real one can, on request. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Behaviour, parseBehaviourChange, parseDirective } from './behaviour.ts'
import type { BehaviourChange } from './behaviour.ts'
import { speak, stillLoading } from './dialect.ts'
import { openPlaces } from './places.ts'
import { modelRoutes } from './request.ts'
import type { Ask } from './request.ts'
import { reply, serveAsk } from './serve-ask.ts'
import { openLedger } from './state.ts'
import type { Counter, FakeState } from './state.ts'

export type FakeEngineOptions = BehaviourChange & {
  /** The one model served; another name is a 404 (in llama.cpp's dialect names are ignored). None: any name is right. */
  name?: string
  /** 0 (default): a free one. */
  port?: number
  /** What `POST /fake/die` does; by default this server is destroyed, as by a crash. */
  onDie?: () => void
}

export type FakeEngine = {
  /** `http://127.0.0.1:<port>`, without `/v1`. */
  readonly url: string
  readonly port: number
  state(): FakeState
  /** Changes only what is named, for requests that come after. */
  behave(change: BehaviourChange): void
  /** Back to how it was started, the counters at zero. */
  reset(): void
  /** Waits for a state without sleeping. Rejects, telling the state, after `withinMs` (default 5000). */
  until(reached: (state: FakeState) => boolean, withinMs?: number): Promise<FakeState>
  /** Destroys every connection and stops listening, as a crash would. */
  die(): Promise<void>
  /** The same; for `afterAll`. May be called twice. */
  close(): Promise<void>
}

const bodyBytesMax = 64 * 1024 * 1024

/** Resolves once it listens. Rejects when the port is taken. */
export async function startFakeEngine(options: FakeEngineOptions = {}): Promise<FakeEngine> {
  const { name, port = 0, onDie, ...change } = options
  const start = Behaviour.parse(change)
  const ledger = openLedger()
  const places = openPlaces()
  let behaviour = start
  let loadingUntil = Date.now() + start.loadingMs
  let nextId = 0

  const server = createServer((req, res) => {
    route(req, res).catch((error: unknown) => {
      if (!res.headersSent && !res.destroyed) reply(res, speak(behaviour.dialect).refuse(400, String(error)))
      else res.destroy()
    })
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The fake engine has no port.')

  const behave = (next: BehaviourChange): void => {
    behaviour = { ...behaviour, ...next }
    if (next.loadingMs !== undefined) loadingUntil = Date.now() + next.loadingMs
  }
  const reset = (): void => {
    behave(start)
    ledger.reset()
  }
  const die = async (): Promise<void> => {
    const closed = new Promise<void>(resolve => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  }

  async function route(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(req.url ?? '/', 'http://fake')
    if (pathname.startsWith('/fake/')) return control(req, res, { pathname, searchParams })
    const dialect = speak(behaviour.dialect)
    if (Date.now() < loadingUntil) return reply(res, stillLoading)
    const answers: Record<string, () => void> = {
      'GET /health': () => reply(res, dialect.health),
      'GET /v1/models': () => reply(res, { status: 200, body: dialect.models(name ?? 'fake') }),
      'GET /metrics': () => reply(res, { status: 200, body: dialect.metrics(name ?? 'fake', ledger.state()) }),
    }
    const known = answers[`${req.method} ${pathname}`]
    if (known) return known()
    if (req.method === 'POST' && isModelRoute(pathname)) return serveModel(req, res, pathname)
    reply(res, dialect.refuse(404, `There is no ${req.method} ${pathname}.`))
  }

  async function serveModel(req: IncomingMessage, res: ServerResponse, path: keyof typeof modelRoutes): Promise<void> {
    const body = await readJson(req)
    ledger.see({ path, headers: req.headers, body })
    const { apiKey, dialect } = behaviour
    const refuse = (status: number, message: string): void => {
      ledger.add('finished')
      reply(res, speak(dialect).refuse(status, message))
    }
    if (apiKey !== null && req.headers.authorization !== `Bearer ${apiKey}`) return refuse(401, 'Unauthorized')
    let ask: Ask
    let asked: Behaviour
    try {
      ask = modelRoutes[path](body)
      asked = { ...behaviour, ...parseDirective(ask.lastPrompt) }
    } catch (error) {
      return refuse(400, String(error))
    }
    if (name !== undefined && ask.model !== name && dialect === 'vllm')
      return refuse(404, `The model \`${ask.model}\` does not exist.`)
    await serveAsk({ ask, behaviour: asked, res, ledger, places, id: `fake${nextId++}` })
  }

  async function control(
    req: IncomingMessage,
    res: ServerResponse,
    at: { pathname: string; searchParams: URLSearchParams },
  ): Promise<void> {
    switch (`${req.method} ${at.pathname}`) {
      case 'GET /fake/state':
        return reply(res, { status: 200, body: await reachedState(at.searchParams) })
      case 'POST /fake/behave':
        behave(parseBehaviourChange(await readJson(req)))
        return reply(res, { status: 200, body: behaviour })
      case 'POST /fake/reset':
        reset()
        return reply(res, { status: 200, body: behaviour })
      case 'POST /fake/die':
        return onDie ? onDie() : die()
      default:
        reply(res, { status: 404, body: { error: `There is no ${req.method} ${at.pathname}.` } })
    }
  }

  /** `?aborted=1&running=0&withinMs=2000`: waits until each counter has that value, so that tests need no sleep. */
  function reachedState(wanted: URLSearchParams): Promise<FakeState> {
    const { withinMs, ...counters } = Object.fromEntries(wanted)
    return ledger.until(
      state =>
        Object.entries(counters).every(
          ([counter, value]) => isCounter(state, counter) && state[counter] === Number(value),
        ),
      withinMs === undefined ? undefined : Number(withinMs),
    )
  }

  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    state: ledger.state,
    behave,
    reset,
    until: ledger.until,
    die,
    close: die,
  }
}

async function readJson(req: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of req) {
    const part = Buffer.from(chunk)
    bytes += part.length
    if (bytes > bodyBytesMax) throw new Error(`The body is larger than ${bodyBytesMax} bytes.`)
    chunks.push(part)
  }
  return JSON.parse(Buffer.concat(chunks).toString())
}

function isModelRoute(path: string): path is keyof typeof modelRoutes {
  return Object.hasOwn(modelRoutes, path)
}

function isCounter(state: FakeState, name: string): name is Counter {
  return name !== 'lastRequests' && Object.hasOwn(state, name)
}

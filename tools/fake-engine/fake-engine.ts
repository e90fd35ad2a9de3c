/** The server: an OpenAI-shaped model server on loopback that fails in every way a real one can, on request. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Behaviour, parseBehaviourChange, parseDirective } from './behaviour.ts'
import type { BehaviourChange } from './behaviour.ts'
import type { Dialect, Reply } from './dialects/index.ts'
import { speak } from './dialects/index.ts'
import { openPlaces } from './places.ts'
import { openPromptCache } from './prompt-cache.ts'
import { parseBody, problemOf, readBytes } from './read-body.ts'
import { reply } from './reply.ts'
import { readAsk } from './request.ts'
import type { Ask, Route } from './request.ts'
import { isGenerating, serveAsk } from './serve-ask.ts'
import { openLedger } from './state.ts'
import type { Counter, FakeState } from './state.ts'

export type FakeEngineOptions = BehaviourChange & {
  /** The one model served; what another name gets is the dialect's (llama.cpp ignores names). None: any is right. */
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
  /** Changes only what is named, for requests that come after. `hang` stops those in flight too. */
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

/** How the fake's own routes answer, whatever engine it is. */
const plain = { headers: {}, jsonType: 'application/json' }

/** Resolves once it listens. Rejects when the port is taken. */
export async function startFakeEngine(options: FakeEngineOptions = {}): Promise<FakeEngine> {
  const { name, port = 0, onDie, ...change } = options
  const start = Behaviour.parse(change)
  const ledger = openLedger()
  const places = openPlaces()
  let behaviour = start
  let loadingUntil = Date.now() + start.loadingMs
  let nextId = 0
  const cache = openPromptCache()
  const started = Math.floor(Date.now() / 1000)
  const isLoading = (): boolean => Date.now() < loadingUntil

  const server = createServer((req, res) => {
    route(req, res).catch((error: unknown) => {
      if (!res.headersSent && !res.destroyed) reply(res, plain, { status: 400, body: { error: String(error) } })
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
    cache.forget()
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
    const facts = { model: name ?? 'fake', state: ledger.peek(), behaviour, loading: isLoading(), started }
    const page = req.method === 'GET' ? pickPage(dialect, pathname, facts.model) : undefined
    if (page && behaviour.hangHealth) return
    const loading = facts.loading ? dialect.loading(pathname, facts) : null
    if (loading) return reply(res, dialect, loading)
    const work = req.method === 'POST' ? dialect.routes[pathname] : undefined
    if (work) return serveWork(req, res, { route: work, path: pathname })
    if (!page) return reply(res, dialect, dialect.unknownPath)
    if (!isAllowed(req) && !dialect.isPublic(pathname)) return reply(res, dialect, dialect.unauthorised)
    const answer = page(facts)
    if (answer !== 'silence') reply(res, dialect, answer)
  }

  const isAllowed = ({ headers }: IncomingMessage): boolean =>
    behaviour.apiKey === null || headers.authorization === `Bearer ${behaviour.apiKey}`

  async function serveWork(
    req: IncomingMessage,
    res: ServerResponse,
    at: { route: Route; path: string },
  ): Promise<void> {
    const dialect = speak(behaviour.dialect)
    const raw = await readBytes(req)
    const refuse = (answer: Reply): void => {
      ledger.add('finished')
      reply(res, dialect, answer)
    }
    let body: unknown
    try {
      body = await parseBody(raw, req.headers['content-type'] ?? '')
    } catch (error) {
      ledger.see({ path: at.path, headers: req.headers, body: raw.toString() })
      return refuse(dialect.badJson(problemOf(error)))
    }
    ledger.see({ path: at.path, headers: req.headers, body })
    if (!isAllowed(req)) return refuse(dialect.unauthorised)
    let ask: Ask
    let asked: Behaviour
    try {
      const read = readAsk(at.route, body)
      asked = { ...behaviour, ...parseDirective(read.lastPrompt) }
      ask = cutToFit(read, asked)
    } catch (error) {
      return refuse(dialect.badBody(problemOf(error)))
    }
    ledger.add('images', ask.images.length)
    const refusal = refusalOf(ask, asked)
    if (refusal) return refuse(refusal)
    const now = { model: name ?? 'fake', state: ledger.peek(), behaviour: asked, loading: isLoading(), started }
    if (at.route === 'tokenize') return refuse({ status: 200, body: dialect.tokenize(ask, now) })
    if (at.route === 'count') return refuse({ status: 200, body: dialect.inputTokens(ask, at.path) })
    if (at.route === 'template') return refuse({ status: 200, body: { prompt: ask.words.join(' ') } })
    const isQueueFull = places.isFull(asked.maxConcurrent) && ledger.count('waiting') >= (asked.maxQueue ?? Infinity)
    if (isQueueFull) return refuse(dialect.queueFull)
    await serveAsk({
      ask,
      behaviour: asked,
      dialect: speak(asked.dialect),
      res,
      ledger,
      places,
      id: `fake${nextId++}`,
      cached: isGenerating(ask) ? cache.reuse(ask.words) : 0,
      isHung: () => behaviour.hang,
      isLoading,
    })
  }

  function refusalOf(ask: Ask, asked: Behaviour): Reply | null {
    const dialect = speak(asked.dialect)
    if (name !== undefined && ask.model !== name && dialect.unknownModel) return dialect.unknownModel(ask.model)
    if (ask.images.length > 0 && asked.noVision) return dialect.noVision(ask.model)
    if (!ask.images.every(dialect.takesImage)) return dialect.badImage
    if (asked.noAutoTools && ask.tools.length > 0 && !ask.forced && dialect.noTools) return dialect.noTools(ask.model)
    return ask.route === 'completion' && ask.hasSuffix ? dialect.noSuffix : null
  }

  async function control(
    req: IncomingMessage,
    res: ServerResponse,
    at: { pathname: string; searchParams: URLSearchParams },
  ): Promise<void> {
    switch (`${req.method} ${at.pathname}`) {
      case 'GET /fake/state':
        return reply(res, plain, { status: 200, body: await reachedState(at.searchParams) })
      case 'POST /fake/behave':
        behave(parseBehaviourChange(JSON.parse((await readBytes(req)).toString())))
        return reply(res, plain, { status: 200, body: behaviour })
      case 'POST /fake/reset':
        reset()
        return reply(res, plain, { status: 200, body: behaviour })
      case 'POST /fake/die':
        return onDie ? onDie() : die()
      default:
        reply(res, plain, { status: 404, body: { error: `There is no ${req.method} ${at.pathname}.` } })
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

/** Some engines cut the front off a prompt that is too long, and say nothing. */
function cutToFit(ask: Ask, { contextLimit: limit, dialect }: Behaviour): Ask {
  if (limit === null || ask.words.length <= limit) return ask
  const isTold = speak(dialect).contextExceeded({ prompt: ask.words.length, output: ask.maxTokens, limit }) !== null
  return isTold ? ask : { ...ask, words: ask.words.slice(-limit) }
}

function pickPage(dialect: Dialect, path: string, model: string): Dialect['pages'][string] | undefined {
  const found = Object.keys(dialect.pages).find(page => page.replace('{model}', encodeURIComponent(model)) === path)
  return found === undefined ? undefined : dialect.pages[found]
}

function isCounter(state: FakeState, name: string): name is Counter {
  return name !== 'lastRequests' && Object.hasOwn(state, name)
}

/** The engine's HTTP server: an OpenAI-compatible API on a Unix socket, there before the weights are. */
import { once } from 'node:events'
import { unlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { Logger } from 'pino'
import { FaultError, toHttp } from '../../domain/fault.ts'
import type { HttpFault } from '../../domain/fault.ts'
import { readJson } from './body.ts'
import type { Route } from './call.ts'
import { answerChat } from './chat.ts'
import { answerCompletion } from './completion.ts'
import { answerEmbedding } from './embedding.ts'
import { metricsContentType, renderMetrics } from './metrics.ts'
import type { Counters } from './metrics.ts'
import { openEventStream } from './sse.ts'
import type { EventStream } from './sse.ts'
import { answerTokenize } from './tokenize.ts'
import type { Weights } from './weights.ts'

export type EngineServer = {
  /** From now on models answer. */
  ready(weights: Weights): void
  /** Takes no more connections or requests; resolves when the running ones are over, cut after `graceMs`. */
  close(graceMs: number): Promise<void>
}

type Options = { socket: string; version: string; counters: Counters; log: Logger }

const routes: { readonly [path: string]: Route } = {
  '/v1/chat/completions': answerChat,
  '/v1/completions': answerCompletion,
  '/v1/embeddings': answerEmbedding,
  '/tokenize': answerTokenize,
}
const pages = ['/health', '/v1/models', '/metrics']

/** Listens at once. Rejects when another engine answers on the socket; a stale socket file is taken over. */
export async function openServer({ socket, version, counters, log }: Options): Promise<EngineServer> {
  const started = Math.floor(Date.now() / 1000)
  let weights: Weights | null = null
  let draining = false
  const running = new Map<ServerResponse, AbortController>()

  const server = createServer((request, response) => void handle(request, response))
  // The one client is the gateway beside us: it decides when its connections are idle for too long.
  server.keepAliveTimeout = 0

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    const opened: { events: EventStream | null } = { events: null }
    running.set(response, gone)
    response.on('close', () => {
      running.delete(response)
      if (response.writableFinished) return
      if (!gone.signal.aborted && !draining) counters.aborted++
      gone.abort(new Error('the client left'))
    })
    if (draining) response.shouldKeepAlive = false
    try {
      const path = new URL(request.url ?? '/', 'http://engine').pathname
      const method = request.method ?? 'GET'
      const route = Object.hasOwn(routes, path) ? routes[path] : undefined
      if (route !== undefined) {
        if (method !== 'POST') throw new FaultError({ kind: 'method-not-allowed', method, path, allowed: ['POST'] })
        const body = await readJson(request)
        if (draining) throw new FaultError({ kind: 'not-ready', why: 'the engine is stopping.' })
        if (weights === null) throw loading()
        const answer = await route(body, {
          weights,
          version,
          signal: gone.signal,
          openStream: () => (opened.events = openEventStream(response, gone.signal)),
        })
        if (answer !== null) sendJson(response, 200, { body: answer })
        return
      }
      if (!pages.includes(path)) throw new FaultError({ kind: 'route-unknown', method, path })
      if (method !== 'GET' && method !== 'HEAD')
        throw new FaultError({ kind: 'method-not-allowed', method, path, allowed: ['GET'] })
      sendPage(path, response)
    } catch (error) {
      const hasLeft = gone.signal.aborted || request.errored !== null
      if (hasLeft && !(error instanceof FaultError)) {
        response.destroy()
        return
      }
      if (!(error instanceof FaultError)) log.error({ err: error }, 'a request failed')
      const fault = toHttp(
        error instanceof FaultError
          ? error.fault
          : { kind: 'engine-failed', status: null, detail: 'the embedded engine could not go on' },
      )
      if (opened.events !== null) opened.events.fail(fault.body)
      else sendFault(response, fault, request)
    }
  }

  function sendPage(path: string, response: ServerResponse): void {
    if (path === '/metrics') {
      const lanes = weights === null ? [] : [weights.sequences, weights.embeddings]
      const room = weights === null ? 0 : weights.context * weights.sequences.size
      response.writeHead(200, { 'content-type': metricsContentType }).end(renderMetrics(counters, { lanes, room }))
    } else if (path === '/v1/models') {
      if (weights === null) throw loading()
      sendJson(response, 200, { body: { object: 'list', data: [renderModel(weights, { version, started })] } })
    } else if (draining) sendJson(response, 503, { body: { status: 'draining' }, headers: { 'retry-after': '1' } })
    else if (weights === null) sendJson(response, 503, { body: { status: 'loading' }, headers: { 'retry-after': '1' } })
    else {
      const { context, sequences } = weights
      sendJson(response, 200, {
        body: { status: 'ok', model: version, context, sequences: sequences.size, pid: process.pid },
      })
    }
  }

  await removeStale(socket)
  // 0600 from the first moment: a chmod after listen would leave a gap.
  const mask = process.umask(0o177)
  try {
    server.listen(socket)
    await once(server, 'listening')
  } finally {
    process.umask(mask)
  }

  return {
    ready(loaded) {
      weights = loaded
    },
    async close(graceMs) {
      draining = true
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      for (const response of running.keys()) if (!response.headersSent) response.shouldKeepAlive = false
      const cut = setTimeout(() => {
        for (const gone of running.values()) gone.abort(new Error('the engine is ending'))
        server.closeAllConnections()
      }, graceMs)
      // A connection whose last answer was already under way when we began is idle only afterwards.
      const sweep = setInterval(() => server.closeIdleConnections(), 20)
      await closed
      clearTimeout(cut)
      clearInterval(sweep)
    },
  }
}

const loading = (): FaultError => new FaultError({ kind: 'not-ready', why: 'the model is loading.' })

const renderModel = (
  { context, facts }: Weights,
  { version, started }: { version: string; started: number },
): unknown => ({
  id: version,
  object: 'model',
  created: started,
  owned_by: 'holdfast',
  meta: {
    n_ctx: context,
    n_ctx_train: facts.trainContext,
    n_embd: facts.embeddingSize,
    n_vocab: facts.vocabulary,
    n_params: facts.parameters,
    size: facts.bytes,
  },
})

function sendJson(
  response: ServerResponse,
  status: number,
  { body, headers = {} }: { body: unknown; headers?: Record<string, string> },
): void {
  const text = JSON.stringify(body)
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers })
    .end(text)
}

function sendFault(response: ServerResponse, fault: HttpFault, request: IncomingMessage): void {
  // A body that was not read to its end can't be followed by another request.
  const left = request.complete ? {} : { connection: 'close' }
  const retry = fault.retryAfterSeconds === null ? {} : { 'retry-after': String(fault.retryAfterSeconds) }
  sendJson(response, fault.status, { body: fault.body, headers: { ...left, ...retry } })
}

/** A socket file nobody answers on is what a killed engine left behind. */
async function removeStale(path: string): Promise<void> {
  const probe = connect(path)
  try {
    await once(probe, 'connect')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') return
    if (code !== 'ECONNREFUSED') throw error
    unlinkSync(path)
    return
  } finally {
    probe.destroy()
  }
  throw new Error(`another engine answers on ${path}`)
}

/** The gateway's front: the door, behind it the lane or node:http with its limits, and which path goes where. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Surface } from '../../domain/dialect/index.ts'
import { FaultError, type Fault } from '../../domain/fault.ts'
import type { RequestId } from '../../domain/units.ts'
import { ClientGone, type Exchange, type ReadBody, type Serve } from '../../services/serve/index.ts'
import { answerOf } from './answer-of.ts'
import { endAnswer, readBody } from './body.ts'
import { openDoor, type DoorParts } from './door.ts'
import { openLane, type Lane } from './lane.ts'
import { firstByteMs } from './lane-connection.ts'
import { keepAliveMs } from './lane-reply.ts'
import { modelPaths, surfaceOf } from './model-paths.ts'
import { mostHeadBytes, mostHeaders } from './plain-head.ts'
import { HttpReply } from './reply.ts'
import { makeRequestId } from './request-id.ts'
import { keyOf, toExchange, type ExchangeParts } from './to-exchange.ts'

/** An answer that is ready at once. A string goes out as plain text, anything else as JSON. */
export type Plain = { status: number; body: unknown; contentType?: string }
/** What a plain handler knows of its request. */
export type PlainRequest = {
  id: RequestId
  method: string
  key: string | null
  path: string
  from: string
  surface: Surface
  readBody: ReadBody
}

/** An answer of the gateway's own. `methods`: beside GET and HEAD; `only`: instead of them. */
export type PlainRoute = {
  methods?: readonly string[]
  only?: readonly string[]
  answer(request: PlainRequest): Plain | Promise<Plain>
}

/** What the controller is told of a request that it answers. `from`: its client's address. */
export type Relayed = { id: RequestId; from: string }

export type HttpParts = DoorParts & {
  serve: Serve
  /** By path; a path that ends in `/` takes what is below it too. */
  plain: Record<string, PlainRoute>
  /** First path segments that the controller answers (`api`, `key` …), and whole paths. */
  relayed: readonly string[]
  relay: (request: IncomingMessage, response: ServerResponse, relayed: Relayed) => void
  report: (error: unknown, id: RequestId) => void
  /** While the gateway drains, answers end their connections. */
  draining: () => boolean
}

export type Http = {
  server: Server
  /** A second way in for this machine's own user, at a Unix socket: no TLS and no limits. Resolves when it listens. */
  openLocal(path: string): Promise<void>
  /** Of clients, open now. */
  connections(): number
}

/** Not listening yet. */
export function openHttp(parts: HttpParts): Http {
  const server = createServer(
    {
      maxHeaderSize: mostHeadBytes,
      headersTimeout: firstByteMs,
      requestTimeout: 90_000,
      // Longer than the 60–75 s for which proxies in front keep theirs: the side that reuses should be the one that closes.
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: 1_000,
      noDelay: true,
      // Ours says so as JSON.
      requireHostHeader: false,
    },
    (request, response) => onRequest(request, response),
  )
  server.maxHeadersCount = mostHeaders
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (ending.has(socket)) socket.end()
    else refuseUnparsed(error.code ?? null, socket)
  })
  server.on('checkExpectation', onRequest)
  const door = openDoor(parts)
  const ending = new WeakSet<Socket>()
  const toNode = ownConnections(server)
  const lane = openLane({ ...parts, ...door, toNode, refuse: refuseUnparsed })
  door.guard(server, lane.take)
  alsoClose(server, lane)
  return { server, openLocal: door.openLocal, connections: door.connections }

  function onRequest(request: IncomingMessage, response: ServerResponse): void {
    const id = makeRequestId(Date.now())
    // Behind one that was refused for its form: nobody knows whether it is a request or was hidden in that one.
    if (ending.has(request.socket)) return
    if (parts.draining()) response.shouldKeepAlive = false
    // A socket that breaks while we write is the client leaving; 'close' tells of it.
    response.on('error', ignore)
    try {
      refuseUnusual(request)
    } catch (error) {
      ending.add(request.socket)
      response.shouldKeepAlive = false
      fail(error, response, id)
      return
    }
    try {
      dispatch(request, response, id)
    } catch (error) {
      fail(error, response, id)
    }
  }

  function dispatch(request: IncomingMessage, response: ServerResponse, id: RequestId): void {
    const from = door.clientOf(request)
    const refusal = door.refusal(request, from)
    if (refusal !== null) throw new FaultError(refusal)
    const url = request.url ?? '/'
    const query = url.indexOf('?')
    const path = query === -1 ? url : url.slice(0, query)
    const method = request.method ?? 'GET'
    const modelPath = modelPaths.get(path)
    if (modelPath !== undefined) {
      requireMethod({ method, path, allowed: ['POST'] })
      // It answers every fault itself: what comes here would else end the process.
      parts.serve(exchangeOver({ id, path, modelPath, from }, response)).catch(error => fail(error, response, id))
      return
    }
    if (parts.relayed.includes(path.split('/', 2)[1] ?? '') || parts.relayed.includes(path)) {
      parts.relay(request, response, { id, from })
      return
    }
    const route = plainRoute(path)
    if (route === undefined) throw new FaultError({ kind: 'route-unknown', method, path: path.slice(0, 200) })
    requireMethod({ method, path, allowed: route.only ?? ['GET', 'HEAD', ...(route.methods ?? [])] })
    const asked = { id, method, key: keyOf(request.headers), path, from, surface: surfaceOf(url, request.headers) }
    answerPlain(route.answer({ ...asked, readBody: limit => readBody(request, limit) }), response, id)
  }

  /** Most answers are ready at once; only those that aren't cost a promise. */
  function answerPlain(answer: Plain | Promise<Plain>, response: ServerResponse, id: RequestId): void {
    if (!(answer instanceof Promise)) {
      sendPlain(response, answer, id)
      return
    }
    answer.then(
      plain => sendPlain(response, plain, id),
      error => fail(error, response, id),
    )
  }

  function fail(error: unknown, response: ServerResponse, id: RequestId): void {
    if (error instanceof ClientGone) return
    if (!(error instanceof FaultError)) parts.report(error, id)
    sendFault(response, error instanceof FaultError ? error.fault : { kind: 'internal' }, id)
  }

  function plainRoute(path: string): PlainRoute | undefined {
    const exact = Object.hasOwn(parts.plain, path) ? parts.plain[path] : undefined
    if (exact !== undefined) return exact
    return Object.entries(parts.plain).find(([route]) => route.endsWith('/') && path.startsWith(route))?.[1]
  }
}

const ignore = (): void => {}

/** The exchange of a request that node:http parsed; it hears of a client that leaves. */
function exchangeOver(
  parts: Omit<ExchangeParts, 'headers' | 'declaredBytes' | 'reply' | 'readBody'>,
  response: ServerResponse,
): Exchange {
  const { req: request } = response
  const declared = Number(request.headers['content-length'])
  const exchange = toExchange({
    ...parts,
    headers: request.headers,
    declaredBytes: Number.isFinite(declared) ? declared : null,
    reply: new HttpReply(response),
    readBody: limit => readBody(request, limit),
  })
  response.on('close', () => {
    if (response.writableFinished) return
    exchange.gone = true
    exchange.interrupt?.(new ClientGone())
  })
  return exchange
}

/** What HTTP/1.1 has and few use. Takes the absolute form of a target, which every server must (RFC 9112, 3.2.2). */
function refuseUnusual(request: IncomingMessage): void {
  const { headers, httpVersion, url = '/' } = request
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    throw new FaultError({ kind: 'request-invalid', param: null, problem: `Speak HTTP/1.1, not HTTP/${httpVersion}.` })
  }
  if (headers.host === undefined && httpVersion === '1.1') {
    throw new FaultError({ kind: 'request-invalid', param: null, problem: 'HTTP/1.1 wants a Host header.' })
  }
  if (httpVersion === '1.0' && headers['transfer-encoding'] !== undefined) {
    throw new FaultError({ kind: 'request-invalid', param: null, problem: 'HTTP/1.0 has no Transfer-Encoding.' })
  }
  if (hasTwoHosts(request)) {
    throw new FaultError({ kind: 'request-invalid', param: null, problem: 'There is more than one Host header.' })
  }
  if (headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue') {
    throw new FaultError({ kind: 'request-invalid', param: null, problem: 'Only 100-continue may be expected.' })
  }
  if (!url.startsWith('/')) request.url = url.replace(/^https?:\/\/[^/?#]*(?=\/)/i, '')
}

/** Node keeps the first; whoever stands in front may have gone by the other. */
function hasTwoHosts({ rawHeaders }: IncomingMessage): boolean {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1
  }
  return hosts > 1
}

function requireMethod({ method, path, allowed }: { method: string; path: string; allowed: readonly string[] }): void {
  if (!allowed.includes(method)) throw new FaultError({ kind: 'method-not-allowed', method, path, allowed })
}

function sendPlain(response: ServerResponse, { status, body, contentType }: Plain, id: RequestId): void {
  const bytes = Buffer.from(typeof body === 'string' && contentType !== undefined ? body : JSON.stringify(body))
  response.writeHead(status, {
    'content-type': contentType ?? 'application/json',
    'content-length': String(bytes.length),
    'x-request-id': id,
  })
  endAnswer(response, bytes)
}

/** A fault outside the pipeline: unknown paths, wrong methods, a controller that is gone. */
export function sendFault(response: ServerResponse, fault: Fault, id: RequestId): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const { url = '/', headers } = response.req
  const answer = answerOf(fault, surfaceOf(url, headers), id)
  response.writeHead(answer.status, answer.headers)
  endAnswer(response, answer.bytes)
}

/** From here on the server takes no connection by itself: it gets those that the answer is called with. */
function ownConnections(server: Server): (socket: Socket) => void {
  const listeners = server.listeners('connection')
  server.removeAllListeners('connection')
  return socket => {
    for (const listener of listeners) Reflect.apply(listener, server, [socket])
  }
}

/** Whoever closes connections of the server means those of the lane too; it also does so itself when it closes. */
function alsoClose(server: Server, lane: Lane): void {
  const closeIdle = server.closeIdleConnections.bind(server)
  const closeAll = server.closeAllConnections.bind(server)
  server.closeIdleConnections = () => {
    closeIdle()
    lane.closeIdle()
  }
  server.closeAllConnections = () => {
    closeAll()
    lane.closeAll()
  }
  server.on('close', () => lane.close())
}

/** What no parser takes: told in our words, then the connection ends, since its state is unknown. `code`: Node's, of its error. */
function refuseUnparsed(code: string | null, socket: Socket): void {
  if (!socket.writable || (socket.bytesWritten > 0 && code === null)) {
    socket.destroy()
    return
  }
  const [status, reason, message] = parserRefusals[code ?? ''] ?? [
    400,
    'Bad Request',
    'This is not a valid HTTP/1.1 request.',
  ]
  const body = JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code: 'bad_request' } })
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}

const parserRefusals: Record<string, [status: number, reason: string, message: string]> = {
  HPE_HEADER_OVERFLOW: [
    431,
    'Request Header Fields Too Large',
    'The request has more than the 100 headers or the 16 KiB of them allowed here.',
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request did not arrive in time.'],
}

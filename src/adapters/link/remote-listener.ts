/** Where gateways from elsewhere reach the controller: TLS with the service's own authority, a certificate for all but joining. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { toHttp, type Fault } from '../../domain/fault.ts'

export type RemoteCredentials = { cert: string; key: string; endsAt: number }
export type RemoteParts = {
  listen: { host: string; port: number }
  /** PEM: whose certificates are believed. */
  authority: string
  credentials: () => RemoteCredentials
  /** Whether the gateway of this id may come now. Asked for each request. */
  admits: (gateway: string) => 'yes' | 'unknown' | 'removed'
  /** The controller's own routes. */
  handle: (request: IncomingMessage, response: ServerResponse) => void
  now: () => number
}
export type RemoteListener = {
  port: number
  /** The gateway that sent a request; `null`: it came over the Unix socket, or wants to join. */
  peerOf: (request: IncomingMessage) => string | null
  /** Ends a gateway's connections. */
  drop(gateway: string): void
  close(): Promise<void>
}

export const joinPath = '/link/v1/join'

const handshakeMs = 10_000
const lookEveryMs = 60_000

/** Throws an Error that says what is in the way of listening. Renews its certificate in time, without ending connections. */
export async function openRemoteListener(parts: RemoteParts): Promise<RemoteListener> {
  const { listen, authority, admits, handle, now } = parts
  const peers = new WeakMap<IncomingMessage, string>()
  const sockets = new Map<string, Set<TLSSocket>>()
  let credentials = parts.credentials()
  const lifeMs = credentials.endsAt - now()
  const secure = () => ({ cert: credentials.cert, key: credentials.key, ca: authority, minVersion: 'TLSv1.3' as const })

  const server = createServer(
    {
      ...secure(),
      // Whoever has no certificate is told so in words, and may join.
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: handshakeMs,
      headersTimeout: handshakeMs,
    },
    (request, response) => {
      const path = request.url?.split('?', 1)[0]
      if (path === joinPath) return handle(request, response)
      const caller = callerOf(request.socket)
      if (typeof caller !== 'string') return refuse(response, caller)
      peers.set(request, caller)
      handle(request, response)
    },
  )
  server.on('secureConnection', socket => {
    socket.on('error', () => {})
    const { authorized } = socket
    if (!authorized) return
    const id = socket.getPeerCertificate().subject?.CN
    if (typeof id !== 'string') return
    const own = sockets.get(id) ?? new Set()
    sockets.set(id, own.add(socket))
    socket.once('close', () => {
      own.delete(socket)
      if (own.size === 0) sockets.delete(id)
    })
  })

  /** Requests on this server come over TLS, so their socket has what TLS knows. */
  function callerOf(socket: unknown): string | Fault {
    const tls = socket as TLSSocket
    const { subject } = tls.getPeerCertificate()
    if (subject === undefined) return { kind: 'gateway-refused', why: 'no-certificate' }
    if (!tls.authorized) {
      const isOver = String(tls.authorizationError).includes('CERT_HAS_EXPIRED')
      return { kind: 'gateway-refused', why: isOver ? 'certificate-expired' : 'another-authority' }
    }
    const id = typeof subject.CN === 'string' ? subject.CN : ''
    const answer = admits(id)
    return answer === 'yes' ? id : { kind: 'gateway-refused', why: answer }
  }

  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', (error: NodeJS.ErrnoException) => {
    const where = `${listen.host}:${listen.port}`
    const why = error.code === 'EADDRINUSE' ? `${where} is taken` : `${where}: ${error.message}`
    reject(new Error(`the controller can't listen for gateways: ${why}; change controller.listen in the spec`))
  })
  server.listen({ ...listen, exclusive: true }, resolve)
  await promise
  server.on('error', () => {})
  const renewing = setInterval(() => {
    if (now() < credentials.endsAt - lifeMs / 3) return
    credentials = parts.credentials()
    server.setSecureContext(secure())
  }, lookEveryMs).unref()

  return {
    // A listening TCP server has an address with a port.
    port: (server.address() as AddressInfo).port,
    peerOf: request => peers.get(request) ?? null,
    drop(gateway) {
      for (const socket of sockets.get(gateway) ?? []) socket.destroy()
    },
    async close() {
      clearInterval(renewing)
      const { promise: closed, resolve: done } = Promise.withResolvers<void>()
      server.close(() => done())
      server.closeAllConnections()
      await closed
    },
  }
}

function refuse(response: ServerResponse, fault: Fault): void {
  const { status, body } = toHttp(fault)
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'connection': 'close',
  })
  response.end(text)
}

/**
 * The door: what happens to a connection before HTTP (who it is from, how many it may have, TLS), and what a request
 * has to pass before anything of it is read. Rules D1… in src/domain/edge/SPEC.md; docs/design/0017-the-door.md.
 */
import type { Server } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import type { Server as TlsServer, TLSSocket } from 'node:tls'
import { toSubscriber } from '../../domain/access/index.ts'
import { openAddressCounts, openTrust, readProxyHeader, type Trust } from '../../domain/edge/index.ts'
import type { Fault } from '../../domain/fault.ts'
import type { Edge } from '../../domain/serving/index.ts'
import { openCertificates, type Certificates } from './certificates.ts'
import type { RequestHeaders } from './plain-head.ts'

export type DoorParts = {
  /** As the newest snapshot has it. */
  edge: () => Edge
  /** Something that an operator should know. */
  warn: (problem: string) => void
}

/** What the door looks at of a request. */
export type Knock = { socket: Socket; headers: RequestHeaders; url?: string | undefined }

export interface Door {
  /** Stands in front of what the server does with connections, which go to `take` from then on. Before it listens. */
  guard(server: Server, take: (socket: Socket) => void): void
  /** The client's address, as far as it is believed. */
  clientOf(knock: Knock): string
  /** Why a request is not let in; `null`: it is. `from`: its client. */
  refusal(knock: Knock, from: string): Fault | null
  /** A second way in for this machine's own user, at a Unix socket: neither TLS nor limits. Resolves when it listens. */
  openLocal(path: string): Promise<void>
  /** How many are open, those of this machine's own user aside. */
  connections(): number
}

/** All clients together. Each costs a descriptor and some 10 KiB. */
const mostConnections = 10_000
/** From here on those that are idle are let go, so often at most. */
const crowdedConnections = 9_000
const makeRoomEveryMs = 1_000
/** For a trusted proxy's first bytes: as long as a head may take. */
const firstBytesMs = 10_000
/** Whose spelling is remembered. */
const mostSubscribers = 4_096
/** Refused connections that are still being told so. */
const mostLingering = 100
const lingerMs = 1_000
/** Refusals come in floods; they are told of together. */
const tellEveryMs = 60_000

/** What is known of a connection that was let in. */
type Known = {
  address: string
  isTrusted: boolean
  /** `false`: client certificates are asked for, and it showed none that is good. */
  isVerified: boolean
}

export function openDoor({ edge, warn }: DoorParts): Door {
  const known = new WeakMap<Socket, Known>()
  const connections = new Map<string, number>()
  const counts = openAddressCounts()
  const subscribers = new Map<string, string>()
  /** Not HTTP's yet: nobody else would end them. */
  const waiting = new Set<Socket>()
  /** Before their TLS is settled, by name. */
  const shaking = new Map<string, { socket: Socket; address: string }>()
  const refused = { connections: 0, requests: 0, toldMs: -Infinity }
  let open = 0
  let roomMadeMs = -Infinity
  let lingering = 0
  let trust: { of: Edge['trustedProxies']; trust: Trust } | null = null
  let certificates: { of: string; files: Certificates } | null = null
  /** Of the newest certificate that worked. */
  let tlsServer: TlsServer | null = null
  let server: Server | null = null
  let take: (socket: Socket) => void = socket => socket.destroy()

  return { guard, clientOf, refusal, openLocal, connections: () => open }

  function guard(guarded: Server, taker: (socket: Socket) => void): void {
    server = guarded
    take = taker
    guarded.on('connection', onConnection)
    // It also calls this when it closes: those that did not come as far as HTTP are idle too.
    const closeIdle = guarded.closeIdleConnections.bind(guarded)
    guarded.closeIdleConnections = () => {
      closeIdle()
      for (const socket of waiting) socket.destroy()
    }
    guarded.on('close', () => certificates?.files.close())
    // A certificate that can't be read is told of at the start.
    guarded.on('listening', () => followFiles(edge().tls))
  }

  function onConnection(socket: Socket): void {
    const peer = socket.remoteAddress
    // Gone already; what it sent before must not be served as nobody's.
    if (peer === undefined) {
      socket.destroy()
      return
    }
    if (open >= crowdedConnections) makeRoom()
    if (open >= mostConnections) {
      noteRefusal('connections')
      socket.destroy()
      return
    }
    open += 1
    socket.once('close', () => {
      open -= 1
    })
    const trusted = trustNow()
    if (trusted.any && trusted.isTrusted(peer)) awaitFirstBytes(socket, peer, trusted)
    else enter(socket, { address: peer, isTrusted: false, isVerified: true })
  }

  /** Idle connections are the ones that nobody misses. */
  function makeRoom(): void {
    if (performance.now() - roomMadeMs < makeRoomEveryMs) return
    roomMadeMs = performance.now()
    server?.closeIdleConnections()
  }

  /** D4–D6 */
  function awaitFirstBytes(socket: Socket, peer: string, trusted: Trust): void {
    let seen: Buffer = Buffer.alloc(0)
    const drop = (): void => void socket.destroy()
    const timer = setTimeout(drop, firstBytesMs)
    const stop = (): void => {
      clearTimeout(timer)
      waiting.delete(socket)
      socket.off('data', onData).off('end', drop).off('error', drop).off('close', stop)
    }
    const onData = (chunk: Buffer): void => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
      const reading = readProxyHeader(seen)
      if (reading.kind === 'more') return
      stop()
      if (reading.kind === 'bad') {
        warn(`${peer} is a trusted proxy, and ${reading.problem}`)
        socket.destroy()
        return
      }
      const rest = reading.kind === 'none' ? seen : seen.subarray(reading.bytes)
      const address = reading.kind === 'none' ? peer : (reading.source ?? peer)
      socket.pause()
      if (rest.length > 0) socket.unshift(rest)
      enter(socket, { address, isTrusted: trusted.isTrusted(address), isVerified: true })
      process.nextTick(() => socket.resume())
    }
    waiting.add(socket)
    socket.on('data', onData).on('end', drop).on('error', drop).on('close', stop)
  }

  function enter(socket: Socket, who: Known): void {
    const most = edge().perAddress.connections
    if (most !== null && !isExempt(who) && !takeConnection(socket, who.address, most)) return
    const { tls } = edge()
    if (tls === null) {
      known.set(socket, who)
      take(socket)
      return
    }
    followFiles(tls)
    if (tlsServer === null) {
      socket.destroy()
      return
    }
    const name = nameOf(socket)
    shaking.set(name, { socket, address: who.address })
    waiting.add(socket)
    socket.once('close', () => {
      waiting.delete(socket)
      shaking.delete(name)
    })
    tlsServer.emit('connection', socket)
  }

  function takeConnection(socket: Socket, address: string, most: number): boolean {
    const subscriber = toSubscriber(address)
    const held = connections.get(subscriber) ?? 0
    if (held >= most) {
      noteRefusal('connections')
      sayTooMany(socket, most)
      return false
    }
    connections.set(subscriber, held + 1)
    socket.once('close', () => {
      const left = (connections.get(subscriber) ?? 1) - 1
      if (left === 0) connections.delete(subscriber)
      else connections.set(subscriber, left)
    })
    return true
  }

  /** In words, where they can be read: inside TLS there is nobody yet to say them. */
  function sayTooMany(socket: Socket, most: number): void {
    if (edge().tls !== null || lingering >= mostLingering) {
      socket.destroy()
      return
    }
    lingering += 1
    const timer = setTimeout(() => socket.destroy(), lingerMs)
    socket.once('close', () => {
      lingering -= 1
      clearTimeout(timer)
    })
    socket.on('error', () => {}).resume()
    const message = `This address has ${most} connections already, its limit. Use those again, or close some.`
    const body = JSON.stringify({
      error: { message, type: 'rate_limit_error', param: null, code: 'too_many_connections' },
    })
    socket.end(
      `HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nretry-after: 1\r\nconnection: close\r\n\r\n${body}`,
    )
  }

  function onSecure(socket: TLSSocket): void {
    const name = nameOf(socket)
    const shaken = shaking.get(name)
    if (shaken === undefined) {
      socket.destroy()
      return
    }
    const { socket: raw, address } = shaken
    // From here on HTTP's own times hold.
    waiting.delete(raw)
    known.set(socket, { address, isTrusted: trustNow().isTrusted(address), isVerified: socket.authorized })
    take(socket)
  }

  function clientOf(knock: Knock): string {
    const who = known.get(knock.socket)
    if (who === undefined) return knock.socket.remoteAddress ?? ''
    if (!who.isTrusted) return who.address
    const forwarded = knock.headers['x-forwarded-for']
    return trustNow().clientOf(who.address, Array.isArray(forwarded) ? forwarded.join(',') : forwarded)
  }

  function refusal(knock: Knock, from: string): Fault | null {
    const { tls, perAddress } = edge()
    if (tls === null && perAddress.requestsPerMinute === null) return null
    if (isHealth(knock.url ?? '')) return null
    const who = known.get(knock.socket)
    if (tls !== null && tls.clientCa !== null && who?.isVerified === false)
      return { kind: 'client-certificate-required' }
    const limit = perAddress.requestsPerMinute
    if (limit === null || isExempt({ address: from, isTrusted: trustNow().isTrusted(from) })) return null
    const subscriber = subscriberOf(from)
    const retryAfter = counts.take(subscriber, limit, performance.now())
    if (retryAfter === null) return null
    noteRefusal('requests')
    return { kind: 'rate-limited', by: { subject: 'address', name: subscriber }, what: 'requests', limit, retryAfter }
  }

  async function openLocal(path: string): Promise<void> {
    const sockets = new Set<Socket>()
    const local = createTcpServer({ allowHalfOpen: true }, socket => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      known.set(socket, { address: '127.0.0.1', isTrusted: false, isVerified: true })
      take(socket)
    })
    server?.once('close', () => {
      local.close()
      for (const socket of sockets) socket.destroy()
    })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    local.once('error', reject).listen(path, resolve)
    await promise
  }

  function subscriberOf(address: string): string {
    const found = subscribers.get(address)
    if (found !== undefined) return found
    if (subscribers.size >= mostSubscribers) subscribers.clear()
    const subscriber = toSubscriber(address)
    subscribers.set(address, subscriber)
    return subscriber
  }

  function trustNow(): Trust {
    const of = edge().trustedProxies
    if (trust?.of !== of) trust = { of, trust: openTrust(of) }
    return trust.trust
  }

  /** The spec may name others at any time; until those work, what worked goes on. */
  function followFiles(files: Edge['tls']): void {
    if (files === null) return
    const of = JSON.stringify(files)
    if (certificates?.of === of) return
    certificates?.files.close()
    const onProblem = (problem: string): void =>
      warn(
        `${problem} ${tlsServer === null ? 'Nobody can be served until that is mended' : 'The certificate from before goes on'}.`,
      )
    certificates = { of, files: openCertificates({ files, onServer: useServer, onProblem }) }
  }

  function useServer(made: TlsServer): void {
    tlsServer = made.on('secureConnection', onSecure).on('tlsClientError', (_, socket) => socket.destroy())
  }

  function noteRefusal(what: 'connections' | 'requests'): void {
    refused[what] += 1
    if (performance.now() - refused.toldMs < tellEveryMs) return
    warn(
      `Addresses go beyond gateway.perAddress: since this was last told ${refused.requests} requests and ${refused.connections} connections were refused.`,
    )
    Object.assign(refused, { connections: 0, requests: 0, toldMs: performance.now() })
  }
}

/** D9 */
function isExempt({ address, isTrusted }: Pick<Known, 'address' | 'isTrusted'>): boolean {
  return isTrusted || address === '' || isLoopback(address)
}

/** Of this machine, as sockets spell it. */
const isLoopback = (address: string): boolean =>
  address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.')

/** For those who watch the gateway: a probe that is refused would take it out of service. */
const isHealth = (url: string): boolean => /^(?:\/v1)?\/health(?:[/?]|$)/.test(url)

/** A connection's own name, the same inside and outside its TLS. */
const nameOf = ({ remoteAddress, remotePort, localAddress }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress}`

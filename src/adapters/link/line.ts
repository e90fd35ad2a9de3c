/** The line to the controller: over its Unix socket on the same machine, over mTLS from elsewhere. */
import { request as httpRequest, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'

/** What a call says; where it goes is the line's. */
export type LineCall = Pick<RequestOptions, 'method' | 'path' | 'headers' | 'timeout' | 'signal'>

export interface Line {
  request(call: LineCall, onAnswer?: (answer: IncomingMessage) => void): ClientRequest
  /** Who was called last is away, or stands by: the next call goes to the next address, where there are several. */
  next(): void
  close(): void
}

export type TlsLineParts = {
  addresses: readonly { host: string; port: number }[]
  /** What the controller's certificate must be for, whatever its address. */
  servername: string
  /** PEM: the only authority believed, and this gateway's own. */
  credentials: { ca: string; cert: string; key: string }
}

export function socketLine(socketPath: string): Line {
  return {
    request: (call, onAnswer) => httpRequest({ ...call, socketPath }, onAnswer),
    next() {},
    close() {},
  }
}

/** `renew` takes a new certificate into use; calls that are under way end on the old one. */
export function tlsLine({
  addresses,
  servername,
  credentials,
}: TlsLineParts): Line & { renew(credentials: TlsLineParts['credentials']): void } {
  let at = 0
  let agent = toAgent(credentials)

  return {
    request(call, onAnswer) {
      const address = addresses[at % addresses.length]
      if (address === undefined) throw new Error('a line needs an address')
      return httpsRequest({ ...call, ...address, servername, agent }, onAnswer)
    },
    next() {
      at = (at + 1) % addresses.length
    },
    renew(renewed) {
      const old = agent
      agent = toAgent(renewed)
      // Sockets in use go on; those that are idle would otherwise wait for ever.
      for (const idle of Object.values(old.freeSockets)) for (const socket of idle ?? []) socket.destroy()
    },
    close() {
      agent.destroy()
    },
  }
}

/** No sessions are kept: each connection shows its certificate anew. */
const toAgent = ({ ca, cert, key }: TlsLineParts['credentials']): Agent =>
  new Agent({ ca, cert, key, keepAlive: true, keepAliveMsecs: 10_000, maxCachedSessions: 0, minVersion: 'TLSv1.3' })

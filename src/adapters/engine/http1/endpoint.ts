/** Where an engine is asked: an address as the spec writes it, read once. */
import { isIP, type NetConnectOpts } from 'node:net'

export type Endpoint = {
  /** The same for all addresses that may share connections. */
  key: string
  /** The `host` header, and what errors call it. */
  host: string
  /** Path below which everything is asked, without a `/` at its end. */
  base: string
  /** `base` and the query, of an address that is asked as it stands. */
  whole: string
  connect: NetConnectOpts
  /** For TLS: the name its certificate must have, `''` for an address without a name; `null`: no TLS. */
  serverName: string | null
}

/** Throws TypeError when the address is none. */
export function toEndpoint(address: { url: string } | { socket: string }): Endpoint {
  if ('socket' in address) {
    const { socket } = address
    return {
      key: `unix:${socket}`,
      host: 'engine',
      base: '/v1',
      whole: '/v1',
      connect: { path: socket },
      serverName: null,
    }
  }
  const url = new URL(address.url)
  const secure = url.protocol === 'https:'
  // An address of six words stands in brackets.
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return {
    key: url.origin,
    host: url.host,
    base: url.pathname.replace(/\/$/, ''),
    whole: url.pathname + url.search,
    connect: { host, port: Number(url.port) || (secure ? 443 : 80) },
    serverName: secure ? serverNameOf(host) : null,
  }
}

const serverNameOf = (host: string): string => (isIP(host) === 0 ? host : '')

/** Who the client is: the socket's peer, or whom the proxies that are believed let in. Rules D1–D3 in SPEC.md. */
import { isWithin, parseNetwork, type Network } from '../access/index.ts'

export interface Trust {
  /** Whether there is anybody to believe. */
  readonly any: boolean
  isTrusted(address: string): boolean
  /** `forwarded`: the value of X-Forwarded-For, several headers joined by commas. */
  clientOf(peer: string, forwarded: string | undefined): string
}

/** An IPv6 address with an IPv4 address in it, in brackets, with a port. */
const longestHop = 53
const mostRemembered = 4_096

/** A chain of proxies is short. Whoever writes more wants the gateway to work. */
const mostHops = 32

/** Addresses and networks as the spec has them; what is neither is believed by nobody. */
export function openTrust(trustedProxies: readonly string[]): Trust {
  const networks: Network[] = trustedProxies.flatMap(text => parseNetwork(text) ?? [])
  /** Reading an address costs more than all else at the door, and the same few come again and again. */
  const trusted = new Map<string, boolean>()
  const hops = new Map<string, string | null>()
  const isTrusted = (address: string): boolean => remembered(trusted, address, text => isWithin(text, networks))

  return {
    any: networks.length > 0,
    isTrusted,
    clientOf(peer, forwarded) {
      if (forwarded === undefined || !isTrusted(peer)) return peer
      let client = peer
      let end = forwarded.length
      for (let hop = 0; hop < mostHops && end >= 0; hop += 1) {
        const comma = end === 0 ? -1 : forwarded.lastIndexOf(',', end - 1)
        const address = remembered(hops, forwarded.slice(comma + 1, end).trim(), readHop)
        if (address === null) return client
        client = address
        if (!isTrusted(address)) return client
        end = comma
      }
      return client
    },
  }
}

/** Some proxies add the port; `null`: no address. */
function readHop(text: string): string | null {
  // A prefix is no address.
  if (text.length > longestHop || text.includes('/')) return null
  const [, six, four] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(text) ?? []
  const address = six ?? four ?? text
  return parseNetwork(address) === null ? null : address
}

/** Forgets everything when it is full: whoever comes often is soon known again. */
function remembered<V>(known: Map<string, V>, text: string, find: (text: string) => V): V {
  const found = known.get(text)
  if (found !== undefined) return found
  const value = find(text)
  if (text.length > longestHop) return value
  if (known.size >= mostRemembered) known.clear()
  known.set(text, value)
  return value
}

/** Who the client is: the socket's peer, or whom the proxies that are believed let in. Rules D1–D3 in SPEC.md. */
import { isWithin, parseNetwork, type Network } from '../access/index.ts'

export interface Trust {
  /** Whether there is anybody to believe. */
  readonly any: boolean
  isTrusted(address: string): boolean
  /** `forwarded`: the value of X-Forwarded-For, several headers joined by commas. */
  clientOf(peer: string, forwarded: string | undefined): string
}

/** A chain of proxies is short. Whoever writes more wants the gateway to work. */
const mostHops = 32

/** Addresses and networks as the spec has them; what is neither is believed by nobody. */
export function openTrust(trustedProxies: readonly string[]): Trust {
  const networks: Network[] = trustedProxies.flatMap(text => parseNetwork(text) ?? [])
  const isTrusted = (address: string): boolean => isWithin(address, networks)

  return {
    any: networks.length > 0,
    isTrusted,
    clientOf(peer, forwarded) {
      if (forwarded === undefined || !isTrusted(peer)) return peer
      let client = peer
      let end = forwarded.length
      for (let hop = 0; hop < mostHops && end >= 0; hop += 1) {
        const comma = end === 0 ? -1 : forwarded.lastIndexOf(',', end - 1)
        const address = readHop(forwarded.slice(comma + 1, end))
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
  const written = text.trim()
  const [, six, four] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(written) ?? []
  const address = six ?? four ?? written
  // Longer than any address; a prefix is no address either.
  if (address.length > 45 || address.includes('/')) return null
  return parseNetwork(address) === null ? null : address
}

/** Gateways elsewhere: tokens that let them in, who may come, and who may no more. */
import type { GatewayStore, KnownGateway } from '../domain/serving/index.ts'
import { FaultError } from '../domain/fault.ts'
import { instant } from '../domain/units.ts'
import type { Instant, Millis } from '../domain/units.ts'

/** What certificates and tokens are made of. */
export interface Credentials {
  /** SHA-256 of the authority's certificate, hex: what a token names. */
  readonly fingerprint: string
  /** For a public key (PEM). */
  issue(gateway: { id: string; publicKey: string }): { certificate: string; endsAt: number }
  /** Whether whoever sent the secret has the key. */
  isProof(ask: { publicKey: string; proof: string; secret: string }): boolean
  /** SHA-256, hex. Throws for what is no key. */
  hashPublicKey(publicKey: string): string
  hashSecret(secret: string): string
  newSecret(): string
  renderToken(token: { secret: string; authority: string; addresses: string[] }): string
}

export type NewToken = { token: string; expiresAt: Instant; addresses: string[]; fingerprint: string }

export interface Gateways {
  /** Throws FaultError `conflict` when the controller listens for nobody. */
  makeToken(lifetime: Millis): Promise<NewToken>
  /** Throws FaultError `join-refused`. */
  join(ask: {
    secret: string
    publicKey: string
    proof: string
    from: string | null
  }): Promise<{ id: string; certificate: string }>
  /** Throws FaultError `gateway-refused` for another key than it joined with. */
  renew(ask: { gateway: string; publicKey: string }): Promise<{ certificate: string }>
  /** At once, from memory: asked for each request. */
  admits(id: string): 'yes' | 'unknown' | 'removed'
  /** Its certificate opens nothing from then on. Throws `not-found`, or `conflict` for the one on this machine. */
  remove(id: string): Promise<void>
  list(): Promise<KnownGateway[]>
}

export type GatewayParts = {
  store: GatewayStore
  /** `null`: the controller does not listen for gateways elsewhere. */
  door: { credentials: Credentials; /** `host:port` that gateways can dial. */ addresses: () => string[] } | null
  /** Ends what it has open. */
  onRemoved: (id: string) => void
  now: () => Instant
}

const idCharacters = 12

/** Reads what the store knows; from then on nobody else may change it there. */
export async function manageGateways({ store, door, onRemoved, now }: GatewayParts): Promise<Gateways> {
  const known = new Map<string, { keyHash: string; removed: boolean }>()
  for (const { id, keyHash, removedAt } of await store.gateways())
    if (keyHash !== null) known.set(id, { keyHash, removed: removedAt !== null })

  return {
    async makeToken(lifetime) {
      const { credentials, addresses } = requireDoor()
      const reachable = addresses()
      const secret = credentials.newSecret()
      const expiresAt = instant(now() + lifetime)
      await store.addToken({ hash: credentials.hashSecret(secret), expiresAt }, now())
      const { fingerprint } = credentials
      const token = credentials.renderToken({ secret, authority: fingerprint, addresses: reachable })
      return { token, expiresAt, addresses: reachable, fingerprint }
    },

    async join({ secret, publicKey, proof, from }) {
      const { credentials } = requireDoor()
      if (!credentials.isProof({ publicKey, proof, secret }))
        throw new FaultError({ kind: 'join-refused', why: 'key-unproven' })
      const keyHash = credentials.hashPublicKey(publicKey)
      // Whoever comes back with the same key is the same gateway, and its journal goes on.
      const id = `gateway-${keyHash.slice(0, idCharacters)}`
      const before = known.get(id)
      if (before !== undefined && before.keyHash !== keyHash)
        throw new FaultError({ kind: 'join-refused', why: 'key-unproven' })
      const joining = await store.join({ tokenHash: credentials.hashSecret(secret), id, keyHash, from, now: now() })
      if (joining !== 'joined') throw new FaultError({ kind: 'join-refused', why: joining })
      known.set(id, { keyHash, removed: false })
      return { id, certificate: credentials.issue({ id, publicKey }).certificate }
    },

    async renew({ gateway, publicKey }) {
      const { credentials } = requireDoor()
      if (known.get(gateway)?.keyHash !== safely(() => credentials.hashPublicKey(publicKey)))
        throw new FaultError({ kind: 'gateway-refused', why: 'another' })
      return { certificate: credentials.issue({ id: gateway, publicKey }).certificate }
    },

    admits(id) {
      const gateway = known.get(id)
      if (gateway === undefined) return 'unknown'
      return gateway.removed ? 'removed' : 'yes'
    },

    async remove(id) {
      const gateway = known.get(id)
      if (gateway === undefined || gateway.removed) {
        const here = (await store.gateways()).some(each => each.id === id && each.keyHash === null)
        if (!here) throw new FaultError({ kind: 'not-found', what: 'gateway', name: id })
        const problem = `${id} is the gateway on the controller's own machine; it goes with the service there.`
        throw new FaultError({ kind: 'conflict', problem })
      }
      await store.remove(id, now())
      gateway.removed = true
      onRemoved(id)
    },

    list: () => store.gateways(),
  }

  function requireDoor(): NonNullable<GatewayParts['door']> {
    if (door !== null) return door
    const problem =
      "This controller does not listen for gateways elsewhere. Add 'controller: { listen: { port: 8443 } }' to the spec, or set HOLDFAST_CONTROLLER_LISTEN=0.0.0.0:8443, and start it again."
    throw new FaultError({ kind: 'conflict', problem })
  }
}

/** `null` for what throws. */
function safely<T>(work: () => T): T | null {
  try {
    return work()
  } catch {
    return null
  }
}

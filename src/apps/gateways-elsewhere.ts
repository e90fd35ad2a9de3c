/** The controller's side of gateways elsewhere: the authority, the listener, who may come, and the journals they send. */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import {
  hashPublicKey,
  hashSecret,
  isProof,
  joinOccasion,
  openAuthority,
  renderJoinToken,
  secretBytes,
  splitAddress,
} from '../adapters/identity/index.ts'
import { openDepotStore } from '../adapters/journal/index.ts'
import { joinRoutes, journalRoutes, openRemoteListener } from '../adapters/link/index.ts'
import type { LinkHub, Origin, PeerOf, Remembered, RemoteListener } from '../adapters/link/index.ts'
import type { Log } from '../adapters/log/index.ts'
import type { GatewayStore, Presence } from '../domain/serving/index.ts'
import type { Spec } from '../domain/spec/index.ts'
import type { Instant } from '../domain/units.ts'
import { manageGateways, type Gateways } from '../services/manage-gateways.ts'
import type { Home } from './paths.ts'

export type GatewaysElsewhere = {
  gateways: Gateways
  /** For the hub: who was known before this start, and what to do when one comes or goes. */
  remembered: Remembered[]
  onPresence: (id: string, presence: Presence, origin: Origin) => void
  peerOf: PeerOf
  /** Adds the routes that gateways elsewhere use. */
  register(app: FastifyInstance): Promise<void>
  /** Listens, when it is to. `handle`: the controller's own routes. */
  open(parts: { hub: LinkHub; handle: (request: IncomingMessage, response: ServerResponse) => void }): Promise<void>
  close(): Promise<void>
}

export async function openGatewaysElsewhere({
  home,
  env,
  log,
  store,
  controller,
  now,
}: {
  home: Home
  env: NodeJS.ProcessEnv
  log: Log
  store: GatewayStore
  controller: Spec['controller']
  now: () => Instant
}): Promise<GatewaysElsewhere> {
  const listen = readListen(env) ?? controller.listen ?? null
  const authority = listen === null ? null : await openAuthority({ folder: join(home.controller, 'identity'), now })
  // Before the journal is read: what a crash left half-written there is cut off.
  const depot =
    authority === null
      ? null
      : openDepotStore({ folder: home.journal, onProblem: (problem, cause) => log.error({ err: cause }, problem) })
  let hub: LinkHub | null = null
  let listener: RemoteListener | null = null

  const gateways = await manageGateways({
    store,
    door:
      authority === null
        ? null
        : {
            credentials: {
              fingerprint: authority.fingerprint,
              issue: authority.issueGateway,
              isProof: ({ publicKey, proof, secret }) => isProof({ publicKey, proof, occasion: joinOccasion(secret) }),
              hashPublicKey,
              hashSecret,
              newSecret: () => randomBytes(secretBytes).toString('base64url'),
              renderToken: renderJoinToken,
            },
            addresses: () =>
              controller.addresses.length > 0
                ? controller.addresses
                : ownAddresses(listen?.host ?? '', listener?.port ?? listen?.port ?? 0),
          },
    onRemoved: id => {
      hub?.forget(id)
      listener?.drop(id)
    },
    now,
  })
  const known = (await gateways.list()).filter(({ removedAt }) => removedAt === null)

  return {
    gateways,
    remembered: known.map(({ id, keyHash, from, presence, seenAt }) => ({
      gateway: id,
      joined: keyHash !== null,
      from,
      presence,
      sinceMs: Math.max(0, now() - seenAt),
    })),
    onPresence: (id, presence, { from }) => {
      store
        .saw({ id, presence, from, now: now() })
        .catch((error: unknown) => log.warn({ err: error, gateway: id }, 'who comes and goes can’t be noted now'))
    },
    peerOf: request => listener?.peerOf(request) ?? null,
    async register(app) {
      if (depot === null) return
      const peerOf: PeerOf = request => listener?.peerOf(request) ?? null
      await app.register(joinRoutes({ door: gateways, peerOf }))
      await app.register(journalRoutes({ depot, peerOf }))
    },
    async open(parts) {
      hub = parts.hub
      if (authority === null || listen === null) return
      listener = await openRemoteListener({
        listen,
        authority: authority.certificate,
        credentials: authority.issueController,
        admits: gateways.admits,
        handle: parts.handle,
        now,
      })
      log.info({ host: listen.host, port: listener.port }, 'listening for gateways elsewhere')
    },
    async close() {
      await listener?.close()
    },
  }
}

/** Throws an Error that names the variable. */
function readListen(env: NodeJS.ProcessEnv): { host: string; port: number } | null {
  const text = env['HOLDFAST_CONTROLLER_LISTEN']
  if (text === undefined || text === '') return null
  try {
    return splitAddress(text)
  } catch (error) {
    throw new Error(`HOLDFAST_CONTROLLER_LISTEN is '${text}'; write host:port, such as 0.0.0.0:8443.`, { cause: error })
  }
}

/** What others can dial: the address that it listens on, or, for every interface, each that this machine has. */
function ownAddresses(host: string, port: number): string[] {
  const isAny = host === '0.0.0.0' || host === '::'
  const hosts = isAny
    ? Object.values(networkInterfaces())
        .flatMap(each => each ?? [])
        .filter(({ internal, address, family }) => !internal && !(family === 'IPv6' && address.startsWith('fe80')))
        .map(({ address }) => address)
    : [host]
  return (hosts.length > 0 ? hosts : ['127.0.0.1']).map(each =>
    each.includes(':') ? `[${each}]:${port}` : `${each}:${port}`,
  )
}

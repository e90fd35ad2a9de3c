/** Scopes: what bounds a key beside its models: which routes it may call, and from where. */
import type { Fault } from '../fault.ts'
import { isWithin, parseNetwork } from './address.ts'
import type { Network } from './address.ts'

/** What is asked of the models, and what is asked about them: `models` lists them, `metrics` reads the gateway's figures. */
export const routeScopes = [
  'chat',
  'completions',
  'responses',
  'messages',
  'embeddings',
  'rerank',
  'audio',
  'tokenize',
  'models',
  'metrics',
] as const
export type RouteScope = (typeof routeScopes)[number]

/** A key's scopes as requests are held against them. `null`: unbounded. */
export type Scopes = { readonly routes: readonly RouteScope[] | null; readonly networks: readonly Network[] | null }

export const unbounded: Scopes = { routes: null, networks: null }

/** An address that can't be read lets nobody in. */
export function toScopes(key: { routes: RouteScope[] | null; addresses: string[] | null }): Scopes {
  if (key.routes === null && key.addresses === null) return unbounded
  return { routes: key.routes, networks: key.addresses?.flatMap(address => parseNetwork(address) ?? []) ?? null }
}

/** Why a key may not be used for this (A17, A18); `null`: it may. `from` is the client's address as its socket spells it. */
export function refuseByScope(scopes: Scopes, asked: { route: RouteScope; from: string }): Fault | null {
  if (scopes.networks !== null && !isWithin(asked.from, scopes.networks))
    return { kind: 'address-not-permitted', from: asked.from }
  if (scopes.routes !== null && !scopes.routes.includes(asked.route))
    return { kind: 'route-not-permitted', route: asked.route, permitted: scopes.routes }
  return null
}

/** What access asks of the store, of the link to the gateways, and of whoever checks signatures. */
import type { Instant, KeyId, TeamName } from '../units.ts'
import type { Identity } from './jwt.ts'
import type { AccessChange, Key, NumberedChange, Team } from './types.ts'

/**
 * Keys and teams, and the numbered list of their changes. One contract suite runs over every adapter.
 * All methods are asynchronous and throw FaultError only where said.
 */
export interface AccessStore {
  /** A random id made with the store: change numbers mean something within it only. */
  epoch(): Promise<string>
  /** Everything, as of one moment. */
  image(): Promise<{ epoch: string; seq: number; keys: Key[]; teams: Team[] }>
  /** Changes after `seq`, in order; `null` when they are no longer kept: take the image. */
  changesSince(seq: number): Promise<NumberedChange[] | null>
  /**
   * Applies changes in one transaction and numbers them; resolves once durable.
   * Throws FaultError `conflict` when an alias or a secret's hash is taken by another key that is not revoked.
   */
  commit(changes: AccessChange[]): Promise<NumberedChange[]>
  key(id: KeyId): Promise<Key | null>
  keyByHash(hash: string): Promise<Key | null>
  /** The key that is not revoked and has this alias. */
  keyByAlias(alias: string): Promise<Key | null>
  keys(): Promise<Key[]>
  team(name: TeamName): Promise<Team | null>
  teams(): Promise<Team[]>
}

/** Which gateways have a change in force. */
export type InForce = {
  acknowledged: string[]
  /** Connected ones that did not answer in time, and those lost lately: they may still serve what they knew. */
  waitingFor: string[]
}

/** What access asks of the link to the gateways. */
export interface AccessPublisher {
  /**
   * Tells every connected gateway of what was committed and waits, a second at most, until it is in force there and with
   * those whose connection broke a moment ago. Never throws.
   */
  publish(changes: readonly NumberedChange[]): Promise<InForce>
}

/** What a gateway asks of whoever holds the identity providers' keys. */
export interface TokenVerifier {
  /**
   * Who sent this token. At once for one seen lately. `hash`: its SHA-256, hex.
   * Throws, or rejects with, FaultError `token-refused` or `token-unverifiable`.
   */
  verify(token: string, seen: { hash: string; now: Instant }): Identity | Promise<Identity>
}

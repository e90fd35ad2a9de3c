/** The gateways that a controller knows: those that joined from elsewhere, the one beside it, and when each was last seen. */
import type { Instant } from '../units.ts'

export type KnownGateway = {
  id: string
  /** SHA-256 of its public key, hex; `null`: it is on the controller's own machine. */
  keyHash: string | null
  joinedAt: Instant
  /** Its certificate opens nothing since then; `null`: it may come. */
  removedAt: Instant | null
  seenAt: Instant
  /** `lost`: it may serve on. `left`: it said that it stops. */
  presence: Presence
  /** Where it dialled in from. */
  from: string | null
}
export type Presence = 'connected' | 'lost' | 'left'

/** How a token fared. Only `joined` changes anything. */
export type Joining = 'joined' | 'token-unknown' | 'token-used' | 'token-expired'

/** One contract suite runs over every adapter. Throws only what the database throws. */
export interface GatewayStore {
  addToken(token: { hash: string; expiresAt: Instant }, now: Instant): Promise<void>
  /** Uses up the token and lets the gateway in, or in again, in one transaction. */
  join(ask: { tokenHash: string; id: string; keyHash: string; from: string | null; now: Instant }): Promise<Joining>
  /** All, removed ones too, in the order of their joining. */
  gateways(): Promise<KnownGateway[]>
  /** Notes who comes and goes. The gateway beside the controller is first heard of here. */
  saw(gateway: { id: string; presence: Presence; from: string | null; now: Instant }): Promise<void>
  /** False when there is none of this name that may come. */
  remove(id: string, now: Instant): Promise<boolean>
}

/**
 * Turns: whose turn it is among replicas, in proportion to their weights (stride scheduling): each replica is due again
 * one weight's part after its last turn. Who joins or comes back is due now: neither starved nor flooded.
 */
import type { ReplicaId } from '../units.ts'

export type Turns = {
  /** Lower is sooner. Looking takes no turn. */
  dueAt(replica: ReplicaId): number
  take(replica: ReplicaId, share: number): void
  forget(replica: ReplicaId): void
}

/** Sums of shares differ by less when they should be equal. */
const grain = 2 ** 24

export function openTurns(): Turns {
  let now = 0
  const due = new Map<ReplicaId, number>()
  const dueAt = (replica: ReplicaId): number => Math.max(now, due.get(replica) ?? now)
  return {
    dueAt: replica => Math.round(dueAt(replica) * grain) / grain,
    take(replica, share) {
      now = dueAt(replica)
      due.set(replica, now + 1 / share)
    },
    forget: replica => {
      due.delete(replica)
    },
  }
}

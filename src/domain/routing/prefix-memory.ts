/**
 * Prefix memory: which replica has lately seen which blocks of prompts, and so may have them in its cache. Bounded: each
 * replica's blocks that were used longest ago are dropped first, as its engine does.
 */
import type { ReplicaId } from '../units.ts'

export type PrefixMemory = {
  /**
   * How many of the prefix's blocks, from the first, the replica has seen, and how many blocks it was given since it saw
   * the last of them: the more, the less likely are they still in its cache.
   */
  known(replica: ReplicaId, prefix: readonly number[]): Known
  learn(replica: ReplicaId, prefix: readonly number[]): void
  forget(replica: ReplicaId): void
}

export type Known = { blocks: number; age: number }

/** `seenAt`: each block's place in the row of all that were given; the least recently used first, as maps keep their order. */
type Seen = { given: number; seenAt: Map<number, number> }

/** About half a million tokens each, what the cache of a large card holds. */
const mostBlocksEach = 8_192
/** Of a version; more are never asked at once, and ids that are gone must not add up. */
const mostReplicas = 256

const nothing: Known = { blocks: 0, age: Infinity }

export function openPrefixMemory({ mostBlocks = mostBlocksEach }: { mostBlocks?: number } = {}): PrefixMemory {
  const replicas = new Map<ReplicaId, Seen>()

  return {
    known(replica, prefix) {
      const seen = replicas.get(replica)
      if (seen === undefined) return nothing
      // Whoever has a block has all before it (`learn`), so the end can be searched for in halves.
      let from = 0
      let to = prefix.length
      let lastSeenAt = -Infinity
      while (from < to) {
        const middle = (from + to) >> 1
        const seenAt = seen.seenAt.get(prefix[middle] ?? 0)
        if (seenAt === undefined) to = middle
        else {
          from = middle + 1
          lastSeenAt = seenAt
        }
      }
      return { blocks: from, age: seen.given - lastSeenAt }
    },

    learn(replica, prefix) {
      if (prefix.length === 0) return
      const seen = replicas.get(replica) ?? { given: 0, seenAt: new Map<number, number>() }
      replicas.delete(replica)
      replicas.set(replica, seen)
      dropOldest(replicas, mostReplicas)
      seen.given += prefix.length
      // The last block first: so each is younger than all that follow it, and is dropped after them.
      for (const block of prefix.slice(0, mostBlocks).toReversed()) {
        seen.seenAt.delete(block)
        seen.seenAt.set(block, seen.given)
      }
      dropOldest(seen.seenAt, mostBlocks)
    },

    forget: replica => {
      replicas.delete(replica)
    },
  }
}

function dropOldest<K>(held: Map<K, unknown>, most: number): void {
  for (const oldest of held.keys()) {
    if (held.size <= most) return
    held.delete(oldest)
  }
}

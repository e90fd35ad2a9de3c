/**
 * Prefix memory: which replica has lately seen which blocks of prompts, and so may have them in its cache. Bounded: of each
 * replica's blocks those are dropped that were not used lately, as its engine does.
 */
import { openGenerations, type Generations } from '../generations.ts'
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

/** `seenAt`: each block's place in the row of all that were given. */
type Seen = { given: number; seenAt: Generations<number, number> }

/** Half of them are about half a million tokens, what the cache of a large card holds. */
const mostBlocksEach = 16_384
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
        const seenAt = seen.seenAt.peek(prefix[middle] ?? 0)
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
      const seen = replicas.get(replica) ?? begin(replica)
      seen.given += prefix.length
      // The last block first: so each is as young as all that follow it, or younger, and is never dropped before them.
      for (const block of prefix.slice(0, mostBlocks).toReversed()) seen.seenAt.set(block, seen.given)
    },

    forget: replica => {
      replicas.delete(replica)
    },
  }

  function begin(replica: ReplicaId): Seen {
    const [oldest] = replicas.keys()
    if (replicas.size >= mostReplicas && oldest !== undefined) replicas.delete(oldest)
    const seen = { given: 0, seenAt: openGenerations<number, number>(mostBlocks) }
    replicas.set(replica, seen)
    return seen
  }
}

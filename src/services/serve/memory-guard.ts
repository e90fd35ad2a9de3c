/** Memory guard: says when the gateway must take nothing new, before its memory is at risk. */
import type { Bytes, Millis } from '../../domain/units.ts'

/** One thing that can run out. */
export type MemoryBound = { used(): Bytes; limit: Bytes }

export type MemoryGuard = { mustShed(): boolean }

export type MemoryGuardParts = {
  /** The one that is nearest to its limit counts. */
  bounds: readonly MemoryBound[]
  /** A clock that never goes back. */
  now(): Millis
}

/** Requests ask it; reading what is used costs more than they should pay each. */
const readEveryMs = 250
/** What is under way must still find room. */
const shedFrom = 0.9
/** Freed memory comes back in waves: without a distance between the two it would flap. */
const takeAgainBelow = 0.8

export function openMemoryGuard({ bounds, now }: MemoryGuardParts): MemoryGuard {
  let shedding = false
  let readAt = -Infinity
  return {
    mustShed: () => {
      if (now() - readAt < readEveryMs) return shedding
      readAt = now()
      const used = bounds.reduce((nearest, bound) => Math.max(nearest, bound.used() / bound.limit), 0)
      shedding = used >= (shedding ? takeAgainBelow : shedFrom)
      return shedding
    },
  }
}

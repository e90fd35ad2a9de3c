/** Prefix affinity: a prompt goes where its beginning is likely to be in the cache, unless too much goes there. Rules R10–R13 in SPEC.md. */
import { leastLoaded, lowest, withRoom, type Candidate, type Choice } from './candidate.ts'
import type { PrefixMemory } from './prefix-memory.ts'
import { ownerOf } from './rendezvous.ts'

/** So little was given to it since that it must still be in the cache of any engine. */
const freshBlocks = 256

/** `null`: all of the pool have too much to do. `prefix` has at least one block. */
export function samePrefix<C extends Candidate>(
  pool: readonly C[],
  prefix: readonly number[],
  memory: PrefixMemory,
): Choice<C> | null {
  const seen = pool.map(candidate => ({ candidate, ...memory.known(candidate.id, prefix) }))
  const room = withRoom(pool)
  const able = seen.filter(({ candidate }) => room.includes(candidate))
  const longest = mostBlocks(seen)
  const most = mostBlocks(able)
  if (most * 2 >= prefix.length) {
    const best = able.filter(({ blocks }) => blocks === most)
    const fresh = best.filter(({ age }) => age <= freshBlocks).map(({ candidate }) => candidate)
    // Several surely have it: the least loaded. Else who was given it last: going by load would wear out every copy.
    const free = leastLoaded(fresh)
    const [last] = lowest(
      free.length > 0 ? best.filter(({ candidate }) => free.includes(candidate)) : best,
      each => each.age,
    )
    const reason = `shared prefix (${most} ${most === 1 ? 'block' : 'blocks'})`
    return last === undefined
      ? null
      : { candidate: last.candidate, reason: most === longest ? reason : `${reason}: who has more is full` }
  }
  // Where it parts from all that is known: there newcomers with the same continuation meet.
  const key = prefix[Math.min(longest, prefix.length - 1)] ?? 0
  const candidate = ownerOf(room, key)
  if (candidate === null) return null
  const isPassedOver = longest * 2 >= prefix.length || candidate !== ownerOf(pool, key)
  return { candidate, reason: isPassedOver ? 'new prefix: its own is full' : 'new prefix' }
}

function mostBlocks(seen: readonly { blocks: number }[]): number {
  return seen.reduce((most, { blocks }) => Math.max(most, blocks), 0)
}

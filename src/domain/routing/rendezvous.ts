/**
 * Rendezvous: where a key belongs (highest random weight). Each replica draws a number for each key, and the highest has
 * it; so when one leaves, only its keys move, when it comes back they come back, and gateways that never met agree.
 */
import type { Candidate } from './candidate.ts'
import { hashText, stir } from './hash.ts'

/** The one of the pool that the key belongs to, in proportion to weights; `null`: the pool is empty. */
export function ownerOf<C extends Candidate>(pool: readonly C[], key: number): C | null {
  let owner: C | null = null
  let highest = -Infinity
  for (const candidate of pool) {
    const drawn = draw(key, candidate)
    if (drawn <= highest) continue
    owner = candidate
    highest = drawn
  }
  return owner
}

/** By this formula the chance to be the highest is exactly the part of the weights. */
function draw(key: number, { id, weight }: Candidate): number {
  const uniform = (stir(key ^ hashText(id)) + 0.5) / 2 ** 32
  return -weight / Math.log(uniform)
}

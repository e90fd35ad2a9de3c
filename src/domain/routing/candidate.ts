/** Candidates: the replicas that a request could go to, as routing sees them. */
import type { EngineLoad, Standing } from '../serving/index.ts'
import type { Millis, ReplicaId } from '../units.ts'

/** A replica that this request has not been sent to yet. */
export type Candidate = {
  id: ReplicaId
  /** Requests of ours that it is serving now. */
  inFlight: number
  /** Above 0; twice the weight, twice the requests. */
  weight: number
  backup: boolean
  standing: Standing
  /** How long it has been usable: one that just came up gets its share step by step. */
  usableFor: Millis
  /** Requests it runs at once; `null`: nobody knows. */
  places: number | null
  /** What its engine said last, some seconds ago; `null`: it does not say. */
  load: EngineLoad | null
}

/** What routing may know of who asks. */
export type Caller = {
  /** product.md's conversation; `null`: it has none. */
  conversation: string | null
  /** `prefixBlocks` of the prompt; empty: it is too short, or of no kind that has one. */
  prefix: readonly number[]
}

/** `reason`: a few fixed words, for the journal and people. */
export type Choice<C extends Candidate> = { candidate: C; reason: string }

const slowStartMs = 10_000
/** An engine that just came up is given something: else it would never warm up. */
const firstShare = 0.1
/** Requests that may always go where they belong, however few are in flight: engines run some at once at no cost. */
const leastBound = 2
const boundOverFair = 1.25
/** Counts this close are as good as equal: one request more or less among many says nothing. */
const nearTie = 1.1
const kvNearlyFull = 0.9

/** Its weight, less while it warms up. */
export function shareOf({ weight, usableFor }: Candidate): number {
  return weight * Math.min(1, Math.max(firstShare, usableFor / slowStartMs))
}

export const hasPlace = ({ inFlight, places }: Candidate): boolean => places === null || inFlight < places

/** No place as we count, or requests wait in its engine, and not just the one that came a moment ago. */
export function isFull(candidate: Candidate): boolean {
  const { load } = candidate
  return !hasPlace(candidate) || (load?.waiting ?? 0) > 1 + (load?.running ?? 0) / 4
}

/**
 * Which of a pool may be given what belongs to them: those with a place, no queue of their own, and with this request no
 * more than 1.25 times their fair share. By the pigeonhole somebody always has less than that.
 */
export function withRoom<C extends Candidate>(pool: readonly C[]): C[] {
  let inFlight = 1
  let shares = 0
  for (const candidate of pool) {
    inFlight += candidate.inFlight
    shares += shareOf(candidate)
  }
  const perShare = (boundOverFair * inFlight) / shares
  return pool.filter(
    candidate =>
      candidate.inFlight < Math.max(leastBound, Math.ceil(perShare * shareOf(candidate))) && !isFull(candidate),
  )
}

/**
 * Those with the fewest requests of ours for their share; near ties by what their engines say. Our own count comes
 * first: engines tell their load seconds late, and whoever believes them sends everything to one.
 */
export function leastLoaded<C extends Candidate>(pool: readonly C[]): C[] {
  const least = Math.min(...pool.map(loadOf))
  const near = pool.filter(candidate => loadOf(candidate) <= least * nearTie)
  const calmest = lowest(near, pressureOf)
  return lowest(calmest, loadOf)
}

/** All that share the lowest value. */
export function lowest<C>(pool: readonly C[], valueOf: (candidate: C) => number): C[] {
  let best: C[] = []
  let bestValue = Infinity
  for (const candidate of pool) {
    const value = valueOf(candidate)
    if (value > bestValue) continue
    if (value === bestValue) best.push(candidate)
    else best = [candidate]
    bestValue = value
  }
  return best
}

const loadOf = (candidate: Candidate): number => candidate.inFlight / shareOf(candidate)

/** How hard pressed its engine is, in coarse steps: fine ones are noise by the time they are known. */
function pressureOf({ load }: Candidate): number {
  const waiting = load?.waiting ?? 0
  const queue = waiting > 0 ? 1 + Math.floor(Math.log2(waiting)) : 0
  return (load?.kvUse ?? 0) >= kvNearlyFull ? queue + 1 : queue
}

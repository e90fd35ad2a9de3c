/**
 * Pace: whether a replica makes its answers much more slowly than its peers: a card that is hot, shared or throttled
 * passes every probe and fails no call. Rules S1–S5 in SPEC.md.
 */
import type { Millis } from '../units.ts'

/** The last mean gaps between pieces of streams, in milliseconds, oldest first. */
export type Pace = readonly number[]

/** One stretch of one stream: so many pieces came in so long. */
export type Stretch = {
  pieces: number
  took: Millis
  /** A prompt was taken in meanwhile, or waited for it: that slows every stream of most engines down. */
  prefilling: boolean
}

/** A replica of twice the weight is meant to be twice as fast. */
export type Paced = { pace: Pace; weight: number }

export const noPace: Pace = []

/** A stretch is worth a sample from so many pieces on: single ones come in bursts. */
export const piecesPerStretch = 16
const mostSamples = 32
const enoughSamples = 8
const muchSlower = 8
/** As fast as people read: nobody is left out for that, however fast its peers are. */
const fastEnoughMs = 50

/** What is known after a stretch. One that says nothing of the engine's speed changes nothing. */
export function learnPace(pace: Pace, { pieces, took, prefilling }: Stretch): Pace {
  if (prefilling || pieces < piecesPerStretch) return pace
  return [...pace.slice(1 - mostSamples), took / pieces]
}

/** Why the replica is taken for an outlier; `null`: it is none, it is too early to say, or it has no peers. `peers` without itself. */
export function slowerThanPeers({ pace, weight }: Paced, peers: readonly Paced[]): string | null {
  const known = peers.filter(peer => peer.pace.length >= enoughSamples)
  if (pace.length < enoughSamples || known.length === 0) return null
  const gap = median(pace)
  // What its peers would take if they had its weight.
  const expected = median(known.map(peer => median(peer.pace) * peer.weight)) / weight
  if (gap <= fastEnoughMs || gap <= expected * muchSlower) return null
  return `much slower than its peers: ${show(gap)} ms between pieces of an answer, where ${show(expected)} ms are usual`
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2
}

const show = (gapMs: number): number => (gapMs < 10 ? Math.round(gapMs * 10) / 10 : Math.round(gapMs))

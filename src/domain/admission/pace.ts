/** Pace: how long a place stays taken, and so how long a request at some place in the queue will wait. */
import { millis, type Millis } from '../units.ts'

export type Pace = {
  /** Times for which places were taken, added up, and how many came free meanwhile; both fade. */
  heldMs: number
  freed: number
  at: Millis
}

export type Expectation = {
  wait: Millis
  /** Enough was seen lately to turn somebody away for it. */
  trusted: boolean
}

/** Before anything is known a request takes so long; it weighs as much as one that was seen. */
const guessMs = 10_000
/** What came free before so many others hardly counts, nor what is this old: prompts and engines change. */
const freedKept = 64
const fadeMs = 10 * 60_000
const freedToTrust = 8
/** An expectation is a mean. Whoever could make it in half of it is let in. */
const hopeless = 2

export const noPace = (at: Millis): Pace => ({ heldMs: 0, freed: 0, at })

/**
 * `running` places were taken from `pace.at` until now, and `freed` of them have just come free. Time taken is divided by places
 * freed, so those that are still running count too, and it holds whether or not somebody waits.
 */
export function stepPace(pace: Pace, { at, running, freed }: { at: Millis; running: number; freed: number }): Pace {
  const passed = Math.max(0, at - pace.at)
  const kept = Math.exp(-passed / fadeMs) * (1 - 1 / freedKept) ** freed
  return { heldMs: pace.heldMs * kept + passed * running, freed: pace.freed * kept + freed, at }
}

/** For the request at `place` (1 is next) when so many places are shared by all. */
export function expectWait(pace: Pace, { place, places }: { place: number; places: number }): Expectation {
  const held = (pace.heldMs + guessMs) / (pace.freed + 1)
  return { wait: millis((place * held) / Math.max(1, places)), trusted: places > 0 && pace.freed >= freedToTrust }
}

/** Waiting would be in vain: it is kinder to say so at once. */
export const isHopeless = ({ wait, trusted }: Expectation, deadline: Millis): boolean =>
  trusted && wait > hopeless * deadline

/** Learned places: how many requests an engine runs at once when its flags don't say, from what it tells of its load. */
import type { EngineLoad } from '../serving/index.ts'
import { millis, type Millis } from '../units.ts'

export type LearnedPlaces = {
  /** This gateway's own part of them; `Infinity`: nothing speaks for a bound. */
  count: number
  /** Requests have waited inside the engine at every look since then, and at most so many of ours ran. */
  crowded: { since: Millis; ran: number } | null
  /** All places have been taken and nobody waited inside at every look since then. */
  fullSince: Millis | null
  /** How long they must be for one more to be tried. */
  patience: Millis
  /** The last change was a try of more. */
  grown: boolean
  /** It has refused since then, when there were so many places. */
  refusing: { since: Millis; from: number } | null
}

/** Numbers told by engines are 3 to 18 s old (vLLM's are): what holds longer than that is so. */
const believeMs = 20_000
/** Each try of more that was wrong doubles the time to the next. */
const longestPatienceMs = 10 * 60_000
/** A cache this full takes no more, even if nothing waits yet. */
const kvFull = 0.9
/** Refusals this close together are one event: all that were sent too many come back. */
const refusalsMs = 5_000

export const unknownPlaces: LearnedPlaces = {
  count: Infinity,
  crowded: null,
  fullSince: null,
  patience: millis(believeMs),
  grown: false,
  refusing: null,
}

/** One look at the engine. `load` is what it said last, `inFlight` what this gateway has given it and not got back. */
export function learnPlaces(
  known: LearnedPlaces,
  { load, inFlight, at }: { load: EngineLoad | null; inFlight: number; at: Millis },
): LearnedPlaces {
  const ran = load === null ? null : ranWhileWaiting(load, inFlight)
  if (ran === null) return grow(known, { load, inFlight, at })
  const crowded = { since: known.crowded?.since ?? at, ran: Math.max(known.crowded?.ran ?? 0, ran) }
  const seen = { ...known, crowded, fullSince: null }
  if (at - crowded.since < believeMs) return seen
  return { ...shrink(seen, { to: crowded.ran, from: known.count }), crowded: null }
}

/** The engine has refused a request as one too many. That is old by nothing, so it counts at once. `inFlight` includes that request. */
export function learnFromRefusal(
  known: LearnedPlaces,
  { inFlight, at }: { inFlight: number; at: Millis },
): LearnedPlaces {
  // With nothing else of ours inside, it is busy with somebody else's: that says nothing of our places.
  if (inFlight <= 1) return { ...known, fullSince: null }
  const event = known.refusing !== null && at - known.refusing.since < refusalsMs ? known.refusing : null
  const refusing = event ?? { since: at, from: known.count === Infinity ? inFlight : known.count }
  return shrink({ ...known, refusing, fullSince: null }, { to: inFlight - 1, from: refusing.from })
}

/** What an engine's flags say is for all gateways together; what one has learned is its own part already. */
export const placesHere = (flags: number | null, learned: LearnedPlaces, gateways: number): number =>
  flags === null ? learned.count : shareOf(flags, gateways)

/** One gateway's part. At least 1, so with more gateways than places the engine is given more than it runs at once. */
export const shareOf = (places: number, gateways: number): number =>
  Math.max(1, Math.floor(places / Math.max(1, gateways)))

/** How many of ours it runs, if requests wait inside it; `null`: none does, or it is not at work and so shows nothing. */
function ranWhileWaiting({ running, waiting }: EngineLoad, inFlight: number): number | null {
  if (waiting === null || waiting <= 0) return null
  const ran = running ?? inFlight - waiting
  if (ran <= 0) return null
  // Others may use it too; their part is theirs.
  return Math.max(1, Math.min(ran, Math.ceil((inFlight * ran) / (ran + waiting))))
}

/** Never below half of what there was: one strange minute is not the engine's nature. */
function shrink(known: LearnedPlaces, { to, from }: { to: number; from: number }): LearnedPlaces {
  const least = from === Infinity ? 1 : Math.ceil(from / 2)
  const count = Math.max(1, to, least)
  if (count >= known.count) return known
  const patience = known.grown ? Math.min(longestPatienceMs, known.patience * 2) : known.patience
  return { ...known, count, grown: false, patience: millis(patience) }
}

/** Full, and nobody waits inside: a few more are tried. */
function grow(
  known: LearnedPlaces,
  { load, inFlight, at }: { load: EngineLoad | null; inFlight: number; at: Millis },
): LearnedPlaces {
  const isFull = inFlight >= known.count && (load?.waiting ?? 0) === 0 && (load?.kvUse ?? 0) < kvFull
  if (!isFull) return { ...known, crowded: null, fullSince: null }
  const fullSince = known.fullSince ?? at
  if (at - fullSince < known.patience) return { ...known, crowded: null, fullSince }
  return {
    ...known,
    count: known.count + Math.max(1, Math.floor(known.count / 8)),
    crowded: null,
    fullSince: null,
    // The try before this one was right.
    patience: known.grown ? millis(believeMs) : known.patience,
    grown: true,
  }
}

/**
 * Health: whether a replica may be given requests, from probes and from what calls met. Rules H1–H12 in SPEC.md.
 * One replica alone: what needs its peers is decided in `pace.ts` (slow) and in routing (the last one is never left out).
 */
import { instant, millis, type Instant, type Millis } from '../units.ts'

export type Health = {
  /** What the last probe or call said of the replica. */
  state: 'unknown' | 'up' | 'loading' | 'down'
  /** Calls failed in a row. */
  failures: number
  /**
   * Taken out for what calls met, whatever probes say; `null`: it is not. After `until`, one request at a time may try it:
   * `trial` is which ejection's trial is under way.
   */
  ejection: { until: Instant; trial: number | null } | null
  /** How often it was ejected, until that is forgotten. */
  ejections: number
  /** How often in a row it fell soon after it came up. */
  falls: number
  /** Since when it is up and not ejected; `null`: it is not. */
  usableSince: Instant | null
  /** Why it is not usable, for people. */
  why: string | null
}

/**
 * What a replica may be given now. `trial`: one request, to find out whether it works again. `last-resort`: nothing as
 * long as anybody else can be asked.
 */
export type Standing = 'usable' | 'trial' | 'last-resort' | 'out'

/** `as`: what the replica was when it was given the call; absent: usable. A caller who left, or whose own time was up, is no event. */
export type HealthEvent =
  | { kind: 'probe-up' }
  | { kind: 'probe-loading' }
  | { kind: 'probe-failed'; why: string }
  /** The engine answered a call, be it with a client's error. A trial has answered as soon as its answer begins. */
  | { kind: 'call-answered'; as?: Standing }
  /** No connection, or it broke. */
  | { kind: 'call-lost'; why: string; as?: Standing }
  /** The engine answered 5xx or nonsense. */
  | { kind: 'call-failed'; why: string; as?: Standing }
  /** One request was given to it as a trial: that of its `ejections` as they were then. */
  | { kind: 'trial-began' }
  /** However it ended, after what it met was told; also when it met nothing. `of`: its `ejections` when it began. */
  | { kind: 'trial-ended'; of: number }
  /** Its answers are much slower than its peers' (`pace.ts`). */
  | { kind: 'outlier'; why: string }

export const unknownHealth: Health = {
  state: 'unknown',
  failures: 0,
  ejection: null,
  ejections: 0,
  falls: 0,
  usableSince: null,
  why: null,
}

const failuresToEject = 3
const fallsToEject = 3
/** Up for less than this, and down again, is flapping. */
const soonMs = 60_000
const firstEjectionMs = 1_000
const longestEjectionMs = 30_000
/** Usable for this long, and what was before says nothing more. */
const forgottenAfterMs = 300_000

/** What is known after an event. Pure; `now` is when it happened. */
export function stepHealth(health: Health, event: HealthEvent, now: Instant): Health {
  switch (event.kind) {
    case 'probe-up':
      return health.ejection === null ? usable(health, now) : { ...health, state: 'up' }
    case 'probe-loading':
      return { ...health, state: 'loading', usableSince: null, why: 'loading its model' }
    case 'probe-failed':
      return fall(health, event.why, now)
    case 'call-answered':
      return answered(health, event.as ?? 'usable', now)
    case 'call-lost':
      if (event.as === 'trial' && health.ejection !== null) return eject({ ...health, state: 'down' }, event.why, now)
      return fall(health, event.why, now)
    case 'call-failed':
      return failed(health, event, now)
    case 'trial-began':
      return health.ejection === null ? health : withTrial(health, health.ejections)
    case 'trial-ended':
      // A long answer may end when its ejection is over and another one's trial is under way.
      return health.ejection?.trial === event.of ? withTrial(health, null) : health
    case 'outlier':
      return health.ejection === null ? eject(health, event.why, now) : health
    default:
      return event satisfies never
  }
}

/** What the replica may be given now. One never probed yet is usable: the call will tell. */
export function standingOf({ state, ejection }: Health, now: Instant): Standing {
  if (state === 'loading' || state === 'down') return 'out'
  if (ejection === null) return 'usable'
  return isOver(ejection.until, now) && ejection.trial === null ? 'trial' : 'last-resort'
}

/** Whether it may be given a request while others can be asked. */
export function isUsable(health: Health, now: Instant): boolean {
  const standing = standingOf(health, now)
  return standing === 'usable' || standing === 'trial'
}

/** How long it has been usable; 0 for one that nobody has heard of yet. */
export function usableFor({ usableSince }: Health, now: Instant): Millis {
  return millis(usableSince === null ? 0 : Math.max(0, now - usableSince))
}

function usable(health: Health, now: Instant): Health {
  return { ...health, state: 'up', usableSince: health.usableSince ?? now, why: null }
}

function answered(health: Health, as: Standing, now: Instant): Health {
  const { ejection } = health
  // Kept as it is when nothing changes: this happens once a request.
  if (health.state === 'up' && health.failures === 0 && health.usableSince !== null) return health
  // It may have been asked before it was ejected; only one that was asked since proves anything.
  if (ejection !== null && as === 'usable' && !isOver(ejection.until, now)) return health
  return usable({ ...health, failures: 0, ejection: null }, now)
}

function failed(health: Health, { why, as }: { why: string; as?: Standing }, now: Instant): Health {
  // Those that it held when it was ejected fail one by one, and so do those who had nobody else to ask: that is no news.
  if (health.ejection !== null && !isOver(health.ejection.until, now)) return { ...health, why }
  const failures = health.failures + 1
  const isTrial = as === 'trial' && health.ejection !== null
  return isTrial || failures >= failuresToEject ? eject(health, why, now) : { ...health, failures, why }
}

function fall(health: Health, why: string, now: Instant): Health {
  const down: Health = { ...health, state: 'down', usableSince: null, why }
  if (health.state !== 'up') return down
  const falls = usableFor(health, now) < soonMs ? health.falls + 1 : 1
  return falls < fallsToEject ? { ...down, falls } : eject({ ...down, falls }, why, now)
}

function eject(health: Health, why: string, now: Instant): Health {
  const earlier = usableFor(health, now) < forgottenAfterMs ? health.ejections : 0
  const until = instant(now + Math.min(longestEjectionMs, firstEjectionMs * 2 ** earlier))
  return {
    ...health,
    failures: 0,
    ejection: { until, trial: health.ejection?.trial ?? null },
    ejections: earlier + 1,
    usableSince: null,
    why,
  }
}

function withTrial(health: Health, trial: number | null): Health {
  return health.ejection === null ? health : { ...health, ejection: { ...health.ejection, trial } }
}

/** A clock that was set back must not keep anybody out for longer than an ejection lasts. */
function isOver(until: Instant, now: Instant): boolean {
  return now >= until || until - now > longestEjectionMs
}

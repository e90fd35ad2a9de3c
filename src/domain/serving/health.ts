/** Health: whether a replica may be given requests, from probes and from what calls met. Rules H1–H6 in SPEC.md. */
import { instant, type Instant } from '../units.ts'

export type Health = {
  /** What the last probe or call said of the replica. */
  state: 'unknown' | 'up' | 'loading' | 'down'
  /** Calls failed in a row. */
  failures: number
  /** How often it was ejected since it last answered a call. */
  ejections: number
  /** Given nothing before this moment, whatever probes say; `null`: not ejected. */
  ejectedUntil: Instant | null
  /** Why it is not up, for people. */
  why: string | null
}

export type HealthEvent =
  | { kind: 'probe-up' }
  | { kind: 'probe-loading' }
  | { kind: 'probe-failed'; why: string }
  /** The engine answered a call, be it with a client's error. */
  | { kind: 'call-answered' }
  /** No connection, or it broke. */
  | { kind: 'call-lost'; why: string }
  /** The engine answered 5xx or nonsense. */
  | { kind: 'call-failed'; why: string }

export const unknownHealth: Health = { state: 'unknown', failures: 0, ejections: 0, ejectedUntil: null, why: null }

const failuresToEject = 3
const firstEjectionMs = 1_000
const longestEjectionMs = 30_000

/** What is known after an event. Pure; `now` is when it happened. */
export function stepHealth(health: Health, event: HealthEvent, now: Instant): Health {
  switch (event.kind) {
    case 'probe-up':
      return { ...health, state: 'up', why: health.ejectedUntil === null ? null : health.why }
    case 'probe-loading':
      return { ...health, state: 'loading', why: 'loading its model' }
    case 'probe-failed':
      return { ...health, state: 'down', why: event.why }
    case 'call-answered':
      // Kept as it is when nothing changes: this happens once a request.
      if (health.state === 'up' && health.failures === 0 && health.ejections === 0) return health
      return { state: 'up', failures: 0, ejections: 0, ejectedUntil: null, why: null }
    case 'call-lost':
      return { ...health, state: 'down', failures: health.failures + 1, why: event.why }
    case 'call-failed': {
      const failures = health.failures + 1
      if (failures < failuresToEject) return { ...health, failures, why: event.why }
      const forMs = Math.min(longestEjectionMs, firstEjectionMs * 2 ** health.ejections)
      return {
        ...health,
        failures: 0,
        ejections: health.ejections + 1,
        ejectedUntil: instant(now + forMs),
        why: event.why,
      }
    }
    default:
      return event satisfies never
  }
}

/** Whether the replica may be given a request now. One never probed yet may: the call will tell. */
export function isUsable(health: Health, now: Instant): boolean {
  if (health.ejectedUntil !== null && now < health.ejectedUntil) return false
  return health.state === 'up' || health.state === 'unknown'
}

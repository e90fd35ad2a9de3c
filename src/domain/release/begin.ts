/** How a release begins. */
import type { Instant, Millis, ModelName, ReleaseId, VersionName } from '../units.ts'
import { lasting } from './figures.ts'
import type { Actor, Policy, Release } from './release.ts'

export type Beginning = {
  id: ReleaseId
  model: ModelName
  from: VersionName
  to: VersionName
  policy: Policy
  origin: Release['origin']
  by: Actor
  now: Instant
  /** The same digest under two names. */
  same: boolean
  /** Unpredictable, new for each release. */
  salt: string
  /** How long the live version took to load the last time; with room for one, that is what going back takes. */
  liveLoads?: Millis | null
}

/** In `draft`: nothing has happened yet, and nothing has been asked of anybody. */
export function beginRelease({ now, liveLoads = null, ...given }: Beginning): Release {
  const { policy, to } = given
  const waits =
    policy.room === 'swap-idle'
      ? `Waits for an idle window to try ${to} alone. ${goingBack(liveLoads)}`
      : `Waits until ${to} is loaded.`
  return {
    ...given,
    startedAt: now,
    phase: 'draft',
    since: now,
    step: 0,
    heldIn: null,
    baseline: null,
    smoke: null,
    golden: null,
    verdict: 'hold',
    why: `${waits}${skipped(policy)}`,
    gates: [],
    unreadySince: null,
    confirmed: false,
    promotedBy: null,
    swap: policy.room === 'swap-idle' ? 'waiting' : null,
    rounds: 0,
  }
}

/** Said before anything starts: with room for one, going back is loading again. */
export function goingBack(liveLoads: Millis | null): string {
  const time = liveLoads === null ? 'how long has not been measured' : `it took ${lasting(liveLoads)} the last time`
  return `Going back means loading the live version again: ${time}.`
}

function skipped({ room, shadow }: Policy): string {
  return room === 'swap-idle' && shadow !== null ? ' There is no room for two versions: shadow is left out.' : ''
}

/** The plan of a release: its phases and weights, as its policy leaves them. Rules: R1, R2 in SPEC.md. */
import { share, type Share } from '../units.ts'
import type { Phase, Policy, Release } from './release.ts'

const all = share(1)
const none = share(0)

/** The candidate's part of the units, by step from 1 on. The last is always all traffic: bake is under full load. */
export function weightsOf(policy: Policy): readonly Share[] {
  const steps = stepsOf(policy)
  return steps.at(-1) === all ? steps : [...steps, all]
}

/** The canary's own steps; with room for one version there is nothing between none and all. */
function stepsOf({ canary, room }: Policy): readonly Share[] {
  if (canary === null) return []
  return room === 'swap-idle' ? [all] : canary.steps
}

/** Whether live and candidate ever answer at the same time, so that they can be compared. */
export const isCompared = (policy: Policy): boolean => (weightsOf(policy)[0] ?? all) < all

/** Where it is; while held, where it was. */
export const placeIn = ({ phase, heldIn }: Release): Exclude<Phase, 'held'> =>
  phase === 'held' ? (heldIn ?? 'draft') : phase

export const isOverFor = ({ phase }: Release): boolean =>
  phase === 'live' || phase === 'aborted' || phase === 'rolled-back'

/** Whether requests of clients reach the candidate. */
export const hasTraffic = (release: Release): boolean => {
  const place = placeIn(release)
  return place === 'canary' || place === 'bake'
}

/** The candidate's part of the units now. */
export function shareOf(release: Release): Share {
  if (release.phase === 'live') return all
  return hasTraffic(release) ? shareAt(release.policy, release.step) : none
}

export const shareAt = (policy: Policy, step: number): Share => weightsOf(policy)[step - 1] ?? none

/** What comes after where it is. `live` comes after `bake`. */
export function nextOf(release: Release): { phase: Phase; step: number } {
  const { policy, step } = release
  const place = placeIn(release)
  if (place === 'bake') return { phase: 'live', step }
  if (place === 'canary' && step < stepsOf(policy).length) return { phase: 'canary', step: step + 1 }
  const later = order.slice(order.indexOf(place) + 1).find(phase => isAsked(phase, policy)) ?? 'bake'
  if (later === 'canary') return { phase: 'canary', step: 1 }
  return { phase: later, step: later === 'bake' ? weightsOf(policy).length : 0 }
}

const order: readonly Phase[] = ['draft', 'smoke', 'golden', 'shadow', 'canary', 'bake', 'live']

function isAsked(phase: Phase, policy: Policy): boolean {
  switch (phase) {
    case 'smoke':
      return policy.smoke !== null
    case 'golden':
      return policy.golden !== null
    case 'shadow':
      // Two versions at once are what there is no room for.
      return policy.shadow !== null && policy.room === 'beside'
    case 'canary':
      return policy.canary !== null
    default:
      return true
  }
}

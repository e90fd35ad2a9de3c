/** What gateways and agents should do while a release is where it is. Rules: R20–R22 in SPEC.md. */
import { share, type Share, type VersionName } from '../units.ts'
import { hasTraffic, isOverFor, placeIn, shareOf } from './plan.ts'
import type { Release } from './release.ts'

export type Reality = {
  /** Answers for everybody who is not the candidate's. */
  live: VersionName
  /** The version whose engines run beside it; `null`: the other one's may go, once what they are answering has ended. */
  beside: VersionName | null
  /** The live version's engines stop, to make room. */
  liveRests: boolean
  /** The candidate's part of the units. */
  share: Share
  step: number
  /** Copies of requests for the candidate. `parallel`: under way at once in each gateway. */
  shadow: { share: Share; parallel: number } | null
}

/** Copies that a candidate answers at once: enough to get on, few enough to leave an engine's places to clients. */
const copiesAtOnce = 4

/** Pure, of the release alone: whatever happened to whoever published it before, publishing it again is right. */
export function realityOf(release: Release): Reality {
  const { from, to, policy, step, phase } = release
  const alone = { beside: null, liveRests: false, share: share(0), step, shadow: null }
  if (phase === 'live') return { ...alone, live: to }
  if (isOverFor(release)) return { ...alone, live: from }
  const rests = restsLive(release)
  return {
    live: from,
    beside: isBeside(release) ? to : null,
    liveRests: rests,
    share: shareOf(release),
    step,
    shadow:
      phase === 'shadow' && policy.shadow !== null ? { share: policy.shadow.share, parallel: copiesAtOnce } : null,
  }
}

function isBeside(release: Release): boolean {
  return release.policy.room === 'beside' || restsLive(release)
}

/** With room for one, one of the two has it. */
function restsLive({ policy, swap }: Release): boolean {
  return policy.room === 'swap-idle' && (swap === 'trying' || swap === 'cut')
}

/** Whether the candidate's engines should be answering now. */
export const needsCandidate = (release: Release): boolean => realityOf(release).beside !== null

/** Whether the live version must answer too. */
export function needsLive(release: Release): boolean {
  if (hasTraffic(release)) return shareOf(release) < 1
  return placeIn(release) === 'shadow'
}

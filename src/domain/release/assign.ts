/** Assignment: which version of a model in release answers for whom. The same answer in every gateway, and after any restart. */
import { hashText } from '../routing/index.ts'
import type { ReleaseRoute } from '../serving/index.ts'
import type { Arm } from './release.ts'

/**
 * The unit's place is its own for the whole release, and the candidate has those below the share: a share that grows takes
 * units from the live version alone, and moves none back.
 */
export function armOf({ salt, share }: Pick<ReleaseRoute, 'salt' | 'share'>, unit: string): Arm {
  return placeOf(salt, unit) < share ? 'candidate' : 'live'
}

/** A place in [0, 1), evenly spread over units; under another salt another one, which the first tells nothing of. */
export function placeOf(salt: string, unit: string): number {
  // The unit stands last: the hash stirs what came last the least, and salts are few.
  return hashText(`${hashText(unit)} ${salt}\n${unit}`) / 2 ** 32
}

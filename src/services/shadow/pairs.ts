/** Pairs: what both versions answered, sealed where it was answered and opened by the controller alone. */
import type { PairTexts, ShadowPair } from '../../domain/serving/index.ts'
import type { ReleaseId, RequestId } from '../../domain/units.ts'
import { openSealed, sealText } from './seal.ts'

/** Throws when `sealFor` is no public key. */
export function sealTexts(sealFor: string, texts: PairTexts, about: { release: ReleaseId; id: RequestId }): string {
  return sealText(sealFor, JSON.stringify(texts), aboutOf(about))
}

/** The texts of a pair; `null`: it has none, or they were not sealed for this release's key. */
export function openTexts(
  privateKey: string,
  { release, pair }: { release: ReleaseId; pair: ShadowPair },
): PairTexts | null {
  const text = pair.sealed === null ? null : openSealed(privateKey, pair.sealed, aboutOf({ release, id: pair.id }))
  // Sealed by `sealTexts` alone: nobody else can have made what opens, but with the public key.
  const texts: unknown = text === null ? null : parse(text)
  return isPairTexts(texts) ? texts : null
}

const aboutOf = ({ release, id }: { release: ReleaseId; id: RequestId }): string => `${release}\n${id}`

function isPairTexts(value: unknown): value is PairTexts {
  if (typeof value !== 'object' || value === null) return false
  return (
    'messages' in value &&
    'live' in value &&
    'candidate' in value &&
    typeof value.live === 'string' &&
    typeof value.candidate === 'string'
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Desired and real: what the spec's `live` asks for, given what really answers and which release is under way. */
import type { ModelName, VersionName } from '../units.ts'
import type { RealLive } from './ports.ts'
import type { Release } from './release.ts'

/** One model, as the spec has it. `digest`: of everything that this wish is made of. */
export type Wish = {
  model: ModelName
  live: VersionName
  /** Whether a release stands between a new `live` and all traffic. */
  guarded: boolean
  digest: string
}

export type Known = {
  real: RealLive | null
  /** The release that is under way, held ones too; `null`: none. */
  underway: Pick<Release, 'from' | 'to' | 'phase'> | null
  /** Whether the spec still says what this version is. */
  has: (version: VersionName) => boolean
}

export type Answer =
  /** It is so, or nothing stands in between: `real` is what answers from now on. */
  | { do: 'serve'; real: RealLive }
  /** The release that is under way, if any, ends first, for the reason given. */
  | { do: 'start'; from: VersionName; to: VersionName; endFirst: string | null }
  | { do: 'end'; why: string }
  /** What is real stays; `diverged` tells people when that is not what the spec says. */
  | { do: 'nothing'; diverged: string | null }
  | { do: 'refuse'; problem: string }

/** Decides for one model. A wish is tried once: one that was dealt with is asked for again by changing it. */
export function followSpec(wish: Wish, { real, underway, has }: Known): Answer {
  const { model, live, guarded, digest } = wish
  const asked = { live, digest }
  if (real === null) return { do: 'serve', real: { model, live, asked } }
  if (underway !== null && live === underway.to) return { do: 'nothing', diverged: null }
  const isNew = live !== real.asked.live || (real.asked.digest !== null && digest !== real.asked.digest)
  if (live === real.live) {
    if (!isNew) return { do: 'nothing', diverged: null }
    // Also where nothing is to be done: the version that did not make it may be asked for once more after this.
    return underway === null
      ? { do: 'serve', real: { model, live, asked } }
      : { do: 'end', why: `the spec asks for ${live} again` }
  }
  if (!isNew) {
    if (!has(real.live)) return { do: 'refuse', problem: missing(real.live, model) }
    return { do: 'nothing', diverged: underway === null ? divergence(wish, real) : null }
  }
  if (!guarded) return { do: 'serve', real: { model, live, asked } }
  if (!has(real.live)) return { do: 'refuse', problem: missing(real.live, model) }
  return {
    do: 'start',
    from: real.live,
    to: live,
    endFirst: underway === null ? null : `the spec asks for ${live} instead of ${underway.to}`,
  }
}

const missing = (version: VersionName, model: ModelName): string =>
  `versions: ${version} answers for ${model} until another one has proved itself: keep it in the spec until then`

const divergence = ({ model, live }: Wish, real: RealLive): string =>
  `${real.live} answers for ${model}, and the spec says ${live}. Either set its live to ${real.live}, or try again: ` +
  `holdfast release start ${model} ${live}`

/** Releases at work: what `domain/release` decides is stored, then done. Start at `run-releases.ts`. */
export { openPairJudge } from './judge-pairs.ts'
export type { PairJudge } from './judge-pairs.ts'
export type { Engines, ReleaseParts, Trials, Wishes } from './ports.ts'
export { openReleases } from './run-releases.ts'
export type { ModelState, NewRelease, Releases } from './run-releases.ts'
export { runSmoke } from './smoke.ts'

/** Estimates on a gateway: what each version's requests took lately, so that the next one's most can be told. */
import { learn, mostOf, nothingLearned, type Learned, type Most } from '../../domain/budgets/index.ts'
import type { VersionRoute } from '../../domain/serving/index.ts'
import type { Millis, Tokens, VersionName } from '../../domain/units.ts'

export interface Estimates {
  /** `prompt`: about so many tokens. `bound`: of the answer (`answerBound`); `null`: the client set none. */
  most(version: VersionRoute, ask: { prompt: Tokens; bound: Tokens | null }): Most
  /** From a request that was answered whole. */
  learn(version: VersionRoute, done: { input: Tokens; output: Tokens; gpuMs: Millis; bounded: boolean }): void
}

export function openEstimates(): Estimates {
  const known = new Map<VersionName, Learned>()
  const knownOf = ({ name }: VersionRoute): Learned => known.get(name) ?? nothingLearned
  return {
    most: (version, ask) => mostOf(ask, knownOf(version), version.cost),
    learn: (version, done) => void known.set(version.name, learn(knownOf(version), done)),
  }
}

/** Flags: features that are on for some, and the model that answers instead while one is. */
import type { Principal } from '../../domain/access/index.ts'
import { placeOf } from '../../domain/release/index.ts'
import type { FlagRoute } from '../../domain/serving/index.ts'
import type { ModelName } from '../../domain/units.ts'
import { ownerOf } from './exchange.ts'

/** Those that are on for whoever asks: the same ones each time, and none goes off as its share grows. */
export function flagsFor(principal: Principal, flags: readonly FlagRoute[]): FlagRoute[] {
  const team = principal.kind === 'admin' ? null : principal.team
  const owner = ownerOf(principal)
  return flags.filter(
    ({ name, teams, share }) =>
      (teams.length === 0 || (team !== null && teams.includes(team))) && placeOf(`flag ${name}`, owner) < share,
  )
}

/** `null`: the model that was asked for answers. The first flag that says another one counts, and nothing follows from there. */
export const answersInstead = (on: readonly FlagRoute[], model: ModelName): ModelName | null =>
  on.find(({ answers }) => answers?.model === model)?.answers?.by ?? null

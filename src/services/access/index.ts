/** Managing access: keys and teams, changed one at a time, durable before gateways hear of it. Start at `manageAccess`. */
import type { AccessParts } from './access-parts.ts'
import { inTurn } from './in-turn.ts'
import { manageKeys } from './manage-keys.ts'
import type { Keys } from './manage-keys.ts'
import { manageTeams } from './manage-teams.ts'
import type { Teams } from './manage-teams.ts'

export type Access = { keys: Keys; teams: Teams }

/** Keys and teams share their turn: a team can't go while a key is being made in it. */
export function manageAccess(parts: AccessParts): Access {
  const turn = inTurn()
  return { keys: manageKeys(parts, turn), teams: manageTeams(parts, turn) }
}

export type { AccessParts } from './access-parts.ts'
export { hashKey } from './hash-key.ts'
export { identifyBy } from './identify.ts'
export type { Identify } from './identify.ts'
export { inTurn } from './in-turn.ts'
export { lookUpBy } from './look-up.ts'
export type { BornKey, ChangedKey, KeyChanges, Keys, NewKey } from './manage-keys.ts'
export type { ChangedTeam, DeclaredTeam, NewTeam, TeamChanges, Teams } from './manage-teams.ts'
export type { AskedBudget, BoundChanges } from './set-bounds.ts'

/** Holders: whose limits and budgets a request counts against, beside its model and address: its key, and its team. */
import type { AccessTable } from './image.ts'
import type { Budget, Limits, Priority } from './bounds.ts'
import type { Key, Principal, Team } from './types.ts'

export type Holder = {
  subject: 'key' | 'team'
  /** Unique among holders of its kind, and the same through rotations. */
  id: string
  /** As people know it. */
  name: string
  limits: Limits | null
  budget: Budget | null
}

/** `priority`: whose requests go first when they wait. The admin has no bounds, and its requests go before others. */
export function holdersOf(table: AccessTable, principal: Principal): { holders: Holder[]; priority: Priority } {
  if (principal.kind === 'admin') return { holders: [], priority: 'high' }
  const key = principal.kind === 'key' ? (table.keys.get(principal.id) ?? null) : null
  const team = principal.team === null ? null : (table.teams.get(principal.team) ?? null)
  const holders: Holder[] = []
  if (key !== null) holders.push(toHolder('key', key.alias ?? key.id, key))
  if (team !== null) holders.push(toHolder('team', team.name, team))
  return { holders, priority: team?.priority ?? 'normal' }
}

const toHolder = (subject: Holder['subject'], name: string, bounded: Key | Team): Holder => ({
  subject,
  id: 'id' in bounded ? bounded.id : bounded.name,
  name,
  limits: bounded.limits ?? null,
  budget: bounded.budget ?? null,
})

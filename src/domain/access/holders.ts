/** Holders: whose limits and budgets a request counts against, beside its model and address: its key, and its team. */
import type { AccessTable } from './image.ts'
import type { Budget, Limits, Priority } from './bounds.ts'
import type { Principal } from './types.ts'

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
  return {
    holders: [
      ...(key === null ? [] : [toHolder('key', { ...key, name: key.alias ?? key.id })]),
      ...(team === null ? [] : [toHolder('team', { ...team, id: team.name })]),
    ],
    priority: team?.priority ?? 'normal',
  }
}

function toHolder(
  subject: Holder['subject'],
  {
    id,
    name,
    limits = null,
    budget = null,
  }: { id: string; name: string; limits?: Limits | null; budget?: Budget | null },
): Holder {
  return { subject, id, name, limits, budget }
}

/** What keys and teams have spent: in their budget's present period, or ever, when there is none in money. */
import { forAll } from '../../domain/access/index.ts'
import type { Budget, Key, Team } from '../../domain/access/index.ts'
import type { Holder } from '../../domain/budgets/index.ts'
import type { RequestStore } from '../../domain/journal/index.ts'
import type { Instant } from '../../domain/units.ts'
import { tallySpend } from '../../services/budgets/index.ts'

export type SpendingParts = {
  requests: Pick<RequestStore, 'spent'>
  /** The one that costs are told in. */
  currency: () => string
  now: () => Instant
}

/** `at`: when it was looked up. */
export type Spending = { at: Instant; key(key: Key): number; team(team: Team): number }

export async function readSpending(
  { requests, currency, now }: SpendingParts,
  { keys = [], teams = [] }: { keys?: readonly Key[]; teams?: readonly Team[] },
): Promise<Spending> {
  const at = now()
  const ever: Budget = { amount: 0, unit: 'money', currency: currency(), every: forAll }
  const inMoney = (budget: Budget | undefined): Budget => (budget?.unit === 'money' ? budget : ever)
  const holders: Holder[] = [
    ...keys.map(({ id, budget }) => ({ subject: 'key' as const, id, name: id, budget: inMoney(budget) })),
    ...teams.map(({ name, budget }) => ({ subject: 'team' as const, id: name, name, budget: inMoney(budget) })),
  ]
  const spent = new Map(
    (await tallySpend(requests, holders, at)).map(({ holder, spent }) => [`${holder.subject} ${holder.id}`, spent]),
  )
  return {
    at,
    key: key => spent.get(`key ${key.id}`) ?? 0,
    team: team => spent.get(`team ${team.name}`) ?? 0,
  }
}

/** Of what was just made, nothing was spent. */
export const nothingSpent = (at: Instant): Spending => ({ at, key: () => 0, team: () => 0 })

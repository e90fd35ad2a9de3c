/** Bounds of keys and teams as they are asked for: what is left out stays as it is, and null takes it away. */
import { periodProblem } from '../../domain/access/index.ts'
import type { Budget, BudgetUnit, Limits } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import type { Millis } from '../../domain/units.ts'
import type { AccessParts } from './access-parts.ts'

type Bounds = { limits?: Limits; budget?: Budget }

/** `currency`: left out, or null, is the one that costs are told in. */
export type AskedBudget = { amount: number; unit: BudgetUnit; currency?: string | null | undefined; every: Millis }
export type BoundChanges = {
  limits?: { [Limit in keyof Limits]?: number | null | undefined } | null | undefined
  budget?: AskedBudget | null | undefined
}

/** Throws FaultError `request-invalid` for a bound that could not be kept. */
export function setBounds(parts: Pick<AccessParts, 'currency'>, before: Bounds, changes: BoundChanges): Bounds {
  const limits = changes.limits === undefined ? before.limits : toLimits(before.limits, changes.limits)
  const budget = changes.budget === undefined ? before.budget : toBudget(parts, changes.budget)
  return { ...(limits === undefined ? {} : { limits }), ...(budget === undefined ? {} : { budget }) }
}

function toLimits(before: Limits | undefined, changes: BoundChanges['limits']): Limits | undefined {
  if (!changes) return undefined
  const given = Object.entries(changes).flatMap(([name, limit]) =>
    limit === undefined ? [] : [[name, limit] satisfies [string, number | null]],
  )
  const wrong = given.find(([, limit]) => limit !== null && !(Number.isSafeInteger(limit) && limit > 0))
  if (wrong !== undefined)
    invalid('limits', `${wrong[0]} is a whole number above 0. For none at all, block the key instead.`)
  const limits = Object.entries({ ...before, ...Object.fromEntries(given) }).filter(([, limit]) => limit !== null)
  return limits.length === 0 ? undefined : Object.fromEntries(limits)
}

function toBudget({ currency: costs }: Pick<AccessParts, 'currency'>, asked: AskedBudget | null): Budget | undefined {
  if (asked === null) return undefined
  const { amount, unit, every } = asked
  if (!Number.isFinite(amount) || amount < 0) invalid('budget', 'A budget’s amount is a number from 0 on.')
  const problem = periodProblem(every)
  if (problem !== null) invalid('budget', problem)
  if (unit !== 'money') return { amount, unit, currency: null, every }
  const currency = asked.currency ?? costs()
  if (currency !== costs())
    invalid(
      'budget',
      `Costs are told in ${costs()} here (hosts[].cost.currency in the spec), and nothing is converted: give a budget in ${costs()}.`,
    )
  return { amount, unit, currency, every }
}

function invalid(param: string, problem: string): never {
  throw new FaultError({ kind: 'request-invalid', param, problem })
}

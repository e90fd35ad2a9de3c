/** Budgets on a gateway: what a request may cost is set aside before it runs, and what it did cost is counted after. */
import type { Budget } from '../../domain/access/index.ts'
import { openLedger, renderAmount, renderBudget } from '../../domain/budgets/index.ts'
import type { Actual, Holder, Most, Refused } from '../../domain/budgets/index.ts'
import { FaultError, type Fault } from '../../domain/fault.ts'
import type { Spend } from '../../domain/serving/index.ts'
import { millis, type Instant } from '../../domain/units.ts'

export interface Budgets {
  /**
   * Sets aside the most that the request can cost, of every budget there is or of none. At once, so that requests beside it see it.
   * `arrivedAt` as in the request's record: it says whose period it belongs to.
   * Throws FaultError `budget-spent` (retryAfter: the next period) or `budget-currency`.
   */
  reserve(holders: readonly MayBeBounded[], most: Most, arrivedAt: Instant): BudgetLease
  /** From the controller. It replaces what it said before of the same holders and periods, and nothing else. */
  told(spend: readonly Spend[]): void
}

type MayBeBounded = Omit<Holder, 'budget'> & { budget: Budget | null }

/** What was set aside for one request. However it ends, the first word counts and later ones do nothing. */
export interface BudgetLease {
  /** What it cost, as its record says; `null`: nobody knows, and what was set aside stays spent. */
  settle(actual: Actual): void
  /** It cost nothing: no engine was asked. */
  cancel(): void
}

export function openBudgets(): Budgets {
  const ledger = openLedger()
  return {
    reserve(holders, most, arrivedAt) {
      const bounded = holders.flatMap(({ budget, ...holder }) => (budget === null ? [] : [{ ...holder, budget }]))
      const reserved = ledger.reserve(bounded, most, arrivedAt)
      if (!reserved.ok) throw new FaultError(toFault(reserved, arrivedAt))
      return reserved
    },
    told: ledger.told,
  }
}

function toFault(refused: Refused, at: Instant): Fault {
  const { subject, name, budget } = refused.holder
  const by = { subject, name }
  if (refused.why === 'currency')
    return { kind: 'budget-currency', by, currency: budget.currency ?? '', costs: refused.costs }
  const { spent, held, period } = refused
  const underWay = held > 0 ? ` (and ${renderAmount(held, budget)} are set aside for requests under way)` : ''
  return {
    kind: 'budget-spent',
    by,
    spent: `${renderAmount(spent, budget)}${underWay}`,
    amount: renderBudget(budget),
    retryAfter: millis(period.end - at),
  }
}

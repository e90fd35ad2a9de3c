/** Budgets: kept by gateways (`openBudgets`, `openEstimates`), summed up by the controller (`tallySpend`). */
export { openBudgets } from './open-budgets.ts'
export type { BudgetLease, Budgets } from './open-budgets.ts'
export { openEstimates } from './open-estimates.ts'
export type { Estimates } from './open-estimates.ts'

/** Budgets: kept by gateways (`openBudgets`, `openEstimates`), summed up by the controller (`openTallies`) and told (`turnPage`). */
export { openBudgets } from './open-budgets.ts'
export type { BudgetLease, Budgets } from './open-budgets.ts'
export { openEstimates } from './open-estimates.ts'
export type { Estimates } from './open-estimates.ts'
export { emptyBook, turnPage } from './spend-book.ts'
export type { SpendBook } from './spend-book.ts'
export { openTallies, tallySpend } from './tally-spend.ts'
export type { Tallies, Tally } from './tally-spend.ts'

/** Budgets: what keys and teams may spend, what requests cost, and who has spent how much. Start at SPEC.md, then `ledger.ts`. */
export { parseBudget, renderAmount, renderBudget, renderPeriod } from './budget-text.ts'
export type { ParsedBudget } from './budget-text.ts'
export { openLedger } from './ledger.ts'
export type { Actual, Holder, Ledger, Most, Refused, Reserved } from './ledger.ts'
export { answerBound, costOf, learn, mostOf, nothingLearned } from './most.ts'
export type { Learned } from './most.ts'
export { openWorkClock } from './work-clock.ts'
export type { Work, WorkClock } from './work-clock.ts'

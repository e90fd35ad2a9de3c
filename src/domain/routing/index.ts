/** Routing: which replica gets a request, and whether it may be sent again. Start at `routing.ts`; rules in SPEC.md. */
export type { Caller, Candidate, Choice } from './candidate.ts'
export { hashText } from './hash.ts'
export { prefixBlocks } from './prefix-blocks.ts'
export { openRetryBudget, retryOf } from './retry-budget.ts'
export type { Retry, RetryBudget, RetryDecision } from './retry-budget.ts'
export { openRouting } from './routing.ts'
export type { Routing } from './routing.ts'

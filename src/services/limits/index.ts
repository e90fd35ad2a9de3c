/** Limits: what a request takes of its key's, team's, model's and address's limits, and gives back. Start at `openLimiter`. */
export type { Subject, TokenEstimates, TokenNeed } from '../../domain/limits/index.ts'
export { openTokenEstimates } from '../../domain/limits/index.ts'
export { openLimiter } from './limiter.ts'
export type { LimitLease, Limiter, LimiterMode, LimiterParts } from './limiter.ts'
export type { SharedCounts } from './ports.ts'

/** The store in PostgreSQL, which several controllers share: the one whose turn it is writes. Start at `takeTurn`. */
export { parseAddress } from './address.ts'
export { openPostgresStore } from './open.ts'
export { takeTurn } from './turn.ts'
export type { Turn } from './turn.ts'

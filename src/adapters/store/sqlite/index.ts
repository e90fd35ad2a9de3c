/** The store in a SQLite file: keys, teams and what the journal said. */
export { openSqliteStore, openSqliteStoreHere } from './open.ts'
export type { Store } from '../open.ts'

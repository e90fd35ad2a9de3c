/** Opens a PostgreSQL database as a store, for the controller whose turn it is. */
import { Kysely } from 'kysely'
import { openStore } from '../open.ts'
import type { Store } from '../open.ts'
import type { Tables } from '../schema.ts'
import { parseAddress } from './address.ts'
import { openPool } from './connect.ts'
import { postgresDialect } from './dialect.ts'

export type PostgresStoreOptions = {
  url: string
  /** From `takeTurn`, which also brought the database to this program's schema. */
  term: number
  /** How many access changes are kept for gateways that were away. */
  keptChanges?: number | undefined
}

/**
 * Connects when it is first asked something. What is committed is durable. Throws FaultError `store-unavailable` while the
 * server can't be used, and `standby` for a write after another controller took over.
 */
export function openPostgresStore({ url, term, keptChanges }: PostgresStoreOptions): Store {
  const pool = openPool(parseAddress(url))
  return openStore(new Kysely<Tables>({ dialect: postgresDialect(pool, { term }) }), { keptChanges })
}

/**
 * The row that says which controller writes: its term counts up whenever another one takes over. It stands beside the
 * migrated tables and never changes its form, so that controllers of different releases can tell each other.
 */
import { CompiledQuery, sql } from 'kysely'
import type { Kysely, QueryResult, Transaction } from 'kysely'
import type { Fault } from '../../../domain/fault.ts'
import type { Tables } from '../schema.ts'

export type Active = { term: number; holder: string; since: number }

/** A connection, or a database. */
type Runs = { executeQuery: (query: CompiledQuery) => Promise<QueryResult<unknown>> }

/** `lock`: until the transaction ends, nobody else writes and no term begins. Term 0: none began yet. */
export async function readActive(runs: Runs, { lock }: { lock: boolean }): Promise<Active> {
  const query = `select term, holder, since from active_controller where id = 1${lock ? ' for update' : ''}`
  const { rows } = await runs.executeQuery(CompiledQuery.raw(query))
  // The table's one row, as `beginTerm` writes it.
  return (rows as Active[])[0] ?? nobody
}

/** As `readActive`, for a database where no controller may ever have been. */
export async function findActive(db: Kysely<Tables>): Promise<Active> {
  const { rows } = await sql<{ there: boolean }>`select to_regclass('active_controller') is not null as there`.execute(
    db,
  )
  return rows[0]?.there === true ? readActive(db, { lock: false }) : nobody
}

/** From its commit on, no term before this one writes anything. Answers the new term. */
export async function beginTerm(trx: Transaction<Tables>, { holder, now }: { holder: string; now: number }) {
  await trx.schema
    .createTable('active_controller')
    .ifNotExists()
    .addColumn('id', 'integer', column => column.primaryKey())
    .addColumn('term', 'bigint', column => column.notNull())
    .addColumn('holder', 'text', column => column.notNull())
    .addColumn('since', 'bigint', column => column.notNull())
    .execute()
  const { rows } = await sql<{ term: number }>`
    insert into active_controller values (1, 1, ${holder}, ${now})
    on conflict (id) do update set term = active_controller.term + 1, holder = excluded.holder, since = excluded.since
    returning term`.execute(trx)
  const [row] = rows
  if (row === undefined) throw new Error('PostgreSQL answered an insert without its row.')
  return row.term
}

export function standby({ term, holder, since }: Active): Fault {
  if (term === 0) return { kind: 'standby', active: 'another one, which is starting,', since: null }
  return { kind: 'standby', active: holder, since: new Date(since).toISOString() }
}

const nobody: Active = { term: 0, holder: '', since: 0 }

/** Kysely on SQLite, wherever the statements run: in this thread or in a worker. */
import { CompiledQuery, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely'
import type { DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely'

export type Statement = { sql: string; parameters: readonly unknown[] }
export type Result = { rows: unknown[]; changes: number }

/** One connection to a database. Statements run in the order they were given. */
export interface Executor {
  run(statement: Statement): Promise<Result>
  close(): Promise<void>
}

export function sqliteDialect(executor: Executor): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => createDriver(executor),
    createIntrospector: db => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

/** SQLite's adapter says that there is one connection: Kysely hands it to one user at a time, a transaction counting as one. */
function createDriver(executor: Executor): Driver {
  const connection = toConnection(executor)
  return {
    async init() {},
    async acquireConnection() {
      return connection
    },
    async releaseConnection() {},
    // Takes the write lock at once: a transaction that reads first could otherwise find it can't write (SQLITE_BUSY).
    async beginTransaction(_connection, { accessMode }) {
      await connection.executeQuery(CompiledQuery.raw(accessMode === 'read only' ? 'begin' : 'begin immediate'))
    },
    async commitTransaction() {
      await connection.executeQuery(CompiledQuery.raw('commit'))
    },
    async rollbackTransaction() {
      await connection.executeQuery(CompiledQuery.raw('rollback'))
    },
    destroy: () => executor.close(),
  }
}

const toConnection = (executor: Executor): DatabaseConnection => ({
  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, changes } = await executor.run({ sql, parameters })
    // The row's type is what the query builder derived from the schema.
    return { rows: rows as R[], numAffectedRows: BigInt(changes) }
  },
  async *streamQuery() {
    throw new Error('Streaming is not supported: ask for pages.')
  },
})

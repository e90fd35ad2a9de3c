/** Runs statements on a SQLite file, in this thread. */
import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { SQLInputValue, StatementSync } from 'node:sqlite'
import type { Executor } from './dialect.ts'

export type SqliteFile = {
  /** Made (0600) when missing; SQLite gives its `-wal` and `-shm` files the same mode. */
  path: string
  /**
   * When a commit is on the disk. `full`: before it is acknowledged, for what is kept nowhere else (access).
   * `normal`: at the next checkpoint; a power cut may undo the last ones, whole. Enough for what the journal can tell again.
   */
  synchronous: 'full' | 'normal'
}

/** How long a statement waits for another connection's write. */
const busyTimeoutMs = 5000
const keptStatements = 200

export function openExecutor({ path, synchronous }: SqliteFile): Executor {
  closeSync(openSync(path, 'a', 0o600))
  chmodSync(path, 0o600)
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true })
  // What is deleted is overwritten: it may be somebody who was erased.
  database.exec(`pragma journal_mode = wal; pragma synchronous = ${synchronous}; pragma secure_delete = on`)
  const prepared = new Map<string, StatementSync>()

  function prepare(sql: string): StatementSync {
    const known = prepared.get(sql)
    if (known) return known
    if (prepared.size >= keptStatements) prepared.clear()
    const statement = database.prepare(sql)
    prepared.set(sql, statement)
    return statement
  }

  return {
    async run({ sql, parameters }) {
      const statement = prepare(sql)
      // Kysely hands on what the queries gave it, and their types come from the schema: numbers, strings and nulls.
      const values = parameters as readonly SQLInputValue[]
      if (statement.columns().length > 0) return { rows: statement.all(...values), changes: 0 }
      return { rows: [], changes: Number(statement.run(...values).changes) }
    },
    async close() {
      prepared.clear()
      database.close()
    },
  }
}

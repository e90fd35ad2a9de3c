/** Opens a SQLite file as a store. */
import { randomUUID } from 'node:crypto'
import { Kysely } from 'kysely'
import { migrate } from '../migrations.ts'
import { openStore } from '../open.ts'
import type { Store } from '../open.ts'
import type { Tables } from '../schema.ts'
import { sqliteDialect } from './dialect.ts'
import type { Executor } from './dialect.ts'
import { openExecutor } from './executor.ts'
import { openWorkerExecutor } from './worker-executor.ts'

export type SqliteStoreOptions = {
  path: string
  /** How many access changes are kept for gateways that were away. */
  keptChanges?: number | undefined
}

/** In a worker thread; what is committed is on the disk. Throws when the file can't be opened or is from a newer program. */
export function openSqliteStore({ path, keptChanges }: SqliteStoreOptions): Promise<Store> {
  return openFile(openWorkerExecutor({ path, synchronous: 'full' }), { keptChanges })
}

/** In this thread, for one that is a worker already. A power cut may undo the last commits, whole: for ingestion only. */
export async function openSqliteStoreHere({ path, keptChanges }: SqliteStoreOptions): Promise<Store> {
  return openFile(openExecutor({ path, synchronous: 'normal' }), { keptChanges })
}

async function openFile(executor: Executor, { keptChanges }: { keptChanges: number | undefined }): Promise<Store> {
  const db = new Kysely<Tables>({ dialect: sqliteDialect(executor) })
  try {
    await migrate(db, { epoch: randomUUID(), now: Date.now() })
  } catch (error) {
    await db.destroy()
    throw error
  }
  return openStore(db, { keptChanges })
}

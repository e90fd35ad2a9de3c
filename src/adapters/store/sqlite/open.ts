/** Opens a SQLite file as a store. */
import { randomUUID } from 'node:crypto'
import { Kysely } from 'kysely'
import type { AccessStore } from '../../../domain/access/index.ts'
import type { RequestStore } from '../../../domain/journal/index.ts'
import { openAccessStore } from '../access.ts'
import { migrate } from '../migrations.ts'
import { openRequestStore } from '../requests.ts'
import type { Tables } from '../schema.ts'
import { sqliteDialect } from './dialect.ts'
import type { Executor } from './dialect.ts'
import { openExecutor } from './executor.ts'
import { openWorkerExecutor } from './worker-executor.ts'

export type Store = {
  access: AccessStore
  requests: RequestStore
  close(): Promise<void>
}

export type SqliteStoreOptions = {
  path: string
  /** How many access changes are kept for gateways that were away. */
  keptChanges?: number | undefined
}

/** In a worker thread; what is committed is on the disk. Throws when the file can't be opened or is from a newer program. */
export function openSqliteStore({ path, keptChanges }: SqliteStoreOptions): Promise<Store> {
  return openStore(openWorkerExecutor({ path, synchronous: 'full' }), { keptChanges })
}

/** In this thread, for one that is a worker already. A power cut may undo the last commits, whole: for ingestion only. */
export async function openSqliteStoreHere({ path, keptChanges }: SqliteStoreOptions): Promise<Store> {
  return openStore(openExecutor({ path, synchronous: 'normal' }), { keptChanges })
}

async function openStore(executor: Executor, { keptChanges }: { keptChanges: number | undefined }): Promise<Store> {
  const db = new Kysely<Tables>({ dialect: sqliteDialect(executor) })
  try {
    await migrate(db, { epoch: randomUUID(), now: Date.now() })
  } catch (error) {
    await db.destroy()
    throw error
  }
  return {
    access: openAccessStore(db, { kept: keptChanges }),
    requests: openRequestStore(db),
    close: () => db.destroy(),
  }
}

/** The store in a real PostgreSQL: the same contract as SQLite's, and what only a server can do. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPostgresStore, takeTurn } from '../../src/adapters/store/postgres/index.ts'
import { startPostgres, withoutPostgres, type Postgres } from '../support/postgres.ts'
import { accessStoreContract } from './access-store.ts'
import { requestStoreContract } from './request-store.ts'

describe.skipIf(withoutPostgres)('PostgreSQL', () => {
  let postgres: Postgres
  beforeAll(async () => {
    postgres = await startPostgres()
  }, 90_000)
  afterAll(() => postgres.close())

  async function openNew({ kept }: { kept?: number } = {}) {
    const url = await postgres.newDatabase()
    const turn = await takeTurn({ url, holder: 'test', signal: new AbortController().signal, onState: () => undefined })
    if (turn === null) throw new Error('nobody stopped it')
    const store = openPostgresStore({ url, term: turn.term, keptChanges: kept })
    return {
      ...store,
      async close() {
        await store.close()
        await turn.release()
      },
    }
  }

  accessStoreContract('PostgreSQL', openNew)
  requestStoreContract('PostgreSQL', () => openNew())
  test('x', () => expect(1).toBe(1))
})

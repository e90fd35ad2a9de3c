import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSqliteStore, openSqliteStoreHere } from '../../src/adapters/store/sqlite/index.ts'
import { applyChanges, buildAccessTable } from '../../src/domain/access/index.ts'
import { instant, keyId, millis, modelName, teamName } from '../../src/domain/units.ts'
import { accessStoreContract, aKey } from './access-store.ts'
import { gatewayStoreContract } from './gateway-store.ts'
import { auditStoreContract } from './audit-store.ts'
import { aClose } from './records.ts'
import { qualityStoreContract } from './quality-store.ts'
import { releaseStoreContract } from './release-store.ts'
import { requestStoreContract } from './request-store.ts'

let folder: string
let files = 0
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-sqlite-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const newPath = (): string => join(folder, `${++files}.db`)

async function openTwice({ kept }: { kept?: number } = {}) {
  const options = { path: newPath(), keptChanges: kept }
  return { ...(await openSqliteStore(options)), beside: () => openSqliteStore(options) }
}
/** Two in one thread would wait for each other: beside it is itself. */
async function openHere() {
  const store = await openSqliteStoreHere({ path: newPath() })
  return { ...store, beside: async () => ({ ...store, close: async () => undefined }) }
}

accessStoreContract('SQLite in a worker', openTwice)
gatewayStoreContract('SQLite in a worker', () => openSqliteStore({ path: newPath() }))
requestStoreContract('SQLite in a worker', openTwice)
releaseStoreContract('SQLite in a worker', () => openSqliteStore({ path: newPath() }))
qualityStoreContract('SQLite', () => openSqliteStore({ path: newPath() }))
requestStoreContract('SQLite in this thread', openHere)
auditStoreContract('SQLite', () => openSqliteStore({ path: newPath() }))

describe('a SQLite store', () => {
  test('what was committed is there when it is opened again, with the same epoch', async () => {
    const path = newPath()
    const first = await openSqliteStore({ path })
    await first.access.commit([{ put: 'key', key: aKey('k1') }])
    const image = await first.access.image()
    await first.close()
    const second = await openSqliteStore({ path })
    expect(await second.access.image()).toEqual(image)
    await second.close()
  })

  test('its files are for their owner only', async () => {
    const path = newPath()
    const store = await openSqliteStore({ path })
    await store.access.commit([{ put: 'key', key: aKey('k1') }])
    const modes = [path, `${path}-wal`, `${path}-shm`].map(file => (statSync(file).mode & 0o777).toString(8))
    expect(modes).toEqual(['600', '600', '600'])
    await store.close()
  })

  test('a database from a newer program is refused, and left as it is', async () => {
    const path = newPath()
    await (await openSqliteStore({ path })).close()
    const raw = new DatabaseSync(path)
    raw.exec(`insert into schema_migrations (n, name, at) values (999, 'from the future', 0)`)
    raw.close()
    await expect(openSqliteStore({ path })).rejects.toThrow(/schema 999.*newer/)
    await expect(openSqliteStoreHere({ path })).rejects.toThrow(/schema 999.*newer/)
  })

  test('a database of the first schema gains what came later, and its keys are what they were', async () => {
    const path = newPath()
    const raw = new DatabaseSync(path)
    raw.exec(readFileSync(new URL('testdata/schema-1.sql', import.meta.url), 'utf8'))
    raw.close()
    const key = aKey('key_1', {
      alias: 'slack',
      team: teamName('ops'),
      models: [modelName('coder')],
      expiresAt: instant(9_000),
      metadata: { a: 1 },
    })
    const store = await openSqliteStore({ path })
    const image = await store.access.image()
    expect(image).toMatchObject({ seq: 3, teams: [{ name: 'ops', models: ['coder'] }] })
    expect(image.keys[0]).toEqual(key)
    expect(image.keys[1]).toMatchObject({ id: 'key_2', revokedAt: 5_000, blockedAt: null, owner: null })
    const blocked = { ...key, blockedAt: instant(5_000), routes: ['chat' as const] }
    await store.access.commit([{ put: 'key', key: blocked }])
    await store.close()

    const again = await openSqliteStore({ path })
    expect(await again.access.key(key.id)).toEqual(blocked)
    // A gateway that was away gets the old changes as they were written then.
    const changes = (await again.access.changesSince(0)) ?? []
    await again.close()
    const table = buildAccessTable({ epoch: image.epoch, seq: 0, adminHash: '', keys: [], teams: [] })
    applyChanges(table, changes.slice(0, 2))
    expect(table.keys.get(key.id)).toEqual(key)
    expect(applyChanges(table, changes)).toBe('applied')
    expect(table.keys.get(key.id)).toEqual(blocked)
  })

  test('what was used before costs were known is still counted', async () => {
    const path = newPath()
    const raw = new DatabaseSync(path)
    raw.exec(readFileSync(new URL('testdata/schema-1.sql', import.meta.url), 'utf8'))
    raw.exec(
      `insert into usage_hours (hour, key, team, model, version, requests, ok, refused, failed, cancelled, interrupted, input_tokens, output_tokens)
       values (3600000, 'key_1', 'ops', 'coder', 'v', 5, 4, 1, 0, 0, 0, 100, 200)`,
    )
    raw.close()
    const store = await openSqliteStore({ path })
    expect(await store.requests.usage({ by: 'model' })).toMatchObject([
      { name: 'coder', requests: 5, ok: 4, refused: 1, inputTokens: 100, outputTokens: 200, gpuMs: 0, costs: [] },
    ])
    await store.requests.ingest({
      ...{ epoch: 'e1', from: { segment: 1, offset: 0 }, to: { segment: 1, offset: 1 }, anchors: [], ended: false },
      records: [
        aClose('1', {
          ...{ at: instant(3_600_000), key: keyId('key_1'), model: modelName('coder') },
          ...{ gpuMs: millis(5), cost: 1, currency: 'EUR' },
        }),
      ],
    })
    expect(await store.requests.usage({ by: 'model' })).toMatchObject([
      { name: 'coder', requests: 6, gpuMs: 5, costs: [{ currency: 'EUR', amount: 1 }] },
    ])
    await store.close()
  })

  test('a file that is no database is refused', async () => {
    await expect(openSqliteStore({ path: folder })).rejects.toThrow()
  })

  test('several may open a new database at once', async () => {
    const path = newPath()
    const stores = await Promise.all([openSqliteStore({ path }), openSqliteStore({ path }), openSqliteStore({ path })])
    const epochs = await Promise.all(stores.map(store => store.access.epoch()))
    expect(new Set(epochs).size).toBe(1)
    for (const store of stores) await store.close()
  })

  test('ingestion and access write beside each other', async () => {
    const path = newPath()
    const [access, ingest] = await Promise.all([openSqliteStore({ path }), openSqliteStore({ path })])
    const records = (at: number) => Array.from({ length: 200 }, (_, one) => aClose(`${at}-${one}`))
    for (let at = 0; at < 10; at++) {
      await Promise.all([
        ingest.requests.ingest({
          epoch: 'e1',
          from: { segment: 1, offset: at },
          to: { segment: 1, offset: at + 1 },
          records: records(at),
          anchors: [],
          ended: false,
        }),
        access.access.commit([{ put: 'key', key: aKey(`k${at}`) }]),
      ])
    }
    expect((await access.requests.usage({ by: 'model' }))[0]?.requests).toBe(2000)
    expect(await ingest.access.keys()).toHaveLength(10)
    await Promise.all([access.close(), ingest.close()])
  })

  test('a store that is closed says so', async () => {
    const store = await openSqliteStore({ path: newPath() })
    await store.close()
    await expect(store.access.epoch()).rejects.toThrow()
  })
})

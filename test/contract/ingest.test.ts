/** Ingestion as the controller runs it: a worker thread between the gateway's journal and the database. */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openJournal } from '../../src/adapters/journal/index.ts'
import type { Journal } from '../../src/adapters/journal/index.ts'
import { openSqliteStore } from '../../src/adapters/store/sqlite/index.ts'
import type { Store } from '../../src/adapters/store/sqlite/index.ts'
import { startIngestWorker } from '../../src/apps/ingest.ts'
import type { IngestWorker } from '../../src/apps/ingest.ts'
import { instant } from '../../src/domain/units.ts'
import { aClose, anOpen } from './records.ts'

let root: string
let journal: Journal
let store: Store
let ingest: IngestWorker
let problems: string[]
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-ingest-'))
  problems = []
  journal = openJournal({
    folder: join(root, 'journal'),
    now: () => instant(Date.now()),
    whenUnwritable: 'refuse',
    onProblem: problem => problems.push(problem),
  })
  store = await openSqliteStore({ path: join(root, 'holdfast.db') })
  ingest = start()
})
afterEach(async () => {
  await ingest.stop()
  await journal.close()
  await store.close()
  rmSync(root, { recursive: true, force: true })
})

const start = (): IngestWorker =>
  startIngestWorker({
    store: { kind: 'sqlite', path: join(root, 'holdfast.db') },
    journalFolder: join(root, 'journal'),
    onProblem: problem => problems.push(problem),
  })
const append = (record: Parameters<Journal['append']>[0]) => new Promise(resolve => journal.append(record, resolve))
const outcomes = async () => (await store.requests.list({ limit: 10 })).map(row => `${row.id} ${row.outcome}`)

test('what was acknowledged before caughtUp was called is in the store when it resolves', async () => {
  await append(anOpen('1'))
  await append(aClose('1'))
  await append(anOpen('2'))
  await ingest.caughtUp()
  expect(await outcomes()).toEqual(['2 open', '1 ok'])
  await Promise.all([append(aClose('2')).then(() => ingest.caughtUp()), ingest.caughtUp(), ingest.caughtUp()])
  expect(await outcomes()).toEqual(['2 ok', '1 ok'])
})

// Again when the machine was busy with other things just then.
test('a record shows within 300 ms without asking', { retry: 3 }, async () => {
  await ingest.caughtUp()
  const before = (await outcomes()).length
  await append(aClose(String(before)))
  const written = performance.now()
  await vi.waitUntil(async () => (await outcomes()).length > before, { interval: 5, timeout: 5000 })
  expect(performance.now() - written).toBeLessThan(300)
})

test('an epoch that ends leaves its open requests interrupted, and its last block as the anchor', async () => {
  await append(anOpen('1'))
  await journal.close()
  await ingest.caughtUp()
  expect(await outcomes()).toEqual(['1 interrupted'])
  expect(await store.requests.epochs()).toMatchObject([{ epoch: journal.epoch, ended: true }])
  expect(await store.requests.anchors()).toMatchObject([{ epoch: journal.epoch, segment: 1, n: 1 }])
})

test('a line that is no record is told and passed over', async () => {
  await ingest.stop()
  await append(aClose('1'))
  await journal.close()
  appendFileSync(join(root, 'journal', journal.epoch, '000001.jsonl'), 'nonsense\n')
  ingest = start()
  await ingest.caughtUp()
  expect(await outcomes()).toEqual(['1 ok'])
  expect(problems).toEqual([expect.stringContaining('no record')])
})

test('another ingestion on the same store counts nothing twice', async () => {
  const other = start()
  for (let at = 0; at < 50; at++) await append(aClose(String(at)))
  await Promise.all([ingest.caughtUp(), other.caughtUp()])
  await other.stop()
  expect(await store.requests.usage({ by: 'model' })).toMatchObject([{ requests: 50, inputTokens: 500 }])
})

test('caughtUp of an ingestion that stopped rejects', async () => {
  await ingest.stop()
  await expect(ingest.caughtUp()).rejects.toThrow('not running')
})

test('a database that can’t be opened is told, and caughtUp rejects', async () => {
  const broken = startIngestWorker({
    store: { kind: 'sqlite', path: root },
    journalFolder: root,
    onProblem: problem => problems.push(problem),
  })
  await expect(broken.caughtUp()).rejects.toThrow('stopped')
  expect(problems).toEqual([expect.stringContaining('tried again')])
  await broken.stop()
})

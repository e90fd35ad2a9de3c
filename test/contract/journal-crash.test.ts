/** What was acknowledged outlives any kill, is sealed by the next gateway, and counts once in the store. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openJournalReader, repairJournal } from '../../src/adapters/journal/index.ts'
import { openSqliteStore } from '../../src/adapters/store/sqlite/index.ts'
import { startIngestWorker } from '../../src/apps/ingest.ts'
import { epochStart } from '../../src/domain/journal/index.ts'
import type { JournalRecord } from '../../src/domain/journal/index.ts'
import { verifyAudit } from '../../src/services/verify-audit.ts'

const script = fileURLToPath(new URL('./journal-process.ts', import.meta.url))
let root: string
let folder: string
let databasePath: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-crash-'))
  folder = join(root, 'journal')
  databasePath = join(root, 'holdfast.db')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Runs the writer until it has said `lines` lines (or `unhealthy`), kills it, and answers what it said. */
async function writeUntilKilled({
  run,
  lines,
  fileBlocks,
}: {
  run: string
  lines: number
  fileBlocks?: number
}): Promise<string[]> {
  const node = [process.execPath, script, folder, run, fileBlocks === undefined ? 'forever' : 'until-refused']
  const [command = '', ...args] =
    fileBlocks === undefined ? node : ['sh', '-c', `ulimit -f ${fileBlocks}; exec "$@"`, 'sh', ...node]
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const said: string[] = []
  const closed = once(child, 'close')
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line)
    if (said.length >= lines || line.startsWith('unhealthy')) child.kill('SIGKILL')
  }
  await closed
  return said
}

async function journaled(): Promise<JournalRecord[]> {
  const reader = openJournalReader({ folder })
  const records: JournalRecord[] = []
  for (const epoch of await reader.epochs()) {
    for (let at = epochStart, more = true; more;) {
      const reading = await reader.read(epoch, at)
      if (reading.kind === 'lines')
        records.push(...reading.lines.map(line => reader.parse(line.text) ?? expect.fail(line.text)))
      more = 'next' in reading
      if ('next' in reading) at = reading.next
    }
  }
  return records
}

const acknowledgedIds = (said: string[], what: string): string[] =>
  said.filter(line => line.startsWith(`${what} `)).map(line => line.slice(what.length + 1))

async function expectAllThere(said: string[]): Promise<void> {
  const records = await journaled()
  for (const what of ['open', 'close']) {
    const ids = new Set<string>(
      records.flatMap(record => ((record.t === 'open' || record.t === 'close') && record.t === what ? record.id : [])),
    )
    expect(acknowledgedIds(said, what).filter(id => !ids.has(id))).toEqual([])
  }
}

async function expectCountedOnce(): Promise<void> {
  const store = await openSqliteStore({ path: databasePath })
  const records = await journaled()
  const opened = new Set(records.flatMap(record => (record.t === 'open' ? record.id : [])))
  const closed = new Set(records.flatMap(record => (record.t === 'close' ? record.id : [])))
  const [usage, ...others] = await store.requests.usage({ by: 'model' })
  expect(others).toEqual([])
  expect(usage).toMatchObject({
    requests: opened.size,
    ok: closed.size,
    interrupted: opened.size - closed.size,
    inputTokens: closed.size * 10,
  })
  expect((await store.requests.list({ limit: 100_000 })).length).toBe(opened.size)
  expect((await store.requests.epochs()).every(epoch => epoch.ended)).toBe(true)
  expect(
    await verifyAudit({ journal: openJournalReader({ folder }), anchors: await store.requests.anchors() }),
  ).toMatchObject({ result: 'intact' })
  await store.close()
}

test(
  'a gateway killed at any moment loses nothing it acknowledged, and each request counts once',
  { timeout: 30_000 },
  async () => {
    const ingest = startIngestWorker({
      store: { kind: 'sqlite', path: databasePath },
      journalFolder: folder,
      onProblem: expect.fail,
      pollMs: 5,
    })
    const said: string[] = []
    for (let round = 0; round < 6; round++) {
      said.push(...(await writeUntilKilled({ run: `r${round}`, lines: 1 + Math.floor(Math.random() * 1000) })))
    }
    expect(repairJournal({ folder, onProblem: expect.fail })).toEqual({ alive: 0 })
    await expectAllThere(said)
    await ingest.caughtUp()
    await ingest.stop()
    await expectCountedOnce()
  },
)

test('ingestion killed half-way goes on where it was', { timeout: 30_000 }, async () => {
  const said = await writeUntilKilled({ run: 'r', lines: 2500 })
  repairJournal({ folder, onProblem: expect.fail })
  const store = await openSqliteStore({ path: databasePath })
  const taken = async () => JSON.stringify(await store.requests.epochs())
  for (let round = 0; round < 4; round++) {
    const before = await taken()
    const worker = new Worker(new URL('../../src/apps/ingest-worker.ts', import.meta.url), {
      workerData: { store: { kind: 'sqlite', path: databasePath }, journalFolder: folder, pollMs: 1 },
      execArgv: ['--disable-warning=ExperimentalWarning'],
    })
    // Its next batches are under way the moment the first shows.
    while ((await taken()) === before) await setTimeout(5)
    await worker.terminate()
  }
  expect((await store.requests.epochs())[0]?.ended).toBe(false)
  const ingest = startIngestWorker({
    store: { kind: 'sqlite', path: databasePath },
    journalFolder: folder,
    onProblem: expect.fail,
  })
  await ingest.caughtUp()
  await ingest.stop()
  await store.close()
  await expectAllThere(said)
  await expectCountedOnce()
})

test(
  'a file that may not grow: what was acknowledged is there, the rest was refused',
  { timeout: 30_000 },
  async () => {
    const said = await writeUntilKilled({ run: 'r', lines: Infinity, fileBlocks: 16 })
    expect(said.some(line => line.startsWith('refused'))).toBe(true)
    expect(acknowledgedIds(said, 'close').length).toBeGreaterThan(0)
    repairJournal({ folder, onProblem: expect.fail })
    await expectAllThere(said)
    expect(await verifyAudit({ journal: openJournalReader({ folder }), anchors: [] })).toMatchObject({
      result: 'intact',
      epochs: [{ ended: true }],
    })
  },
)

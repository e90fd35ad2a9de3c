import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { FaultError } from '../../domain/fault.ts'
import type { ActRecord, JournalRecord, OpenRecord } from '../../domain/journal/index.ts'
import { actId, instant, keyId, modelName, requestId } from '../../domain/units.ts'
import { verifyAudit } from '../../services/verify-audit.ts'
import { openJournal, openJournalReader, repairJournal } from './index.ts'
import type { Journal, JournalOptions } from './index.ts'
import { parseRecord } from './parse.ts'
import type { Write } from './segment.ts'

let folder: string
let problems: string[]
let opened: Journal[]
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'holdfast-journal-')), 'journal')
  problems = []
  opened = []
})
afterEach(async () => {
  for (const journal of opened) await journal.close()
  rmSync(join(folder, '..'), { recursive: true, force: true })
})

function open(change: Partial<JournalOptions> = {}): Journal {
  const journal = openJournal({
    folder,
    now: () => instant(Date.now()),
    whenUnwritable: 'serve',
    onProblem: problem => problems.push(problem),
    retryAfterMs: 20,
    ...change,
  })
  opened.push(journal)
  return journal
}

const record = (id: string): OpenRecord => ({
  t: 'open',
  id: requestId(id),
  at: instant(1),
  key: keyId('k'),
  alias: 'ü',
  team: null,
  model: modelName('m'),
  route: '/',
  stream: false,
})
const act = (detail: ActRecord['detail']): ActRecord => ({
  t: 'act',
  id: actId('a'),
  at: instant(1),
  who: 'admin',
  alias: null,
  from: null,
  what: 'key.create',
  target: null,
  decision: 'done',
  why: null,
  detail,
})
/** As it lies on the disk, with its salt. */
const bytesOf = (one: OpenRecord): number => Buffer.byteLength(JSON.stringify({ ...one, salt: 's'.repeat(22) })) + 1
const appended = (journal: Journal, id: string) =>
  new Promise<Error | undefined>(resolve => journal.append(record(id), resolve))
const segments = (journal: Journal) =>
  readdirSync(join(folder, journal.epoch))
    .filter(name => name.endsWith('.jsonl'))
    .sort()
function recordsOf(journal: Journal): JournalRecord[] {
  return segments(journal)
    .flatMap(name => readFileSync(join(folder, journal.epoch, name), 'utf8').split('\n'))
    .filter(line => line !== '')
    .map(line => parseRecord(line) ?? expect.fail(`no record: ${line}`))
}
const idsOf = (journal: Journal) => recordsOf(journal).flatMap(one => (one.t === 'open' ? one.id : []))
const verified = async () => verifyAudit({ journal: openJournalReader({ folder }), anchors: [] })

/** A disk with so many bytes left, which may be changed. */
function smallDisk(left: number) {
  const space = { left }
  const write: Write = (descriptor, bytes, position) => {
    if (space.left === 0) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    const written = writeSync(descriptor, bytes, 0, Math.min(bytes.length, space.left), position)
    space.left -= written
    return written
  }
  return Object.assign(space, { write })
}

test('J14 a record is in the file when it is acknowledged', async () => {
  const journal = open()
  const seen = await new Promise<string[]>(resolve => journal.append(record('1'), () => resolve(idsOf(journal))))
  expect(seen).toEqual(['1'])
})

test('J14 the records of one turn of the event loop go out in one write, in order', async () => {
  const write = vi.fn<Write>((descriptor, bytes, position) => writeSync(descriptor, bytes, 0, bytes.length, position))
  const journal = open({ write })
  await Promise.all(['1', '2', '3'].map(id => appended(journal, id)))
  expect(write).toHaveBeenCalledTimes(1)
  expect(idsOf(journal)).toEqual(['1', '2', '3'])
})

test('J14 acts and requests of one turn keep their order; an act that JSON can’t say is refused, and nothing else', async () => {
  const journal = open()
  const written = [appended(journal, '1'), new Promise(resolve => journal.append(act({ was: 1 }), resolve))]
  expect(() => journal.append(act({ was: 1n }))).toThrow(TypeError)
  await Promise.all([...written, appended(journal, '2')])
  expect(recordsOf(journal)).toMatchObject([{ id: '1' }, { t: 'act', detail: { was: 1 } }, { id: '2' }])
})

test('J2 lines are sealed soon after they were written', async () => {
  const journal = open({ sealAfterMs: 5 })
  await appended(journal, '1')
  await vi.waitFor(() => expect(recordsOf(journal).at(-1)).toMatchObject({ t: 'block', n: 1, segment: 1, lines: 1 }))
})

test('J4 a full segment gives way to the next once it is sealed; the chain goes on', async () => {
  const journal = open({ sealAfterMs: 1, segmentBytes: 400 })
  for (let at = 0; at < 12; at++) {
    await appended(journal, String(at))
    await vi.waitFor(() => expect(recordsOf(journal).at(-1)?.t).toBe('block'))
  }
  await journal.close()
  expect(segments(journal).length).toBeGreaterThan(3)
  expect(idsOf(journal)).toHaveLength(12)
  expect(await verified()).toMatchObject({ result: 'intact', epochs: [{ blocks: 13, lines: 12, ended: true }] })
})

test('J4 a segment that is old enough gives way to the next, be it all but empty', async () => {
  const journal = open({ sealAfterMs: 1, segmentAgeMs: 20 })
  await appended(journal, '1')
  await vi.waitFor(() => expect(segments(journal)).toHaveLength(2))
  await appended(journal, '2')
  await vi.waitFor(() => expect(segments(journal)).toHaveLength(3))
  await journal.close()
  expect(idsOf(journal)).toEqual(['1', '2'])
  expect(await verified()).toMatchObject({ result: 'intact', epochs: [{ blocks: 3, lines: 2, ended: true }] })
})

test('J14 what was appended before settle is sealed when it resolves, however many wait', async () => {
  const journal = open({ sealAfterMs: 60_000 })
  const sealedLines = () => recordsOf(journal).reduce((sum, one) => (one.t === 'block' ? sum + one.lines : sum), 0)
  const settled = ['1', '2', '3'].map(async (id, at) => {
    journal.append(record(id))
    await journal.settle()
    expect(sealedLines()).toBeGreaterThan(at)
  })
  await Promise.all(settled)
  await journal.settle()
  expect(recordsOf(journal).at(-1)?.t).toBe('block')
})

test('J4 rotate goes on in a new segment, unless this one holds nothing', async () => {
  const journal = open()
  journal.append(record('1'))
  await journal.rotate()
  await journal.rotate()
  expect(segments(journal)).toEqual(['000001.jsonl', '000002.jsonl'])
})

test('J15 settle says that what it waited for could not be written', async () => {
  const disk = smallDisk(0)
  const journal = open({ write: disk.write, whenUnwritable: 'refuse' })
  journal.append(record('1'))
  await expect(journal.settle()).rejects.toThrow(FaultError)
})

test('J19 two lines that say the same have different digests', async () => {
  const journal = open()
  await Promise.all([appended(journal, '1'), appended(journal, '1')])
  await journal.close()
  const [one, two] = readFileSync(join(folder, journal.epoch, '000001.jsonl'), 'utf8').split('\n')
  const saltOf = (line = ''): string => String(JSON.parse(line).salt)
  expect(saltOf(one)).toMatch(/^[\w-]{22}$/)
  expect(saltOf(one)).not.toBe(saltOf(two))
})

test('J13 each role repairs its own epochs', async () => {
  const acts = open({ role: 'controller' })
  const requests = open()
  writeFileSync(join(folder, acts.epoch, 'writer.json'), JSON.stringify({ pid: 1, began: 'gone', role: 'controller' }))
  expect(repairJournal({ folder, onProblem: expect.fail })).toEqual({ alive: 1 })
  expect(existsSync(join(folder, acts.epoch, 'writer.json'))).toBe(true)
  expect(repairJournal({ folder, role: 'controller', onProblem: expect.fail })).toEqual({ alive: 0 })
  expect(existsSync(join(folder, acts.epoch, 'writer.json'))).toBe(false)
  expect(existsSync(join(folder, requests.epoch, 'writer.json'))).toBe(true)
})

test('J3 a block seals however many lines came before it, of however many turns', async () => {
  const journal = open({ sealAfterMs: 60_000 })
  for (let turn = 0; turn < 40; turn++)
    await Promise.all(Array.from({ length: 10 }, (_, at) => appended(journal, `${turn} ${at}`)))
  await journal.settle()
  expect(recordsOf(journal).at(-1)).toMatchObject({ t: 'block', n: 1, lines: 400 })
  await appended(journal, 'after')
  await journal.close()
  expect(await verified()).toMatchObject({ result: 'intact', epochs: [{ blocks: 2, lines: 401, ended: true }] })
})

test('J5 closing seals what is left and ends the epoch', async () => {
  const journal = open()
  journal.append(record('1'))
  await journal.close()
  expect(recordsOf(journal).map(one => one.t)).toEqual(['open', 'block'])
  expect(recordsOf(journal).at(-1)).toMatchObject({ end: true })
  expect(readdirSync(join(folder, journal.epoch))).toEqual(['000001.jsonl'])
})

test('epochs sort by when they began', async () => {
  const names = [1, 2, 3].map(at => open({ now: () => instant(Date.UTC(2026, 0, at)) }).epoch)
  expect(await openJournalReader({ folder }).epochs()).toEqual(names)
})

test('the journal is for its owner only', () => {
  const journal = open()
  const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)
  expect([folder, join(folder, journal.epoch)].map(mode)).toEqual(['700', '700'])
  expect(readdirSync(join(folder, journal.epoch)).map(name => mode(join(folder, journal.epoch, name)))).toEqual([
    '600',
    '600',
  ])
})

test('J15 serving: records that do not fit are counted, and told in a gap once there is room', async () => {
  const disk = smallDisk(Infinity)
  const journal = open({ write: disk.write, now: () => instant(7) })
  await appended(journal, '1')
  disk.left = 10
  expect(await appended(journal, '2')).toBeUndefined()
  expect(journal.healthy).toBe(false)
  expect(await Promise.all([appended(journal, '3'), appended(journal, '4')])).toEqual([undefined, undefined])
  expect(problems).toEqual([expect.stringContaining('served unrecorded')])
  disk.left = Infinity
  await vi.waitFor(() => expect(journal.healthy).toBe(true))
  await appended(journal, '5')
  await journal.close()
  expect(idsOf(journal)).toEqual(['1', '5'])
  expect(recordsOf(journal)).toContainEqual({ t: 'gap', at: 7, until: 7, lost: 3 })
  expect(await verified()).toMatchObject({ result: 'intact', epochs: [{ ended: true }] })
})

test('J15 refusing: the record that does not fit comes back as the fault journal-full', async () => {
  const disk = smallDisk(0)
  const journal = open({ write: disk.write, whenUnwritable: 'refuse' })
  const refused = await appended(journal, '1')
  expect(refused instanceof FaultError && refused.fault.kind).toBe('journal-full')
  expect(journal.healthy).toBe(false)
  disk.left = Infinity
  await vi.waitFor(() => expect(journal.healthy).toBe(true))
  expect(await appended(journal, '2')).toBeUndefined()
})

test('J15 of a turn that fits in part, whole lines stay and the rest is cut off', async () => {
  const line = bytesOf(record('1'))
  const disk = smallDisk(2 * line + 5)
  const journal = open({ write: disk.write, whenUnwritable: 'refuse' })
  const answers = await Promise.all(['1', '2', '3', '4'].map(id => appended(journal, id)))
  expect(answers.map(answer => answer === undefined)).toEqual([true, true, false, false])
  expect(statSync(join(folder, journal.epoch, '000001.jsonl')).size).toBe(2 * line)
  disk.left = Infinity
  await vi.waitFor(() => expect(journal.healthy).toBe(true))
  await journal.close()
  expect(
    recordsOf(journal)
      .map(one => one.t)
      .filter(kind => kind !== 'block'),
  ).toEqual(['open', 'open', 'gap'])
  expect(await verified()).toMatchObject({ result: 'intact' })
})

test('J15 a write that the kernel takes in pieces is completed', async () => {
  const journal = open({
    write: (descriptor, bytes, position) => writeSync(descriptor, bytes, 0, Math.min(7, bytes.length), position),
  })
  await Promise.all(['1', '2'].map(id => appended(journal, id)))
  await journal.close()
  expect(idsOf(journal)).toEqual(['1', '2'])
  expect(await verified()).toMatchObject({ result: 'intact' })
})

test('J15 a block that does not fit is written when there is room, and nothing is lost', async () => {
  const line = bytesOf(record('1'))
  const disk = smallDisk(line + 20)
  const journal = open({ write: disk.write, sealAfterMs: 1 })
  await appended(journal, '1')
  await vi.waitFor(() => expect(journal.healthy).toBe(false))
  disk.left = Infinity
  await vi.waitFor(() => expect(journal.healthy).toBe(true))
  await journal.close()
  expect(recordsOf(journal).map(one => one.t)).toEqual(['open', 'block', 'block'])
  expect(problems).toEqual([expect.stringContaining('served unrecorded')])
})

test('J15 a journal that can’t begin serves, and begins once it can', async () => {
  writeFileSync(folder, 'a file where the folder should be')
  const journal = open()
  expect(journal.healthy).toBe(false)
  expect(await appended(journal, '1')).toBeUndefined()
  rmSync(folder)
  await vi.waitFor(() => expect(journal.healthy).toBe(true))
  await appended(journal, '2')
  await journal.close()
  expect(recordsOf(journal).filter(one => one.t !== 'block')).toMatchObject([
    { t: 'gap', lost: 1 },
    { t: 'open', id: '2' },
  ])
  expect(recordsOf(journal).at(-1)).toMatchObject({ t: 'block', end: true })
})

test('a record that comes after closing is answered, not written', async () => {
  const journal = open({ whenUnwritable: 'refuse' })
  await journal.close()
  expect(await appended(journal, 'late')).toBeInstanceOf(FaultError)
  expect(idsOf(journal)).toEqual([])
})

test('J12 what comes while the journal closes is before its end or not there', async () => {
  const journal = open()
  await appended(journal, 'before')
  let closed = false
  const closing = journal.close().then(() => {
    closed = true
  })
  for (let n = 0; !closed; n++) await appended(journal, `late ${n}`)
  await closing
  expect(recordsOf(journal).at(-1)).toMatchObject({ t: 'block', end: true })
  expect(await verifyAudit({ journal: openJournalReader({ folder }), anchors: [] })).toMatchObject({ result: 'intact' })
})

test('J13 an epoch that its writer still writes is left alone', async () => {
  const draining = open()
  await appended(draining, '1')
  const next = open({ now: () => instant(Date.now() + 1000) })
  expect(existsSync(join(folder, draining.epoch, 'writer.json'))).toBe(true)
  expect(recordsOf(draining).some(one => one.t === 'block' && one.repaired)).toBe(false)
  await appended(draining, '2')
  await Promise.all([draining.close(), next.close()])
  expect(idsOf(draining)).toEqual(['1', '2'])
  expect(await verified()).toMatchObject({ result: 'intact', epochs: [{ lines: 2 }, { lines: 0 }] })
})

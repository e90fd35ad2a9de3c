import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { instant } from '../../domain/units.ts'
import { verifyAudit } from '../../services/verify-audit.ts'
import { openJournal, openJournalReader, repairJournal } from './index.ts'

let root: string
let folder: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-repair-'))
  folder = join(root, 'journal')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const deadWriter = JSON.stringify({ pid: process.pid, began: 'another boot/1' })

/** An epoch as a killed gateway leaves it: `sealed` blocks of one record each, then `unsealed` records. */
async function killedEpoch(sealed: number, unsealed: number): Promise<{ epoch: string; path: string }> {
  const live = join(root, 'live')
  const journal = openJournal({
    folder: live,
    now: () => instant(1),
    whenUnwritable: 'serve',
    onProblem: expect.fail,
    sealAfterMs: 1,
  })
  const path = join(live, journal.epoch, '000001.jsonl')
  const append = () => new Promise(resolve => journal.append({ ...gap }, resolve))
  for (let n = 1; n <= sealed; n++) {
    await append()
    await vi.waitFor(() => expect(readFileSync(path, 'utf8')).toContain(`"block","v":2,"n":${n},`))
  }
  cpSync(live, folder, { recursive: true })
  await journal.close()
  const copy = join(folder, journal.epoch, '000001.jsonl')
  writeFileSync(copy, line.repeat(unsealed), { flag: 'a' })
  writeFileSync(join(folder, journal.epoch, 'writer.json'), deadWriter)
  return { epoch: journal.epoch, path: copy }
}
const gap = {
  // Any record will do; an open is the shortest the writer takes.
  t: 'open',
  id: 'r',
  at: 1,
  key: 'admin',
  alias: null,
  team: null,
  model: 'm',
  route: '/',
  stream: false,
} as unknown as Parameters<ReturnType<typeof openJournal>['append']>[0]
const line = `${JSON.stringify(gap)}\n`

const repair = () => repairJournal({ folder, onProblem: expect.fail })
const audit = () => verifyAudit({ journal: openJournalReader({ folder }), anchors: [] })
const wholeRecords = (text: string): number =>
  text
    .split('\n')
    .slice(0, -1)
    .filter(one => !one.startsWith('{"t":"block"')).length

test('J13 what was not sealed is sealed, as repaired, and the epoch ends', async () => {
  const { epoch, path } = await killedEpoch(2, 3)
  expect(repair()).toEqual({ alive: 0 })
  expect(readFileSync(path, 'utf8').trimEnd().split('\n').at(-1)).toMatch(
    /^\{"t":"block","v":2,"n":3,"segment":1,"lines":3,.*"repaired":true,"end":true/,
  )
  expect(await audit()).toMatchObject({ result: 'intact', epochs: [{ lines: 5, unsealed: 0, ended: true }] })
  expect(readdirSync(join(folder, epoch))).toEqual(['000001.jsonl'])
})

test('J13 wherever the file was torn, whole lines stay, the rest goes, and the chain verifies', async () => {
  const { path, epoch } = await killedEpoch(1, 2)
  const whole = readFileSync(path)
  // Every byte of the last line and its neighbourhood, and a sample of the rest.
  for (let size = 0; size <= whole.length; size += size > whole.length - 130 ? 1 : 7) {
    writeFileSync(path, whole.subarray(0, size))
    writeFileSync(join(folder, epoch, 'writer.json'), deadWriter)
    repair()
    const lines = wholeRecords(whole.toString('utf8', 0, size))
    expect(await audit(), `torn at ${size}`).toMatchObject({
      result: 'intact',
      epochs: [{ lines, unsealed: 0, ended: true }],
    })
  }
})

test('J13 a repair that was killed at any byte is done again to the same end', async () => {
  const { path, epoch } = await killedEpoch(1, 2)
  writeFileSync(path, '{"t":"op', { flag: 'a' })
  const before = readFileSync(path).length - 8
  repair()
  const repaired = readFileSync(path)
  for (let size = before; size <= repaired.length; size += 3) {
    truncateSync(path, size)
    writeFileSync(join(folder, epoch, 'writer.json'), deadWriter)
    repair()
    expect(readFileSync(path).equals(repaired), `killed at ${size}`).toBe(true)
  }
})

test('J13 an empty last segment is ended with the head of the one before', async () => {
  const { path, epoch } = await killedEpoch(2, 0)
  writeFileSync(path.replace('000001', '000002'), '')
  repair()
  expect(await audit()).toMatchObject({ result: 'intact', epochs: [{ epoch, blocks: 3, ended: true }] })
})

test('J13 what a power cut left of lines, zeros, is cut off', async () => {
  const { path } = await killedEpoch(1, 1)
  writeFileSync(path, `${'\0'.repeat(50)}\n${line}`, { flag: 'a' })
  repair()
  expect(await audit()).toMatchObject({ result: 'intact', epochs: [{ lines: 2, ended: true }] })
})

test('J13 a mark that can’t be read counts as dead, and a draft of a dead gateway goes', async () => {
  const { epoch } = await killedEpoch(1, 0)
  writeFileSync(join(folder, epoch, 'writer.json'), '')
  const draft = join(folder, `.draft-${epoch}`)
  mkdirSync(draft)
  repair()
  expect(existsSync(draft)).toBe(false)
  expect(await audit()).toMatchObject({ epochs: [{ ended: true }] })
})

test('J13 a process that has the number of the dead writer is not taken for it', async () => {
  const { epoch } = await killedEpoch(1, 0)
  // `deadWriter` names this very process, which is alive, but not when it began.
  expect(repair()).toEqual({ alive: 0 })
  expect(existsSync(join(folder, epoch, 'writer.json'))).toBe(false)
})

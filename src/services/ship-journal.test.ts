import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, appendFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDepotStore, openJournal, openShippableJournal } from '../adapters/journal/index.ts'
import type { CloseRecord, Depot, DepotStore } from '../domain/journal/index.ts'
import { instant, requestId } from '../domain/units.ts'
import { openShipping } from './ship-journal.ts'

let root: string
let here: string
let there: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hf-ship-'))
  here = join(root, 'gateway')
  there = join(root, 'controller')
  mkdirSync(here)
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const epoch = (n: number): string => `01890000-0000-7000-8000-${String(n).padStart(12, '0')}`
const line = (n: number): string => `{"t":"open","n":${n},"pad":"${'x'.repeat(n % 50)}"}\n`
const endLine = `${JSON.stringify({ t: 'block', n: 1, segment: 1, lines: 0, prev: 'a'.repeat(64), end: true, hash: 'b'.repeat(64) })}\n`

function write(name: string, segment: number, text: string): void {
  mkdirSync(join(here, name), { recursive: true })
  appendFileSync(join(here, name, `${String(segment).padStart(6, '0')}.jsonl`), text)
}
const read = (folder: string, name: string, segment: number): string =>
  readFileSync(join(folder, name, `${String(segment).padStart(6, '0')}.jsonl`), 'utf8')

const depotAt = (gateway: string, store: DepotStore): Depot => ({
  held: async epochs => store.held(gateway, epochs),
  async send(shipment) {
    const taken = await store.take(gateway, shipment)
    if (taken === null) throw new Error('not this gateway’s')
    return taken
  },
})

function open({ gateway = 'g', depot }: { gateway?: string; depot?: (store: DepotStore) => Depot } = {}) {
  const problems: string[] = []
  const behind: number[] = []
  const store = openDepotStore({ folder: there, onProblem: problem => problems.push(problem) })
  const shipping = openShipping({
    journal: openShippableJournal({ folder: here }),
    depot: depot?.(store) ?? depotAt(gateway, store),
    onPass: bytes => behind.push(bytes),
    onProblem: problem => problems.push(problem),
  })
  return { store, shipping, problems, behind }
}

test('whole lines go over, byte for byte, segment by segment; a torn line waits', async () => {
  write(epoch(1), 1, line(1) + line(2))
  write(epoch(1), 2, `${line(3)}{"t":"op`)
  const { shipping, behind } = open()
  await shipping.pass()
  expect(read(there, epoch(1), 1)).toBe(line(1) + line(2))
  expect(read(there, epoch(1), 2)).toBe(line(3))
  expect(behind).toEqual(['{"t":"op'.length])
  write(epoch(1), 2, 'en"}\n')
  await shipping.pass()
  expect(read(there, epoch(1), 2)).toBe(`${line(3)}{"t":"open"}\n`)
  expect(behind.at(-1)).toBe(0)
})

test('after any break it goes on where the controller is, and doubles nothing', async () => {
  write(epoch(1), 1, line(1))
  await open().shipping.pass()
  write(epoch(1), 1, line(2))
  // Taken, and the answer was lost: both start anew.
  const first = open({
    depot: store => ({
      ...depotAt('g', store),
      async send(shipment) {
        await store.take('g', shipment)
        throw new Error('the line is cut')
      },
    }),
  })
  await expect(first.shipping.pass()).rejects.toThrow('cut')
  await open().shipping.pass()
  expect(read(there, epoch(1), 1)).toBe(line(1) + line(2))
})

test('an epoch is removed here once it has ended and all of it is there; not before', async () => {
  write(epoch(1), 1, line(1))
  const { shipping } = open()
  await shipping.pass()
  expect(readdirSync(here)).toEqual([epoch(1)])
  write(epoch(1), 1, endLine)
  await shipping.pass()
  expect(readdirSync(here)).toEqual([])
  expect(read(there, epoch(1), 1)).toBe(line(1) + endLine)
  await open().shipping.pass()
  expect(read(there, epoch(1), 1)).toBe(line(1) + endLine)
})

test('of an epoch that goes on, the last two segments stay', async () => {
  for (const segment of [1, 2, 3, 4]) write(epoch(1), segment, line(segment))
  await open().shipping.pass()
  expect(readdirSync(join(here, epoch(1)))).toEqual(['000003.jsonl', '000004.jsonl'])
  for (const segment of [1, 2, 3, 4]) expect(read(there, epoch(1), segment)).toBe(line(segment))
})

test('what a controller that died had written half is cut off, and sent again', async () => {
  write(epoch(1), 1, line(1) + line(2))
  await open().shipping.pass()
  const whole = line(1) + line(2)
  for (const rest of ['{"t":', '\0\0\0\0', '\0\0\0\n', `${line(3).slice(0, -1)}`]) {
    writeFileSync(join(there, epoch(1), '000001.jsonl'), whole + rest)
    const { store } = open()
    expect(store.held('g', [epoch(1)]), JSON.stringify(rest)).toEqual([
      { epoch: epoch(1), at: { segment: 1, offset: whole.length }, ended: false },
    ])
    expect(read(there, epoch(1), 1)).toBe(whole)
  }
})

test('an epoch belongs to who sent it first, or to this machine', async () => {
  write(epoch(1), 1, line(1))
  await open().shipping.pass()
  write(epoch(1), 1, line(2))
  await expect(open({ gateway: 'another' }).shipping.pass()).rejects.toThrow('not this gateway')
  expect(open().store.held('another', [epoch(1)])).toEqual([])
  mkdirSync(join(there, epoch(2)))
  write(epoch(2), 1, line(1))
  await expect(open().shipping.pass()).rejects.toThrow('not this gateway')
  const { store } = open()
  const escape = { epoch: '../../escape', at: { segment: 1, offset: 0 }, bytes: Buffer.from(line(1)) }
  expect(await store.take('g', escape)).toBeNull()
  expect(await store.take('g', { ...escape, epoch: epoch(3), bytes: Buffer.from('{"t":') })).toBeNull()
  expect(readdirSync(root).toSorted()).toEqual(['controller', 'gateway'])
})

test('a shipment for any other place changes nothing, and is told where to go on', async () => {
  write(epoch(1), 1, line(1) + line(2))
  const { shipping, store } = open()
  await shipping.pass()
  const whole = line(1) + line(2)
  const stands = { epoch: epoch(1), at: { segment: 1, offset: whole.length }, ended: false }
  const forged = Buffer.from('{"t":"forged"}\n')
  for (const at of [
    { segment: 1, offset: 0 },
    { segment: 1, offset: whole.length + 1 },
    { segment: 2, offset: 5 },
  ])
    expect(await store.take('g', { epoch: epoch(1), at, bytes: forged })).toEqual(stands)
  expect(read(there, epoch(1), 1)).toBe(whole)
  expect(readdirSync(join(there, epoch(1))).toSorted()).toEqual(['000001.jsonl', 'shipped.json'])
  const unknown = { epoch: epoch(2), at: { segment: 1, offset: 9 }, bytes: forged }
  expect(await store.take('g', unknown)).toMatchObject({ at: { segment: 1, offset: 0 } })
})

test('while it fails, it says so once, keeps everything, and asks anew where the controller is', async () => {
  write(epoch(1), 1, line(1))
  let broken = true
  const { shipping, problems } = open({
    depot: store => ({
      ...depotAt('g', store),
      send: shipment => (broken ? Promise.reject(new Error('disk full')) : depotAt('g', store).send(shipment)),
    }),
  })
  const stop = new AbortController()
  const failures: boolean[] = []
  await shipping.run({
    signal: stop.signal,
    async wake(failed) {
      failures.push(failed)
      if (failures.length === 3) broken = false
      if (failures.length === 4) stop.abort()
    },
  })
  expect(failures).toEqual([true, true, true, false])
  expect(problems).toHaveLength(1)
  expect(read(there, epoch(1), 1)).toBe(line(1))
})

test('a real journal arrives whole, and both ends know its end', async () => {
  const journal = openJournal({
    folder: here,
    now: () => instant(Date.now()),
    whenUnwritable: 'serve',
    onProblem: () => undefined,
  })
  // Only its id is looked at here.
  journal.append({ t: 'close', id: requestId('r1') } as CloseRecord)
  await journal.close()
  const written = read(here, journal.epoch, 1)
  const { shipping, store } = open()
  await shipping.pass()
  expect(read(there, journal.epoch, 1)).toBe(written)
  expect(store.held('g', [journal.epoch])).toMatchObject([{ ended: true }])
  await shipping.pass()
  expect(readdirSync(here)).toEqual([])
})

test('whatever breaks whenever, what is there is what was here: no line lost, none doubled', async () => {
  const steps = fc.array(
    fc.constantFrom('write', 'segment', 'pass', 'cut before', 'cut after', 'controller', 'gateway'),
    {
      minLength: 5,
      maxLength: 40,
    },
  )
  let run = 0
  await fc.assert(
    fc.asyncProperty(steps, async plan => {
      const name = epoch(100 + ++run)
      for (const folder of [here, there]) rmSync(folder, { recursive: true, force: true })
      mkdirSync(here)
      const all = new Map<number, string>()
      let segment = 1
      let n = 0
      let cut: 'before' | 'after' | null = null
      let store = openDepotStore({ folder: there, onProblem: () => undefined })
      const depot: Depot = {
        held: async epochs => store.held('g', epochs),
        async send(shipment) {
          const now = cut
          cut = null
          if (now === 'before') throw new Error('cut')
          const taken = await depotAt('g', store).send(shipment)
          if (now === 'after') throw new Error('cut')
          return taken
        },
      }
      const gateway = () =>
        openShipping({
          journal: openShippableJournal({ folder: here }),
          depot,
          onPass: () => undefined,
          onProblem: () => undefined,
        })
      let shipping = gateway()
      const passOnce = () =>
        shipping.pass().catch(() => {
          // As `run` does after a break.
          shipping = gateway()
        })
      for (const step of plan) {
        if (step === 'write' || step === 'segment') {
          if (step === 'segment') segment++
          const text = line(++n)
          write(name, segment, text)
          all.set(segment, (all.get(segment) ?? '') + text)
        } else if (step === 'pass') await passOnce()
        else if (step === 'cut before') cut = 'before'
        else if (step === 'cut after') cut = 'after'
        else if (step === 'controller') store = openDepotStore({ folder: there, onProblem: () => undefined })
        else shipping = gateway()
      }
      cut = null
      shipping = gateway()
      await shipping.pass()
      for (const [each, text] of all) expect(read(there, name, each)).toBe(text)
    }),
    { numRuns: 25 },
  )
})

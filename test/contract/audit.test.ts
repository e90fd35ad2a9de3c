/** Audit over real files and a real database: retention, erasure, and what an intruder might try. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDepotStore } from '../../src/adapters/journal/index.ts'
import type { Journal } from '../../src/adapters/journal/index.ts'
import { epochStart, genesis, parseBlock, parseErased, renderErased, seal } from '../../src/domain/journal/index.ts'
import type { JournalKeeper } from '../../src/domain/journal/index.ts'
import { actId, instant, keyId } from '../../src/domain/units.ts'
import { anna, openAuditParts } from './audit-parts.ts'
import type { AuditOptions } from './audit-parts.ts'
import { aClose, anOpen } from './records.ts'

const dayMs = 86_400_000
const start = Date.UTC(2026, 0, 5, 12)
let root: string
let clock: number
let problems: string[]
let opened: { close(): Promise<void> }[]
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-audit-'))
  clock = start
  problems = []
  opened = []
})
afterEach(async () => {
  for (const one of opened.toReversed()) await one.close()
  rmSync(root, { recursive: true, force: true })
})

type Parts = Awaited<ReturnType<typeof openAuditParts>>

async function open(over: Partial<AuditOptions> = {}): Promise<Parts> {
  const parts = await openAuditParts({ root, now: () => clock, onProblem: text => problems.push(text), ...over })
  opened.push(parts)
  return parts
}

let count = 0
/** An id of the present moment. */
function nextId(): string {
  const time = clock.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${String(++count).padStart(12, '0')}`
}

const append = (journal: Journal, record: Parameters<Journal['append']>[0]) =>
  new Promise<void>((resolve, reject) => journal.append(record, error => (error ? reject(error) : resolve())))

/** Requests of anna and of bob in turn, sealed one by one, in many segments. */
async function serve(journal: Journal, times = 20): Promise<void> {
  for (let at = 0; at < times; at++) {
    const id = nextId()
    const whose = at % 2 === 0 ? { key: keyId('key_anna'), alias: 'anna' } : { key: keyId('key_bob'), alias: 'bob' }
    await append(journal, anOpen(id, { ...whose, at: instant(clock) }))
    await append(journal, aClose(id, { ...whose, at: instant(clock), from: at % 2 === 0 ? '10.0.0.7' : '10.0.0.8' }))
    await journal.settle()
    clock += 1_000
  }
}

/** A gateway's whole life. */
async function pastEpoch(parts: Parts, times = 20): Promise<string> {
  const journal = parts.openGateway()
  await serve(journal, times)
  await journal.close()
  return journal.epoch
}

const act = (parts: Parts, change: Partial<Parameters<Parts['acts']['record']>[0]> = {}) =>
  parts.acts.record({
    ...{ who: 'admin', alias: null, from: '10.0.0.1', what: 'key.create', target: 'key_anna', decision: 'done' },
    ...{ why: null, detail: { after: { alias: 'anna', owner: { kind: 'person', name: 'Anna "A" Müller' } } } },
    ...change,
  } as Parameters<Parts['acts']['record']>[0])

const pathOf = (parts: Parts, epoch: string, segment: number): string =>
  join(parts.folder, epoch, `${String(segment).padStart(6, '0')}.jsonl`)
const textOf = (parts: Parts, epoch: string): string =>
  readdirSync(join(parts.folder, epoch))
    .filter(name => name.endsWith('.jsonl'))
    .sort()
    .map(name => readFileSync(join(parts.folder, epoch, name), 'utf8'))
    .join('')
const journalText = (parts: Parts): string =>
  readdirSync(parts.folder)
    .map(epoch => textOf(parts, epoch))
    .join('')

async function finding(parts: Parts): Promise<string> {
  const audit = await parts.verify()
  if (audit.result === 'intact') return 'intact'
  return audit.findings.map(({ what, segment, line }) => `${what} ${segment}:${line}`).join(', ')
}

describe('retention', () => {
  test('J22 closed segments that are old go with their rows; the chain is intact and says from where', async () => {
    const parts = await open()
    const epoch = await pastEpoch(parts)
    await act(parts)
    clock += 40 * dayMs
    const later = await pastEpoch(parts)
    await parts.takeIn()
    expect(await parts.retainFrom(clock - 30 * dayMs)).toMatchObject({ rows: 21 })
    expect(readdirSync(parts.folder)).not.toContain(epoch)
    expect((await parts.store.requests.list({ limit: 100 })).length).toBe(20)
    expect(await parts.store.audit.removals()).toMatchObject([{ epoch, whole: true, rule: 'capture.retention 30d' }])
    expect(await parts.verify()).toMatchObject({ result: 'intact' })
    expect(textOf(parts, parts.journal.epoch)).toContain('"what":"audit.retained"')
    expect((await parts.store.requests.usage({ by: 'model' }))[0]?.requests).toBe(40)
    expect((await parts.verify()).epochs.map(each => each.epoch)).toContain(later)
  })

  test('J22 of a gateway that lives, the front goes; what is written and what is young stays', async () => {
    const parts = await open()
    const journal = parts.openGateway()
    opened.push(journal)
    await serve(journal)
    clock += 40 * dayMs
    const cut = clock
    await serve(journal)
    await parts.takeIn()
    await parts.retainFrom(cut)
    const [removal] = await parts.store.audit.removals()
    expect(removal).toMatchObject({ epoch: journal.epoch, whole: false })
    const segments = await parts.keeper.segments(journal.epoch)
    expect(segments[0]).toBe((removal?.segment ?? 0) + 1)
    expect(textOf(parts, journal.epoch).match(/"t":"close"/g)?.length).toBeGreaterThanOrEqual(20)
    expect(await parts.verify()).toMatchObject({
      result: 'intact',
      epochs: expect.arrayContaining([expect.objectContaining({ epoch: journal.epoch, removed: removal?.segment })]),
    })
  })

  test('J22 without its record, what is gone is missing', async () => {
    const parts = await open()
    const epoch = await pastEpoch(parts)
    await parts.takeIn()
    rmSync(pathOf(parts, epoch, 1))
    expect(await finding(parts)).toBe('missing-segment 1:0')
    clock += 40 * dayMs
    await parts.retainFrom(clock)
    expect(await finding(parts)).toContain('missing-segment 1:0')
    expect(problems.join()).toContain('kept as evidence')
  })

  test('J22 a segment that was tampered with stays as evidence', async () => {
    const parts = await open()
    const epoch = await pastEpoch(parts)
    await parts.takeIn()
    const path = pathOf(parts, epoch, 2)
    writeFileSync(path, readFileSync(path, 'utf8').replace('"status":200', '"status":201'))
    clock += 40 * dayMs
    await parts.retainFrom(clock)
    expect(existsSync(pathOf(parts, epoch, 1))).toBe(false)
    expect(existsSync(path)).toBe(true)
    expect(problems).toEqual([expect.stringContaining('kept as evidence: edited')])
    expect(await finding(parts)).toMatch(/^edited 2:/)
  })

  test.each(['putRemovals', 'remove'] as const)('J23 killed before %s, the next pass finishes', async step => {
    let killed = false
    const die = (): never => {
      killed = true
      throw new Error('killed')
    }
    const parts = await open({
      around: keeper =>
        step === 'remove' ? { ...keeper, remove: async r => (killed ? keeper.remove(r) : die()) } : keeper,
    })
    const epoch = await pastEpoch(parts)
    await parts.takeIn()
    clock += 40 * dayMs
    const { putRemovals } = parts.store.audit
    if (step === 'putRemovals')
      parts.store.audit.putRemovals = async removals => (killed ? putRemovals(removals) : die())
    await expect(parts.retainFrom(clock)).rejects.toThrow('killed')
    expect(await finding(parts)).toBe('intact')
    expect(readdirSync(parts.folder)).toContain(epoch)
    await parts.retainFrom(clock)
    expect(readdirSync(parts.folder)).not.toContain(epoch)
    expect(await finding(parts)).toBe('intact')
  })

  test('J23 an act that vouches for tombstones stays as long as they do', async () => {
    const parts = await open()
    // The gateway's clock runs ahead: its lines are young when the act is old.
    clock = start + 40 * dayMs
    await pastEpoch(parts)
    const until = clock
    clock = start + dayMs
    await parts.erasing.begin(anna(until))
    await parts.eraseOnce()
    await parts.journal.rotate()
    await parts.takeIn()
    const own = await parts.keeper.segments(parts.journal.epoch)
    await parts.retainFrom(start + 30 * dayMs)
    expect(await parts.keeper.segments(parts.journal.epoch)).toEqual(own)
    expect(await finding(parts)).toBe('intact')
    clock = until + 40 * dayMs
    await parts.retainFrom(until + dayMs)
    expect((await parts.keeper.segments(parts.journal.epoch))[0]).toBeGreaterThan(own[0] ?? 0)
    expect(await finding(parts)).toBe('intact')
  })
})

describe('erasure', () => {
  test('J19 J20 nothing of the person is left, others are as they were, and the chain is intact', async () => {
    const parts = await open()
    await pastEpoch(parts)
    await act(parts)
    await act(parts, { what: 'key.revoke', detail: { before: { revokedAt: null } } })
    await act(parts, { who: keyId('key_anna'), alias: 'anna', target: 'ops', what: 'team.update', decision: 'refused' })
    await act(parts, { target: 'key_bob', detail: { after: { alias: 'bob' } } })
    clock += 1_000
    const before = journalText(parts)
    expect(before).toMatch(/key_anna/)
    await parts.erasing.begin(anna(clock))
    clock += 1_000
    await parts.eraseOnce()
    const after = journalText(parts)
    expect(after).not.toMatch(/anna|Anna|10\.0\.0\.7/)
    expect(after.match(/key_bob/g)?.length).toBe(before.match(/key_bob/g)?.length)
    expect(await parts.verify()).toMatchObject({ result: 'intact' })
    const [erasure] = await parts.store.audit.erasures()
    expect(erasure).toMatchObject({ lines: 23, rows: 13, older: 0, waiting: 0 })
    const said = JSON.stringify([
      await parts.store.requests.list({ limit: 100 }),
      await parts.store.audit.search({ limit: 100, kinds: ['act'] }),
    ])
    expect(said).not.toMatch(/anna|Anna|10\.0\.0\.7/)
    expect((await parts.store.requests.usage({ by: 'key' })).map(row => [row.name, row.requests])).toEqual([
      ['erased', 10],
      ['key_bob', 10],
    ])
  })

  test('the database file holds nothing of them, not even where rows were', async () => {
    const parts = await open()
    await pastEpoch(parts)
    await act(parts)
    await parts.erasing.begin(anna(clock))
    await parts.eraseOnce()
    const [erasure] = await parts.store.audit.erasures()
    await parts.store.audit.putErasure({ ...(erasure ?? expect.fail()), subject: null })
    await parts.close()
    opened = []
    expect(readFileSync(join(root, 'holdfast.db')).toString('latin1')).not.toMatch(/anna|10\.0\.0\.7/)
  })

  test('J21 lines in a segment that is still written wait, and go once it is closed', async () => {
    const parts = await open()
    const journal = parts.openGateway(1_000_000)
    await serve(journal, 4)
    await parts.erasing.begin(anna(clock))
    expect(await parts.eraseOnce()).toBe(1)
    expect(await parts.store.audit.erasures()).toMatchObject([{ lines: 0, waiting: 4, doneAt: null }])
    expect(JSON.stringify(await parts.store.requests.list({ limit: 9 }))).not.toContain('anna')
    // A request that was running when they asked is recorded under the time it arrived.
    await append(journal, aClose(nextId(), { key: keyId('key_anna'), alias: 'anna', at: instant(start) }))
    await journal.rotate()
    expect(await parts.eraseOnce()).toBe(1)
    expect(textOf(parts, journal.epoch)).not.toContain('anna')
    await journal.close()
    clock += 2 * 3_600_000
    await act(parts, { target: 'key_bob', detail: null })
    expect(await parts.eraseOnce()).toBe(0)
    const [erasure] = await parts.store.audit.erasures()
    expect(erasure).toMatchObject({ lines: 5, waiting: 0, subject: null, doneAt: clock })
    expect(await finding(parts)).toBe('intact')
  })

  test('what they do after they asked is recorded as ever', async () => {
    const parts = await open()
    await pastEpoch(parts, 2)
    await parts.erasing.begin(anna(clock - 500))
    await pastEpoch(parts, 2)
    await parts.eraseOnce()
    expect(journalText(parts).match(/key_anna/g)).toHaveLength(2)
    expect((await parts.store.requests.list({ limit: 9, key: keyId('key_anna') })).length).toBe(1)
    expect(await finding(parts)).toBe('intact')
  })

  test('two who are erased one after the other have their lines in the same segments', async () => {
    const parts = await open()
    await pastEpoch(parts)
    for (const subject of [anna(clock), { ids: ['key_bob'], names: ['bob'], until: instant(clock) }]) {
      await parts.erasing.begin(subject)
      await parts.eraseOnce()
    }
    expect(journalText(parts)).not.toMatch(/key_anna|key_bob/)
    expect(await finding(parts)).toBe('intact')
  })

  test('erased again, nothing changes', async () => {
    const parts = await open()
    await pastEpoch(parts)
    await parts.erasing.begin(anna(clock))
    await parts.eraseOnce()
    clock += 1
    const once = await parts.keeper.segments(parts.journal.epoch)
    await parts.erasing.begin(anna(clock))
    await parts.eraseOnce()
    const lines = (await parts.store.audit.erasures()).map(each => each.lines)
    expect(lines).toEqual([20, 0])
    expect(once.length).toBeGreaterThan(0)
    expect(await finding(parts)).toBe('intact')
  })

  test.each([
    ['before the act', 'discard'],
    ['after the act', 'replace'],
  ] as const)('J23 killed %s, the next controller finishes', async (_, step) => {
    let alive = true
    const die = (): never => {
      throw new Error('killed')
    }
    const around = (keeper: JournalKeeper): JournalKeeper => ({
      ...keeper,
      replace: async place => (alive ? die() : keeper.replace(place)),
      // A process that was killed takes nothing back.
      discard: async place => (alive ? undefined : keeper.discard(place)),
    })
    const parts = await open({ around })
    const epoch = await pastEpoch(parts)
    await parts.erasing.begin(anna(clock))
    if (step === 'discard') parts.acts.record = async () => die()
    await expect(parts.eraseOnce()).rejects.toThrow('killed')
    expect(readdirSync(join(parts.folder, epoch)).join()).toContain('.by-')
    await parts.close()
    opened = []
    alive = false
    const next = await open({ around })
    await next.eraseOnce()
    expect(journalText(next)).not.toContain('key_anna')
    expect(await next.keeper.prepared()).toEqual([])
    expect(await finding(next)).toBe('intact')
  })

  test('lines of the first form stay until retention takes them, and are told', async () => {
    const parts = await open()
    const epoch = '0192d0c0-0000-7000-8000-000000000001'
    writeOlder(parts, epoch)
    await parts.takeIn()
    await parts.erasing.begin(anna(clock))
    await parts.eraseOnce()
    expect(await parts.store.audit.erasures()).toMatchObject([{ lines: 0, older: 1 }])
    expect(await finding(parts)).toBe('intact')
    await parts.retainFrom(clock)
    expect(journalText(parts)).not.toContain('key_anna')
  })
})

/** An epoch as the release before wrote it. */
function writeOlder(parts: Parts, epoch: string): void {
  const { newDigest } = parts.reader
  const line = `${JSON.stringify(aClose('r', { key: keyId('key_anna'), at: instant(start - dayMs) }))}\n`
  const digest = newDigest()
  digest.update(line)
  const head = genesis(epoch, newDigest)
  const block = seal(digest, { n: 1, segment: 1, lines: 1, prev: head.hash, end: true })
  mkdirSync(join(parts.folder, epoch))
  writeFileSync(join(parts.folder, epoch, '000001.jsonl'), line + block.line)
}

/** Seals an epoch's lines anew, as an intruder would who knows how. */
function reseal(parts: Parts, epoch: string, change: (lines: string[]) => string[]): void {
  const { newDigest, digestOf } = parts.reader
  let head = genesis(epoch, newDigest)
  for (const name of readdirSync(join(parts.folder, epoch)).sort()) {
    if (!name.endsWith('.jsonl')) continue
    const path = join(parts.folder, epoch, name)
    const lines = readFileSync(path, 'utf8').split(/(?<=\n)/)
    const ends = lines.some(line => parseBlock(line.trimEnd())?.end === true)
    const kept = change(lines.filter(line => parseBlock(line.trimEnd()) === null))
    const digest = newDigest()
    for (const line of kept) digest.update(parseErased(line.trimEnd())?.digest ?? digestOf(line))
    const segment = Number(name.slice(0, 6))
    const marks = ends ? { end: true as const } : {}
    const block = seal(digest, { v: 2, n: head.n + 1, segment, lines: kept.length, prev: head.hash, ...marks })
    head = { n: head.n + 1, hash: block.hash }
    writeFileSync(path, kept.join('') + block.line)
  }
}

/** The epochs that an intruder may turn to: a gateway's here, one that was shipped, and a controller's. */
const whose = ['a gateway here', 'a gateway elsewhere', 'the controller'] as const

describe.each(whose)('tampering with the journal of %s', kind => {
  let parts: Parts
  let epoch: string
  beforeEach(async () => {
    parts = await open()
    if (kind === 'a gateway here') {
      epoch = await pastEpoch(parts)
    } else if (kind === 'a gateway elsewhere') {
      const elsewhere = await pastEpoch(parts)
      epoch = await ship(parts, elsewhere)
    } else {
      for (let at = 0; at < 6; at++) {
        await act(parts)
        await act(parts, { target: 'key_bob', detail: null })
        await parts.journal.rotate()
      }
      epoch = parts.journal.epoch
      await parts.close()
      opened = []
      parts = await open()
    }
    await parts.takeIn()
  })

  test('nothing is found where nobody was', async () => {
    expect(await finding(parts)).toBe('intact')
  })

  const path = (segment: number): string => pathOf(parts, epoch, segment)
  const lines = (segment: number): string[] => readFileSync(path(segment), 'utf8').split(/(?<=\n)/)
  const put = (segment: number, texts: string[]): void => writeFileSync(path(segment), texts.join(''))
  const lastSegment = async (): Promise<number> => (await parts.keeper.segments(epoch)).at(-1) ?? 0

  test('an edited line', async () => {
    put(
      2,
      lines(2).map(line => line.replace('bob', 'rob')),
    )
    expect(await finding(parts)).toMatch(/^edited 2:\d+$/)
  })

  test('a line cut out of the middle', async () => {
    put(2, lines(2).toSpliced(0, 1))
    expect(await finding(parts)).toMatch(/^cut 2:\d+$/)
  })

  test('a tail cut off', async () => {
    put(await lastSegment(), [])
    expect(await finding(parts)).toMatch(/^missing-segment/)
  })

  test('a block cut off the tail', async () => {
    const segment = await lastSegment()
    const found = lines(segment)
    put(segment, found.length > 2 ? found.slice(0, -2) : [])
    expect(await finding(parts)).toMatch(/^(cut|missing-segment)/)
  })

  test('lines that changed places', async () => {
    const found = lines(2)
    put(2, [found[1] ?? '', found[0] ?? '', ...found.slice(2)])
    expect(await finding(parts)).toMatch(/^(edited|reordered|cut) 2:\d+$/)
  })

  test('segments that changed places', async () => {
    renameSync(path(2), `${path(2)}.tmp`)
    renameSync(path(3), path(2))
    renameSync(`${path(2)}.tmp`, path(3))
    expect(await finding(parts)).toMatch(/^(cut|reordered|rewritten) 2:\d+$/)
  })

  test('the whole chain sealed anew without a line', async () => {
    reseal(parts, epoch, all => all.slice(1))
    expect(await finding(parts)).toMatch(/^rewritten \d+:\d+|^missing-segment|^cut/)
  })

  test('a tombstone that nobody vouches for', async () => {
    const [first = '', ...rest] = lines(2)
    put(2, [
      renderErased({ digest: parts.reader.digestOf(first), by: actId('0192d0c0-0000-7000-8000-00000000dead') }),
      ...rest,
    ])
    expect(await finding(parts)).toMatch(/^forged 2:1$/)
  })

  test('a tombstone with another digest', async () => {
    const [, ...rest] = lines(2)
    const digest = 'a'.repeat(64)
    put(2, [renderErased({ digest, by: actId('0192d0c0-0000-7000-8000-00000000dead') }), ...rest])
    expect(await finding(parts)).toMatch(/^edited 2:\d+$/)
  })

  test('one more tombstone in the name of an act that vouches for others', async () => {
    await parts.erasing.begin(anna(clock))
    await parts.eraseOnce()
    expect(await finding(parts)).toBe('intact')
    const segments = await parts.keeper.segments(epoch)
    const segment = segments.find(each => textHas(each, 'erased') && textHas(each, 'key_bob')) ?? 0
    const by = lines(segment).flatMap(line => parseErased(line.trimEnd())?.by ?? [])[0] ?? actId('')
    put(
      segment,
      lines(segment).map(line =>
        line.includes('key_bob') ? renderErased({ digest: parts.reader.digestOf(line), by }) : line,
      ),
    )
    expect(await finding(parts)).toMatch(new RegExp(`^forged ${segment}:\\d+$`))
  })

  test('erased lines that are put back', async () => {
    cpSync(join(parts.folder, epoch), join(root, 'copy'), { recursive: true })
    await parts.erasing.begin(anna(clock))
    await parts.eraseOnce()
    rmSync(join(parts.folder, epoch), { recursive: true })
    cpSync(join(root, 'copy'), join(parts.folder, epoch), { recursive: true })
    expect(await finding(parts)).toMatch(/^restored \d+:0$/)
  })

  test('a removed segment: the first, one between, the last', async () => {
    const last = await lastSegment()
    for (const segment of [1, 2, last]) {
      const text = readFileSync(path(segment))
      rmSync(path(segment))
      expect(await finding(parts)).toBe(`missing-segment ${segment}:0`)
      writeFileSync(path(segment), text)
    }
  })

  test('a removed epoch', async () => {
    rmSync(join(parts.folder, epoch), { recursive: true })
    expect(await finding(parts)).toBe('missing-epoch 0:0')
  })

  const textHas = (segment: number, text: string): boolean => readFileSync(path(segment), 'utf8').includes(text)
})

test('J20 an act in an epoch that an intruder made up vouches for nothing, and is found itself', async () => {
  const parts = await open()
  const epoch = await pastEpoch(parts)
  await parts.takeIn()
  const path = pathOf(parts, epoch, 1)
  const [first = '', ...rest] = readFileSync(path, 'utf8').split(/(?<=\n)/)
  const { digestOf, newDigest } = parts.reader
  const by = actId('0192d0c0-0000-7000-8000-00000000dead')
  const digest = newDigest()
  digest.update(digestOf(first))
  writeFileSync(path, [renderErased({ digest: digestOf(first), by }), ...rest].join(''))
  const detail = { epoch, segment: 1, lines: 1, digest: digest.hex() }
  const line = `${JSON.stringify({ t: 'act', id: by, at: clock, who: 'controller', alias: null, from: null, what: 'audit.erased', target: 'x', decision: 'done', why: null, detail })}\n`
  const fake = '0192d0c0-0000-7000-8000-0000000000ff'
  const sealing = newDigest()
  sealing.update(digestOf(line))
  const block = seal(sealing, { v: 2, n: 1, segment: 1, lines: 1, prev: genesis(fake, newDigest).hash, end: true })
  mkdirSync(join(parts.folder, fake))
  writeFileSync(join(parts.folder, fake, '000001.jsonl'), line + block.line)
  expect((await finding(parts)).split(', ').toSorted()).toEqual(['forged 1:1', 'forged 1:1'])
  expect(await parts.store.audit.hasAct(by)).toBe(false)
})

test('J20 an act that is not sealed yet vouches for nothing', async () => {
  const parts = await open()
  const epoch = await pastEpoch(parts)
  const path = pathOf(parts, epoch, 1)
  const [first = '', ...rest] = readFileSync(path, 'utf8').split(/(?<=\n)/)
  const { digestOf, newDigest } = parts.reader
  const by = actId('0192d0c0-0000-7000-8000-00000000dead')
  writeFileSync(path, [renderErased({ digest: digestOf(first), by }), ...rest].join(''))
  const digest = newDigest()
  digest.update(digestOf(first))
  const detail = { epoch, segment: 1, lines: 1, digest: digest.hex() }
  const line = `${JSON.stringify({ t: 'act', id: by, at: clock, who: 'controller', alias: null, from: null, what: 'audit.erased', target: 'x', decision: 'done', why: null, detail })}\n`
  const own = pathOf(parts, parts.journal.epoch, 1)
  writeFileSync(own, line, { flag: 'a' })
  expect(await finding(parts)).toMatch(/^forged 1:1/)
})

/** Takes a local epoch's bytes in as if a gateway elsewhere had sent them; the local copy goes. */
async function ship(parts: Parts, epoch: string): Promise<string> {
  const away = join(root, 'away')
  renameSync(join(parts.folder, epoch), away)
  const depot = openDepotStore({ folder: parts.folder, onProblem: text => problems.push(text) })
  for (const name of readdirSync(away).sort()) {
    const at = { ...epochStart, segment: Number(name.slice(0, 6)) }
    const shipped = await depot.take('gateway-elsewhere', { epoch, at, bytes: readFileSync(join(away, name)) })
    expect(shipped?.epoch).toBe(epoch)
  }
  return epoch
}

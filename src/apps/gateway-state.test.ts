import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openGatewayDisk } from '../adapters/link/index.ts'
import { authenticate, type AccessImage, type Key, type NumberedChange } from '../domain/access/index.ts'
import type { Snapshot, Spend } from '../domain/serving/index.ts'
import { openEdge } from '../domain/serving/index.ts'
import { bytes, instant, keyId, millis } from '../domain/units.ts'
import { openGatewayState, type GatewayState } from './gateway-state.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-state-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function key(id: string, more: Partial<Key> = {}): Key {
  const secrets = [{ hash: `hash of ${id}`, validUntil: null }]
  return {
    id: keyId(id),
    alias: id,
    team: null,
    models: null,
    owner: null,
    routes: null,
    addresses: null,
    secrets,
    createdAt: instant(0),
    expiresAt: null,
    blockedAt: null,
    revokedAt: null,
    metadata: {},
    ...more,
  }
}
const put = (seq: number, id: string, more: Partial<Key> = {}): NumberedChange => ({
  seq,
  change: { put: 'key', key: key(id, more) },
})
const image = (seq: number, ...keys: Key[]): AccessImage => ({ epoch: 'e1', seq, adminHash: 'admin', keys, teams: [] })
const snapshot = (id: string): Snapshot => ({
  id,
  service: 'test',
  models: [],
  flags: [],
  versions: [],
  limits: { body: bytes(1), inFlight: 1, firstByte: millis(1), idle: millis(1), request: millis(1) },
  maxStale: millis(60_000),
  health: { stall: millis(1), canary: null },
  jwt: [],
  edge: openEdge,
  sharedLimits: 'local',
  whenUnwritable: 'serve',
})

function open(elapsed: () => number = () => 0): { state: GatewayState; used: string[] } {
  const used: string[] = []
  return {
    state: openGatewayState({
      disk: openGatewayDisk(folder),
      onSnapshot: ({ id }) => used.push(id),
      onPeers: () => {},
      onSpend: () => {},
      now: () => 0,
      elapsed,
    }),
    used,
  }
}

const who = (state: GatewayState, id: string): string => {
  const found = authenticate(state.access(), { hash: `hash of ${id}`, format: 'ours' }, instant(1))
  return found.ok ? 'known' : found.why
}

test('a new gateway holds nothing, and is complete when it has a snapshot and an image', () => {
  const { state, used } = open()
  expect(state.held()).toEqual({ epoch: null, seq: 0, snapshot: null })
  expect(() => state.access()).toThrow()
  expect(state.take({ type: 'snapshot', snapshot: snapshot('s1') })).toBe(true)
  expect(state.complete()).toBe(false)
  expect(state.take({ type: 'access', image: image(3, key('a')) })).toBe(true)
  expect(state.complete()).toBe(true)
  expect(state.held()).toEqual({ epoch: 'e1', seq: 3, snapshot: 's1' })
  expect(used).toEqual(['s1'])
})

test('the next gateway goes on from the disk, changes and revocations included', () => {
  const { state } = open()
  state.take({ type: 'snapshot', snapshot: snapshot('s1') })
  state.take({ type: 'access', image: image(3, key('a')) })
  state.take({ type: 'changes', epoch: 'e1', changes: [put(4, 'b'), put(5, 'a', { revokedAt: instant(0) })] })
  const next = open()
  expect(next.used).toEqual(['s1'])
  expect(next.state.complete()).toBe(true)
  expect(next.state.held()).toEqual({ epoch: 'e1', seq: 5, snapshot: 's1' })
  expect([who(next.state, 'a'), who(next.state, 'b')]).toEqual(['revoked', 'known'])
})

test('A19 what an older program left on the disk is taken up, without what came later', () => {
  const { owner: _owner, routes: _routes, addresses: _addresses, blockedAt: _blockedAt, ...olderKey } = key('a')
  const { jwt: _jwt, health: _health, ...olderSnapshot } = snapshot('s1')
  const older = [
    ['snapshot.json', olderSnapshot],
    ['access.json', { epoch: 'e1', seq: 3, adminHash: 'admin', keys: [olderKey], teams: [] }],
  ] as const
  for (const [file, document] of older) writeFileSync(join(folder, file), JSON.stringify(document))
  const change = JSON.stringify({
    epoch: 'e1',
    seq: 4,
    change: { put: 'key', key: { ...olderKey, id: 'b', secrets: [] } },
  })
  writeFileSync(join(folder, 'access-changes.jsonl'), `${change}\n`)
  const { state } = open()
  expect(state.snapshot()).toMatchObject({ id: 's1', jwt: [], health: { stall: 30_000, canary: null } })
  expect(state.held()).toEqual({ epoch: 'e1', seq: 4, snapshot: 's1' })
  expect(who(state, 'a')).toBe('known')
  expect([...state.access().keys.values()]).toEqual([key('a'), { ...key('a'), id: 'b', secrets: [] }])
})

test('a beat needs no acknowledgement', () => {
  expect(open().state.take({ type: 'beat' })).toBe(false)
})

test.each([
  ['a hole in the changes', { type: 'changes' as const, epoch: 'e1', changes: [put(5, 'c')] }],
  ['changes of another epoch', { type: 'changes' as const, epoch: 'e2', changes: [put(4, 'c')] }],
])('%s: the link begins anew and asks for everything, while what is known goes on being served', (_name, frame) => {
  const { state } = open()
  state.take({ type: 'snapshot', snapshot: snapshot('s1') })
  state.take({ type: 'access', image: image(3, key('a')) })
  expect(() => state.take(frame)).toThrow(/do not follow/)
  expect(state.held()).toEqual({ epoch: null, seq: 0, snapshot: 's1' })
  expect([who(state, 'a'), who(state, 'c')]).toEqual(['known', 'unknown'])
  expect(state.complete()).toBe(true)
  // Nothing is believed before the image.
  expect(() => state.take({ type: 'changes', epoch: 'e1', changes: [put(4, 'b')] })).toThrow(/do not follow/)
  state.take({ type: 'access', image: image(9, key('a'), key('c')) })
  expect(state.held()).toEqual({ epoch: 'e1', seq: 9, snapshot: 's1' })
  expect([who(state, 'a'), who(state, 'c')]).toEqual(['known', 'known'])
})

test('changes before any image are refused', () => {
  expect(() => open().state.take({ type: 'changes', epoch: 'e1', changes: [put(1, 'a')] })).toThrow(/do not follow/)
})

test('changes that were heard already change nothing', () => {
  const { state } = open()
  state.take({ type: 'access', image: image(3, key('a')) })
  state.take({ type: 'changes', epoch: 'e1', changes: [put(4, 'b')] })
  state.take({ type: 'changes', epoch: 'e1', changes: [put(4, 'b'), put(5, 'c')] })
  expect(state.held().seq).toBe(5)
  expect(open().state.held().seq).toBe(5)
})

test('a long list of changes becomes an image on disk', () => {
  const { state } = open()
  state.take({ type: 'access', image: image(0) })
  for (let seq = 1; seq <= 40; seq++)
    state.take({
      type: 'changes',
      epoch: 'e1',
      changes: [put(seq, `k${seq}`, { metadata: { text: 'x'.repeat(60_000) } })],
    })
  const next = open()
  expect(next.state.held().seq).toBe(40)
  expect([who(next.state, 'k1'), who(next.state, 'k40')]).toEqual(['known', 'known'])
})

test('once a key that ended names nobody any more, the disk does not either', () => {
  const { state } = open()
  state.take({ type: 'snapshot', snapshot: snapshot('s1') })
  state.take({ type: 'access', image: image(0) })
  const change = (numbered: NumberedChange) => state.take({ type: 'changes', epoch: 'e1', changes: [numbered] })
  change(put(1, 'k1', { alias: 'anna' }))
  change(put(2, 'k2', { alias: 'bob', revokedAt: instant(5) }))
  const onDisk = () =>
    readdirSync(folder)
      .map(name => readFileSync(join(folder, name), 'utf8'))
      .join('')
  expect(onDisk()).toContain('anna')
  change(put(3, 'k1', { alias: null, revokedAt: instant(5) }))
  expect(onDisk()).not.toContain('anna')
  expect(onDisk()).toContain('bob')
  expect(who(open().state, 'k1')).toBe('revoked')
})

test('a gateway that is cut off serves until maxStale, and again as soon as it is linked', () => {
  let now = 1_000
  const { state } = open(() => now)
  state.take({ type: 'snapshot', snapshot: snapshot('s1') })
  state.linked()
  now += 1_000_000
  expect(state.stale()).toBeNull()
  // Counted from the last word, not from the moment the loss was noticed.
  state.take({ type: 'beat' })
  now += 5_000
  state.cut()
  expect(state.connected()).toBe(false)
  now += 55_000
  expect(state.stale()).toBeNull()
  now += 1
  expect(state.stale()).toMatch(/60 s.*maxStale/)
  state.linked()
  expect([state.connected(), state.stale()]).toEqual([true, null])
})

test('what the disk refuses is in force, and is asked for again until the disk has it', () => {
  const disk = openGatewayDisk(folder)
  const full = (): never => {
    throw new Error('ENOSPC')
  }
  let refusing = true
  const state = openGatewayState({
    disk: {
      ...disk,
      saveSnapshot: saved => (refusing ? full() : disk.saveSnapshot(saved)),
      saveAccess: saved => (refusing ? full() : disk.saveAccess(saved)),
    },
    onSnapshot: () => {},
    onPeers: () => {},
    onSpend: () => {},
    now: () => 0,
    elapsed: () => 0,
  })
  expect(() => state.take({ type: 'snapshot', snapshot: snapshot('s1') })).toThrow('ENOSPC')
  expect(() => state.take({ type: 'access', image: image(3, key('a')) })).toThrow('ENOSPC')
  expect(who(state, 'a')).toBe('known')
  expect(state.held()).toEqual({ epoch: null, seq: 0, snapshot: null })
  refusing = false
  state.take({ type: 'snapshot', snapshot: snapshot('s1') })
  state.take({ type: 'access', image: image(3, key('a')) })
  expect(state.held()).toEqual({ epoch: 'e1', seq: 3, snapshot: 's1' })
})

test('B8 what was spent outlives the gateway, and what was its own is then the others’', () => {
  const heard: Spend[][] = []
  const start = (at: number) =>
    openGatewayState({
      disk: openGatewayDisk(folder),
      ...{ onSnapshot: () => {}, onPeers: () => {}, onSpend: spend => heard.push(spend), now: () => at },
      elapsed: () => 0,
    })
  const spent = (name: string, period: number, all: number): Spend => ({
    ...{ subject: 'key', name, unit: 'tokens', currency: null, every: millis(100) },
    ...{ period: instant(period), all, own: all },
  })
  const first = start(1_000)
  expect(heard).toEqual([])
  expect(first.take({ type: 'spend', spend: [spent('a', 1_000, 5), spent('b', 700, 9)] })).toBe(false)
  first.take({ type: 'spend', spend: [spent('a', 1_000, 7)] })
  start(1_050)
  // Periods that nobody asks about any more are forgotten.
  expect(heard.at(-1)).toEqual([{ ...spent('a', 1_000, 7), own: 0 }])
})

test('a disk that takes no spending does not end the link', () => {
  const { state } = open()
  rmSync(folder, { recursive: true })
  expect(state.take({ type: 'spend', spend: [] })).toBe(false)
})

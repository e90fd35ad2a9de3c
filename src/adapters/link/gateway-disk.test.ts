import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AccessImage, Key, NumberedChange } from '../../domain/access/index.ts'
import type { Snapshot } from '../../domain/serving/index.ts'
import { openEdge } from '../../domain/serving/index.ts'
import { bytes, instant, keyId, millis } from '../../domain/units.ts'
import { openGatewayDisk } from './gateway-disk.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-disk-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const changesFile = () => join(folder, 'access-changes.jsonl')

function key(id: string): Key {
  return {
    id: keyId(id),
    alias: id,
    team: null,
    models: null,
    owner: null,
    routes: null,
    addresses: null,
    secrets: [],
    createdAt: instant(0),
    expiresAt: null,
    blockedAt: null,
    revokedAt: null,
    metadata: {},
  }
}
const change = (seq: number): NumberedChange => ({ seq, change: { put: 'key', key: key(`key_${seq}`) } })
const changes = (...list: NumberedChange[]) => ({ epoch: 'e1', changes: list })
const image = (seq: number, epoch = 'e1'): AccessImage => ({
  epoch,
  seq,
  adminHash: 'a',
  keys: [key('key_0')],
  teams: [],
})
const snapshot: Snapshot = {
  id: 's1',
  service: 'test',
  models: [],
  flags: [],
  versions: [],
  limits: { body: bytes(1), inFlight: 1, firstByte: millis(1), idle: millis(1), request: millis(1) },
  maxStale: millis(1),
  health: { stall: millis(1), canary: null },
  jwt: [],
  edge: openEdge,
  sharedLimits: 'local',
  whenUnwritable: 'serve',
}

test('an empty folder holds nothing', () => {
  const disk = openGatewayDisk(folder)
  expect(disk.snapshot()).toBeNull()
  expect(disk.access()).toBeNull()
})

test('what was saved is there for the next gateway, and is its owner’s alone', () => {
  const disk = openGatewayDisk(folder)
  disk.saveSnapshot(snapshot)
  disk.saveAccess(image(3))
  expect(disk.appendChanges(changes(change(4), change(5)))).toBe(true)
  expect(disk.appendChanges(changes(change(6)))).toBe(true)
  const next = openGatewayDisk(folder)
  expect(next.snapshot()).toEqual(snapshot)
  expect(next.access()).toEqual({ image: image(3), changes: [change(4), change(5), change(6)] })
  for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600)
})

test('changes that the image holds already are left out', () => {
  const disk = openGatewayDisk(folder)
  disk.saveAccess(image(3))
  disk.appendChanges(changes(change(4), change(5)))
  const kept = readFileSync(changesFile())
  disk.saveAccess(image(4))
  // As if the power had gone between the two files.
  writeFileSync(changesFile(), kept)
  expect(openGatewayDisk(folder).access()?.changes).toEqual([change(5)])
})

test('changes of an older epoch are not applied to a newer image, whatever their numbers', () => {
  const disk = openGatewayDisk(folder)
  disk.saveAccess(image(3))
  disk.appendChanges(changes(change(4), change(5)))
  const kept = readFileSync(changesFile())
  disk.saveAccess(image(1, 'e2'))
  writeFileSync(changesFile(), kept)
  expect(openGatewayDisk(folder).access()).toEqual({ image: image(1, 'e2'), changes: [] })
})

test('a line that a crash cut short is left out, and what is appended after it is kept', () => {
  const disk = openGatewayDisk(folder)
  disk.saveAccess(image(3))
  disk.appendChanges(changes(change(4), change(5)))
  truncateSync(changesFile(), statSync(changesFile()).size - 7)
  const next = openGatewayDisk(folder)
  expect(next.access()?.changes).toEqual([change(4)])
  expect(next.appendChanges(changes(change(5), change(6)))).toBe(true)
  expect(openGatewayDisk(folder).access()?.changes).toEqual([change(4), change(5), change(6)])
})

test('a crash at any byte of an append loses at most what was not yet synced', () => {
  const disk = openGatewayDisk(folder)
  disk.saveAccess(image(3))
  disk.appendChanges(changes(change(4)))
  const before = readFileSync(changesFile())
  disk.appendChanges(changes(change(5), change(6)))
  const after = readFileSync(changesFile())
  for (let length = before.length; length <= after.length; length++) {
    writeFileSync(changesFile(), after.subarray(0, length))
    const next = openGatewayDisk(folder)
    const seqs = next.access()?.changes.map(({ seq }) => seq) ?? []
    expect([[4], [4, 5], [4, 5, 6]]).toContainEqual(seqs)
    next.appendChanges(changes(change(7)))
    expect(
      openGatewayDisk(folder)
        .access()
        ?.changes.map(({ seq }) => seq),
    ).toEqual([...seqs, 7])
  }
})

test('a line damaged in the middle ends what is believed', () => {
  const disk = openGatewayDisk(folder)
  disk.saveAccess(image(3))
  disk.appendChanges(changes(change(4)))
  appendFileSync(changesFile(), '\0\0\0garbage\n')
  disk.appendChanges(changes(change(5)))
  expect(
    openGatewayDisk(folder)
      .access()
      ?.changes.map(({ seq }) => seq),
  ).toEqual([4])
})

test('a damaged image or snapshot is as good as none', () => {
  const disk = openGatewayDisk(folder)
  disk.saveAccess(image(3))
  disk.saveSnapshot(snapshot)
  for (const text of ['', '{', 'null', '[]', '"x"']) {
    writeFileSync(join(folder, 'access.json'), text)
    writeFileSync(join(folder, 'snapshot.json'), text)
    expect([disk.access(), disk.snapshot()], text).toEqual([null, null])
  }
})

test('a list that has grown long asks for the image, and starts again after it', () => {
  const disk = openGatewayDisk(folder)
  disk.saveAccess(image(0))
  let seq = 0
  const many = () => Array.from({ length: 1000 }, () => change(++seq))
  while (disk.appendChanges(changes(...many()))) expect(seq).toBeLessThan(20_000)
  expect(statSync(changesFile()).size).toBeGreaterThan(1024 * 1024)
  disk.saveAccess(image(seq))
  expect(statSync(changesFile()).size).toBe(0)
  expect(disk.appendChanges(changes(change(seq + 1)))).toBe(true)
  expect(openGatewayDisk(folder).access()?.changes).toEqual([change(seq + 1)])
})

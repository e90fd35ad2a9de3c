/** The kind directory: the suite of all places, and what only disks do. */
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDirectory } from '../../src/adapters/registry/directory/index.ts'
import type { ListedObject, Upload } from '../../src/services/registry/index.ts'
import { repository } from '../support/service.ts'
import { describePlace } from './object-place.ts'

const { signal } = new AbortController()
const isRoot = process.getuid?.() === 0

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-place-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describePlace('directory', { open: () => openDirectory(join(folder, 'suite')), secret: 'canary' })

describe('on a disk', () => {
  test('what was stopped or refused leaves nothing behind, and what a killed writer left is listed', async () => {
    const root = join(folder, 'left')
    const place = openDirectory(root)
    const stop = new AbortController()
    const upload: Upload = {
      ...toUpload(Buffer.alloc(3_000_000)),
      onProgress: () => stop.abort(new Error('stopped')),
    }
    await expect(place.write('blobs/sha256/a', upload, stop.signal)).rejects.toThrow('stopped')
    await expect(place.write('blobs/sha256/b', { ...upload, sha256: 'f'.repeat(64) }, signal)).rejects.toThrow(
      /SHA-256/,
    )
    await place.create('versions/x.json', Buffer.from('{}'), signal)
    await place.create('versions/x.json', Buffer.from('{}'), signal)
    expect(readdirSync(join(root, 'blobs/sha256'))).toEqual([])
    expect(readdirSync(join(root, 'versions'))).toEqual(['x.json'])
    const left = `.${crypto.randomUUID()}.part`
    writeFileSync(join(root, 'versions', left), 'half')
    expect((await list(root, 'versions/')).map(({ path }) => path).toSorted()).toEqual([
      `versions/${left}`,
      'versions/x.json',
    ])
  })

  test('others of this host may read what is kept, and nobody else may write it', async () => {
    const root = join(folder, 'modes')
    await openDirectory(root).create('versions/x.json', Buffer.from('{}'), signal)
    const umask = process.umask()
    expect(statSync(join(root, 'versions/x.json')).mode & 0o777).toBe(0o644 & ~umask)
    expect(statSync(join(root, 'versions')).mode & 0o777).toBe(0o755 & ~umask)
  })

  test('the age of an object is that of its file', async () => {
    const root = join(folder, 'age')
    await openDirectory(root).create('versions/x.json', Buffer.from('{}'), signal)
    const then = new Date('2026-01-02T03:04:05Z')
    utimesSync(join(root, 'versions/x.json'), then, then)
    expect((await list(root, ''))[0]?.modifiedAt).toEqual(then)
    expect((await openDirectory(root).head('versions/x.json', signal))?.modifiedAt).toEqual(then)
  })

  test('links lead nowhere: none is read, written through, listed or removed', async () => {
    const root = join(folder, 'links')
    const outside = join(folder, 'outside')
    mkdirSync(join(root, 'versions'), { recursive: true })
    mkdirSync(outside)
    writeFileSync(join(outside, 'secret'), 'secret')
    symlinkSync(join(outside, 'secret'), join(root, 'versions/x.json'))
    symlinkSync(outside, join(root, 'blobs'))
    const place = openDirectory(root)
    await expect(place.head('versions/x.json', signal)).rejects.toThrow(/no plain file/)
    await expect(gather(place.read('versions/x.json', { from: 0, to: 6 }, signal))).rejects.toThrow(/no plain file/)
    await expect(place.head('blobs/secret', signal)).rejects.toThrow(/link is not followed/)
    await expect(place.remove('blobs/secret', signal)).rejects.toThrow(/link is not followed/)
    await expect(place.write('blobs/new', toUpload(Buffer.from('x')), signal)).rejects.toThrow(/link is not followed/)
    await expect(place.create('blobs/a/new', Buffer.from('x'), signal)).rejects.toThrow(/link is not followed/)
    expect(await list(root, '')).toEqual([])
    expect(readdirSync(outside)).toEqual(['secret'])
    // A name that is taken by a link stays taken.
    expect(await place.create('versions/x.json', Buffer.from('{}'), signal)).toBe('exists')
  })

  test.each(['../a', 'a/../../b', '/etc/passwd', 'a//b', '.', '', 'a\0b', 'a\\..\\b'])(
    '%j is no path of it',
    async path => {
      const place = openDirectory(join(folder, 'paths'))
      await expect(place.head(path, signal)).rejects.toThrow(/no path inside/)
      await expect(place.create(path, Buffer.from('x'), signal)).rejects.toThrow(/no path inside/)
      await expect(gather(place.read(path, { from: 0, to: 1 }, signal))).rejects.toThrow(/no path inside/)
    },
  )

  test('a socket where an object should be is told, and nobody waits for it', async () => {
    const root = join(folder, 'socket')
    mkdirSync(join(root, 'versions'), { recursive: true })
    const server = createServer().listen(join(root, 'versions/x.json'))
    await once(server, 'listening')
    await expect(openDirectory(root).head('versions/x.json', signal)).rejects.toThrow(/no plain file/)
    expect(await list(root, '')).toEqual([])
    server.close()
    await once(server, 'close')
  })

  test.skipIf(!isRoot)('a full disk is told with its folder and what to do, and has nothing half-written', async () => {
    await withDisk('4m', async root => {
      const place = openDirectory(root)
      await place.write('blobs/sha256/small', toUpload(Buffer.alloc(1_000_000, 'a')), signal)
      const free = await place.free(signal)
      expect(free).toBeLessThan(4 * 1024 ** 2)
      await expect(place.write('blobs/sha256/large', toUpload(Buffer.alloc(8_000_000)), signal)).rejects.toThrow(
        `the disk of the registry ${root} is full: free some space there`,
      )
      expect((await list(root, '')).map(({ path }) => path)).toEqual(['blobs/sha256/small'])
      expect(await place.free(signal)).toBe(free)
    })
  })

  test.skipIf(!isRoot)('a disk that is mounted read-only can be read, and says why it can’t be written', async () => {
    await withDisk('4m', async root => {
      const place = openDirectory(root)
      await place.create('versions/x.json', Buffer.from('{}'), signal)
      expect(spawnSync('mount', ['-o', 'remount,ro', root]).status).toBe(0)
      expect((await place.head('versions/x.json', signal))?.bytes).toBe(2)
      for (const write of [
        () => place.create('versions/y.json', Buffer.from('{}'), signal),
        () => place.write('blobs/sha256/a', toUpload(Buffer.from('x')), signal),
        () => place.remove('versions/x.json', signal),
      ])
        await expect(write()).rejects.toThrow(/mounted read-only: mount it for writing/)
    })
  })

  test('a folder of somebody else is told as such', async () => {
    const root = join(folder, 'theirs')
    mkdirSync(root)
    chmodSync(root, 0o555)
    await asNobody(() =>
      expect(openDirectory(root).create('versions/x.json', Buffer.from('{}'), signal)).rejects.toThrow(
        /may not do that/,
      ),
    )
  })

  test('of several processes that create one object at once, one is told that it did', async () => {
    const root = join(folder, 'race')
    const module = join(repository, 'src/adapters/registry/directory/index.ts')
    const gate = mkdtempSync(join(folder, 'gate-'))
    const script = `
      const { readdirSync, writeFileSync } = await import('node:fs')
      const { openDirectory } = await import(${JSON.stringify(module)})
      writeFileSync(${JSON.stringify(`${gate}/`)} + process.argv[1], '')
      while (readdirSync(${JSON.stringify(gate)}).length < 3) await new Promise(setImmediate)
      const told = await openDirectory(${JSON.stringify(root)}).create('versions/x.json', Buffer.from(process.argv[1]), new AbortController().signal)
      console.log(told)`
    const run = (text: string) => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, text])
    const racers = ['one', 'two', 'three'].map(async text => ({ text, told: (await run(text)).stdout.trim() }))
    const ends = await Promise.all(racers)
    expect(ends.map(({ told }) => told).toSorted()).toEqual(['created', 'exists', 'exists'])
    const winner = ends.find(({ told }) => told === 'created')?.text ?? ''
    const kept = await gather(openDirectory(root).read('versions/x.json', { from: 0, to: winner.length }, signal))
    expect(kept.toString()).toBe(winner)
    expect(readdirSync(join(root, 'versions'))).toEqual(['x.json'])
  })
})

/** A disk of its own, of that size. */
async function withDisk(size: string, work: (root: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(folder, 'disk-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', root])
  if (mounted.status !== 0) throw new Error(`no tmpfs can be mounted here: ${mounted.stderr.toString()}`)
  try {
    await work(root)
  } finally {
    spawnSync('umount', ['-l', root])
  }
}

/** Root may write anywhere. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  if (!isRoot) return work()
  process.seteuid?.('nobody')
  try {
    await work()
  } finally {
    process.seteuid?.('root')
  }
}

const toUpload = (bytes: Buffer): Upload => ({
  bytes: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  async *open({ from, to }) {
    for (let at = from; at < to; at += 1_000_000) yield bytes.subarray(at, Math.min(to, at + 1_000_000))
  },
  onProgress: () => {},
})

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

async function list(root: string, prefix: string): Promise<ListedObject[]> {
  const objects: ListedObject[] = []
  for await (const object of openDirectory(root).list(prefix, signal)) objects.push(object)
  return objects
}

/** What every place of objects does, whichever kind it is. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ArtifactError } from '../../src/domain/catalog/index.ts'
import type { ObjectPlace, Upload } from '../../src/services/registry/index.ts'

const { signal } = new AbortController()
const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** `open`: the same place again, as another process would. `secret`: what opens it. */
export function describePlace(
  kind: string,
  { open, secret, skip = false }: { open: () => ObjectPlace; secret: string; skip?: boolean },
): void {
  describe.skipIf(skip)(`${kind}`, () => {
    test('what is written is there, whole and in ranges, under its own name and no other', async () => {
      const bytes = Buffer.from('0123456789'.repeat(20_000))
      const path = `blobs/sha256/${sha256Of(bytes)}`
      const done: number[] = []
      await open().write(path, toUpload(bytes, done), signal)
      await open().write(path, toUpload(bytes), signal)
      expect(done.at(-1)).toBe(bytes.length)
      const place = open()
      const head = await place.head(path, signal)
      expect(head?.bytes).toBe(bytes.length)
      expect(head?.modifiedAt.getTime()).toBeGreaterThan(0)
      expect(sha256Of(await gather(place.read(path, { from: 0, to: bytes.length }, signal)))).toBe(sha256Of(bytes))
      expect((await gather(place.read(path, { from: 199_995, to: 200_000 }, signal))).toString()).toBe('56789')
      expect(await gather(place.read(path, { from: 7, to: 7 }, signal))).toHaveLength(0)
      expect(await pathsIn(place, path)).toEqual([path])
      expect(await pathsIn(place, `${path}/`)).toEqual([])
    })

    test('an object without bytes is one', async () => {
      const bytes = Buffer.alloc(0)
      await open().write('blobs/empty', toUpload(bytes), signal)
      expect((await open().head('blobs/empty', signal))?.bytes).toBe(0)
    })

    test('names with blanks, signs and letters of all kinds are kept apart', async () => {
      const paths = ['odd/a b', 'odd/a+b', 'odd/a%20b', 'odd/ä&<b>', "odd/(a)'!*", 'odd/a#b?c=d']
      for (const path of paths) await open().write(path, toUpload(Buffer.from(path)), signal)
      for (const path of paths) {
        const to = Buffer.byteLength(path)
        expect((await gather(open().read(path, { from: 0, to }, signal))).toString()).toBe(path)
      }
      expect(await pathsIn(open(), 'odd/')).toEqual(paths.toSorted())
    })

    test('what is not there is not there; reading it, or behind its end, is an error', async () => {
      const place = open()
      expect(await place.head('blobs/none', signal)).toBe(null)
      await place.remove('blobs/none', signal)
      expect(await pathsIn(place, 'none/')).toEqual([])
      await expect(gather(place.read('blobs/none', { from: 0, to: 1 }, signal))).rejects.toThrow(ArtifactError)
      await place.write('blobs/short', toUpload(Buffer.from('abc')), signal)
      await expect(gather(place.read('blobs/short', { from: 1, to: 5 }, signal))).rejects.toThrow(ArtifactError)
      await expect(gather(place.read('blobs/short', { from: 5, to: 6 }, signal))).rejects.toThrow(ArtifactError)
      await place.remove('blobs/short', signal)
      expect(await place.head('blobs/short', signal)).toBe(null)
    })

    test('bytes of another digest or length are not written', async () => {
      const place = open()
      const bytes = Buffer.alloc(100_000, 'x')
      const wrong = { ...toUpload(bytes), sha256: sha256Of(Buffer.from('another')) }
      const short = { ...toUpload(bytes), bytes: 100_001 }
      for (const upload of [wrong, short])
        await expect(place.write('blobs/wrong', upload, signal)).rejects.toThrow(ArtifactError)
      expect(await place.head('blobs/wrong', signal)).toBe(null)
    })

    test('a create never replaces, whoever comes later; of four at once one is told that it was', async () => {
      const create = (path: string, text: string) => open().create(path, Buffer.from(text), signal)
      expect(await create('versions/a.json', '{"a": 1}')).toBe('created')
      expect(await create('versions/a.json', '{"a": 2}')).toBe('exists')
      expect(await create('versions/a.json', '{"a": 1}')).toBe('exists')
      expect((await gather(open().read('versions/a.json', { from: 0, to: 8 }, signal))).toString()).toBe('{"a": 1}')
      const told = await Promise.all(['0', '1', '2', '3'].map(text => create('versions/b.json', text)))
      expect(told.toSorted()).toEqual(['created', 'exists', 'exists', 'exists'])
      const kept = await gather(open().read('versions/b.json', { from: 0, to: 1 }, signal))
      expect(kept.toString()).toBe(String(told.indexOf('created')))
    })

    test('whoever stops is heard, and what opens the place is in no name', async () => {
      const stop = new AbortController()
      stop.abort(new Error('stopped'))
      const place = open()
      await expect(place.write('blobs/a', toUpload(Buffer.from('abc')), stop.signal)).rejects.toThrow('stopped')
      expect(await place.head('blobs/a', signal)).toBe(null)
      expect(place.name).not.toContain(secret)
    })
  })
}

const toUpload = (bytes: Buffer, done: number[] = []): Upload => ({
  bytes: bytes.length,
  sha256: sha256Of(bytes),
  async *open({ from, to }) {
    for (let at = from; at < to; at += 65_536) yield bytes.subarray(at, Math.min(to, at + 65_536))
  },
  onProgress: bytesDone => done.push(bytesDone),
})

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

async function pathsIn(place: ObjectPlace, prefix: string): Promise<string[]> {
  const paths: string[] = []
  for await (const { path } of place.list(prefix, signal)) paths.push(path)
  return paths.toSorted()
}

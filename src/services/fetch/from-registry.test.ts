import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openArtifactFolder } from '../../adapters/artifact-folder/index.ts'
import { openDirectory } from '../../adapters/registry/directory/index.ts'
import { blobPath, sourcePath, type HubSource } from '../../domain/catalog/index.ts'
import { openRegistrySource, type ObjectPlace } from '../registry/index.ts'
import { openFetcher } from './index.ts'

const content = Buffer.concat([Buffer.from('GGUF'), randomBytes(300_000)])
const sha256 = createHash('sha256').update(content).digest('hex')
const source: HubSource = { kind: 'hf', repository: 'owner/name', commit: '4f'.repeat(20), file: 'm.gguf' }
const { signal } = new AbortController()

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-from-'))
  put(blobPath(sha256), content)
  put(sourcePath(source, 'm.gguf'), JSON.stringify({ schema: 1, bytes: content.length, sha256 }))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function put(path: string, bytes: Buffer | string): void {
  const at = join(folder, 'registry', path)
  mkdirSync(dirname(at), { recursive: true })
  writeFileSync(at, bytes)
}

/** As if it were elsewhere; `reads` are the ranges that it was asked for. */
async function pullFrom(reads: { from: number; to: number }[]): Promise<Buffer> {
  const { lies: _, ...directory } = openDirectory(join(folder, 'registry'))
  const place: ObjectPlace = {
    ...directory,
    read(path, range, stop) {
      if (path === blobPath(sha256)) reads.push(range)
      return directory.read(path, range, stop)
    },
  }
  const store = openArtifactFolder(join(folder, 'artifacts'))
  const fetchArtifact = openFetcher({ store, connections: 3, ranges: { from: 100_000, each: 90_000 } })
  await fetchArtifact({ source, registry: openRegistrySource(place), files: ['m.gguf'], signal, onProgress: () => {} })
  return readFileSync(store.pathOf(source, 'm.gguf'))
}

test('a large file of a registry comes in ranges', async () => {
  const reads: { from: number; to: number }[] = []
  expect(await pullFrom(reads)).toEqual(content)
  expect(reads.toSorted((a, b) => a.from - b.from)).toEqual([
    { from: 0, to: 90_000 },
    { from: 90_000, to: 180_000 },
    { from: 180_000, to: 270_000 },
    { from: 270_000, to: content.length },
  ])
})

test('a blob that was changed in the registry is refused, and nothing is kept', async () => {
  const changed = Buffer.from(content)
  changed.writeUInt8(changed.readUInt8(200_000) ^ 1, 200_000)
  put(blobPath(sha256), changed)
  await expect(pullFrom([])).rejects.toMatchObject({ retry: 'never' })
})

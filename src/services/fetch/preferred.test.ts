import { expect, test } from 'vitest'
import { ArtifactError, type HubSource, type PinnedFile } from '../../domain/catalog/index.ts'
import type { Registry } from '../artifact-ports.ts'
import { preferred } from './preferred.ts'

const source: HubSource = { kind: 'hf', repository: 'owner/name', commit: '4f1c2d9e', file: 'm.gguf' }
const { signal } = new AbortController()

/** One that has these files; reads tell whose bytes they are. */
function registryWith(name: string, paths: readonly string[], fails?: ArtifactError): Registry {
  const pinned = (path: string): PinnedFile => ({
    ...{ repository: name, commit: '', path, bytes: 1 },
    digest: { algorithm: 'sha256', hex: path },
  })
  return {
    list: () => Promise.resolve(paths.length === 0 ? null : paths.map(path => ({ path, bytes: 1 }))),
    locate: (_, path) =>
      fails === undefined ? Promise.resolve(paths.includes(path) ? pinned(path) : null) : Promise.reject(fails),
    read: () => Promise.resolve({ offset: 0, etag: name, bytes: (async function* () {})() }),
  }
}

async function readFrom(registry: Registry, path: string): Promise<string | null> {
  const file = await registry.locate(source, path, signal)
  return file === null ? null : (await registry.read(file, { offset: 0, etag: null }, signal)).etag
}

test('what the first has comes from it, and what only the other has from that one', async () => {
  const registry = preferred({
    first: registryWith('mirror', ['a']),
    name: 'mirror',
    otherwise: registryWith('hub', ['a', 'b']),
  })
  expect(await readFrom(registry, 'a')).toBe('mirror')
  expect(await readFrom(registry, 'b')).toBe('hub')
  expect(await registry.list(source, signal)).toHaveLength(1)
})

test('where nothing else may be asked, the refusal says how to bring it there', async () => {
  const registry = preferred({ first: registryWith('mirror', []), name: 'mirror', otherwise: 'HF_HUB_OFFLINE is set' })
  for (const asked of [() => registry.locate(source, 'a', signal), () => registry.list(source, signal)])
    await expect(asked()).rejects.toThrow(
      /HF_HUB_OFFLINE is set: .*holdfast model push hf:owner\/name@4f1c2d9e:m\.gguf --registry mirror/,
    )
})

test('a registry that can’t be reached is not one that has nothing: the other is not asked instead', async () => {
  const lost = new ArtifactError('soon', 'mirror can’t be reached')
  const registry = preferred({
    first: registryWith('mirror', [], lost),
    name: 'mirror',
    otherwise: registryWith('hub', ['a']),
  })
  await expect(registry.locate(source, 'a', signal)).rejects.toBe(lost)
})

import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { HubSource, PinnedFile } from '../../domain/catalog/index.ts'
import { openArtifactFolder } from './index.ts'

const content = 'weights'
const hex = createHash('sha256').update(content).digest('hex')
const at = { repository: 'owner/name', commit: '4f1c2d9e' }
const file: PinnedFile = { ...at, path: 'm.gguf', bytes: content.length, digest: { algorithm: 'sha256', hex } }
const source: HubSource = { ...at, kind: 'hf', file: 'm.gguf' }

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'artifact-folder-'))
  mkdirSync(join(root, 'sha256'))
  writeFileSync(join(root, 'sha256', hex), content)
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

test('what several name at once has its name, and nothing else is left', async () => {
  const folders = [openArtifactFolder(root), openArtifactFolder(root)]
  const calls = Array.from({ length: 40 }, (_, n) => folders[n % 2]?.name(source, file))
  expect(new Set(await Promise.all(calls))).toEqual(new Set([true]))
  expect(readFileSync(openArtifactFolder(root).pathOf(source, file.path), 'utf8')).toBe(content)
  expect(readdirSync(join(root, 'hf', 'owner--name@4f1c2d9e'))).toEqual(['m.gguf'])
})

test('what several note as whole at once is noted, and nothing else is left', async () => {
  const store = openArtifactFolder(root)
  await store.name(source, file)
  await Promise.all(Array.from({ length: 40 }, () => store.noteWhole(source, ['m.gguf'])))
  expect(await store.whole(source)).toEqual(['m.gguf'])
  expect(readdirSync(join(root, 'whole', 'hf'))).toEqual(['owner--name@4f1c2d9e.json'])
})

test('what can’t be put in its place leaves nothing beside it', async () => {
  const store = openArtifactFolder(root)
  mkdirSync(store.pathOf(source, file.path), { recursive: true })
  await expect(store.name(source, file)).rejects.toThrow("can't be written")
  expect(readdirSync(join(root, 'hf', 'owner--name@4f1c2d9e'))).toEqual(['m.gguf'])
})

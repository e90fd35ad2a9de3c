import { createHash } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { PinnedFile } from '../../domain/catalog/index.ts'
import { openArtifactFolder } from './index.ts'

const { signal } = new AbortController()
const content = 'GGUF and more'
const hex = createHash('sha256').update(content).digest('hex')
const file: PinnedFile = {
  ...{ repository: 'owner/name', commit: '', path: 'm.gguf', bytes: content.length },
  digest: { algorithm: 'sha256', hex },
}

let folder: string
let blob: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-adopt-'))
  blob = join(folder, 'blob')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const adopt = () => openArtifactFolder(join(folder, 'artifacts')).adopt(file, blob, signal)
const kept = (): string[] => readdirSync(join(folder, 'artifacts', 'sha256'))

test('a file of the same disk is taken in without a copy, and verified', async () => {
  writeFileSync(blob, content, { mode: 0o644 })
  expect(await adopt()).toBe(true)
  expect(readFileSync(join(folder, 'artifacts', 'sha256', hex), 'utf8')).toBe(content)
  expect(readdirSync(join(folder, 'artifacts', 'parts'))).toEqual([])
})

test('one with other bytes is not, nor one that is not there', async () => {
  expect(await adopt()).toBe(false)
  writeFileSync(blob, content.toUpperCase())
  expect(await adopt()).toBe(false)
  expect(kept()).toEqual([])
  expect(readdirSync(join(folder, 'artifacts', 'parts'))).toEqual([])
})

test('one that others may write is given no second name: they could change what was verified', async () => {
  writeFileSync(blob, content)
  chmodSync(blob, 0o666)
  // Where the file system shares blocks, the clone is ours alone.
  if (await adopt()) expect(statSync(join(folder, 'artifacts', 'sha256', hex)).ino).not.toBe(statSync(blob).ino)
  else expect(kept()).toEqual([])
})

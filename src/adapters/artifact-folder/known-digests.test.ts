import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openKnownDigests } from './index.ts'

const { signal } = new AbortController()
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-known-'))
  file = join(folder, 'm.gguf')
  // Files of long ago: what was just written is not remembered.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 })
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(folder, { recursive: true, force: true })
})

async function digest(): Promise<{ hex: string; readBytes: number }> {
  let readBytes = 0
  const hex = await openKnownDigests(join(folder, 'state', 'known.json')).digestOf(file, {
    signal,
    onProgress: ({ doneBytes }) => {
      readBytes = doneBytes
    },
  })
  return { hex, readBytes }
}

test('a file is read once, and again when it was changed, even to the same length and time', async () => {
  writeFileSync(file, 'one')
  expect(await digest()).toEqual({ hex: sha256('one'), readBytes: 3 })
  expect(await digest()).toEqual({ hex: sha256('one'), readBytes: 0 })
  const { atime, mtime } = statSync(file)
  writeFileSync(file, 'two')
  utimesSync(file, atime, mtime)
  expect(await digest()).toEqual({ hex: sha256('two'), readBytes: 3 })
})

test('what was just written is not remembered: another change may not show', async () => {
  vi.useRealTimers()
  writeFileSync(file, 'one')
  await digest()
  expect(await digest()).toEqual({ hex: sha256('one'), readBytes: 3 })
})

test('a list that is damaged costs a reading; a file that is not there is told', async () => {
  writeFileSync(file, 'one')
  await digest()
  writeFileSync(join(folder, 'state', 'known.json'), '{')
  expect(await digest()).toEqual({ hex: sha256('one'), readBytes: 3 })
  rmSync(file)
  await expect(digest()).rejects.toMatchObject({ retry: 'later', message: expect.stringContaining(file) as string })
})

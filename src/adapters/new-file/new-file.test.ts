import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openNewFile } from './index.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-new-file-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('it appears when it is published, and only then', async () => {
  const file = await openNewFile(join(folder, 'deep', 'a.gguf'))
  writeFileSync(file.temporary, 'whole')
  expect(existsSync(file.path)).toBe(false)
  await file.publish()
  await file.discard()
  expect(readdirSync(join(folder, 'deep'))).toEqual(['a.gguf'])
  expect(readFileSync(file.path, 'utf8')).toBe('whole')
})

test('what is discarded leaves nothing', async () => {
  const file = await openNewFile(join(folder, 'a.gguf'))
  writeFileSync(file.temporary, 'half')
  await file.discard()
  expect(readdirSync(folder)).toEqual([])
})

test('nothing is replaced: not what was there before, nor what came since', async () => {
  writeFileSync(join(folder, 'a.gguf'), 'mine')
  await expect(openNewFile(join(folder, 'a.gguf'))).rejects.toThrow('there is a file')
  const file = await openNewFile(join(folder, 'b.gguf'))
  writeFileSync(join(folder, 'b.gguf'), 'mine')
  await expect(file.publish()).rejects.toThrow('there is a file')
  expect(readFileSync(join(folder, 'b.gguf'), 'utf8')).toBe('mine')
})

test('what a process that is gone left of the same file is removed; what one that runs is writing stays', async () => {
  const { pid: gone } = spawnSync(process.execPath, ['-e', ''])
  writeFileSync(join(folder, `.a.gguf.${gone}.part`), 'left')
  writeFileSync(join(folder, `.a.gguf.${process.ppid}.part`), 'busy')
  writeFileSync(join(folder, `.other.gguf.${gone}.part`), 'not mine')
  const file = await openNewFile(join(folder, 'a.gguf'))
  await file.discard()
  expect(readdirSync(folder).toSorted()).toEqual(
    [`.a.gguf.${process.ppid}.part`, `.other.gguf.${gone}.part`].toSorted(),
  )
})

test('a place that can’t be written is told before any work', async () => {
  writeFileSync(join(folder, 'file'), '')
  await expect(openNewFile(join(folder, 'file', 'a.gguf'))).rejects.toThrow(/can’t be written \((EEXIST|ENOTDIR)\)/)
})

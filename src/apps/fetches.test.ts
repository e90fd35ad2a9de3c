import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openFetches, readFetches } from './fetches.ts'

let folder: string
let path: string
beforeEach(() => {
  vi.useFakeTimers()
  folder = mkdtempSync(join(tmpdir(), 'hf-fetches-'))
  path = join(folder, 'fetches.json')
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(folder, { recursive: true, force: true })
})

test('progress is on the disk within a quarter of a second, with its speed; the last of it, too', () => {
  const fetches = openFetches(path)
  fetches.begin('v', 'hf:a/b@1234567:c.gguf')
  expect(readFetches(path)).toMatchObject([{ version: 'v', state: 'fetching', totalBytes: 0 }])
  // Half was there before: that came at no speed.
  fetches.progress('v', { doneBytes: 500, totalBytes: 1000, why: null })
  vi.advanceTimersByTime(250)
  expect(readFetches(path)).toMatchObject([{ doneBytes: 500, totalBytes: 1000, bytesPerSecond: null }])
  for (let doneBytes = 501; doneBytes <= 600; doneBytes++)
    fetches.progress('v', { doneBytes, totalBytes: 1000, why: null })
  vi.advanceTimersByTime(250)
  expect(readFetches(path)).toMatchObject([{ doneBytes: 600, bytesPerSecond: 400 }])
  // Nothing more comes: the speed falls without anybody saying so.
  vi.advanceTimersByTime(10_000)
  expect(readFetches(path)[0]?.bytesPerSecond).toBeLessThan(20)
  fetches.progress('v', { doneBytes: 600, totalBytes: 1000, why: 'cut; again in 1 s' })
  vi.advanceTimersByTime(250)
  expect(readFetches(path)).toMatchObject([{ why: 'cut; again in 1 s', bytesPerSecond: null }])
})

test('an end is on the disk at once, what nobody wants is not told, and no timer is left', () => {
  const fetches = openFetches(path)
  fetches.begin('v', 'hf:a')
  fetches.begin('w', 'hf:b')
  fetches.progress('v', { doneBytes: 1, totalBytes: 2, why: null })
  fetches.end('v', 'failed', 'it is gated')
  fetches.forget('w')
  fetches.progress('w', { doneBytes: 1, totalBytes: 2, why: null })
  expect(readFetches(path)).toMatchObject([{ version: 'v', state: 'failed', why: 'it is gated' }])
  vi.advanceTimersByTime(1_000)
  expect(vi.getTimerCount()).toBe(0)
})

test('an agent starts with none, and a damaged file is none', () => {
  openFetches(path).begin('v', 'hf:a')
  openFetches(path)
  expect(readFetches(path)).toEqual([])
  writeFileSync(path, '{')
  expect(readFetches(path)).toEqual([])
})

import { expect, test } from 'vitest'
import { openWriteBehind } from './write-behind.ts'

const piece = (text: string): Uint8Array => Buffer.from(text)

test('the first piece is written at once, and what comes meanwhile goes together, in order', async () => {
  const written: string[] = []
  const first = Promise.withResolvers<void>()
  const behind = openWriteBehind(async pieces => {
    written.push(Buffer.concat(pieces).toString())
    await first.promise
  })
  for (const text of ['a', 'b', 'c']) await behind.add(piece(text))
  expect(written).toEqual(['a'])
  first.resolve()
  await behind.end()
  expect(written).toEqual(['a', 'bc'])
  await behind.add(piece('d'))
  await behind.end()
  expect(written).toEqual(['a', 'bc', 'd'])
})

test('who brings too much waits for the disk', async () => {
  const disk = Promise.withResolvers<void>()
  const behind = openWriteBehind(() => disk.promise)
  await behind.add(piece('a'))
  let added = false
  const adding = behind.add(Buffer.alloc(1024 * 1024)).then(() => (added = true))
  await new Promise(resolve => setImmediate(resolve))
  expect(added).toBe(false)
  disk.resolve()
  await adding
})

test('a write that fails is told at the end, or to whoever brings more than fits', async () => {
  const behind = openWriteBehind(() => Promise.reject(new Error('full')))
  await behind.add(piece('a'))
  await expect(behind.end()).rejects.toThrow('full')
  await expect(behind.add(Buffer.alloc(1024 * 1024))).rejects.toThrow('full')
})

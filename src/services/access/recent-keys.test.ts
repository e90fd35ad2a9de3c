import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openRecentKeys } from './recent-keys.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

const text = { hash: 'h', format: 'ours' } as const

test('a key in use is remembered; one that is not is forgotten within two minutes, and nothing goes on after that', () => {
  const recent = openRecentKeys()
  recent.keep('busy', text)
  recent.keep('idle', text)
  for (let minutes = 0; minutes < 5; minutes++) {
    expect(recent.find('busy')).toBe(text)
    vi.advanceTimersByTime(60_000)
  }
  expect(recent.find('idle')).toBeUndefined()
  expect(recent.find('busy')).toBe(text)
  vi.advanceTimersByTime(120_000)
  expect(recent.find('busy')).toBeUndefined()
  expect(vi.getTimerCount()).toBe(0)
})

test('however many keys there are, so many are remembered, the latest', () => {
  const recent = openRecentKeys(10)
  for (let i = 0; i < 1_000; i++) recent.keep(`key-${i}`, text)
  const remembered = Array.from({ length: 1_000 }, (_, i) => i).filter(i => recent.find(`key-${i}`) !== undefined)
  expect(remembered.length).toBeLessThanOrEqual(20)
  expect(remembered).toContain(999)
})

test('what is longer than a key is not kept', () => {
  const recent = openRecentKeys()
  recent.keep('x'.repeat(257), text)
  expect(recent.find('x'.repeat(257))).toBeUndefined()
})

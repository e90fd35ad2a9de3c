import fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeRequestId } from './request-id.ts'

const lastInstant = 2 ** 48 - 1

test('an id is a UUID of version 7 and variant 10, with the time in its first 48 bits', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: lastInstant }), now => {
      const id = makeRequestId(now)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(now)
    }),
  )
})

test('ids sort as their times do', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: lastInstant - 1 }),
      fc.integer({ min: 1, max: 1_000_000 }),
      (now, laterMs) => {
        expect(makeRequestId(now) < makeRequestId(Math.min(lastInstant, now + laterMs))).toBe(true)
      },
    ),
  )
})

test('a hundred thousand ids of one millisecond differ, in every random bit', () => {
  const ids = Array.from({ length: 100_000 }, () => makeRequestId(1_700_000_000_000))
  expect(new Set(ids).size).toBe(ids.length)
  // 74 random bits: each is set in about half of the ids.
  const hex = ids.map(id => id.replaceAll('-', ''))
  for (let digit = 13; digit < 32; digit++) {
    const seen = new Set(hex.map(id => id[digit]))
    expect(seen.size, `hex digit ${digit}`).toBe(digit === 16 ? 4 : 16)
  }
})

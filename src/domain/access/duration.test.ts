import { expect, test } from 'vitest'
import { parseDuration } from './duration.ts'

test('a duration is a count and a unit', () => {
  expect(['30s', '30m', '30h', '30d', '2w', ' 1s '].map(parseDuration)).toEqual([
    30_000, 1_800_000, 108_000_000, 2_592_000_000, 1_209_600_000, 1000,
  ])
})

test('anything else is none', () => {
  for (const text of ['', '30', 'd', '-1d', '1.5h', '1y', '1d2h', '99999999999d', '36501d'])
    expect(parseDuration(text)).toBeNull()
})

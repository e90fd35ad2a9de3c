import { expect, test } from 'vitest'
import { instant } from '../units.ts'
import { baselineFrom } from './baseline.ts'

const request = (n: number, more: object = {}) => ({
  ...{ failed: false, stratum: 'stream, up to 256', firstTokenMs: n, perTokenMs: null },
  ...more,
})

test('slow is what 95 % are faster than, for each kind of request by itself', () => {
  const streams = Array.from({ length: 100 }, (_, n) => request(n + 1))
  const whole = [request(1_000, { stratum: 'whole, longer', failed: true })]
  expect(baselineFrom([...streams, ...whole], instant(7))).toEqual({
    at: 7,
    requests: 101,
    errorRate: 1 / 101,
    slow: {
      'stream, up to 256': { firstTokenMs: 95, perTokenMs: null, requests: 100 },
      'whole, longer': { firstTokenMs: 1_000, perTokenMs: null, requests: 1 },
    },
  })
})

test('a version that served nothing has no baseline', () => {
  expect(baselineFrom([], instant(7))).toBeNull()
})

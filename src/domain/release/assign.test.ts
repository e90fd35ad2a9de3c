import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { share } from '../units.ts'
import { armOf, placeOf } from './assign.ts'

const units = 20_000
const parts = 100

/** How far counts are from being even: about `counts.length` when they are, far above when not. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}
/** Of 99 degrees of freedom: even counts exceed it once in 100,000 times. */
const mostChiSquare = 170

/** As units come: hex digests, counted names, and UUIDs that differ in a few digits. */
const kinds: readonly ((at: number) => string)[] = [
  at => `user ${at}`,
  at => String(at),
  at => `0190a6f0-0000-7000-8000-${at.toString(16).padStart(12, '0')}`,
  at => `["key_abc",[{"role":"user","content":"${at}"}]]`,
]

describe('assignment', () => {
  test('units are spread evenly, whatever they look like and whatever the salt', () => {
    for (const unitOf of kinds) {
      for (const salt of ['', 'a', 'b', '0190a6f0-0000-7000-8000-000000000001']) {
        const counts = Array.from({ length: parts }, () => 0)
        for (let at = 0; at < units; at++) {
          const place = Math.floor(placeOf(salt, unitOf(at)) * parts)
          counts[place] = (counts[place] ?? 0) + 1
        }
        expect(chiSquare(counts)).toBeLessThan(mostChiSquare)
      }
    }
  })

  test('also the smallest shares get their part', () => {
    const wanted = share(0.001)
    const many = 200_000
    let candidates = 0
    for (let at = 0; at < many; at++) if (armOf({ salt: 's', share: wanted }, String(at)) === 'candidate') candidates++
    // Five standard deviations.
    expect(Math.abs(candidates - 200)).toBeLessThan(5 * Math.sqrt(200))
  })

  test('one salt tells nothing of another', () => {
    const salts = ['a', 'b', 'c', '0190a6f0-0000-7000-8000-000000000001', '0190a6f0-0000-7000-8000-000000000002']
    for (const [at, one] of salts.entries()) {
      for (const other of salts.slice(at + 1)) {
        const counts = Array.from({ length: parts }, () => 0)
        for (let unit = 0; unit < units; unit++) {
          const [row, column] = [one, other].map(salt => Math.floor(placeOf(salt, `unit ${unit}`) * 10))
          const cell = (row ?? 0) * 10 + (column ?? 0)
          counts[cell] = (counts[cell] ?? 0) + 1
        }
        expect(chiSquare(counts)).toBeLessThan(mostChiSquare)
      }
    }
  })

  test('a share that grows moves nobody back to the live version', () => {
    const part = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(fc.string(), fc.string(), part, part, (salt, unit, one, other) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)]
        if (armOf({ salt, share: share(less) }, unit) === 'live') return true
        return armOf({ salt, share: share(more) }, unit) === 'candidate'
      }),
    )
  })

  test('nothing of it means nobody, all of it everybody', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (salt, unit) => {
        expect(armOf({ salt, share: share(0) }, unit)).toBe('live')
        expect(armOf({ salt, share: share(1) }, unit)).toBe('candidate')
      }),
    )
  })

  test('the place of a unit never changes: gateways of all releases of Holdfast agree on it', () => {
    expect(placeOf('salt', 'unit')).toBeCloseTo(0.2885763493832201, 9)
  })
})

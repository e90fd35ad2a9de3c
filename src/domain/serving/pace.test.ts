import { expect, test } from 'vitest'
import { millis } from '../units.ts'
import { learnPace, noPace, slowerThanPeers, type Pace } from './pace.ts'

/** Stretches of sixteen pieces, so many milliseconds apart each. */
const paceOf = (...gaps: number[]): Pace =>
  gaps.reduce((pace, gap) => learnPace(pace, { pieces: 16, took: millis(16 * gap), prefilling: false }), noPace)
const steady = (gap: number, stretches = 10): Pace => paceOf(...Array.from({ length: stretches }, () => gap))
const of = (pace: Pace, weight = 1) => ({ pace, weight })

test('S1 one that is more than eight times slower than its peers is an outlier, and the reason says how slow', () => {
  expect(slowerThanPeers(of(steady(400)), [of(steady(20)), of(steady(30)), of(steady(25))])).toBe(
    'much slower than its peers: 400 ms between pieces of an answer, where 25 ms are usual',
  )
  expect(slowerThanPeers(of(steady(160)), [of(steady(20))])).toBeNull()
  expect(slowerThanPeers(of(steady(161)), [of(steady(20))])).not.toBeNull()
})

test('S1 a smaller card is meant to be slower: the weight says so', () => {
  expect(slowerThanPeers(of(steady(300), 1), [of(steady(20), 10)])).toBeNull()
  expect(slowerThanPeers(of(steady(300), 10), [of(steady(200), 1)])).not.toBeNull()
})

test('S1 where most are slow, nobody is left out', () => {
  expect(slowerThanPeers(of(steady(400)), [of(steady(20)), of(steady(390)), of(steady(410))])).toBeNull()
})

test('S2 without peers, or too early, there is no outlier', () => {
  expect(slowerThanPeers(of(steady(900)), [])).toBeNull()
  expect(slowerThanPeers(of(steady(900)), [of(steady(10, 7))])).toBeNull()
  expect(slowerThanPeers(of(steady(900, 7)), [of(steady(10))])).toBeNull()
})

test('S3 while a prompt is taken in, nothing is learned; nor from single pieces', () => {
  expect(learnPace(noPace, { pieces: 16, took: millis(60_000), prefilling: true })).toBe(noPace)
  expect(learnPace(noPace, { pieces: 15, took: millis(60_000), prefilling: false })).toBe(noPace)
})

test('S3 a few long stops among many stretches make nobody an outlier', () => {
  expect(slowerThanPeers(of(paceOf(20, 5_000, 20, 20, 9_000, 20, 20, 7_000, 20, 20)), [of(steady(20))])).toBeNull()
})

test('S4 nobody is left out for what is as fast as people read', () => {
  expect(slowerThanPeers(of(steady(50)), [of(steady(1))])).toBeNull()
  expect(slowerThanPeers(of(steady(51)), [of(steady(1))])).not.toBeNull()
})

test('S5 only the last 32 stretches count', () => {
  const pace = steady(900, 40).length
  expect(pace).toBe(32)
  const recovered = Array.from({ length: 17 }).reduce<Pace>(
    known => learnPace(known, { pieces: 16, took: millis(320), prefilling: false }),
    steady(900, 40),
  )
  expect(slowerThanPeers(of(recovered), [of(steady(20))])).toBeNull()
})

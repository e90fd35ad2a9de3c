import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EngineLoad } from '../serving/index.ts'
import { millis } from '../units.ts'
import {
  learnFromRefusal,
  learnPlaces,
  placesHere,
  shareOf,
  unknownPlaces,
  type LearnedPlaces,
} from './learn-places.ts'

const load = (running: number | null, waiting: number | null, kvUse: number | null = null): EngineLoad => ({
  running,
  waiting,
  kvUse,
  promptTokens: null,
  generatedTokens: null,
})

type Look = { load: EngineLoad | null; inFlight: number }

/** Looks each 5 s. */
function look(known: LearnedPlaces, { from, looks }: { from: number; looks: Look[] }): LearnedPlaces {
  return looks.reduce((now, each, index) => learnPlaces(now, { ...each, at: millis(from + index * 5_000) }), known)
}
const times = (count: number, each: Look): Look[] => Array.from({ length: count }, () => each)
const of = (count: number): LearnedPlaces => ({ ...unknownPlaces, count })

test('L1 flags hold, divided among gateways; without them what was learned, which is this gateway’s own already', () => {
  expect(placesHere(8, of(3), 1)).toBe(8)
  expect(placesHere(8, of(3), 3)).toBe(2)
  expect(placesHere(null, of(3), 2)).toBe(3)
  expect(placesHere(null, unknownPlaces, 2)).toBe(Infinity)
  expect([shareOf(1, 4), shareOf(9, 4), shareOf(9, 0), shareOf(Infinity, 4)]).toEqual([1, 2, 9, Infinity])
})

test('L1 an engine in which nothing waits has no bound', () => {
  expect(look(unknownPlaces, { from: 0, looks: times(20, { load: load(50, 0), inFlight: 50 }) }).count).toBe(Infinity)
  expect(look(unknownPlaces, { from: 0, looks: times(20, { load: null, inFlight: 50 }) }).count).toBe(Infinity)
})

test('L2 what waits inside for 20 s shows what it runs', () => {
  const crowd = { load: load(8, 4), inFlight: 12 }
  expect(look(unknownPlaces, { from: 0, looks: times(4, crowd) }).count).toBe(Infinity)
  expect(look(unknownPlaces, { from: 0, looks: times(5, crowd) }).count).toBe(8)
})

test('L2 one look without anybody waiting, and the 20 s begin again', () => {
  const crowd = { load: load(8, 4), inFlight: 12 }
  const looks = [...times(4, crowd), { load: load(8, 0), inFlight: 8 }, ...times(4, crowd)]
  expect(look(unknownPlaces, { from: 0, looks }).count).toBe(Infinity)
})

test('L2 numbers that are still those of a crowd gone by take nothing from a place learned', () => {
  const looks = [...times(5, { load: load(8, 4), inFlight: 12 }), ...times(3, { load: load(8, 4), inFlight: 2 })]
  expect(look(unknownPlaces, { from: 0, looks }).count).toBe(8)
})

test('L2 an engine that tells only who waits runs the rest', () => {
  expect(look(unknownPlaces, { from: 0, looks: times(5, { load: load(null, 4), inFlight: 10 }) }).count).toBe(6)
})

test('L3 half of an engine that others use as much is ours', () => {
  expect(look(unknownPlaces, { from: 0, looks: times(5, { load: load(8, 4), inFlight: 6 }) }).count).toBe(4)
})

test('L4 places halve at most, and the last stays', () => {
  const crowd = { load: load(1, 30), inFlight: 31 }
  const once = look(of(16), { from: 0, looks: times(5, crowd) })
  expect(once.count).toBe(8)
  expect(look(once, { from: 25_000, looks: times(60, crowd) }).count).toBe(1)
})

test('L5 full for 20 s and nothing waits inside: more is tried', () => {
  const full = { load: load(8, 0), inFlight: 8 }
  expect(look(of(8), { from: 0, looks: times(4, full) }).count).toBe(8)
  expect(look(of(8), { from: 0, looks: times(5, full) }).count).toBe(9)
  expect(look(of(32), { from: 0, looks: times(5, { load: load(32, 0), inFlight: 32 }) }).count).toBe(36)
})

test('L5 not when a place is free, the cache is full, or something waits inside', () => {
  for (const not of [
    { load: load(7, 0), inFlight: 7 },
    { load: load(8, 0, 0.95), inFlight: 8 },
    { load: load(0, 3), inFlight: 8 },
  ])
    expect(look(of(8), { from: 0, looks: times(10, not) }).count).toBe(8)
})

test('L5 an engine that runs 12 and is believed to run 3 gets to about 12, and stays there', () => {
  let known = of(3)
  const counts: number[] = []
  for (let turn = 0; turn < 2_000; turn++) {
    const inFlight = known.count
    const running = Math.min(12, inFlight)
    known = learnPlaces(known, { load: load(running, inFlight - running), inFlight, at: millis(turn * 5_000) })
    counts.push(known.count)
  }
  const settled = counts.slice(200)
  expect(Math.min(...settled)).toBe(12)
  expect(Math.max(...settled)).toBe(13)
  // One too many is tried again and again, but seldom.
  expect(settled.filter(count => count === 13).length / settled.length).toBeLessThan(0.1)
})

test('L6 a wrong try doubles the time to the next, and two right ones in a row bring it back', () => {
  const full = (count: number): Look => ({ load: load(count, 0), inFlight: count })
  const tried = look(of(8), { from: 0, looks: times(5, full(8)) })
  const wrong = look(tried, { from: 25_000, looks: times(5, { load: load(8, 1), inFlight: 9 }) })
  expect([wrong.count, wrong.patience]).toEqual([8, 40_000])
  expect(look(wrong, { from: 50_000, looks: times(5, full(8)) }).count).toBe(8)
  const again = look(wrong, { from: 50_000, looks: times(9, full(8)) })
  expect(again.count).toBe(9)
  const right = look(again, { from: 95_000, looks: times(9, full(9)) })
  expect([right.count, right.patience]).toEqual([10, 20_000])
})

test('L7 an engine that takes 10 of 20 and refuses the others runs 10', () => {
  let known = unknownPlaces
  for (let inFlight = 20; inFlight > 10; inFlight--)
    known = learnFromRefusal(known, { inFlight, at: millis(20 - inFlight) })
  expect(known.count).toBe(10)
})

test('L7 refusals of one moment halve the places once', () => {
  let known = of(20)
  for (let inFlight = 20; inFlight > 1; inFlight--) known = learnFromRefusal(known, { inFlight, at: millis(0) })
  expect(known.count).toBe(10)
  expect(learnFromRefusal(known, { inFlight: 4, at: millis(4_999) }).count).toBe(10)
  expect(learnFromRefusal(known, { inFlight: 4, at: millis(5_000) }).count).toBe(5)
})

test('L7 an engine that says nothing of its load and has stopped refusing is tried with more', () => {
  const known = learnFromRefusal(unknownPlaces, { inFlight: 5, at: millis(0) })
  expect(look(known, { from: 1_000, looks: times(5, { load: null, inFlight: 4 }) }).count).toBe(5)
})

test('L8 an engine that runs nothing, or refuses the only one, shows nothing', () => {
  expect(look(unknownPlaces, { from: 0, looks: times(20, { load: load(0, 5), inFlight: 5 }) }).count).toBe(Infinity)
  expect(learnFromRefusal(unknownPlaces, { inFlight: 1, at: millis(0) }).count).toBe(Infinity)
})

test('L4 whatever an engine says, its places are a whole number of at least one, or unbounded', () => {
  const number = fc.option(fc.nat(300))
  const anyLook = fc.record({
    running: number,
    waiting: number,
    kvUse: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    inFlight: fc.nat(300),
    refuses: fc.boolean(),
    pass: fc.nat(30_000),
  })
  fc.assert(
    fc.property(fc.array(anyLook, { maxLength: 60 }), looks => {
      let known = unknownPlaces
      let at = 0
      for (const { running, waiting, kvUse, inFlight, refuses, pass } of looks) {
        at += pass
        const before = known.count
        known = refuses
          ? learnFromRefusal(known, { inFlight, at: millis(at) })
          : learnPlaces(known, { load: load(running, waiting, kvUse), inFlight, at: millis(at) })
        expect(known.count === Infinity || Number.isSafeInteger(known.count)).toBe(true)
        expect(known.count).toBeGreaterThanOrEqual(before === Infinity ? 1 : Math.ceil(before / 2))
      }
    }),
  )
})

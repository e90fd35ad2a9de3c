import { expect, test } from 'vitest'
import { millis, tokens } from '../units.ts'
import type { EngineLoad } from './engine-load.ts'
import { expectedPrefill, learnPrefill, noProgress, stallOf, stepProgress, type Sighting } from './progress.ts'

const stall = millis(30_000)
const load = (change: Partial<EngineLoad> = {}): EngineLoad => ({
  running: 1,
  waiting: 0,
  kvUse: null,
  promptTokens: tokens(100),
  generatedTokens: tokens(100),
  ...change,
})
const seen = (change: Partial<Sighting> = {}): Sighting => ({
  inFlight: 1,
  pieces: 0,
  waitingPrompt: tokens(0),
  load: load(),
  ...change,
})

/** Plays sightings, seconds apart from the start; answers why it is stalled at the last of them. */
function play(...sightings: [seconds: number, Sighting][]): string | null {
  let progress = noProgress(millis(0))
  let why: string | null = null
  for (const [seconds, sighting] of sightings) {
    const now = millis(seconds * 1000)
    progress = stepProgress(progress, sighting, now)
    why = stallOf(progress, sighting, { stall, now })
  }
  return why
}

test('G1 a replica that is busy and moves nothing for the stall time is stalled', () => {
  expect(play([0, seen()], [29, seen()])).toBeNull()
  expect(play([0, seen()], [31, seen()])).toMatch(/busy for 31 s/)
})

test.each([
  ['a token made', seen({ load: load({ generatedTokens: tokens(101) }) })],
  ['a token taken in', seen({ load: load({ promptTokens: tokens(101) }) })],
  ['a piece of an answer', seen({ pieces: 1 })],
])('G2 %s is progress', (_, moved) => {
  expect(play([0, seen()], [29, moved], [58, moved])).toBeNull()
  expect(play([0, seen()], [29, moved], [60, moved])).not.toBeNull()
})

test('G3 nothing to do is no stall, and the time starts again when work comes', () => {
  const idle = seen({ inFlight: 0, load: load({ running: 0 }) })
  expect(play([0, idle], [500, idle], [501, seen()], [529, seen()])).toBeNull()
  expect(play([0, idle], [500, idle], [501, seen()], [532, seen()])).not.toBeNull()
})

test('G4 a long prompt is given the time that its length may take', () => {
  const long = seen({ waitingPrompt: tokens(5_000) })
  expect(play([0, long], [129, long])).toBeNull()
  expect(play([0, long], [131, long])).not.toBeNull()
  expect(expectedPrefill(tokens(10_000_000), null)).toBe(600_000)
  expect(expectedPrefill(tokens(5_000), 1_000)).toBe(20_000)
})

test('G5 an engine without counters is never called stalled', () => {
  for (const blind of [null, load({ promptTokens: null, generatedTokens: null })])
    expect(play([0, seen({ load: blind })], [10_000, seen({ load: blind })])).toBeNull()
})

test('G6 the speed is learned from our own requests', () => {
  let progress = noProgress(millis(0))
  progress = learnPrefill(progress, tokens(100), millis(1))
  expect(progress.prefillRate).toBeNull()
  progress = learnPrefill(progress, tokens(4_000), millis(1_000))
  expect(progress.prefillRate).toBe(4_000)
  progress = learnPrefill(progress, tokens(12_000), millis(1_000))
  expect(progress.prefillRate).toBe(5_000)
  progress = learnPrefill(progress, tokens(1_000), millis(1_000))
  expect(progress.prefillRate).toBe(1_000)
})

test('G7 requests of others keep an engine busy too', () => {
  const others = seen({ inFlight: 0 })
  expect(play([0, others], [31, others])).not.toBeNull()
  const queued = seen({ inFlight: 0, load: load({ running: 0, waiting: 3 }) })
  expect(play([0, queued], [31, queued])).not.toBeNull()
})

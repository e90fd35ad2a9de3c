import { expect, test } from 'vitest'
import { simulateRelease, type Outcome, type Traffic } from '../../../bench/releases/simulate-release.ts'
import { millis } from '../units.ts'
import { canaryOf, policyOf } from './fake.ts'

// Seeded: each of these always comes out the same. The long form, with its numbers, is bench/releases/machine.main.ts.
const none = { errors: null, firstToken: null, perToken: null, feedback: null }
const allGates = { errors: { margin: 0.005 }, firstToken: { ratio: 1.2 }, perToken: { ratio: 1.2 }, feedback: null }
const usual = { errors: 0.01, slower: 1 }
const minute = millis(60_000)
const longAt = (share: number) => canaryOf([share, 1], { minTime: millis(9e8), maxTime: millis(9e9) })

function simulate(seeds: number, traffic: Omit<Traffic, 'seed'>): Outcome[] {
  return Array.from({ length: seeds }, (_, index) => simulateRelease({ ...traffic, seed: index + 1 }))
}
const ended = (outcomes: Outcome[], phase: string) => outcomes.filter(outcome => outcome.phase === phase)
const middle = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

test('A/A: an equal candidate is rolled back in less than one release of a hundred, units unequal and asking again and again', () => {
  const policy = policyOf({
    canary: canaryOf([0.1, 0.5, 1], { minTime: minute, stick: 'conversation' }),
    gates: allGates,
  })
  const traffic = { policy, live: usual, candidate: usual, requests: 2000, perUnit: 4, unlucky: 0.2, lookEvery: 100 }
  const outcomes = simulate(200, traffic)
  expect(ended(outcomes, 'rolled-back').length).toBeLessThan(2)
  expect(ended(outcomes, 'live')).toEqual([])
})

test('A/A without gates goes all the way, and so does one whose evidence suffices', () => {
  const bare = policyOf({ canary: canaryOf([0.1, 0.5, 1], { minTime: minute, bake: minute }), gates: none })
  const outcomes = simulate(10, { policy: bare, live: usual, candidate: usual, requests: 6000, perUnit: 1 })
  expect(ended(outcomes, 'live')).toHaveLength(10)
  const steps = canaryOf([0.5, 1], { minTime: minute, bake: minute, maxTime: millis(9e8) })
  const proved = policyOf({ canary: steps, gates: { ...none, errors: { margin: 0.02 } } })
  const shown = simulate(5, { policy: proved, live: usual, candidate: usual, requests: 8000, perUnit: 1 })
  expect(ended(shown, 'live')).toHaveLength(5)
})

test('a candidate that fails everything is out after five requests of its own', () => {
  const policy = policyOf({ canary: longAt(0.1), gates: none })
  const broken = { errors: 1, slower: 1 }
  const outcomes = simulate(40, { policy, live: usual, candidate: broken, requests: 1000, perUnit: 1, lookEvery: 1 })
  expect(ended(outcomes, 'rolled-back')).toHaveLength(40)
  expect(Math.max(...outcomes.map(outcome => outcome.requests))).toBeLessThanOrEqual(100)
  expect(Math.max(...outcomes.map(outcome => outcome.candidateRequests))).toBeLessThanOrEqual(6)
})

test('1 % to 3 % errors is found, at a tenth of the traffic, in 6,000 requests by the median', () => {
  const policy = policyOf({ canary: longAt(0.1), gates: { ...none, errors: { margin: 0 } } })
  const worse = { errors: 0.03, slower: 1 }
  const outcomes = simulate(25, { policy, live: usual, candidate: worse, requests: 20_000, perUnit: 1 })
  expect(ended(outcomes, 'rolled-back').length).toBeGreaterThanOrEqual(24)
  expect(middle(outcomes.map(outcome => outcome.requests))).toBeLessThanOrEqual(6000)
})

test('a candidate that takes half as long again is found by its slow requests alone', () => {
  const policy = policyOf({ canary: longAt(0.25), gates: { ...none, firstToken: { ratio: 1.2 } } })
  const slow = { errors: 0.01, slower: 1.5 }
  const outcomes = simulate(20, { policy, live: usual, candidate: slow, requests: 6000, perUnit: 2 })
  expect(ended(outcomes, 'rolled-back')).toHaveLength(20)
  expect(outcomes[0]?.why).toMatch(/^first-token: /)
})

test('a leak between the arms makes the release void', () => {
  const policy = policyOf({ canary: longAt(0.5), gates: none })
  const outcomes = simulate(20, { policy, live: usual, candidate: usual, requests: 12_000, perUnit: 1, leak: 0.15 })
  expect(ended(outcomes, 'held')).toHaveLength(20)
  expect(new Set(outcomes.map(outcome => outcome.release.verdict))).toEqual(new Set(['void']))
})

test('weights that change in mid-run break nothing: five steps, none rolled back', () => {
  const steps = canaryOf([0.05, 0.1, 0.25, 0.5, 0.75], { minTime: minute, stick: 'conversation' })
  const policy = policyOf({ canary: steps, gates: { ...none, errors: { margin: 0.005 } } })
  const outcomes = simulate(25, { policy, live: usual, candidate: usual, requests: 4500, perUnit: 3, lookEvery: 100 })
  expect(outcomes.filter(outcome => outcome.release.step === 5).length).toBeGreaterThan(20)
  expect(ended(outcomes, 'rolled-back')).toEqual([])
})

test('low traffic is held when its time is over, never promoted', () => {
  const steps = canaryOf([0.1, 1], { minTime: minute, maxTime: millis(86_400_000) })
  const policy = policyOf({ canary: steps, gates: allGates })
  const rare = { requests: 400, perUnit: 2, everyMs: 600_000, lookEvery: 1 }
  const outcomes = simulate(20, { policy, live: usual, candidate: usual, ...rare })
  expect(ended(outcomes, 'held')).toHaveLength(20)
})

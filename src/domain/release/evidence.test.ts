import { expect, test } from 'vitest'
import { openEvidence, takeIn, type Evidence } from './evidence.ts'
import { canaryOf, minute, play, policyOf } from './fake.ts'
import { readGates } from './gates.ts'

const gates = { errors: { margin: 0.005 }, firstToken: { ratio: 1.2 }, perToken: null, feedback: { ratio: 1.5 } }
const policy = policyOf({ canary: canaryOf([0.25, 0.5, 1]), gates })
const inCanary = () => {
  const player = play(policy)
  player.look()
  return player
}
const stepOf = (evidence: Evidence, at = 1) => evidence.steps.get(at)
const reading = (player: ReturnType<typeof play>, name: string) =>
  readGates(player.release(), player.evidence(), player.world.now).find(gate => gate.name === name)

test('E1 the same events give the same numbers, and none counts twice', () => {
  const player = inCanary()
  player.requests(50, 'candidate').requests(150, 'live', { slow: true }).feedback('live', -1)
  const again = openEvidence(policy)
  for (const event of player.events) takeIn(again, event, player.release().baseline)
  expect(again).toEqual(player.evidence())
  for (const event of player.events) takeIn(again, event, player.release().baseline)
  expect(again).toEqual(player.evidence())
})

test('E2 the first event of a unit counts, where it happened', () => {
  const player = inCanary()
  player.requests(3, 'live', { failed: true, unit: 'a' }).requests(40, 'live').requests(20, 'candidate')
  player.after(minute)
  expect(player.at()).toBe('canary 2')
  player.requests(2, 'candidate', { failed: true, unit: 'a' }).requests(1, 'candidate', { failed: true, unit: 'b' })
  expect(stepOf(player.evidence())?.errors).toMatchObject({ live: 1, candidate: 0 })
  expect(stepOf(player.evidence(), 2)?.errors).toMatchObject({ live: 0, candidate: 1 })
  expect(player.evidence().answered.errors).toEqual({ units: 22, hit: 2 })
})

test('E2 what happened before the canary does not count', () => {
  const player = play(policy)
  player.requests(20, 'live', { failed: true }).feedback('live', -1)
  expect(player.evidence().steps.size).toBe(0)
})

test('E2 a thumb up is no event', () => {
  const player = inCanary()
  player.feedback('candidate', 1, 'a').feedback('candidate', -1, 'a').feedback('candidate', -1, 'a')
  expect(stepOf(player.evidence())?.feedback).toMatchObject({ candidate: 1, live: 0 })
})

test('E3 who left early failed nothing and proves nothing, but may have waited too long', () => {
  const player = inCanary()
  player.requests(5, 'candidate', { cancelled: true }).requests(2, 'candidate', { cancelled: true, slow: true })
  const { requests, errors, slow } = stepOf(player.evidence()) ?? {}
  expect([requests?.candidate, errors?.candidate, errors?.atRisk]).toEqual([0, 0, 0])
  expect(Object.values(slow?.firstToken ?? {})).toEqual([{ candidate: 2, live: 0, atRisk: 2 }])
})

test('E5 who left does not end a row of failures, and a row once seen stays', () => {
  const player = inCanary()
  player.requests(3, 'candidate', { failed: true }).requests(1, 'candidate', { cancelled: true })
  player.requests(2, 'candidate', { failed: true }).requests(50, 'candidate')
  expect(player.evidence().runs.stop).toContain('5 of its requests failed in a row')
})

test('E8 a unit is counted once in a step', () => {
  const player = inCanary()
  player.requests(9, 'candidate', { unit: 'a' }).requests(30, 'live').requests(15, 'candidate')
  player.after(minute)
  player.requests(2, 'candidate', { unit: 'a' })
  expect(stepOf(player.evidence())?.units).toEqual({ candidate: 16, live: 30 })
  expect(stepOf(player.evidence(), 2)?.units).toEqual({ candidate: 1, live: 0 })
})

test('E9 what one step showed stays when the weight changes', () => {
  const player = inCanary()
  player.requests(2, 'candidate', { failed: true, unit: 'x' })
  for (let at = 0; at < 8; at++) player.requests(1, 'candidate', { failed: true }).requests(4, 'candidate')
  player.requests(120, 'live')
  const before = reading(player, 'errors')?.eValue ?? 0
  expect(before).toBeGreaterThan(5)
  player.after(minute)
  expect(player.at()).toBe('canary 2')
  expect(reading(player, 'errors')?.eValue).toBe(before)
})

test('E10 the gates that are listed share one per cent', () => {
  const parts = readGates(inCanary().release(), openEvidence(policy), inCanary().world.now).flatMap(
    ({ threshold, name }) => (threshold === undefined || name === 'sample-ratio' ? [] : [1 / threshold]),
  )
  expect(parts).toHaveLength(3)
  expect(parts.reduce((sum, part) => sum + part, 0)).toBeCloseTo(0.01, 12)
})

test('E14 says how many more requests it takes, and nothing where there is no end to it', () => {
  const player = inCanary()
  player.requests(25, 'candidate').requests(75, 'live')
  expect(reading(player, 'errors')?.needed).toBeGreaterThan(0)
  expect(reading(player, 'feedback')?.needed).toBeUndefined()
})

test('E6 full of units, it stops comparing and says so', () => {
  const player = inCanary()
  player.requests(30, 'candidate', { failed: true }).requests(30, 'live')
  const evidence = player.evidence()
  evidence.isFull = true
  player.requests(30, 'live', { failed: true })
  expect(stepOf(evidence)?.errors).toMatchObject({ candidate: 30, live: 0 })
  expect(reading(player, 'errors')?.evidence).toContain('Counting stopped')
})

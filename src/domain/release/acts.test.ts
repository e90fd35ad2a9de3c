import { expect, test } from 'vitest'
import { millis } from '../units.ts'
import { anna, canaryOf, minute, play, policyOf, said } from './fake.ts'
import { realityOf } from './reality.ts'

const errors = { errors: { margin: 0.005 }, firstToken: null, perToken: null, feedback: null }
const careful = policyOf({ smoke: { prompts: 5 }, canary: canaryOf([0.1, 0.5, 1]), gates: errors })
const inCanary = () => {
  const player = play(careful)
  player.look()
  player.smoke(true)
  player.look()
  expect(player.at()).toBe('canary 1')
  return player
}

test.each(['promote', 'abort', 'resume'] as const)('R24 %s without a reason is refused', kind => {
  const player = inCanary()
  expect(player.by(kind, { ...anna, reason: ' ' }).refused).toContain('--reason')
  expect(player.at()).toBe('canary 1')
})

test('R24 who did it, and why, stands in the decision', () => {
  const player = inCanary()
  player.requests(40, 'candidate').by('abort', { ...anna, reason: 'wrong weights' })
  expect(player.decisions.at(-1)).toMatchObject({
    ...{ by: { alias: 'anna' }, why: 'aborted by anna: wrong weights', to: { phase: 'aborted' }, seq: 40, share: 0 },
  })
})

test('R25 abort is possible until live', () => {
  const player = play(policyOf())
  player.look()
  expect(player.at()).toBe('bake')
  expect(said(player.by('abort').effects)).toEqual(['serve', 'notify'])
  expect(realityOf(player.release())).toMatchObject({ live: 'v1', beside: null })
  const done = play(policyOf())
  done.look()
  done.after(millis(1_800_000))
  expect(done.by('abort').refused).toContain('has ended (live)')
})

test('R26 nobody promotes what has not answered yet', () => {
  const player = play(careful)
  expect(player.by('promote').refused).toContain('has not answered')
  player.look()
  expect(player.by('promote').refused).toContain('has not answered')
})

test('R26 promoted by hand it bakes, without waiting for evidence, and still goes back when something fires', () => {
  const player = inCanary()
  player.by('promote')
  expect([player.at(), player.decisions.at(-1)?.share]).toEqual(['bake', 1])
  player.requests(10, 'candidate').after(millis(599_999))
  expect(player.at()).toBe('bake')
  player.after(millis(1))
  expect(player.at()).toBe('live')
  const broken = inCanary()
  broken.by('promote')
  broken.requests(10, 'candidate', { failed: true }).look()
  expect(broken.at()).toBe('rolled-back')
})

test('R26 in bake it ends at once', () => {
  const player = play(policyOf({ hooks: [{ kind: 'confirm', url: 'http://127.0.0.1:1/', secret: null }] }))
  player.look()
  player.by('promote')
  expect(player.at()).toBe('live')
})

test('R27 resume goes on where it was, with its whole time', () => {
  const player = inCanary()
  expect(player.by('resume').refused).toContain('is not held: it is in canary')
  player.after(millis(3_600_000))
  expect(player.at()).toBe('held')
  player.by('resume')
  expect([player.at(), player.release().heldIn]).toEqual(['canary 1', null])
  player.after(minute)
  expect(player.at()).toBe('canary 1')
  player.requests(30, 'candidate').requests(270, 'live').look()
  expect(player.at()).toBe('canary 2')
})

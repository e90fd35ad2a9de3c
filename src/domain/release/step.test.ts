import { expect, test } from 'vitest'
import { millis } from '../units.ts'
import { canaryOf, minute, play, policyOf, said } from './fake.ts'

test('R1 phases follow each other, and what the policy leaves out is left out', () => {
  const player = play(policyOf({ smoke: { prompts: 5 }, canary: canaryOf([0.1, 1]) }))
  player.look()
  expect(player.at()).toBe('smoke')
  player.smoke(true)
  player.after(minute)
  expect(player.at()).toBe('canary 1')
  player.requests(30, 'candidate').requests(270, 'live')
  player.after(minute)
  expect(player.at()).toBe('canary 2')
  player.requests(30, 'candidate')
  player.after(minute)
  expect(player.at()).toBe('bake')
  player.after(millis(600_000))
  expect(player.at()).toBe('live')
  expect(said(player.effects)).toContain('smoke')
})

import { expect, test } from 'vitest'
import { millis } from '../units.ts'
import { canaryOf, play, policyOf, shadowOf, type Player } from './fake.ts'
import { readGates } from './gates.ts'
import { realityOf } from './reality.ts'

const judged = (rest = {}): Player => {
  const player = play(policyOf({ shadow: shadowOf('general', rest), canary: canaryOf([0.1, 1]) }))
  player.look()
  return player
}
const reading = (player: Player) =>
  readGates(player.release(), player.evidence(), player.world.now).find(({ name }) => name === 'judge')

test('R8 a candidate that does not lose more often goes on', () => {
  const player = judged()
  expect(realityOf(player.release())).toMatchObject({ share: 0, beside: 'v2', shadow: { share: 0.2 } })
  for (let at = 0; at < 100; at++) player.pairs(1, 'candidate').pairs(1, 'live').pairs(3, 'tie').look()
  expect(player.at()).toBe('canary 1')
  expect(realityOf(player.release()).shadow).toBeNull()
})

test('R8 one that loses is rolled back', () => {
  const player = judged()
  for (let at = 0; at < 60; at++) player.pairs(1, 'candidate').pairs(4, 'live').pairs(1, 'tie').look()
  expect(player.at()).toBe('rolled-back')
  expect(player.release().why).toMatch(/^judge: \d+ pairs: /)
})

test('R8 without a verdict it is held, says how many pairs more, and is given as many again', () => {
  const player = judged({ maxPairs: 100 })
  for (let at = 0; at < 10; at++) player.pairs(2, 'candidate').pairs(2, 'live').pairs(6, 'tie').look()
  expect([player.at(), player.release().verdict]).toEqual(['held', 'hold'])
  expect(player.release().why).toMatch(/no verdict after 100 pairs; about \d[\d,]* pairs more might tell/)
  player.by('resume')
  player.pairs(20, 'tie').look()
  expect(player.at()).toBe('shadow')
  player.pairs(70, 'live').look()
  expect(player.at()).toBe('rolled-back')
})

test.each(['slot A', 'unreadable'] as const)('R8 a judge that says %s is not believed, for or against', what => {
  const player = judged()
  for (let at = 0; at < 30; at++) player.pairs(2, what).look()
  expect([player.at(), player.release().verdict]).toEqual(['held', 'judge-inadmissible'])
  expect(player.by('resume').refused).toContain('another judge')
})

test('R8 a judge that has not proved itself is waited for, whatever it says', () => {
  const player = judged()
  player.pairs(45, 'live').look()
  expect(player.at()).toBe('shadow')
  expect(reading(player)).toMatchObject({ verdict: 'hold', needed: 5 })
  player.pairs(5, 'live').look()
  expect(player.at()).toBe('rolled-back')
})

test('R9 where nearly all answers are identical no judge is needed', () => {
  const player = judged()
  for (let at = 0; at < 40; at++) player.pairs(10, 'identical').look()
  expect(player.at()).toBe('canary 1')
})

test('R10 without a judge twenty answered copies are enough, and unanswered ones are a hard stop', () => {
  const player = play(policyOf({ shadow: shadowOf(null) }))
  player.look()
  player.pairs(3, 'failed').pairs(19, 'not-judged').look()
  expect(player.at()).toBe('shadow')
  player.pairs(1, 'not-judged').look()
  expect(player.at()).toBe('bake')
  const broken = play(policyOf({ shadow: shadowOf(null) }))
  broken.look()
  broken.pairs(10, 'not-judged').pairs(5, 'failed').look()
  expect(broken.at()).toBe('rolled-back')
})

test('R19 copies that nobody judges end in time', () => {
  const player = judged()
  player.pairs(30, 'not-judged').after(millis(3_600_000))
  expect(player.at()).toBe('held')
})

test('E7 another judge begins another series', () => {
  const player = judged()
  player.pairs(40, 'live')
  player.take({ kind: 'pair', pair: { ...player.lastPair(), judge: 'other pair-1' } })
  expect(player.evidence().judged).toMatchObject({ answered: 41, bets: { count: 1 }, record: { pairs: 1 } })
})

test('E7 controls that the judge missed count against it', () => {
  const player = judged()
  for (let at = 0; at < 30; at++) {
    const controls = [{ kind: 'injected', result: at % 2 === 0 ? 'passed' : 'missed' } as const]
    player.pairs(1, 'tie')
    player.take({ kind: 'pair', pair: { ...player.lastPair(), controls } })
  }
  player.look()
  expect(player.release().verdict).toBe('judge-inadmissible')
})

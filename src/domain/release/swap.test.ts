import { expect, test } from 'vitest'
import { millis } from '../units.ts'
import { canaryOf, minute, play, policyOf, shadowOf } from './fake.ts'
import { realityOf } from './reality.ts'

const swap = (rest = {}) => policyOf({ room: 'swap-idle', smoke: { prompts: 5 }, ...rest })
const room = (player: ReturnType<typeof play>) => {
  const { live, beside, liveRests, share } = realityOf(player.release())
  return `${liveRests ? `${live} rests` : live}${beside === null ? '' : `, ${beside} ${share}`}`
}

test('R21 tried alone in one idle window, cut over in another', () => {
  const player = play(swap({ canary: canaryOf([0.1, 1]), shadow: shadowOf('general') }))
  player.world.idle = false
  player.after(minute)
  expect([player.at(), room(player)]).toEqual(['draft', 'v1'])
  player.world.idle = true
  player.engine('loading').look()
  expect([player.at(), room(player)]).toEqual(['draft', 'v1 rests, v2 0'])
  player.engine('ready').engine('absent', 'live').look()
  expect([player.at(), room(player)]).toEqual(['smoke', 'v1 rests, v2 0'])
  player.smoke(true)
  expect([player.at(), room(player)]).toEqual(['smoke', 'v1'])
  player.engine('absent').look()
  expect(room(player)).toBe('v1')
  player.engine('ready', 'live')
  player.world.idle = false
  player.look()
  expect(room(player)).toBe('v1')
  player.world.idle = true
  player.look()
  expect([player.at(), room(player)]).toEqual(['canary 1', 'v1 rests, v2 1'])
  player.engine('ready').requests(30, 'candidate').after(minute)
  expect([player.at(), room(player)]).toEqual(['bake', 'v1 rests, v2 1'])
  player.after(millis(600_000))
  expect([player.at(), room(player)]).toEqual(['live', 'v2'])
})

test('R21 with nothing to try it takes over in the first window', () => {
  const player = play(policyOf({ room: 'swap-idle' })).engine('absent')
  player.look()
  expect(room(player)).toBe('v1 rests, v2 0')
  player.engine('ready').look()
  expect([player.at(), room(player)]).toEqual(['bake', 'v1 rests, v2 1'])
})

test('R22 how long going back takes is said first; going back starts the live version again', () => {
  const player = play(swap({ shadow: shadowOf(null) }), { liveLoads: millis(42_000) })
  expect(player.release().why).toContain('it took 42 s the last time')
  expect(player.release().why).toContain('shadow is left out')
  player.look()
  expect(player.release().why).toContain('it took 42 s the last time')
  player.look()
  player.smoke(false)
  expect([player.at(), room(player)]).toEqual(['rolled-back', 'v1'])
})

test('R23 a trial that is held gives the room back and begins anew', () => {
  const player = play(swap({ golden: { set: 'g', margin: 0.02, repeats: 1, judge: null, embed: null } }))
  player.look()
  player.look()
  player.smoke(true)
  expect(player.at()).toBe('golden')
  player.golden('inconclusive')
  expect([player.at(), room(player), player.release().golden?.verdict]).toEqual(['held', 'v1', 'inconclusive'])
  player.by('resume')
  expect([player.at(), room(player), player.release().smoke]).toEqual(['draft', 'v1', null])
})

test('R23 a trial lasts at most an hour', () => {
  const player = play(swap())
  player.look()
  player.look()
  expect(player.at()).toBe('smoke')
  player.after(millis(3_600_000))
  expect([player.at(), room(player)]).toEqual(['held', 'v1'])
})

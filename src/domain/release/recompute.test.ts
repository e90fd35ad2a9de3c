import { expect, test } from 'vitest'
import { canaryOf, minute, play, policyOf, shadowOf } from './fake.ts'
import { recompute } from './recompute.ts'

/** Through every phase, by hand and by itself, as the store would give it back. */
function whole() {
  const gates = { errors: { margin: 0.005 }, firstToken: { ratio: 1.2 }, perToken: null, feedback: null }
  const golden = { set: 'g', margin: 0.02, repeats: 1, judge: null, embed: null }
  const player = play(
    policyOf({ smoke: { prompts: 5 }, golden, shadow: shadowOf('general'), canary: canaryOf([0.5, 1]), gates }),
  )
  player.engine('loading').look()
  player.engine('ready').after(minute)
  player.smoke(true)
  player.golden('pass')
  for (let at = 0; at < 100; at++) player.pairs(1, 'candidate').pairs(1, 'live').pairs(3, 'tie').look()
  player.requests(40, 'candidate').requests(40, 'live')
  player.after(canaryOf([1]).maxTime)
  player.by('resume')
  player.requests(30, 'candidate', { slow: true }).requests(300, 'candidate').requests(330, 'live')
  player.engine('loading').after(minute)
  player.engine('ready').after(minute)
  for (let at = 0; at < 20 && player.at() !== 'rolled-back'; at++)
    player.requests(3, 'candidate', { failed: true }).requests(5, 'candidate').requests(8, 'live').look()
  expect(player.at()).toBe('rolled-back')
  return JSON.parse(JSON.stringify({ release: player.release(), decisions: player.decisions, events: player.events }))
}

test('E15 every decision comes out the same from its events', () => {
  const { release, decisions, events } = whole()
  const again = recompute(release, decisions, events)
  expect(again.flatMap(({ differences }) => differences)).toEqual([])
  expect(again.map(({ n, agrees }) => [n, agrees])).toEqual(again.map((_, index) => [index + 1, true]))
  expect(again.length).toBeGreaterThan(6)
})

test('E15 a number that was changed afterwards is found, and so is a missing event', () => {
  const { release, decisions, events } = whole()
  const last = decisions.at(-1)
  const forged = structuredClone(decisions)
  const gate = forged.at(-1).gates.find((is: { name: string }) => is.name === 'errors')
  gate.eValue += 1e-9
  expect(recompute(release, forged, events).at(-1)).toMatchObject({ n: last.n, agrees: false })
  expect(recompute(release, forged, events).at(-1)?.differences[0]).toMatch(/^gates\.\d+\.eValue: stored/)
  const lost = events.toSpliced(events.length - 9, 1)
  expect(recompute(release, decisions, lost).at(-1)?.agrees).toBe(false)
})

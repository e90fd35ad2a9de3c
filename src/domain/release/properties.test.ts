import fc from 'fast-check'
import { expect, test } from 'vitest'
import { millis } from '../units.ts'
import { baselineOf, canaryOf, play, policyOf, shadowOf, type Player } from './fake.ts'
import { isOverFor, shareOf } from './plan.ts'
import { realityOf } from './reality.ts'
import { recompute } from './recompute.ts'
import type { Policy } from './release.ts'

type Deed = (player: Player) => void

const verdicts = ['pass', 'fail', 'inconclusive', 'judge-inadmissible'] as const
const pairs = ['candidate', 'live', 'tie', 'identical', 'failed', 'not-judged', 'unreadable', 'slot A'] as const
const flags = fc.record({ failed: fc.boolean(), slow: fc.boolean(), cancelled: fc.boolean() })

/** What the world may do, people excepted. */
const worldly: fc.Arbitrary<Deed> = fc.oneof(
  fc.nat({ max: 90_000_000 }).map(time => (player: Player) => void player.after(millis(time))),
  fc.constantFrom(1000, 60_000, 600_000).map(time => (player: Player) => void player.after(millis(time))),
  fc.constant((player: Player) => void player.look()),
  fc
    .tuple(
      fc.constantFrom('absent', 'loading', 'ready', 'ready', 'ready', 'failed'),
      fc.constantFrom('live', 'candidate'),
    )
    .map(
      ([state, of]) =>
        (player: Player) =>
          void player.engine(state, of),
    ),
  fc.boolean().map(idle => (player: Player) => void (player.world.idle = idle)),
  fc.boolean().map(passed => (player: Player) => void player.smoke(passed)),
  fc.constantFrom(...verdicts, 'pass' as const).map(verdict => (player: Player) => void player.golden(verdict)),
  fc.tuple(fc.nat({ max: 400 }), fc.constantFrom('live', 'candidate'), fc.option(flags, { freq: 2 })).map(
    ([count, arm, outcome]) =>
      (player: Player) =>
        void player.requests(count, arm, outcome ?? {}),
  ),
  fc.tuple(fc.nat({ max: 80 }), fc.constantFrom(...pairs)).map(
    ([count, what]) =>
      (player: Player) =>
        void player.pairs(count, what),
  ),
  fc
    .nat({ max: 80 })
    .map(requests => (player: Player) => void (player.world.baseline = baselineOf(0.01, requests * 100))),
  fc.boolean().map(ok => (player: Player) => {
    player.tell({ kind: 'confirm-answered', now: player.world.now, ok, detail: 'it said so' })
  }),
)
const manual: fc.Arbitrary<Deed> = fc
  .constantFrom('promote', 'abort', 'resume')
  .map(kind => (player: Player) => void player.by(kind))

/** All goes as it should, for a while: without this hardly anything gets far enough to be worth a rule. */
const goodTime: fc.Arbitrary<Deed> = fc.nat({ max: 700 }).map(count => (player: Player) => {
  player.world.idle = true
  player.engine('ready').engine('ready', 'live').look()
  player.smoke(true)
  player.golden('pass')
  player.pairs(20, 'identical').pairs(2, 'tie')
  const part = Math.round(count * shareOf(player.release()))
  player.requests(part, 'candidate').requests(count - part, 'live')
  player.tell({ kind: 'confirm-answered', now: player.world.now, ok: true, detail: 'it said so' })
  player.after(millis(600_000))
})
const mixed = fc.oneof({ weight: 3, arbitrary: goodTime }, { weight: 1, arbitrary: worldly })
const withPeople = fc.oneof({ weight: 8, arbitrary: mixed }, { weight: 1, arbitrary: manual })

const some = <T>(value: T) => fc.constantFrom(value, null)
const policies: fc.Arbitrary<Policy> = fc
  .record({
    room: fc.constantFrom('beside', 'beside', 'swap-idle'),
    smoke: some({ prompts: 5 }),
    golden: some({ set: 'g', margin: 0.02, repeats: 1, judge: null, embed: null }),
    shadow: fc.constantFrom(null, shadowOf(null), shadowOf('general', { maxPairs: 100 })),
    canary: fc.constantFrom(null, canaryOf([1]), canaryOf([0.5]), canaryOf([0.1, 0.5, 1])),
    gates: fc.record({
      errors: some({ margin: 0.05 }),
      firstToken: some({ ratio: 1.5 }),
      perToken: fc.constant(null),
      feedback: fc.constant(null),
    }),
    hooks: fc.constantFrom([], [{ kind: 'confirm' as const, url: 'http://127.0.0.1:1/', secret: null }]),
    onTimeout: fc.constantFrom('hold', 'rollback'),
  })
  .map(parts => policyOf({ ...parts, hooks: [...parts.hooks] }))

const runs = { numRuns: 50 }
const lives = (deeds: fc.Arbitrary<Deed>) => fc.tuple(policies, fc.array(deeds, { minLength: 5, maxLength: 16 }))

test('R5 R14 no sequence of events reaches live without the evidence that the policy asks for', () => {
  const lived: Policy[] = []
  fc.assert(
    fc.property(lives(mixed), ([policy, deeds]) => {
      const player = play(policy)
      for (const deed of deeds) if (!isOverFor(player.release())) deed(player)
      const { phase, smoke, golden, confirmed } = player.release()
      if (phase !== 'live') return
      lived.push(policy)
      expect(player.world.candidate.state).toBe('ready')
      expect(policy.smoke === null || smoke?.passed).toBe(true)
      expect(policy.golden === null || golden?.verdict === 'pass').toBe(true)
      expect(policy.hooks.length === 0 || confirmed).toBe(true)
      const open = player.release().gates.filter(gate => gate.verdict !== 'promote')
      expect(open).toEqual([])
      const names = player.release().gates.map(gate => gate.name)
      if (policy.gates.errors !== null) expect(names).toContain('errors')
      if (policy.gates.firstToken !== null) expect(names).toContain('first-token')
    }),
    runs,
  )
  // Not because nothing ever does.
  expect(lived.filter(({ gates }) => gates.errors !== null).length).toBeGreaterThan(5)
})

test('R3 R5 the share grows only by a decision that promotes, and ends are ends', () => {
  fc.assert(
    fc.property(lives(withPeople), ([policy, deeds]) => {
      const player = play(policy)
      let [share, count, end]: [number, number, string | null] = [0, 0, null]
      for (const deed of deeds) {
        deed(player)
        const now = shareOf(player.release())
        if (now > share) expect(player.decisions.slice(count).at(-1)?.verdict).toBe('promote')
        if (end !== null) expect(player.release().phase).toBe(end)
        if (isOverFor(player.release())) end = player.release().phase
        if (player.release().phase === 'rolled-back')
          expect(realityOf(player.release())).toMatchObject({ live: 'v1', share: 0 })
        share = now
        count = player.decisions.length
      }
    }),
    runs,
  )
})

test('R4 a look that comes twice does no more than once', () => {
  fc.assert(
    fc.property(lives(withPeople), ([policy, deeds]) => {
      const player = play(policy)
      for (const deed of deeds) {
        deed(player)
        // The second settles what the first made possible (a draft that is ready goes on at once); the third has nothing left to do.
        let before = player.look().next
        for (let again = 0; again < 3; again++) before = player.look().next
        expect(player.look().next).toBe(before)
      }
    }),
    runs,
  )
})

test('R28 E15 a restart anywhere changes nothing that follows, and all of it can be decided again', () => {
  fc.assert(
    fc.property(lives(withPeople), fc.nat({ max: 15 }), ([policy, deeds], at) => {
      const [whole, cut] = [play(policy), play(policy)]
      for (const [index, deed] of deeds.entries()) {
        deed(whole)
        deed(cut)
        if (index === at) cut.restart()
      }
      expect(cut.release()).toEqual(whole.release())
      expect(cut.decisions).toEqual(whole.decisions)
      const stored = JSON.parse(JSON.stringify(whole.decisions))
      const again = recompute(whole.release(), stored, whole.events)
      expect(again.flatMap(({ differences }) => differences)).toEqual([])
    }),
    { numRuns: 25 },
  )
})

import { expect, test } from 'vitest'
import { millis } from '../units.ts'
import { anna, baselineOf, canaryOf, minute, play, policyOf, said, shadowOf, stratum } from './fake.ts'
import { readGates } from './gates.ts'
import { outlook } from './look.ts'
import { isOverFor } from './plan.ts'
import { realityOf } from './reality.ts'

const gates = { errors: null, firstToken: null, perToken: null, feedback: null }
const hour = millis(3_600_000)
const golden = { set: 'golden.jsonl', margin: 0.02, repeats: 1, judge: null, embed: null }
const smoke = { prompts: 5 }

test('R1 phases follow each other', () => {
  const shadow = shadowOf(null)
  const player = play(policyOf({ smoke, golden, shadow, canary: canaryOf([0.1, 1]) }))
  const places = [player.at()]
  const see = () => places.push(player.at())
  player.look()
  see()
  player.smoke(true)
  see()
  player.golden('pass')
  see()
  player.pairs(20, 'tie').look()
  see()
  player.requests(30, 'candidate').requests(270, 'live').after(minute)
  see()
  player.requests(30, 'candidate').after(minute)
  see()
  player.after(millis(600_000))
  see()
  expect(places).toEqual(['draft', 'smoke', 'golden', 'shadow', 'canary 1', 'canary 2', 'bake', 'live'])
  expect(player.decisions.map(({ n, share }) => [n, share])).toEqual(
    [0, 0, 0, 0.1, 1, 1, 1].map((share, index) => [index + 1, share]),
  )
})

test('R1 a policy that asks for nothing sends all traffic at once and keeps the old version until bake ends', () => {
  const player = play(policyOf())
  player.look()
  expect(player.at()).toBe('bake')
  expect(realityOf(player.release())).toMatchObject({ live: 'v1', beside: 'v2', share: 1, liveRests: false })
  player.after(millis(1_799_000))
  expect(player.at()).toBe('bake')
  player.after(millis(1_000))
  expect(player.at()).toBe('live')
  expect(realityOf(player.release())).toMatchObject({ live: 'v2', beside: null })
})

test('R2 bake has the number of the step with all traffic, or one of its own', () => {
  const whole = play(policyOf({ canary: canaryOf([1]) }))
  whole.look()
  whole.requests(30, 'candidate').after(minute)
  expect([whole.at(), whole.release().step]).toEqual(['bake', 1])
  const half = play(policyOf({ canary: canaryOf([0.5]) }))
  half.look()
  half.requests(30, 'candidate').requests(30, 'live').after(minute)
  expect([half.at(), half.release().step, half.decisions.at(-1)?.share]).toEqual(['bake', 2, 1])
})

test('R4 a look that changes nothing leaves the release as it is', () => {
  const player = play(policyOf({ canary: canaryOf([0.1, 1]) }))
  player.look()
  const before = player.release()
  const { next, decision, effects } = player.look()
  expect(next).toBe(before)
  expect([decision, effects]).toEqual([null, []])
})

test('R4 results and answers that nobody waits for change nothing', () => {
  const player = play(policyOf({ smoke, canary: canaryOf([0.1, 1]) }))
  player.smoke(true)
  player.golden('fail')
  expect(player.at()).toBe('draft')
  player.look()
  player.smoke(true)
  player.smoke(false)
  expect(player.at()).toBe('smoke')
  player.tell({ kind: 'confirm-answered', now: player.world.now, ok: true, detail: 'yes' })
  expect(player.release().confirmed).toBe(false)
})

test('R6 a draft waits for the engine, is held when it takes too long, and rolled back when it fails', () => {
  const player = play(policyOf()).engine('loading')
  player.after(minute)
  expect(player.at()).toBe('draft')
  player.after(hour)
  expect(player.at()).toBe('held')
  expect(player.release().why).toContain('the engine of v2 is loading')
  const failed = play(policyOf()).engine('failed')
  failed.look()
  expect(failed.at()).toBe('rolled-back')
  expect(failed.release()).toMatchObject({ verdict: 'rollback' })
})

test('R7 a failed smoke test rolls back and says which check failed', () => {
  const player = play(policyOf({ smoke }))
  player.look()
  expect(said(player.effects)).toContain('smoke')
  player.smoke(false)
  expect(player.at()).toBe('rolled-back')
  expect(player.release().why).toContain('answers (HTTP 500)')
})

test.each([
  ['fail', 'rolled-back', 'rollback'],
  ['inconclusive', 'held', 'hold'],
  ['judge-inadmissible', 'held', 'judge-inadmissible'],
] as const)('R7 a golden set that says %s ends in %s', (verdict, phase, release) => {
  const player = play(policyOf({ golden }))
  player.look()
  player.golden(verdict)
  expect([player.at(), player.release().verdict]).toEqual([phase, release])
})

test('R7 a golden set that could not tell runs again when it is resumed', () => {
  const player = play(policyOf({ golden }))
  player.look()
  player.golden('inconclusive')
  const { effects } = player.by('resume')
  expect([player.at(), player.release().golden]).toEqual(['golden', null])
  expect(said(effects)).toContain('golden')
  player.golden('pass')
  player.look()
  expect(player.at()).toBe('bake')
})

test('R11 traffic waits until it is known what slow means, and the baseline stays', () => {
  const player = play(policyOf({ canary: canaryOf([0.1, 1]), gates: { ...gates, firstToken: { ratio: 1.2 } } }))
  player.world.baseline = baselineOf(0, 49)
  player.look()
  expect(player.at()).toBe('draft')
  player.world.baseline = baselineOf(0.02, 50)
  player.look()
  expect(player.at()).toBe('canary 1')
  player.world.baseline = baselineOf(0.5, 9_000)
  player.requests(50, 'candidate').requests(450, 'live').after(minute)
  expect(player.release().baseline).toMatchObject({ errorRate: 0.02, requests: 50 })
})

test('R12 a step lasts its time and until the candidate has answered enough', () => {
  const player = play(policyOf({ canary: canaryOf([0.1, 1]) }))
  player.look()
  player.requests(19, 'candidate').requests(170, 'live').after(minute)
  expect(player.at()).toBe('canary 1')
  const quick = play(policyOf({ canary: canaryOf([0.1, 1]) }))
  quick.look()
  quick.requests(100, 'candidate').requests(900, 'live').after(millis(59_999))
  expect(quick.at()).toBe('canary 1')
  quick.after(millis(1))
  expect(quick.at()).toBe('canary 2')
})

const errors = { ...gates, errors: { margin: 0.005 } }

test('R13 a gate that fires ends the release at once, with its reason, also while it is held', () => {
  const player = play(policyOf({ canary: canaryOf([0.5, 1]), gates: errors }))
  player.look()
  player.requests(400, 'candidate').requests(400, 'live')
  for (let at = 0; at < 30; at++) player.requests(1, 'candidate', { failed: true }).requests(5, 'candidate')
  player.requests(150, 'live')
  player.look()
  expect(player.at()).toBe('rolled-back')
  expect(player.release().why).toMatch(/^errors: units with a failed request: 30 in 580/)
  expect(said(player.effects).slice(-2)).toEqual(['serve', 'notify'])
  const held = play(policyOf({ canary: canaryOf([0.5, 1]), gates: errors }))
  held.look()
  held.after(hour)
  expect([held.at(), held.release().heldIn]).toEqual(['held', 'canary'])
  for (let at = 0; at < 30; at++) held.requests(1, 'candidate', { failed: true }).requests(5, 'candidate')
  held.requests(180, 'live').look()
  expect(held.at()).toBe('rolled-back')
})

test('R14 all traffic waits for every listed gate, and for no other', () => {
  const player = play(policyOf({ canary: canaryOf([0.1, 0.5, 1]), gates: errors }))
  player.look()
  player.requests(50, 'candidate').requests(450, 'live').after(minute)
  expect(player.at()).toBe('canary 2')
  player.requests(60, 'candidate').requests(60, 'live').after(minute)
  expect(player.at()).toBe('canary 2')
  const errorsNow = () =>
    readGates(player.release(), player.evidence(), player.world.now).find(is => is.name === 'errors')
  const { verdict, needed = 0 } = errorsNow() ?? {}
  expect(verdict).toBe('hold')
  // What it says that it needs is what it needs.
  const few = Math.floor(needed * 0.4)
  player.requests(few, 'candidate').requests(few, 'live').look()
  expect(player.at()).toBe('canary 2')
  player.requests(few, 'candidate').requests(few, 'live').look()
  expect(player.at()).toBe('canary 3')
})

test('R14 with a single step of all traffic, and with none, live waits for the evidence', () => {
  for (const canary of [canaryOf([1]), null]) {
    const player = play(policyOf({ canary, gates: errors }))
    player.look()
    player.requests(60, 'candidate').after(millis(1_800_000))
    player.after(millis(1_000))
    expect(player.at()).toBe(canary === null ? 'bake' : 'canary 1')
    player.requests(1_500, 'candidate').look()
    player.after(millis(600_000))
    expect(player.at()).toBe('live')
  }
})

test('R14 worse at full traffic than the live version was before is a rollback', () => {
  const player = play(policyOf({ gates: errors }))
  player.look()
  player.requests(30, 'candidate')
  for (let at = 0; at < 30; at++) player.requests(1, 'candidate', { failed: true }).requests(5, 'candidate')
  player.look()
  expect(player.at()).toBe('rolled-back')
})

test('R15 arms that did not get their parts make it void, and there is no way on but another release', () => {
  const player = play(policyOf({ canary: canaryOf([0.5, 1]) }))
  player.look()
  player.requests(100, 'candidate').requests(300, 'live').after(minute)
  expect([player.at(), player.release().verdict]).toEqual(['held', 'void'])
  const { refused, next } = player.by('resume')
  expect(refused).toContain('did not get their parts')
  expect(next.phase).toBe('held')
})

test('R16 five failures in a row end it, but not those of one unit', () => {
  const one = play(policyOf({ canary: canaryOf([0.1, 1]) }))
  one.look()
  one.requests(5, 'candidate').requests(9, 'candidate', { failed: true, unit: 'stubborn' }).look()
  expect(one.at()).toBe('canary 1')
  one.requests(1, 'candidate', { failed: true }).look()
  expect(one.at()).toBe('rolled-back')
})

test('R16 everything failed ends it, whoever asked', () => {
  const player = play(policyOf({ canary: canaryOf([0.1, 1]) }))
  player.look()
  player.requests(9, 'candidate', { failed: true, unit: 'only' }).look()
  expect(player.at()).toBe('canary 1')
  player.requests(1, 'candidate', { failed: true, unit: 'only' }).look()
  expect(player.at()).toBe('rolled-back')
})

test('R16 an engine that fails, or stays away for ten minutes, ends it', () => {
  const failed = play(policyOf())
  failed.look()
  failed.engine('failed').look()
  expect(failed.at()).toBe('rolled-back')
  const away = play(policyOf())
  away.look()
  away.engine('loading').after(minute)
  away.engine('ready').after(minute)
  away.engine('loading').after(minute)
  away.after(millis(599_999))
  expect(away.at()).toBe('bake')
  away.after(millis(1))
  expect(away.at()).toBe('rolled-back')
})

test.each(['candidate', 'live'] as const)('R17 nothing grows while the engine of the %s is away', arm => {
  const player = play(policyOf({ canary: canaryOf([0.1, 1]) }))
  player.look()
  player.requests(100, 'candidate').requests(900, 'live').engine('loading', arm).after(minute)
  expect(player.at()).toBe('canary 1')
  player.engine('ready', arm).look()
  expect(player.at()).toBe('canary 2')
})

test('R18 promotion waits for the hook to say yes', () => {
  const hooks = [{ kind: 'confirm' as const, url: 'http://127.0.0.1:1/', secret: null }]
  const player = play(policyOf({ hooks }))
  player.look()
  expect(said(player.after(millis(1_800_000)).effects)).toEqual(['confirm'])
  player.tell({ kind: 'confirm-answered', now: player.world.now, ok: false, detail: 'HTTP 503' })
  expect(said(player.look().effects)).toEqual(['confirm'])
  player.tell({ kind: 'confirm-answered', now: player.world.now, ok: true, detail: 'HTTP 200' })
  expect(player.decisions.at(-1)).toMatchObject({ verdict: 'promote', why: 'confirmed: HTTP 200' })
  player.look()
  expect(player.at()).toBe('live')
})

test.each([
  ['hold', 'held', 'hold'],
  ['rollback', 'rolled-back', 'rollback'],
] as const)('R19 when time is over, %s', (onTimeout, phase, verdict) => {
  const player = play(policyOf({ canary: canaryOf([0.1, 1]), onTimeout }))
  player.look()
  player.requests(5, 'candidate').requests(45, 'live').after(hour)
  expect([player.at(), player.release().verdict]).toEqual([phase, verdict])
  expect(player.release().why).toContain('5 of 20 requests')
})

test('R20 held keeps the share; after an end one version has everything', () => {
  const player = play(policyOf({ canary: canaryOf([0.25, 1]) }))
  player.look()
  player.after(hour)
  expect(realityOf(player.release())).toMatchObject({ live: 'v1', beside: 'v2', share: 0.25, step: 1 })
  player.by('abort')
  expect(realityOf(player.release())).toMatchObject({ live: 'v1', beside: null, share: 0, shadow: null })
})

test('R19 between decisions anybody can be told what it waits for', () => {
  const player = play(policyOf({ canary: canaryOf([0.1, 0.5, 1]), gates: errors }))
  player.look()
  player.requests(11, 'candidate').requests(99, 'live')
  const outlookNow = () => outlook(player.release(), { kind: 'look', ...player.world, evidence: player.evidence() })
  expect(outlookNow()).toMatchObject({
    verdict: 'hold',
    why: expect.stringContaining('about 9 more; 11 of 20 requests'),
  })
  expect(outlookNow().gates.find(({ name }) => name === 'requests')).toMatchObject({ needed: 9 })
  player.by('abort')
  expect(outlookNow()).toMatchObject({ why: 'aborted by anna: because' })
})

test('R20 what is held waits for a person, however long and whatever is away', () => {
  const player = play(policyOf({ canary: canaryOf([0.25, 1]) }))
  player.look()
  player.after(hour)
  expect(player.at()).toBe('held')
  const held = player.release()
  player.engine('absent', 'live').after(hour)
  player.engine('ready', 'live').requests(50, 'candidate').requests(150, 'live').after(hour)
  expect(player.release()).toBe(held)
})

test('R28 after a restart the present effects come once more, and work that is not done is asked for again', () => {
  const player = play(policyOf({ smoke, canary: canaryOf([0.1, 1]) }))
  player.look()
  expect(said(player.restart().effects)).toEqual(['serve', 'smoke'])
  // The one who was asked may have failed.
  expect(said(player.look().effects)).toEqual(['smoke'])
  player.smoke(true)
  expect(said(player.restart().effects)).toEqual(['serve'])
})

test('R3 nothing leads out of an end', () => {
  const player = play(policyOf())
  player.look()
  player.by('abort')
  expect(isOverFor(player.release())).toBe(true)
  const { next } = player.engine('failed').look()
  expect(next.phase).toBe('aborted')
  expect(player.by('promote', anna).refused).toContain('has ended (aborted)')
})

test('E4 a stratum that the live version hardly served is not tested, and is named', () => {
  const player = play(policyOf({ canary: canaryOf([0.5, 1]), gates: { ...gates, firstToken: { ratio: 1.2 } } }))
  player.world.baseline = {
    ...baselineOf(),
    slow: { ...baselineOf().slow, 'whole, longer': { firstTokenMs: 10, perTokenMs: null, requests: 49 } },
  }
  player.look()
  player.requests(40, 'candidate', { slow: true, stratum: 'whole, longer' }).requests(40, 'live').look()
  expect(player.at()).toBe('canary 1')
  expect(player.by('promote').next.gates.find(gate => gate.name === 'first-token')?.evidence).toContain(
    'Not tested, too few live requests before: whole, longer',
  )
  expect(stratum).not.toBe('whole, longer')
})

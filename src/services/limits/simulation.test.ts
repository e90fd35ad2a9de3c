/**
 * Several gateways and a store in simulated time: commands and replies take their time, get lost, the store dies, forgets
 * and jumps in time. Whatever happens, the log of what was really used is judged.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  beat,
  beginJoin,
  cancel,
  hearReply,
  nextCall,
  openLedger,
  pause,
  release,
  setGateways,
  settle,
  standAlone,
  take,
  type Call,
  type Hold,
  type Reply,
} from '../../domain/limits/index.ts'
import { tokens } from '../../domain/units.ts'
import type { Limits } from '../../domain/access/index.ts'
import { openFakeCounts } from './fake.ts'

type Use = { at: number; by: number; tokens: number; counts: boolean }

const bounds = { requestsPerMinute: 40, tokensPerMinute: 4_000, parallel: 12 }
const step = 20

type Event =
  | { do: 'take'; by: number; tokens: number }
  | { do: 'end'; nth: number; how: 'settle less' | 'settle' | 'cancel' }
  | { do: 'lose-reply'; by: number }
  | { do: 'store-gone'; for: number }
  | { do: 'forget' }
  | { do: 'jump'; by: number }
type At = { after: number; event: Event }

/** Plays events over `gateways`, each with a clock of its own; answers what was really used. */
function simulate(gateways: number, events: readonly At[], limits: Limits = bounds) {
  const subject = { subject: 'key', id: 'k', name: 'k', limits } as const
  let now = 0
  let storeClock = 1_000_000_000
  let goneUntil = 0
  const store = openFakeCounts(() => storeClock)
  const uses: Use[] = []
  const under: { hold: Hold[]; use: Use; by: number }[] = []
  let mostAtOnce = 0

  const all = Array.from({ length: gateways }, (_, index) => {
    const ledger = openLedger()
    setGateways(ledger, gateways, 0)
    return {
      ...{
        ledger,
        name: `g${index}`,
        offset: index * 977_131 + 5,
        loseNext: false,
        beatAt: 0,
        triedAt: -100,
        patientSince: null as number | null,
      },
      flying: null as { call: Call; reply: Reply | null; backAt: number } | null,
      waiting: [] as number[],
    }
  })
  type One = (typeof all)[number]

  function attempt(one: One, wanted: number, last: boolean): 'asking' | 'done' {
    const verdict = take(
      one.ledger,
      { subjects: [subject], need: { asked: tokens(wanted), guessed: tokens(0) }, last },
      now + one.offset,
    )
    if (verdict.verdict === 'asking') return 'asking'
    if (verdict.verdict === 'refused') return 'done'
    const use = { at: now, by: all.indexOf(one), tokens: wanted, counts: true }
    uses.push(use)
    under.push({ hold: verdict.holds, use, by: all.indexOf(one) })
    mostAtOnce = Math.max(mostAtOnce, under.length)
    return 'done'
  }

  function fail(one: One): void {
    one.flying = null
    pause(one.ledger)
    one.triedAt = now
    // They wait on, and want again what they wanted.
    for (const wanted of one.waiting.splice(0)) if (attempt(one, wanted, false) === 'asking') one.waiting.push(wanted)
  }

  function tick(one: One): void {
    const reachable = now >= goneUntil
    const { flying, ledger } = one
    if (flying !== null) {
      if (now < flying.backAt) return
      if (flying.reply === null) return fail(one)
      one.flying = null
      hearReply(ledger, { call: flying.call, reply: flying.reply }, now + one.offset)
      if (flying.reply.status === 'early') {
        if (one.patientSince === null) one.patientSince = now
        one.triedAt = now
        if (ledger.phase === 'alone') for (const wanted of one.waiting.splice(0)) attempt(one, wanted, true)
      }
      if (ledger.phase === 'shared') one.patientSince = null
      if (ledger.phase === 'shared' && flying.call.kind === 'words')
        for (const wanted of one.waiting.splice(0))
          if (attempt(one, wanted, true) === 'asking') throw new Error('still asking')
    }
    if (ledger.phase === 'alone' || ledger.phase === 'paused') {
      if (now < one.triedAt + step) return
      one.patientSince ??= now
      if (ledger.phase === 'paused' && now >= one.patientSince + (reachable ? 300 : 100)) {
        one.patientSince = null
        standAlone(ledger, now + one.offset)
        for (const wanted of one.waiting.splice(0)) attempt(one, wanted, true)
      }
      if (!reachable) return
      beginJoin(ledger, now + one.offset)
    }
    const beats = now >= one.beatAt + 200
    if (beats) {
      one.beatAt = now
      beat(ledger, now + one.offset)
    }
    if (!beats && ledger.dirty.size === 0 && ledger.phase === 'shared') return
    const call = nextCall(ledger, now + one.offset)
    if (call === null) return
    // The store may have done it although nobody hears of it.
    const reply = reachable ? store.carryOut(one.name, call) : null
    one.flying = {
      call,
      reply: one.loseNext ? null : reply,
      backAt: now + (reply === null || one.loseNext ? 100 : step),
    }
    one.loseNext = false
  }

  function run(span: number): void {
    for (const end = now + span; now < end;) {
      now += step
      storeClock += step
      for (const one of all) tick(one)
    }
  }

  function happen(event: Event): void {
    if (event.do === 'take') {
      const one = all[event.by % gateways]
      if (one !== undefined && attempt(one, event.tokens, false) === 'asking') one.waiting.push(event.tokens)
    } else if (event.do === 'end') {
      const [ending] = under.splice(event.nth % Math.max(1, under.length), 1)
      if (ending === undefined) return
      const one = all[ending.by]
      if (one === undefined) return
      const { use } = ending
      if (event.how === 'cancel') use.counts = false
      if (event.how === 'settle less') use.tokens = Math.floor(use.tokens / 2)
      for (const hold of ending.hold) {
        if (event.how === 'cancel') cancel(hold)
        else settle(hold, tokens(use.tokens), now + one.offset)
        release(one.ledger, hold)
      }
    } else if (event.do === 'lose-reply') {
      const one = all[event.by % gateways]
      if (one !== undefined) one.loseNext = true
    } else if (event.do === 'store-gone') goneUntil = now + event.for
    else if (event.do === 'forget') store.forget()
    else storeClock += event.by
  }

  run(1_000)
  for (const { after, event } of events) {
    run(after)
    happen(event)
  }
  return { uses, mostAtOnce }
}

/** The most that any 60 seconds hold, by the log. */
function mostInAMinute(uses: readonly Use[], of: (use: Use) => number): number {
  let most = 0
  for (const { at } of uses) {
    const sum = uses
      .filter(use => use.counts && use.at > at - 60_000 && use.at <= at)
      .reduce((total, use) => total + of(use), 0)
    most = Math.max(most, sum)
  }
  return most
}

const takes = fc.record({ do: fc.constant('take' as const), by: fc.nat(2), tokens: fc.integer({ min: 1, max: 400 }) })
const ends = fc.record({
  do: fc.constant('end' as const),
  nth: fc.nat(20),
  how: fc.constantFrom('settle less' as const, 'settle' as const, 'cancel' as const),
})
const losses = fc.record({ do: fc.constant('lose-reply' as const), by: fc.nat(2) })
const jump = fc.integer({ min: 3_000, max: 100_000 })
const shocks = fc.oneof(
  fc.constant({ do: 'forget' as const }),
  fc.record({
    do: fc.constant('jump' as const),
    by: fc.oneof(
      jump,
      jump.map(by => -by),
    ),
  }),
)
const soon = fc.oneof({ weight: 6, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(20_000) })
const later = fc.integer({ min: 1_000, max: 5_000 })

const timed = (after: fc.Arbitrary<number>, event: fc.Arbitrary<Event>): fc.Arbitrary<At> => fc.record({ after, event })
const many = (...kinds: fc.MaybeWeightedArbitrary<At>[]): fc.Arbitrary<At[]> =>
  fc.array(fc.oneof(...kinds), { minLength: 60, maxLength: 300 })

function expectWithin({ uses, mostAtOnce }: ReturnType<typeof simulate>): void {
  expect(mostInAMinute(uses, () => 1)).toBeLessThanOrEqual(bounds.requestsPerMinute)
  expect(mostInAMinute(uses, use => use.tokens)).toBeLessThanOrEqual(bounds.tokensPerMinute)
  expect(mostAtOnce).toBeLessThanOrEqual(bounds.parallel)
}

/** Each of the gateways named is asked every `every` milliseconds. */
const load = (by: readonly number[], { every, times }: { every: number; times: number }): At[] =>
  Array.from({ length: times }, (_, index) => ({
    after: index % by.length === 0 ? every : 0,
    event: { do: 'take' as const, by: by[index % by.length] ?? 0, tokens: 10 },
  }))

describe('three gateways and a store', () => {
  test('W1 W3 however takes, endings and lost replies interleave, no minute holds more than the limit', () => {
    const events = many(
      { weight: 10, arbitrary: timed(soon, takes) },
      { weight: 5, arbitrary: timed(soon, ends) },
      { weight: 1, arbitrary: timed(soon, losses) },
    )
    fc.assert(
      fc.property(events, played => expectWithin(simulate(3, played))),
      { numRuns: 100 },
    )
  })

  test('W8 a store that forgets everything or jumps in time makes no minute hold more than the limit', () => {
    const events = many(
      { weight: 12, arbitrary: timed(soon, takes) },
      { weight: 4, arbitrary: timed(soon, ends) },
      { weight: 1, arbitrary: timed(later, shocks) },
    )
    fc.assert(
      fc.property(events, played => expectWithin(simulate(3, played))),
      { numRuns: 100 },
    )
  })

  test('W4 load on one gateway alone gets the whole limit', () => {
    const { uses } = simulate(3, load([1], { every: 20, times: 300 }), { requestsPerMinute: 200 })
    expect(uses).toHaveLength(200)
  })

  test('W4 load on all gateways gets the whole limit, and none of them nearly nothing', () => {
    const { uses } = simulate(3, load([0, 1, 2], { every: 20, times: 900 }), { requestsPerMinute: 300 })
    expect(uses).toHaveLength(300)
    for (const by of [0, 1, 2]) expect(uses.filter(use => use.by === by).length).toBeGreaterThan(50)
  })

  test('L11 while the store is gone each gateway goes on with its part of what is left, and together they have no more', () => {
    const before = load([0, 1, 2], { every: 100, times: 150 })
    const gone = { after: 0, event: { do: 'store-gone' as const, for: 20_000 } }
    const during = load([0, 1, 2], { every: 100, times: 600 })
    const back = load([0, 1, 2], { every: 100, times: 600 })
    const { uses } = simulate(3, [...before, gone, ...during, ...back], { requestsPerMinute: 450 })
    const inTheOutage = uses.filter(use => use.at > 6_500 && use.at < 25_000)
    for (const by of [0, 1, 2]) expect(inTheOutage.filter(use => use.by === by).length).toBeGreaterThan(90)
    expect(uses.length).toBeGreaterThan(440)
    expect(mostInAMinute(uses, () => 1)).toBeLessThanOrEqual(450)
  })

  test('L11 a store that goes before anything was used leaves each gateway its part', () => {
    const gone = { after: 0, event: { do: 'store-gone' as const, for: 100_000 } }
    const { uses } = simulate(3, [gone, ...load([2], { every: 20, times: 200 })], { requestsPerMinute: 90 })
    expect(uses).toHaveLength(30)
  })
})

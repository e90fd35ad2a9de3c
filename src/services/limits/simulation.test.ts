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
import { openFakeCounts } from './fake.ts'

type Use = { at: number; tokens: number; counts: boolean; ended: boolean }

const limits = { requestsPerMinute: 40, tokensPerMinute: 4_000, parallel: 12 }
const subject = { subject: 'key', id: 'k', name: 'k', limits } as const
const step = 20

type Event =
  | { do: 'take'; by: number; tokens: number }
  | { do: 'end'; nth: number; how: 'settle less' | 'settle' | 'cancel' }
  | { do: 'lose-reply'; by: number }
  | { do: 'cut'; by: number; for: number }
  | { do: 'store-gone'; for: number }
  | { do: 'forget' }
  | { do: 'jump'; by: number }
type At = { after: number; event: Event }

/** Plays events over `gateways`, each with a clock of its own; answers what was really used. */
function simulate(gateways: number, events: readonly At[], { until = 0 } = {}) {
  let now = 0
  let storeClock = 1_000_000_000
  let goneUntil = 0
  const store = openFakeCounts(() => storeClock)
  const uses: Use[] = []
  const under: { hold: Hold[]; use: Use; by: number }[] = []
  let mostAtOnce = 0
  let refused = 0

  const all = Array.from({ length: gateways }, (_, index) => {
    const ledger = openLedger()
    setGateways(ledger, gateways, 0)
    return {
      ...{ ledger, name: `g${index}`, offset: index * 977_131 + 5, cutUntil: 0, loseNext: false, beatAt: 0, triedAt: -100, patientSince: null as number | null },
      flying: null as { call: Call; reply: Reply | null; backAt: number } | null,
      waiting: [] as number[],
    }
  })
  type One = (typeof all)[number]

  function attempt(one: One, wanted: number, last: boolean): 'asking' | 'done' {
    const verdict = take(one.ledger, { subjects: [subject], need: { asked: tokens(wanted), guessed: tokens(0) }, last }, now + one.offset)
    if (verdict.verdict === 'asking') return 'asking'
    if (verdict.verdict === 'refused') {
      refused += 1
      return 'done'
    }
    const use = { at: now, tokens: wanted, counts: true, ended: false }
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
    const reachable = now >= goneUntil && now >= one.cutUntil
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
        for (const wanted of one.waiting.splice(0)) if (attempt(one, wanted, true) === 'asking') throw new Error('still asking')
    }
    if (ledger.phase === 'alone' || ledger.phase === 'paused') {
      if (now < one.triedAt + step) return
      one.patientSince ??= now
      if (ledger.phase === 'paused' && now >= one.patientSince + (reachable ? 300 : 100)) {
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
    one.flying = { call, reply: one.loseNext ? null : reply, backAt: now + (reply === null || one.loseNext ? 100 : step) }
    one.loseNext = false
  }

  function run(span: number): void {
    for (const end = now + span; now < end; ) {
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
      use.ended = true
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
    } else if (event.do === 'cut') {
      const one = all[event.by % gateways]
      if (one !== undefined) one.cutUntil = now + event.for
    } else if (event.do === 'store-gone') goneUntil = now + event.for
    else if (event.do === 'forget') store.forget()
    else storeClock += event.by
  }

  run(1_000)
  for (const { after, event } of events) {
    run(after)
    happen(event)
  }
  run(until)
  return { uses, refused, mostAtOnce, ledgers: all.map(one => one.ledger) }
}

/** The most that any 60 seconds hold, by the log. */
function mostInAMinute(uses: readonly Use[], of: (use: Use) => number): number {
  let most = 0
  for (const { at } of uses) {
    const sum = uses.filter(use => use.counts && use.at > at - 60_000 && use.at <= at).reduce((total, use) => total + of(use), 0)
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
const after = fc.oneof({ weight: 6, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(20_000) })
const many = { minLength: 60, maxLength: 300 }

const timed = (event: fc.Arbitrary<Event>): fc.Arbitrary<At[]> => fc.array(fc.record({ after, event }), many)

describe('three gateways and a store', () => {
  test('W3 however takes and endings interleave and replies get lost, no minute holds more than the limit', () => {
    fc.assert(
      fc.property(
        timed(fc.oneof({ weight: 10, arbitrary: takes }, { weight: 5, arbitrary: ends }, { weight: 1, arbitrary: losses })),
        events => {
          const { uses, mostAtOnce } = simulate(3, events)
          expect(mostInAMinute(uses, () => 1)).toBeLessThanOrEqual(limits.requestsPerMinute)
          expect(mostInAMinute(uses, use => use.tokens)).toBeLessThanOrEqual(limits.tokensPerMinute)
          expect(mostAtOnce).toBeLessThanOrEqual(limits.parallel)
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('W8 a store that forgets everything or jumps in time makes no minute hold more than the limit', () => {
    const shocks = fc.oneof(
      fc.record({ do: fc.constant('forget' as const) }),
      fc.record({ do: fc.constant('jump' as const), by: fc.integer({ min: -100_000, max: 100_000 }) }),
    )
    fc.assert(
      fc.property(
        timed(fc.oneof({ weight: 12, arbitrary: takes }, { weight: 4, arbitrary: ends }, { weight: 1, arbitrary: shocks })),
        events => {
          const { uses, mostAtOnce } = simulate(3, events)
          expect(mostInAMinute(uses, () => 1)).toBeLessThanOrEqual(limits.requestsPerMinute)
          expect(mostInAMinute(uses, use => use.tokens)).toBeLessThanOrEqual(limits.tokensPerMinute)
          expect(mostAtOnce).toBeLessThanOrEqual(limits.parallel)
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('W6 X measure', () => {
    const shocks = fc.oneof(
      fc.record({ do: fc.constant('store-gone' as const), for: fc.integer({ min: 100, max: 30_000 }) }),
    )
    const worst = { r: 0, t: 0, p: 0, over: 0, n: 0 }
    fc.assert(
      fc.property(
        timed(fc.oneof({ weight: 12, arbitrary: takes }, { weight: 4, arbitrary: ends }, { weight: 1, arbitrary: shocks })),
        events => {
          const { uses, mostAtOnce } = simulate(3, events)
          worst.r = Math.max(worst.r, mostInAMinute(uses, () => 1))
          worst.t = Math.max(worst.t, mostInAMinute(uses, use => use.tokens))
          worst.p = Math.max(worst.p, mostAtOnce)
          worst.n++
          if (mostInAMinute(uses, use => use.tokens) > 4000 || mostInAMinute(uses, () => 1)>40) worst.over++
        },
      ),
      { numRuns: 1000 },
    )
    console.log(worst)
  })
})

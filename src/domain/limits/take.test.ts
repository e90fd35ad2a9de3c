import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Limits } from '../access/index.ts'
import { tokens } from '../units.ts'
import type { Subject } from './account.ts'
import { forgetIdle, openLedger, setGateways, type Ledger } from './ledger.ts'
import { allowancesOf } from './standing.ts'
import { addTo, openWindow } from './window.ts'
import { cancel, release, settle, take, type Hold, type Verdict } from './take.ts'

const key = (limits: Limits, id = 'k'): Subject => ({ subject: 'key', id, name: `key ${id}`, limits })
const team = (limits: Limits): Subject => ({ subject: 'team', id: 't', name: 'team t', limits })
const need = (asked: number, guessed = 0) => ({ asked: tokens(asked), guessed: tokens(guessed) })

function taken(verdict: Verdict): Hold[] {
  if (verdict.verdict !== 'taken') throw new Error(`expected it to be taken: ${JSON.stringify(verdict)}`)
  return verdict.holds
}
function refusal(ledger: Ledger, subjects: readonly Subject[], { now, asked = 1 }: { now: number; asked?: number }) {
  const verdict = take(ledger, { subjects, need: need(asked) }, now)
  return verdict.verdict === 'refused' ? verdict.fault : verdict.verdict
}
/** Takes, and answers whether it was. */
const takes = (ledger: Ledger, subjects: readonly Subject[], now: number, asked = 1): boolean =>
  take(ledger, { subjects, need: need(asked) }, now).verdict === 'taken'

type Use = { at: number; tokens: number; key: string; counts: boolean }

describe('taking', () => {
  const keys = { a: { requestsPerMinute: 7, tokensPerMinute: 900, parallel: 3 }, b: { requestsPerMinute: 5 } }
  const ofTeam = { requestsPerMinute: 10, tokensPerMinute: 1_200, parallel: 4 }
  const events = fc.array(
    fc.record({
      after: fc.oneof({ weight: 5, arbitrary: fc.nat(800) }, { weight: 1, arbitrary: fc.nat(61_000) }),
      do: fc.constantFrom('take', 'take', 'take', 'settle', 'cancel', 'release twice'),
      key: fc.constantFrom('a' as const, 'b' as const),
      tokens: fc.integer({ min: 1, max: 300 }),
      nth: fc.nat(5),
    }),
    { maxLength: 200 },
  )

  test('L1 L3 L6 L8 whatever is taken, settled, cancelled and released, a log of it never exceeds a limit', () => {
    fc.assert(
      fc.property(events, played => {
        const ledger = openLedger()
        const log: Use[] = []
        const under: { holds: Hold[]; use: Use }[] = []
        let now = 0
        for (const event of played) {
          now += event.after
          const subjects = [key(keys[event.key], event.key), team(ofTeam)]
          if (event.do === 'take') {
            const verdict = take(ledger, { subjects, need: need(event.tokens) }, now)
            if (verdict.verdict !== 'taken') continue
            const use = { at: now, tokens: event.tokens, key: event.key, counts: true }
            log.push(use)
            under.push({ holds: verdict.holds, use })
          } else {
            const [ending] = under.splice(event.nth % Math.max(1, under.length), 1)
            if (ending === undefined) continue
            const { holds, use } = ending
            if (event.do === 'cancel') use.counts = false
            if (event.do === 'settle') use.tokens = Math.floor(use.tokens / 3)
            for (const hold of holds) {
              if (event.do === 'cancel') cancel(hold)
              if (event.do === 'settle') settle(hold, tokens(use.tokens), now)
              release(ledger, hold)
              if (event.do === 'release twice') release(ledger, hold)
            }
          }
          const inAMinute = log.filter(use => use.counts && use.at > now - 60_000)
          const ofKey = inAMinute.filter(use => use.key === event.key)
          const sum = (uses: readonly Use[]): number => uses.reduce((total, use) => total + use.tokens, 0)
          expect(inAMinute.length).toBeLessThanOrEqual(ofTeam.requestsPerMinute)
          expect(ofKey.length).toBeLessThanOrEqual(keys[event.key].requestsPerMinute)
          expect(sum(inAMinute)).toBeLessThanOrEqual(ofTeam.tokensPerMinute)
          if (event.key === 'a') expect(sum(ofKey)).toBeLessThanOrEqual(keys.a.tokensPerMinute)
          expect(under.length).toBeLessThanOrEqual(ofTeam.parallel)
        }
        for (const { holds } of under) for (const hold of holds) release(ledger, hold)
        expect([...ledger.accounts.values()].every(account => account.leases === 0)).toBe(true)
        forgetIdle(ledger, now + 61_000)
        expect(ledger.accounts.size).toBe(0)
      }),
      { numRuns: 300 },
    )
  })

  test('L1 the limit is reached: no more than half a second stricter than the limit itself', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3_000), { minLength: 50, maxLength: 200 }), gaps => {
        const ledger = openLedger()
        const log: number[] = []
        let now = 0
        for (const gap of gaps) {
          now += gap
          const fits = log.filter(at => at > now - 60_500).length < 5
          const was = takes(ledger, [key({ requestsPerMinute: 5 })], now)
          if (fits) expect(was).toBe(true)
          if (was) log.push(now)
        }
      }),
    )
  })

  test('L2 L3 a refusal of the team uses nothing of the key', () => {
    const ledger = openLedger()
    const both = [key({ requestsPerMinute: 3 }), team({ requestsPerMinute: 1 })]
    expect(takes(ledger, both, 0)).toBe(true)
    for (let again = 0; again < 20; again += 1) expect(takes(ledger, both, 10)).toBe(false)
    expect(allowancesOf(ledger, [both[0] ?? key({})], 10).requests?.remaining).toBe(2)
  })

  test('L4 the refusal names the limit that has room last, and the moment is exact', () => {
    const ledger = openLedger()
    const both = [key({ requestsPerMinute: 2 }), team({ tokensPerMinute: 100 })]
    expect(takes(ledger, both, 0, 10)).toBe(true)
    expect(takes(ledger, both, 20_000, 90)).toBe(true)
    const told = refusal(ledger, both, { now: 30_000, asked: 50 })
    expect(told).toEqual({
      kind: 'rate-limited',
      by: { subject: 'team', name: 'team t' },
      what: 'tokens',
      limit: 100,
      retryAfter: 50_500,
    })
    expect(takes(ledger, both, 80_499, 50)).toBe(false)
    expect(takes(ledger, both, 80_500, 50)).toBe(true)
  })

  test('L4 while all places are taken, a second is said', () => {
    const ledger = openLedger()
    const bound = [key({ parallel: 1 })]
    const holds = taken(take(ledger, { subjects: bound, need: need(0) }, 0))
    expect(refusal(ledger, bound, { now: 1 })).toMatchObject({ what: 'parallel', limit: 1, retryAfter: 1_000 })
    for (const hold of holds) release(ledger, hold)
    expect(takes(ledger, bound, 2)).toBe(true)
  })

  test('L5 what was not used is given back, what was used beyond counts from then on', () => {
    const ledger = openLedger()
    const bound = [key({ tokensPerMinute: 1_000 })]
    const left = (now: number): number | undefined => allowancesOf(ledger, bound, now).tokens?.remaining
    const [first] = taken(take(ledger, { subjects: bound, need: need(600) }, 0))
    if (first === undefined) throw new Error('nothing held')
    settle(first, tokens(100), 5_000)
    expect(left(5_000)).toBe(900)
    const [second] = taken(take(ledger, { subjects: bound, need: need(100) }, 30_000))
    if (second === undefined) throw new Error('nothing held')
    settle(second, tokens(1_500), 40_000)
    expect(left(40_000)).toBe(0)
    expect(left(95_000)).toBe(0)
    expect(left(101_000)).toBe(1_000)
  })

  test('L5 nothing is settled any more for a lease that was released', () => {
    const ledger = openLedger()
    const bound = [key({ tokensPerMinute: 1_000 })]
    const [hold] = taken(take(ledger, { subjects: bound, need: need(600) }, 0))
    if (hold === undefined) throw new Error('nothing held')
    release(ledger, hold)
    settle(hold, tokens(1), 10)
    cancel(hold)
    expect(allowancesOf(ledger, bound, 10).tokens?.remaining).toBe(400)
  })

  test('L7 a request larger than the limit is refused as one that can’t be served; a guess never is', () => {
    const ledger = openLedger()
    const bound = [key({ tokensPerMinute: 500 })]
    expect(refusal(ledger, bound, { now: 0, asked: 501 })).toMatchObject({
      kind: 'request-invalid',
      param: 'max_tokens',
    })
    expect(take(ledger, { subjects: bound, need: need(100, 5_000) }, 0).verdict).toBe('taken')
    expect(allowancesOf(ledger, bound, 0).tokens?.remaining).toBe(0)
  })

  test('L9 a subject without bounds is not even kept', () => {
    const ledger = openLedger()
    expect(takes(ledger, [key({})], 0)).toBe(true)
    expect(ledger.accounts.size).toBe(0)
  })

  test('L9 a subject with a request under way is kept, however long it lasts, and what it used beyond counts', () => {
    const ledger = openLedger()
    const bound = [key({ tokensPerMinute: 1_000 })]
    const [hold] = taken(take(ledger, { subjects: bound, need: need(10) }, 0))
    if (hold === undefined) throw new Error('nothing held')
    forgetIdle(ledger, 300_000)
    settle(hold, tokens(900), 300_000)
    expect(allowancesOf(ledger, bound, 300_000).tokens?.remaining).toBe(110)
  })

  test('L10 a changed limit is in force at once, and what was used stays used', () => {
    const ledger = openLedger()
    for (let now = 0; now < 4; now += 1) expect(takes(ledger, [key({ requestsPerMinute: 9 })], now)).toBe(true)
    expect(takes(ledger, [key({ requestsPerMinute: 4 })], 5)).toBe(false)
    expect(takes(ledger, [key({ requestsPerMinute: 5 })], 6)).toBe(true)
  })

  test('L11 three gateways grant a third each, and at least one', () => {
    const ledger = openLedger()
    setGateways(ledger, 3, 0)
    const granted = (bound: Subject): number => {
      let count = 0
      while (count < 99 && takes(ledger, [bound], 10_000)) count += 1
      return count
    }
    expect(granted(key({ requestsPerMinute: 10 }, 'x'))).toBe(3)
    expect(granted(key({ requestsPerMinute: 2 }, 'y'))).toBe(1)
    expect(granted(key({ parallel: 9 }, 'z'))).toBe(3)
  })

  test('L11 what it used before counts against its part, and the retry is exact', () => {
    const ledger = openLedger()
    const bound = [key({ requestsPerMinute: 9 })]
    for (let now = 0; now < 6; now += 1) expect(takes(ledger, bound, now * 1_000)).toBe(true)
    setGateways(ledger, 3, 10_000)
    expect(refusal(ledger, bound, { now: 10_002 })).toMatchObject({ what: 'requests', retryAfter: 53_498 })
    expect(takes(ledger, bound, 63_499)).toBe(false)
    expect(takes(ledger, bound, 63_500)).toBe(true)
  })

  test('L11 of what the others had used, it knows, and has its part of what was left', () => {
    const ledger = openLedger()
    const bound = [key({ requestsPerMinute: 90 })]
    setGateways(ledger, 3, 0)
    expect(takes(ledger, bound, 0)).toBe(true)
    const account = ledger.accounts.get('key:k')
    if (account === undefined) throw new Error('no account')
    account.requests.others = openWindow()
    addTo(account.requests.others, 0, 60)
    ledger.standing = { gateways: 3, since: 2 }
    let taken = 0
    while (takes(ledger, bound, 1_000)) taken += 1
    expect(taken).toBe(9)
    expect(refusal(ledger, bound, { now: 1_000 })).toMatchObject({ retryAfter: 59_500 })
  })

  test('A1 of each kind the subject with the least left is told', () => {
    const ledger = openLedger()
    const both = [key({ requestsPerMinute: 10, tokensPerMinute: 500 }), team({ requestsPerMinute: 5 })]
    expect(takes(ledger, both, 0, 100)).toBe(true)
    expect(allowancesOf(ledger, both, 0)).toEqual({
      requests: { limit: 5, remaining: 4, resetsIn: 60_500 },
      tokens: { limit: 500, remaining: 400, resetsIn: 60_500 },
    })
    expect(allowancesOf(ledger, [], 0)).toEqual({ requests: null, tokens: null })
  })
})

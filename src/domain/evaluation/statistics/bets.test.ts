/** Bets on judged pairs: fair where they must be, and the same after a restart. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { logPromote, logRegress, neededPairs, pushBet, startBets } from './index.ts'
import type { Bets } from './index.ts'

const pair = fc.double({ min: -1, max: 1, noNaN: true })
const margin = fc.double({ min: 0, max: 0.5, noNaN: true })

/** The mean wealth over all sequences of `pairs` outcomes, each as likely as it is. */
function meanWealth(
  bets: Bets,
  pairs: number,
  chances: { win: number; loss: number },
): { promote: number; regress: number } {
  if (pairs === 0) return { promote: Math.exp(logPromote(bets)), regress: Math.exp(logRegress(bets)) }
  const sum = { promote: 0, regress: 0 }
  const outcomes = [
    [1, chances.win],
    [-1, chances.loss],
    [0, 1 - chances.win - chances.loss],
  ] as const
  for (const [x, chance] of outcomes) {
    const after = meanWealth(pushBet(bets, x), pairs - 1, chances)
    sum.promote += chance * after.promote
    sum.regress += chance * after.regress
  }
  return sum
}

test('S9 on the margin both wealths keep a mean of 1; beyond it the wrong one shrinks', () => {
  const started = [1, -1, 0, 0, 1, -1, -1].reduce(pushBet, startBets(0.1))
  const before = { promote: Math.exp(logPromote(started)), regress: Math.exp(logRegress(started)) }
  const boundary = meanWealth(started, 8, { win: 0.15, loss: 0.25 })
  expect(boundary.promote / before.promote).toBeCloseTo(1, 10)
  expect(boundary.regress / before.regress).toBeCloseTo(1, 10)
  expect(meanWealth(started, 8, { win: 0.1, loss: 0.5 }).promote).toBeLessThan(before.promote)
  expect(meanWealth(started, 8, { win: 0.4, loss: 0.2 }).regress).toBeLessThan(before.regress)
})

test('S9 wealth stays positive, whatever comes', () => {
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 200 }), margin, (xs, tolerated) => {
      const bets = xs.reduce(pushBet, startBets(tolerated))
      expect(Number.isFinite(logPromote(bets))).toBe(true)
      expect(Number.isFinite(logRegress(bets))).toBe(true)
    }),
  )
})

test('S9 a bet does not know the pair it is made on: the wealth of a win and of a loss lie around that of a pair on the margin', () => {
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 60 }), margin, (xs, tolerated) => {
      const bets = xs.reduce(pushBet, startBets(tolerated))
      // On the margin nothing is won or lost, whatever the stake.
      expect(logPromote(pushBet(bets, -tolerated))).toBe(logPromote(bets))
      expect(logRegress(pushBet(bets, -tolerated))).toBe(logRegress(bets))
      expect(logPromote(pushBet(bets, 1))).toBeGreaterThanOrEqual(logPromote(pushBet(bets, -1)))
      expect(logRegress(pushBet(bets, 1))).toBeLessThanOrEqual(logRegress(pushBet(bets, -1)))
    }),
  )
})

test('S10 stored and read again they go on as if nothing had been', () => {
  const half = [1, 0, -1, 0, 1].reduce(pushBet, startBets(0.1))
  const read: unknown = JSON.parse(JSON.stringify(half))
  expect(read).toEqual(half)
})

test('S9 what is no verdict is refused, not counted as a tie', () => {
  for (const x of [Number.NaN, 1.01, -2]) expect(() => pushBet(startBets(0.1), x)).toThrow(RangeError)
})

test('S10 pairs needed: about as many as it then takes; null where the wealth does not grow, 0 when it suffices', () => {
  // Wins, losses and ties in turns, as a steady stream has them.
  const equal = Array.from({ length: 1000 }, (_, at) => [1, 0, 0, -1, 0, 0][at % 6] ?? 0)
  const early = equal.slice(0, 120).reduce(pushBet, startBets(0.1))
  const needed = neededPairs(early, 0.05)
  expect(needed.regress).toBeNull()
  let bets = early
  let taken = 0
  while (logPromote(bets) < Math.log(1 / 0.05)) bets = pushBet(bets, equal[taken++ % 6] ?? 0)
  expect(needed.promote).toBeGreaterThan(taken * 0.7)
  expect(needed.promote).toBeLessThan(taken * 1.4)
  expect(neededPairs(bets, 0.05).promote).toBe(0)

  const losing = Array.from({ length: 30 }, (_, at) => (at % 3 === 0 ? 0 : -1)).reduce(pushBet, startBets(0.1))
  expect(neededPairs(losing, 1e-9).promote).toBeNull()
  expect(neededPairs(losing, 1e-9).regress).toBeGreaterThan(0)
  expect(neededPairs(startBets(0.1), 0.05)).toEqual({ promote: null, regress: null })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { millis } from '../units.ts'
import { openRetryBudget, retryOf } from './retry-budget.ts'

const at = (seconds: number) => millis(seconds * 1_000)

test('R17 a tenth of the last requests may be sent again, and a refusal says why', () => {
  const budget = openRetryBudget()
  for (let i = 0; i < 300; i++) budget.asked(at(i / 100))
  const decisions = Array.from({ length: 31 }, () => budget.retry('again', at(3)))
  expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(30)
  expect(decisions.at(-1)).toEqual({
    allowed: false,
    why: '10 % of requests at most are sent again, and in the last 10 s 30 were, of 300: more would make an overload worse',
  })
  expect(budget.retry('again', at(14)).allowed).toBe(true)
})

test('R17 a person alone, one of whose two replicas is dead, always gets through', () => {
  // One failed call for each time the dead one is tried: three until it is ejected, then one after 1 s, 2 s, 4 s …
  const budget = openRetryBudget()
  for (const seconds of [0, 1, 2, 3, 5, 9, 17, 33, 63, 93]) {
    budget.asked(at(seconds))
    expect(budget.retry('again', at(seconds)).allowed).toBe(true)
  }
})

test('R17 in whatever order requests and failures come, a tenth is never exceeded', () => {
  const event = fc.record({ kind: fc.constantFrom('asked', 'asked', 'again', 'moved'), wait: fc.nat(700) })
  const limits = fc.record({ ratio: fc.constantFrom(0.1, 0.25), least: fc.nat(4) })
  fc.assert(
    fc.property(limits, fc.array(event, { minLength: 100, maxLength: 600 }), ({ ratio, least }, events) => {
      const budget = openRetryBudget({ ratio, least })
      const asked: number[] = []
      const again: number[] = []
      let now = 0
      for (const { kind, wait } of events) {
        now += wait
        const inWindow = (times: number[]): number => times.filter(time => time > now - 10_000).length
        if (kind === 'asked') {
          budget.asked(millis(now))
          asked.push(now)
        } else if (budget.retry(kind === 'moved' ? 'moved' : 'again', millis(now)).allowed && kind === 'again') {
          again.push(now)
          expect(inWindow(again)).toBeLessThanOrEqual(Math.max(least, ratio * inWindow(asked)))
        }
      }
    }),
  )
})

test('R18 requests that a dead replica held are moved, however many: they need no budget', () => {
  const budget = openRetryBudget({ ratio: 0.1, least: 0 })
  expect(retryOf('usable', 'out')).toBe('moved')
  expect(retryOf('usable', 'last-resort')).toBe('moved')
  expect(retryOf('trial', 'last-resort')).toBe('moved')
  for (let i = 0; i < 1_000; i++) expect(budget.retry('moved', at(1)).allowed).toBe(true)
  expect(budget.retry('again', at(1)).allowed).toBe(false)
})

test('R18 one that goes on working, and a last resort, need it', () => {
  expect(retryOf('usable', 'usable')).toBe('again')
  expect(retryOf('last-resort', 'last-resort')).toBe('again')
  expect(retryOf('last-resort', 'out')).toBe('again')
})

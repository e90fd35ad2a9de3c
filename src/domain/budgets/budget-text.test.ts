import { expect, test } from 'vitest'
import { forAll } from '../access/index.ts'
import { parseBudget, renderAmount, renderBudget } from './budget-text.ts'

const day = 86_400_000

test.each([
  ['20 EUR/30d', { amount: 20, unit: 'money', currency: 'EUR', every: 30 * day }],
  ['5000 tokens/1d', { amount: 5000, unit: 'tokens', currency: null, every: day }],
  ['3600 gpu-seconds/12h', { amount: 3600, unit: 'gpu-seconds', currency: null, every: day / 2 }],
  ['0 EUR/1d', { amount: 0, unit: 'money', currency: 'EUR', every: day }],
  ['0.5 USD', { amount: 0.5, unit: 'money', currency: 'USD', every: forAll }],
])('%s is read, and written the same', (text, budget) => {
  const parsed = parseBudget(text)
  expect(parsed).toEqual({ ok: true, budget })
  if (parsed.ok) expect(parseBudget(renderBudget(parsed.budget))).toEqual(parsed)
})

test('two weeks are fourteen days', () => {
  const parsed = parseBudget('1 EUR / 2w')
  expect(parsed.ok && renderBudget(parsed.budget)).toBe('1 EUR/14d')
})

test.each(['', '20', '-1 EUR/1d', '20 eur/30d', '20 EUR/30', '20 EUR/90s', '5 apples/1d', '1e9 EUR/1d'])(
  "'%s' is refused, with how to write it",
  text => {
    const parsed = parseBudget(text)
    expect(parsed.ok).toBe(false)
    expect(!parsed.ok && parsed.problem).toMatch(/30d/)
  },
)

test('small amounts of money keep what says something', () => {
  const money = { unit: 'money', currency: 'EUR' } as const
  expect(renderAmount(12.3456, money)).toBe('12.35 EUR')
  expect(renderAmount(0.000123, money)).toBe('0.00012 EUR')
  expect(renderAmount(0, money)).toBe('0 EUR')
})

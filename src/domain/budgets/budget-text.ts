/** Budgets as people write them: `20 EUR/30d`, `5000 tokens/1d`, `3600 gpu-seconds/1d`; without a period, once and for all. */
import { forAll, parseDuration, periodProblem, type Budget, type BudgetUnit } from '../access/index.ts'
import type { Millis } from '../units.ts'

export type ParsedBudget = { ok: true; budget: Budget } | { ok: false; problem: string }

const form = /^(\d{1,15}(?:\.\d{1,9})?) *(tokens|gpu-seconds|[A-Z]{3})(?: *\/ *(\w+))?$/
const example = 'Write it as 20 EUR/30d, 5000 tokens/1d or 3600 gpu-seconds/1d; without a period it is for good.'

export function parseBudget(text: string): ParsedBudget {
  const [, amount, unit = '', period] = form.exec(text.trim()) ?? []
  if (amount === undefined) return { ok: false, problem: `'${text.slice(0, 40)}' is no budget. ${example}` }
  const every = period === undefined ? forAll : parseDuration(period)
  if (every === null) return { ok: false, problem: `'${period}' is no period. ${example}` }
  const problem = periodProblem(every)
  if (problem !== null) return { ok: false, problem }
  const isMoney = unit !== 'tokens' && unit !== 'gpu-seconds'
  return {
    ok: true,
    budget: { amount: Number(amount), unit: isMoney ? 'money' : unit, currency: isMoney ? unit : null, every },
  }
}

export function renderBudget({ amount, unit, currency, every }: Budget): string {
  const period = every === forAll ? '' : `/${renderPeriod(every)}`
  return `${renderAmount(amount, { unit, currency })}${period}`
}

/** Money to hundredths, and finer what is less. */
export function renderAmount(amount: number, { unit, currency }: Pick<Budget, 'unit' | 'currency'>): string {
  const shown: Record<BudgetUnit, () => string> = {
    'money': () => `${toDigits(amount)} ${currency ?? ''}`.trimEnd(),
    'gpu-seconds': () => `${toDigits(amount)} gpu-seconds`,
    'tokens': () => `${Math.round(amount)} tokens`,
  }
  return shown[unit]()
}

/** A length of time in the largest unit that it is a whole number of. */
export function renderPeriod(every: Millis): string {
  for (const [unit, length] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
  ] as const)
    if (every % length === 0) return `${every / length}${unit}`
  return `${every / 1000}s`
}

/** Two digits behind the point; for less than a whole one, two that say something. */
function toDigits(amount: number): string {
  if (Number.isInteger(amount)) return String(amount)
  return Math.abs(amount) >= 1 ? amount.toFixed(2) : String(Number(amount.toPrecision(2)))
}

/** The ledger: what each holder of a budget has spent in its periods, and what requests under way may still cost. Rules B3 to B9. */
import { periodOf, type Budget, type BudgetUnit, type Period } from '../access/index.ts'
import type { Spend } from '../serving/index.ts'
import { millis, tokens, type Instant, type Millis, type Tokens } from '../units.ts'

/** Whose budget it is. `id`: the key's id or the team's name; `name` is for people. */
export type Holder = { subject: Spend['subject']; id: string; name: string; budget: Budget }

/** The most that a request can cost, in each unit. */
export type Most = { tokens: Tokens; gpuMs: Millis; money: { amount: number; currency: string } }

/** What it did cost. `null`: nobody knows, and what was reserved of that unit stays spent. */
export type Actual = { tokens: Tokens | null; gpuMs: Millis | null; money: number | null }

export type Reserved = {
  ok: true
  /** Only the first word counts, be it this or `cancel`. */
  settle(actual: Actual): void
  cancel(): void
}

export type Refused =
  /** In the budget's unit: spent, and held by requests under way. */
  | { ok: false; why: 'spent'; holder: Holder; period: Period; spent: number; held: number }
  /** What requests cost is told in another currency, `costs`. */
  | { ok: false; why: 'currency'; holder: Holder; costs: string }

export type Ledger = {
  /** For all holders, or for none. `at`: when the request arrived, which says whose period it belongs to. */
  reserve(holders: readonly Holder[], most: Most, at: Instant): Reserved | Refused
  /** From the controller: what all gateways' journals say so far. */
  told(spend: readonly Spend[]): void
}

/** One holder's period. `settled` is this gateway's own count, `own` how much of it the controller's `all` has in it already. */
type Account = { period: Instant; settled: number; held: number; holds: number; all: number; own: number }
type Place = Omit<Spend, 'all' | 'own'>

/** Sums of many fractions are off by less than this part of them. */
const rounding = 1e-9

export function openLedger(): Ledger {
  const accounts = new Map<string, Account[]>()

  function accountOf({ subject, name, unit, currency, every, period }: Place): Account {
    const id = JSON.stringify([subject, name, unit, currency, every])
    const known = accounts.get(id) ?? []
    const found = known.find(account => account.period === period)
    if (found !== undefined) return found
    const account = { period, settled: 0, held: 0, holds: 0, all: 0, own: 0 }
    // Requests that arrived at the end of a period are still reserving and settling in the next.
    const kept = known.filter(each => each.holds > 0 || Math.abs(each.period - period) <= every)
    accounts.set(id, [...kept, account])
    return account
  }

  function look(holder: Holder, most: Most, at: Instant) {
    const { unit, currency, every } = holder.budget
    const period = periodOf(holder.budget, at)
    const account = accountOf({
      ...{ subject: holder.subject, name: holder.id },
      ...{ unit, currency, every, period: period.start },
    })
    return { holder, account, period, amount: inUnit(unit, { ...most, money: most.money.amount }) }
  }

  return {
    reserve(holders, most, at) {
      const foreign = holders.find(
        ({ budget }) => budget.unit === 'money' && budget.currency !== null && budget.currency !== most.money.currency,
      )
      if (foreign !== undefined) return { ok: false, why: 'currency', holder: foreign, costs: most.money.currency }
      const asked = holders.map(holder => look(holder, most, at))
      for (const { holder, account, period, amount } of asked) {
        const spent = spentOf(account)
        if (!hasRoom(holder.budget.amount, spent + account.held, amount))
          return { ok: false, why: 'spent', holder, period, spent, held: account.held }
      }
      for (const { account, amount } of asked) hold(account, amount)
      let open = true
      const end = (actual: Actual): void => {
        if (!open) return
        open = false
        for (const { holder, account, amount } of asked) {
          release(account, amount)
          account.settled += inUnit(holder.budget.unit, actual) ?? amount
        }
      }
      return { ok: true, settle: end, cancel: () => end(nothing) }
    },

    told(spend) {
      for (const each of spend) Object.assign(accountOf(each), { all: each.all, own: each.own })
    },
  }
}

const nothing: Actual = { tokens: tokens(0), gpuMs: millis(0), money: 0 }

/**
 * What the controller knows, and what this gateway knows beyond that. Never less than the controller's: of a budget that was given
 * or changed in the middle of its period this gateway has not counted the beginning.
 */
const spentOf = ({ settled, all, own }: Account): number => all + Math.max(0, settled - own)

/** A budget that is used up admits nothing, not even what costs nothing. */
function hasRoom(budget: number, used: number, amount: number): boolean {
  const slack = budget * rounding
  return used < budget - slack && used + amount <= budget + slack
}

function hold(account: Account, amount: number): void {
  account.holds++
  account.held += amount
}

function release(account: Account, amount: number): void {
  account.holds--
  // With nobody left there is nothing held, whatever fractions have added up to.
  account.held = account.holds === 0 ? 0 : account.held - amount
}

function inUnit(unit: BudgetUnit, cost: { tokens: Tokens; gpuMs: Millis; money: number }): number
function inUnit(unit: BudgetUnit, cost: Actual): number | null
function inUnit(unit: BudgetUnit, cost: Actual): number | null {
  switch (unit) {
    case 'tokens':
      return cost.tokens
    case 'gpu-seconds':
      return cost.gpuMs === null ? null : cost.gpuMs / 1000
    case 'money':
      return cost.money
    default:
      return unit satisfies never
  }
}

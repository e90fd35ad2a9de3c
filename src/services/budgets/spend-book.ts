/** The spend book: what gateways have to be told of spending, each change numbered, so that each hears what is new to it. */
import type { Spend } from '../../domain/serving/index.ts'
import type { Tally } from './tally-spend.ts'

export interface SpendBook {
  /** The number of the last change; 0: there is nothing to tell. */
  readonly n: number
  /** What changed after change `n`, for the gateway that writes this journal now; `null`: for one that has none. */
  since(n: number, journal: string | null): Spend[]
}

type Entry = { tally: Tally; n: number }

/** The book after these tallies; the same one when they say nothing new. */
export function turnPage(before: TurnedBook, tallies: readonly Tally[]): TurnedBook {
  const known = before.entries
  const n = before.n + 1
  const entries = new Map<string, Entry>()
  for (const tally of tallies) {
    const id = idOf(tally)
    const old = known.get(id)
    entries.set(id, old !== undefined && isSame(old.tally, tally) ? old : { tally, n })
  }
  // What is gone is nothing to tell: a gateway asks only for budgets that there are.
  return [...entries.values()].some(entry => entry.n === n) ? toBook(n, entries) : before
}

type TurnedBook = SpendBook & { readonly entries: ReadonlyMap<string, Entry> }

function toBook(n: number, entries: ReadonlyMap<string, Entry>): TurnedBook {
  return {
    n,
    entries,
    since: (after, journal) =>
      [...entries.values()].filter(entry => entry.n > after).map(({ tally }) => toSpend(tally, journal)),
  }
}

export const emptyBook: TurnedBook = toBook(0, new Map())

function toSpend({ holder, period, spent, byEpoch }: Tally, journal: string | null): Spend {
  const { unit, currency, every } = holder.budget
  return {
    ...{ subject: holder.subject, name: holder.id, unit, currency, every, period: period.start, all: spent },
    own: journal === null ? 0 : (byEpoch.get(journal) ?? 0),
  }
}

const idOf = ({ holder: { subject, id, budget }, period }: Tally): string =>
  JSON.stringify([subject, id, budget.unit, budget.currency, budget.every, period.start])

const isSame = (a: Tally, b: Tally): boolean =>
  a.byEpoch.size === b.byEpoch.size && [...a.byEpoch].every(([epoch, part]) => b.byEpoch.get(epoch) === part)

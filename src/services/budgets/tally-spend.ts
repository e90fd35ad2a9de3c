/** Tallies: what each holder of a budget has spent in its present period, as far as the journals were read. */
import {
  periodOf,
  spanOf,
  type AccessStore,
  type Budget,
  type Key,
  type Period,
  type Team,
} from '../../domain/access/index.ts'
import type { Holder } from '../../domain/budgets/index.ts'
import type { RequestStore, SpentRow } from '../../domain/journal/index.ts'
import type { Instant } from '../../domain/units.ts'

export type Tally = {
  holder: Holder
  period: Period
  /** In the budget's unit, and currency. */
  spent: number
  /** The same by the epoch of the journal that told of it. */
  byEpoch: ReadonlyMap<string, number>
}

export interface Tallies {
  /** Of every key that may still be used and every team that has a budget. */
  now(): Promise<Tally[]>
}

export type TallyParts = {
  access: Pick<AccessStore, 'changesSince' | 'image'>
  requests: Pick<RequestStore, 'spent'>
  now: () => Instant
}

/** Keys and teams are read anew only when something about them has changed. */
export function openTallies({ access, requests, now }: TallyParts): Tallies {
  let known: { seq: number; holders: Holder[] } | null = null

  async function holders(): Promise<Holder[]> {
    const changes = known === null ? null : await access.changesSince(known.seq)
    if (known !== null && changes?.length === 0) return known.holders
    const { seq, keys, teams } = await access.image()
    known = { seq, holders: [...keys.flatMap(toKeyHolder), ...teams.flatMap(toTeamHolder)] }
    return known.holders
  }

  return {
    now: async () => tallySpend(requests, await holders(), now()),
  }
}

/** In the order of the holders' periods. */
export async function tallySpend(
  requests: TallyParts['requests'],
  holders: readonly Holder[],
  at: Instant,
): Promise<Tally[]> {
  const byPeriod = Map.groupBy(holders, ({ budget }) => budget.every)
  const tallies = await Promise.all([...byPeriod.values()].map(alike => tally(requests, alike, at)))
  return tallies.flat()
}

/** `alike`: holders whose periods are the same. */
async function tally(requests: TallyParts['requests'], alike: readonly Holder[], at: Instant): Promise<Tally[]> {
  const [first] = alike
  if (first === undefined) return []
  const period = periodOf(first.budget, at)
  const span = spanOf(first.budget.every)
  // A period that nothing is summed up by could only have been given by an older program: it is told as unspent.
  if (span === null) return alike.map(holder => ({ holder, period, spent: 0, byEpoch: new Map() }))
  const named = (subject: Holder['subject']): string[] =>
    alike.filter(each => each.subject === subject).map(({ id }) => id)
  const rows = await requests.spent({
    ...{ span: span.name, from: period.start, until: period.end },
    ...{ keys: named('key'), teams: named('team') },
  })
  const byHolder = Map.groupBy(rows, ({ subject, name }) => placeOf(subject, name))
  return alike.map(holder => {
    const own = byHolder.get(placeOf(holder.subject, holder.id)) ?? []
    const byEpoch = new Map<string, number>()
    for (const row of own) byEpoch.set(row.epoch, (byEpoch.get(row.epoch) ?? 0) + inUnit(row, holder.budget))
    return { holder, period, spent: [...byEpoch.values()].reduce((sum, part) => sum + part, 0), byEpoch }
  })
}

const placeOf = (subject: Holder['subject'], name: string): string => JSON.stringify([subject, name])

function inUnit(row: SpentRow, { unit, currency }: Budget): number {
  switch (unit) {
    case 'tokens':
      return row.tokens
    case 'gpu-seconds':
      return row.gpuMs / 1000
    case 'money':
      return row.currency === currency ? row.money : 0
    default:
      return unit satisfies never
  }
}

function toKeyHolder({ id, alias, budget, revokedAt }: Key): Holder[] {
  return budget === undefined || revokedAt !== null ? [] : [{ subject: 'key', id, name: alias ?? id, budget }]
}

function toTeamHolder({ name, budget }: Team): Holder[] {
  return budget === undefined ? [] : [{ subject: 'team', id: name, name, budget }]
}

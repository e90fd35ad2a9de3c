/**
 * A gateway's share: what it may grant by itself, because it is alone or because the store is gone. What was used before
 * it stood alone counts whole; of what is left and becomes free, each gateway has an equal part.
 */
import { millis, type Millis } from '../units.ts'
import type { Account, Gauge } from './account.ts'
import { leavesAt, totalBefore, totalOf, windowSpan } from './window.ts'

/** `since`: the slice from which on it stands so. */
export type Standing = { gateways: number; since: number }

/** How much more may be used now. */
export function roomAlone(gauge: Gauge, limit: number, { gateways, since }: Standing, now: number): number {
  const own = totalOf(gauge.own, now)
  const others = gauge.others === null ? 0 : totalOf(gauge.others, now)
  if (gateways === 1) return limit - own - others
  const before = totalBefore(gauge.own, since)
  return partOf(limit, before + others, gateways) - (own - before)
}

/** How long until `amount` fits; a minute for one that is larger than the share. */
export function fitsAloneIn(gauge: Gauge, { limit, amount }: Bound, standing: Standing, now: number): Millis {
  if (roomAlone(gauge, limit, standing, now) >= amount) return millis(0)
  const { gateways } = standing
  const since = gateways === 1 ? 0 : standing.since
  let before = totalBefore(gauge.own, since) + (gauge.others === null ? 0 : totalOf(gauge.others, now))
  let fresh = totalOf(gauge.own, now) - totalBefore(gauge.own, since)
  for (const leaving of inOrder(gauge, since)) {
    if (leaving.fresh) fresh -= leaving.count
    else before -= leaving.count
    if (partOf(limit, before, gateways) - fresh >= amount) return millis(Math.max(1, leaving.at - now))
  }
  return millis(windowSpan)
}

type Bound = { limit: number; amount: number }

/**
 * Whether one more may be served at once. Places that others had count for a minute: then they have had the time to
 * come down to their own share.
 */
export function hasPlaceAlone(account: Account, limit: number, { gateways, since }: Standing, now: number): boolean {
  const others = leavesAt(since) > now ? account.places.others : 0
  return account.leases < partOf(limit, 0, gateways) && account.leases + others < limit
}

/** At least one, where nothing else counts: a bound smaller than the number of gateways does not shut everybody out. */
function partOf(limit: number, before: number, gateways: number): number {
  return Math.max(before === 0 ? 1 : 0, Math.floor((limit - before) / gateways))
}

function inOrder({ own, others }: Gauge, since: number): { at: number; count: number; fresh: boolean }[] {
  const all: { at: number; count: number; fresh: boolean }[] = []
  for (let at = own.first; at < own.slices.length; at += 1) {
    const slice = own.slices[at] ?? 0
    all.push({ at: leavesAt(slice), count: own.counts[at] ?? 0, fresh: slice >= since })
  }
  if (others !== null)
    for (let at = others.first; at < others.slices.length; at += 1)
      all.push({ at: leavesAt(others.slices[at] ?? 0), count: others.counts[at] ?? 0, fresh: false })
  return all.toSorted((a, b) => a.at - b.at)
}

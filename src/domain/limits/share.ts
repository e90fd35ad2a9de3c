/**
 * A gateway's share: what it may grant by itself, because it is alone or because the store is gone. Rule L11: an equal part
 * of the limit, and of what was left of it when it began to stand alone and has become free since.
 */
import { millis, type Millis } from '../units.ts'
import type { Account, Gauge } from './account.ts'
import { leavesAt, totalBefore, totalOf, windowSpan } from './window.ts'

/** `since`: the slice from which on it stands so. */
export type Standing = { gateways: number; since: number }
type Bounds = { limit: number; standing: Standing }

/** How much more may be used now. */
export function roomAlone(gauge: Gauge, { limit, standing }: Bounds, now: number): number {
  const { gateways, since } = standing
  const own = totalOf(gauge.own, now)
  const others = gauge.others === null ? 0 : totalOf(gauge.others, now)
  const before = gateways === 1 ? 0 : totalBefore(gauge.own, since)
  return roomOf({ before, fresh: own - before, others }, limit, gateways)
}

/** How long until `amount` fits; a minute for one that is larger than the share. */
export function fitsAloneIn(gauge: Gauge, { amount, ...bounds }: Bounds & { amount: number }, now: number): Millis {
  if (roomAlone(gauge, bounds, now) >= amount) return millis(0)
  const { limit, standing } = bounds
  const since = standing.gateways === 1 ? 0 : standing.since
  const before = totalBefore(gauge.own, since)
  const others = gauge.others === null ? 0 : totalOf(gauge.others, now)
  const used = { before, fresh: totalOf(gauge.own, now) - before, others }
  for (const leaving of inOrder(gauge, since)) {
    used[leaving.of] -= leaving.count
    if (roomOf(used, limit, standing.gateways) >= amount) return millis(Math.max(1, leaving.at - now))
  }
  return millis(windowSpan)
}

/** `before`, `fresh`: used here before it stood alone, and since; `others`: known of the others. */
type Used = { before: number; fresh: number; others: number }

/**
 * What the others have used since the last word is not known here. So beside the part of what is left there is a second
 * bound: no more than an equal part of the whole. Where the load was even, that alone keeps all of them within the limit.
 */
function roomOf({ before, fresh, others }: Used, limit: number, gateways: number): number {
  if (gateways === 1) return limit - before - fresh - others
  return Math.min(partOf(limit, before + others, gateways) - fresh, partOf(limit, 0, gateways) - before - fresh)
}

/**
 * Whether one more may be served at once. Places that others had count for a minute: then they have had the time to
 * come down to their own share.
 */
export function hasPlaceAlone(account: Account, { limit, standing }: Bounds, now: number): boolean {
  const { gateways, since } = standing
  const others = leavesAt(since) > now ? account.places.others : 0
  return account.leases < partOf(limit, 0, gateways) && account.leases + others < limit
}

/** At least one, where nothing else counts: a bound smaller than the number of gateways does not shut everybody out. */
function partOf(limit: number, before: number, gateways: number): number {
  return Math.max(before === 0 ? 1 : 0, Math.floor((limit - before) / gateways))
}

function inOrder({ own, others }: Gauge, since: number): { at: number; count: number; of: keyof Used }[] {
  const all: { at: number; count: number; of: keyof Used }[] = []
  for (let at = own.first; at < own.slices.length; at += 1) {
    const slice = own.slices[at] ?? 0
    all.push({ at: leavesAt(slice), count: own.counts[at] ?? 0, of: slice < since ? 'before' : 'fresh' })
  }
  if (others !== null)
    for (let at = others.first; at < others.slices.length; at += 1)
      all.push({ at: leavesAt(others.slices[at] ?? 0), count: others.counts[at] ?? 0, of: 'others' })
  return all.toSorted((a, b) => a.at - b.at)
}

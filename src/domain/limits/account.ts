/** An account: what one subject has used and holds, here and, as far as the store told, on the other gateways. */
import type { Limits } from '../access/index.ts'
import type { LimitedBy } from '../fault.ts'
import { addTo, giveBackTo, openWindow, totalOf, type Window } from './window.ts'

/** Whose bound it is, and the bound. */
export type Subject = {
  subject: LimitedBy['subject']
  /** Unique among subjects of its kind. */
  id: string
  /** As people know it. */
  name: string
  limits: Limits
}

/** Requests, or tokens: what is bounded in any minute. */
export type Gauge = {
  readonly own: Window
  /** What the other gateways have used or hold; `null`: nothing was ever told of them. */
  others: Window | null
  /** Granted by the store and not used yet. */
  block: number
  /** What the requests that wait for the store want, and the smallest of them. */
  wanted: number
  smallest: number
  /** Of the latest request: about what the next one wants. */
  latest: number
  /** What changed since the last word to the store, by slice; `null`: the next word tells everything. */
  untold: Map<number, number> | null
  closed: Closed | null
}

/** The store had no room for `amount` or more: not worth asking again before `until`. */
type Closed = { until: number; amount: number; fitsAt: number }

export type Places = {
  /** Granted by the store and free. */
  spare: number
  others: number
  wanted: number
  closedUntil: number
}

export type Account = {
  /** Unique among all. */
  readonly id: string
  limits: Limits
  readonly requests: Gauge
  readonly tokens: Gauge
  /** Requests under way, and the most of late. */
  leases: number
  peak: number
  readonly places: Places
  /** The blocks and spare places may be used until then. */
  heldUntil: number
  /** Number of the last word that the store took; `null`: it has to be told everything. */
  told: number | null
  toldAt: number
  /** Asked for since the last beat. */
  used: boolean
  /** Not asked for in a whole beat: what it holds goes back. */
  idle: boolean
}

export function openAccount(id: string, limits: Limits): Account {
  return {
    id,
    limits,
    requests: openGauge(),
    tokens: openGauge(),
    leases: 0,
    peak: 0,
    places: { spare: 0, others: 0, wanted: 0, closedUntil: 0 },
    heldUntil: 0,
    told: null,
    toldAt: 0,
    used: false,
    idle: false,
  }
}

/** Nobody would notice if it were forgotten. */
export function isForgettable(account: Account, now: number): boolean {
  const { requests, tokens, leases, places } = account
  return (
    leases === 0 &&
    places.spare === 0 &&
    places.wanted === 0 &&
    [requests, tokens].every(gauge => gauge.block === 0 && gauge.wanted === 0 && totalOf(gauge.own, now) === 0)
  )
}

/** Counts `amount`; answers the slice, with which it can be given back. */
export function count(gauge: Gauge, now: number, amount: number): number {
  const slice = addTo(gauge.own, now, amount)
  note(gauge, slice, amount)
  gauge.block = Math.max(0, gauge.block - amount)
  return slice
}

export function giveBack(gauge: Gauge, slice: number, amount: number): void {
  giveBackTo(gauge.own, slice, amount)
  note(gauge, slice, -amount)
}

/** What is held of the store is given up: it takes back what is not told to it. */
export function dropBlocks(account: Account): void {
  account.requests.block = 0
  account.tokens.block = 0
  account.places.spare = 0
}

function note(gauge: Gauge, slice: number, change: number): void {
  if (gauge.untold !== null) gauge.untold.set(slice, (gauge.untold.get(slice) ?? 0) + change)
}

const openGauge = (): Gauge => ({
  own: openWindow(),
  others: null,
  block: 0,
  wanted: 0,
  smallest: Infinity,
  latest: 0,
  untold: null,
  closed: null,
})

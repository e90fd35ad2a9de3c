/**
 * The fair queue: whose request is next when several owners want the same places. Start-time fair queueing (Goyal, Vin
 * and Cheng, 1996): virtual time stands where the last request taken began; an owner's requests are laid out on it one after
 * another, each as long as its cost divided by its owner's weight.
 */
import type { Priority } from '../access/index.ts'
import { openOrder, type Order } from './order.ts'

export type Claim = {
  /** Who is to have a fair part: a key, or a person behind a token. */
  owner: string
  /** Its part in relation to the others'. */
  weight: number
  /** How much work it is; 1 is a usual request. */
  cost: number
}

/** Every operation is O(log n) in the number of items that wait, but `inOrder`. */
export type FairQueue<Item> = {
  /** The item must not be in the queue. */
  push(item: Item, claim: Claim): void
  /** A request that need not wait, since nobody does: it counts against its owner all the same. */
  pass(claim: Claim): void
  takeNext(): Item | null
  /** `false`: it is not in the queue. Its owner is charged nothing for it, and the owner's next one has its turn. */
  remove(item: Item): boolean
  /** 1 is next; `null`: it is not in the queue. */
  placeOf(item: Item): number | null
  /** Whose turn comes after everybody else's. */
  last(): Item | null
  inOrder(): Item[]
  size(): number
  /** Nothing waits and nothing runs any more: who had how much no longer matters. */
  rest(): void
  /** Owners of whom something is remembered. */
  owners(): number
}

type Entry<Item> = { item: Item; backlog: Backlog<Item>; seq: number; charge: number }
/** A stretch of an owner's virtual time; which of its items fills it is decided when it comes. */
type Turn<Item> = { backlog: Backlog<Item>; start: number; weight: number; seq: number }
/** As many turns as entries: the first turn is the first entry's, and so on. */
type Backlog<Item> = { owner: string; entries: Order<Entry<Item>>; turns: Order<Turn<Item>> }

/** Shares of owners who all want more than there is. */
const weights = { low: 1, normal: 4, high: 16 } as const satisfies Record<Priority, number>
export const weightOf = (priority: Priority): number => weights[priority]

const bySeq = (a: { seq: number }, b: { seq: number }): number => a.seq - b.seq
const fewestOwnersToSweep = 64

export function openFairQueue<Item>(): FairQueue<Item> {
  const order = openOrder<Turn<Item>>((a, b) => a.start - b.start || b.weight - a.weight || a.seq - b.seq)
  const entries = new Map<Item, Entry<Item>>()
  const backlogs = new Map<string, Backlog<Item>>()
  /** Where on virtual time all that an owner was charged for ends. An owner that is not here ends in the past. */
  const ends = new Map<string, number>()
  let virtual = 0
  let seq = 0
  let sweepAt = fewestOwnersToSweep

  /** Where the owner's next request may begin: time that it did not use is gone. */
  const beginOf = (owner: string): number => Math.max(virtual, ends.get(owner) ?? 0)

  function charge({ owner, weight, cost }: Claim): number {
    const length = cost / weight
    ends.set(owner, beginOf(owner) + length)
    if (ends.size > sweepAt) sweep()
    return length
  }

  /** Once for as many newcomers as were kept the last time, so it costs each of them the same. */
  function sweep(): void {
    for (const [owner, end] of ends) if (end <= virtual && !backlogs.has(owner)) ends.delete(owner)
    sweepAt = Math.max(fewestOwnersToSweep, ends.size * 2)
  }

  function push(item: Item, claim: Claim): void {
    if (entries.has(item)) throw new TypeError('an item waits once')
    const backlog = backlogs.get(claim.owner) ?? open(claim.owner)
    const before = backlog.turns.at(backlog.turns.size() - 1)
    const start = Math.max(beginOf(claim.owner), before?.start ?? 0)
    // The owner's own order holds even where its weight was raised meanwhile.
    const weight = before?.start === start ? Math.min(claim.weight, before.weight) : claim.weight
    const entry = { item, backlog, seq: seq++, charge: charge(claim) }
    const turn = { backlog, start, weight, seq: entry.seq }
    entries.set(item, entry)
    backlog.entries.add(entry)
    backlog.turns.add(turn)
    order.add(turn)
  }

  function open(owner: string): Backlog<Item> {
    const backlog = { owner, entries: openOrder<Entry<Item>>(bySeq), turns: openOrder<Turn<Item>>(bySeq) }
    backlogs.set(owner, backlog)
    return backlog
  }

  function leave(entry: Entry<Item>, turn: Turn<Item>): void {
    const { backlog } = entry
    entries.delete(entry.item)
    backlog.entries.delete(entry)
    backlog.turns.delete(turn)
    order.delete(turn)
    if (backlog.entries.size() === 0) backlogs.delete(backlog.owner)
  }

  function takeNext(): Item | null {
    const turn = order.at(0)
    const entry = turn?.backlog.entries.at(0)
    if (turn === undefined || entry === undefined) return null
    virtual = turn.start
    leave(entry, turn)
    return entry.item
  }

  function remove(item: Item): boolean {
    const entry = entries.get(item)
    const turn = entry?.backlog.turns.at(entry.backlog.turns.size() - 1)
    if (entry === undefined || turn === undefined) return false
    leave(entry, turn)
    const { owner } = entry.backlog
    const end = (ends.get(owner) ?? 0) - entry.charge
    if (end <= virtual && !backlogs.has(owner)) ends.delete(owner)
    else ends.set(owner, end)
    return true
  }

  function placeOf(item: Item): number | null {
    const entry = entries.get(item)
    const turn = entry?.backlog.turns.at(entry.backlog.entries.rankOf(entry))
    return turn === undefined ? null : order.rankOf(turn) + 1
  }

  function last(): Item | null {
    const backlog = order.at(order.size() - 1)?.backlog
    return backlog?.entries.at(backlog.entries.size() - 1)?.item ?? null
  }

  function inOrder(): Item[] {
    const nextOf = new Map([...backlogs.values()].map(backlog => [backlog, backlog.entries[Symbol.iterator]()]))
    return [...order].flatMap(({ backlog }) => {
      const next = nextOf.get(backlog)?.next()
      return next === undefined || next.done === true ? [] : [next.value.item]
    })
  }

  return {
    push,
    pass: claim => {
      virtual = beginOf(claim.owner)
      charge(claim)
    },
    takeNext,
    remove,
    placeOf,
    last,
    inOrder,
    size: () => order.size(),
    rest: () => {
      ends.clear()
      virtual = 0
      sweepAt = fewestOwnersToSweep
    },
    owners: () => ends.size,
  }
}

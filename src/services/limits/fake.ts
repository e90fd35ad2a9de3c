/** Shared counts in memory, for tests: what the Redis adapter's script does, on a clock that the test sets. */
import {
  blockSpan,
  leavesAt,
  windowSpan,
  type Answer,
  type Call,
  type GaugeWord,
  type Granted,
  type Reply,
} from '../../domain/limits/index.ts'

export interface FakeCounts {
  carryOut(gateway: string, call: Call): Reply
  /** As after a crash. */
  forget(): void
}

type ToldGauge = { entries: Map<number, number>; held: number }
type Told = { number: number; at: number; places: number; requests: ToldGauge; tokens: ToldGauge }
type Gateway = { seen: number; touched: number; base: number }
type Other = { base: number; told: Told }

const aliveFor = 2_000
const placesFor = 5_000
const knownFor = 100_000
const gatherFor = 1_000

/** `now`: milliseconds, by the store's own clock. */
export function openFakeCounts(now: () => number): FakeCounts {
  const gateways = new Map<string, Gateway>()
  const subjects = new Map<string, Map<string, Told>>()

  /** Since when there are fewer gateways than there should be. */
  let short: number | null = null

  return {
    forget() {
      short = null
      gateways.clear()
      subjects.clear()
    },

    carryOut(me, call) {
      const at = now()
      if (short !== null && short > at) short = null
      for (const [id, { touched }] of gateways) if (at - touched > knownFor || touched > at + 1000) gateways.delete(id)
      const isAlive = ({ seen }: Gateway): boolean => seen > 0 && at - seen <= aliveFor
      const mine = gateways.get(me)
      if (call.kind === 'words' && (mine === undefined || !isAlive(mine))) return { status: 'unknown', answers: [] }
      if (call.kind !== 'hello' && mine === undefined) return { status: 'unknown', answers: [] }
      const seen = call.kind === 'hello' || call.kind === 'tell' ? (mine?.seen ?? 0) : at
      gateways.set(me, { seen: call.kind === 'leave' ? 0 : seen, touched: at, base: at + 1 - Math.floor(call.sentAt) })
      const alive = [...gateways.values()].filter(isAlive).length
      short = alive < call.gateways ? (short ?? at) : null
      if (call.kind === 'join' && short !== null && at - short < gatherFor) return { status: 'early', answers: [] }
      return { status: 'done', answers: call.words.map(word => hear(me, { call, word, at, alive })) }
    },
  }

  function hear(
    me: string,
    { call, word, at, alive }: { call: Call; word: Call['words'][number]; at: number; alive: number },
  ): Answer {
    const told = subjects.get(word.id) ?? new Map<string, Told>()
    subjects.set(word.id, told)
    const { base } = gateways.get(me) ?? { base: 0 }
    const others = [...told].flatMap(([id, other]): (Other & { touched: number })[] => {
      const gateway = gateways.get(id)
      if (gateway === undefined) told.delete(id)
      return id === me || gateway === undefined ? [] : [{ ...gateway, told: other }]
    })
    const before = told.get(me)
    if (word.after !== null && word.after !== (before?.number ?? 0)) return null
    const mine = word.after === null || before === undefined ? openTold() : before
    const part = (limit: number): number => Math.max(1, Math.floor((limit * alive) / Math.max(call.gateways, alive)))
    const gauge = (which: 'requests' | 'tokens'): Granted =>
      count(word[which], mine[which], {
        base,
        at,
        alive,
        part,
        others: others.map(other => ({
          base: other.base,
          told: other.told[which],
          heldUntil: other.base + other.told.at + blockSpan + windowSpan,
        })),
      })
    const requests = gauge('requests')
    const tokens = gauge('tokens')
    const placesOfOthers = others
      .filter(other => at - other.touched <= placesFor)
      .reduce((sum, other) => sum + other.told.places, 0)
    const { places } = word
    const free =
      places === null ? 0 : grant(part(places.limit) - places.inUse - places.keep - placesOfOthers, places, alive)
    mine.places = places === null ? 0 : places.inUse + places.keep + free
    mine.number = word.number
    mine.at = Math.floor(call.sentAt)
    told.set(me, mine)
    return { requests, tokens, places: { granted: free, others: placesOfOthers } }
  }
}

type Around = {
  base: number
  at: number
  alive: number
  part: (limit: number) => number
  others: { base: number; told: ToldGauge; heldUntil: number }[]
}

function count(word: GaugeWord | null, mine: ToldGauge, { base, at, alive, part, others }: Around): Granted {
  if (word === null) return { granted: 0, fitsIn: 0, others: 0 }
  for (let index = 0; index < word.changes.length; index += 2) {
    const slice = word.changes[index] ?? 0
    mine.entries.set(slice, (mine.entries.get(slice) ?? 0) + (word.changes[index + 1] ?? 0))
  }
  for (const [slice, sum] of mine.entries) if (sum <= 0 || base + leavesAt(slice) <= at) mine.entries.delete(slice)
  const leaving = [
    ...others.flatMap(other =>
      [...other.told.entries].map(([slice, sum]) => ({ at: other.base + leavesAt(slice), sum })),
    ),
    ...others.filter(other => other.heldUntil > at).map(other => ({ at: at + blockSpan, sum: other.told.held })),
  ].filter(entry => entry.at > at)
  const theirs = sumOf(leaving)
  const own = [...mine.entries].map(([slice, sum]) => ({ at: base + leavesAt(slice), sum }))
  const used = sumOf(own) + word.keep + theirs
  const granted = grant(part(word.limit) - used, word, alive)
  mine.held = word.keep + granted
  let over = used + granted + word.smallest - part(word.limit)
  const fits = [...leaving, ...own].toSorted((a, b) => a.at - b.at).find(entry => (over -= entry.sum) <= 0)
  const fitsIn = fits === undefined ? windowSpan : fits.at - at
  return { granted, fitsIn: granted < word.wanted ? fitsIn : 0, others: theirs }
}

function grant(room: number, { want, wanted }: { want: number; wanted: number }, alive: number): number {
  if (room <= 0) return 0
  return Math.min(want, Math.max(Math.min(wanted, room), Math.floor(room / (2 * alive))))
}

const sumOf = (entries: readonly { sum: number }[]): number => entries.reduce((sum, entry) => sum + entry.sum, 0)

const openTold = (): Told => ({
  ...{ number: 0, at: 0, places: 0 },
  requests: { entries: new Map(), held: 0 },
  tokens: { entries: new Map(), held: 0 },
})

/** Placement: every replica on every host at once, by branch and bound. Rules: SPEC.md. */
import { sumOf, total } from './fleet.ts'
import type { Card, Host, Need, Workload } from './fleet.ts'
import { isLlama, needOf, runsOnCpu, takesWhatIsFree } from './need.ts'

export type Placed = { workload: Workload; host: Host; cards: readonly Card[]; need: Need; reason: string }
export type Unplaced = { workload: Workload; why: string }

export type Placement = {
  placed: readonly Placed[]
  unplaced: readonly Unplaced[]
  /** `false`: the search was stopped at its bound, and there may be a better one. */
  isProven: boolean
  tried: number
}

/** More than fleets of a few cards and replicas ever need. */
const mostTries = 20_000
const mostOptions = 400

type Option = { host: Host; cards: readonly Card[] }

/** What is taken of a fleet. */
type Taken = { cards: Map<Card, number>; headrooms: Map<Card, number[]>; ram: Map<Host, number> }

/** Lower is better, the first number first (P2). */
type Cost = readonly number[]

type Choice = { option: Option; need: Need }

export function place(workloads: readonly Workload[], hosts: readonly Host[]): Placement {
  const needs = openNeeds()
  const options = workloads.map(workload => optionsOf(workload, hosts))
  const order = workloads
    .map((workload, index) => ({ workload, index, count: options[index]?.length ?? 0 }))
    .toSorted((a, b) => Number(a.count > 1) - Number(b.count > 1) || sizeOf(b.workload) - sizeOf(a.workload))
  const taken = emptyTaken()
  const chosen: (Choice | null)[] = workloads.map(() => null)
  const best: { chosen: readonly (Choice | null)[]; cost: Cost | null } = { chosen: [...chosen], cost: null }
  let tried = 0

  const search = (at: number, cost: Cost): void => {
    if (tried > mostTries) return
    // Costs only grow: what is no better by now never gets better (P3).
    if (best.cost !== null && compare(cost, best.cost) >= 0) return
    const next = order[at]
    if (next === undefined) {
      Object.assign(best, { chosen: [...chosen], cost })
      return
    }
    const { workload, index } = next
    const seen = new Set<string>()
    const branches = (options[index] ?? [])
      .flatMap(option => {
        tried++
        const twin = twinKey(option, { taken, chosen, workloads, workload })
        if (seen.has(twin)) return []
        seen.add(twin)
        const need = tryOption(workload, option, { taken, needs })
        return 'why' in need ? [] : [{ option, need, cost: costOf(workload, option, { chosen, workloads }) }]
      })
      .toSorted((a, b) => compare(a.cost, b.cost))
    for (const branch of branches) {
      take(taken, branch, 1)
      chosen[index] = branch
      search(at + 1, add(cost, branch.cost))
      chosen[index] = null
      take(taken, branch, -1)
    }
    search(at + 1, add(cost, skipped(index, workloads.length)))
  }
  search(0, [0, 0, 0, 0, 0, 0])

  const found = best.chosen
  const final = emptyTaken()
  for (const choice of found) if (choice !== null) take(final, choice, 1)
  return {
    placed: found.flatMap((choice, index) => {
      const workload = workloads[index]
      if (choice === null || workload === undefined) return []
      const reason = reasonOf(workload, choice, { options: options[index] ?? [], needs })
      return [{ workload, host: choice.option.host, cards: choice.option.cards, need: choice.need, reason }]
    }),
    unplaced: workloads.flatMap((workload, index) =>
      found[index] === null
        ? [{ workload, why: whyNot(workload, { hosts, options: options[index] ?? [], taken: final, needs }) }]
        : [],
    ),
    isProven: tried <= mostTries,
    tried,
  }
}

/** What one replica would need there with the others where they are; `why` not. */
export function tryAlone(
  workload: Workload,
  hosts: readonly Host[],
  others: readonly Placed[],
): Choice | { why: string } {
  const taken = emptyTaken()
  for (const { host, cards, need } of others) take(taken, { option: { host, cards }, need }, 1)
  const needs = openNeeds()
  const options = optionsOf(workload, hosts)
  const fitting = options.flatMap(option => {
    const need = tryOption(workload, option, { taken, needs })
    return 'why' in need ? [] : [{ option, need }]
  })
  const [first] = fitting.toSorted(
    (a, b) => a.option.cards.length - b.option.cards.length || speedRank(a) - speedRank(b),
  )
  return first ?? { why: whyNot(workload, { hosts, options, taken, needs }) }
}

const speedRank = ({ option }: Choice): number => -total(option.cards.map(card => card.bandwidth ?? 0))

/** Growth stops here: what is not known of drivers and neighbours needs a place, too. */
const growthShare = 0.97

/** The placed replicas with the room that is left shared out to those who can use it (P5). */
export function growAll(placed: readonly Placed[]): Placed[] {
  const now = [...placed]
  for (const [index, { workload, cards, host }] of placed.entries()) {
    const room = cards.map(card => {
      const on = now.map((each, other) => ({ each, other })).filter(({ each }) => each.cards.includes(card))
      const used = total(on.map(({ each }) => bytesOn(each, card)))
      const headroom = Math.max(0, ...on.map(({ each }) => each.need.headroom))
      const waiting = on.filter(({ other }) => other >= index).length
      const own = bytesOn(now[index] ?? { cards: [], need: { cards: [] } }, card)
      const most = takesWhatIsFree(workload) ? card.capacity : card.capacity * growthShare - headroom
      const left = Math.max(0, most - used)
      return own + Math.floor(left / Math.max(1, waiting))
    })
    const grown = needOf(workload, { cards, room, grow: true })
    if (!grown.ok) continue
    const ramUsed = total(
      now.filter((each, other) => each.host === host && other !== index).map(each => sumOf(each.need.ram)),
    )
    const isInside =
      grown.need.cards.every((lines, card) => sumOf(lines) <= (room[card] ?? 0)) &&
      ramUsed + sumOf(grown.need.ram) <= host.ram
    const before = now[index]
    if (isInside && before !== undefined) now[index] = { ...before, need: grown.need }
  }
  return now
}

function bytesOn({ cards, need }: { cards: readonly Card[]; need: Pick<Need, 'cards'> }, card: Card): number {
  const at = cards.indexOf(card)
  return at < 0 ? 0 : sumOf(need.cards[at] ?? [])
}

const sizeOf = ({ facts }: Workload): number => facts?.bytes ?? 0

/** Where the spec lets it run: pinned stays pinned (P1). */
function optionsOf(workload: Workload, hosts: readonly Host[]): Option[] {
  const allowed = workload.host === null ? hosts : hosts.filter(host => host.name === workload.host)
  return allowed.flatMap(host => {
    const { gpus } = workload
    if (workload.engine.kind === 'embedded') return [{ host, cards: [] }]
    if (gpus !== null && (gpus.length > 0 || runsOnCpu(workload)))
      return [{ host, cards: host.cards.filter(card => gpus.includes(card.id)) }]
    const usable = host.cards.filter(card => card.capacity > 0)
    const groups = subsets(usable, workload)
    return usable.length === 0 && runsOnCpu(workload) ? [{ host, cards: [] }] : groups.map(cards => ({ host, cards }))
  })
}

/** Sets of cards that one engine can use together: of one product, or of one vendor for llama.cpp. */
function subsets(cards: readonly Card[], workload: Workload): (readonly Card[])[] {
  const kindOf = (card: Card): string =>
    isLlama(workload) ? (card.vendor ?? card.id) : `${card.known?.name ?? card.id} ${card.capacity}`
  const kinds = new Map<string, Card[]>()
  for (const card of cards) kinds.set(kindOf(card), [...(kinds.get(kindOf(card)) ?? []), card])
  const found = [...kinds.values()].flatMap(group => {
    const sizes = [1, 2, 4, 8].filter(size => size <= group.length)
    return sizes.flatMap(size => combinations(group, size))
  })
  return found.toSorted((a, b) => a.length - b.length).slice(0, mostOptions)
}

function combinations<Item>(items: readonly Item[], size: number): Item[][] {
  if (size === 0) return [[]]
  return items.flatMap((item, index) => combinations(items.slice(index + 1), size - 1).map(rest => [item, ...rest]))
}

type Needs = (workload: Workload, option: Option, room: readonly number[]) => Need | { why: string }

/** Needs that do not depend on the room are asked for once. */
function openNeeds(): Needs {
  const known = new Map<Workload, Map<string, Need | { why: string }>>()
  return (workload, { cards }, room) => {
    const ask = (): Need | { why: string } => {
      const reading = needOf(workload, { cards, room, grow: false })
      return reading.ok ? reading.need : { why: reading.why }
    }
    // llama.cpp shares layers out by the room there is.
    if (isLlama(workload) && cards.length > 1) return ask()
    const key = cards.map(card => `${card.host}/${card.id}`).join(' ')
    const ofWorkload = known.get(workload) ?? new Map<string, Need | { why: string }>()
    known.set(workload, ofWorkload)
    const found = ofWorkload.get(key) ?? ask()
    ofWorkload.set(key, found)
    return found
  }
}

function tryOption(
  workload: Workload,
  option: Option,
  { taken, needs }: { taken: Taken; needs: Needs },
): Need | { why: string } {
  const room = option.cards.map(card => card.capacity - (taken.cards.get(card) ?? 0))
  const need = needs(
    workload,
    option,
    option.cards.map((card, index) => Math.max(0, (room[index] ?? 0) - headroomOn(taken, card) - usualHeadroom)),
  )
  if ('why' in need) return need
  const ramLeft = option.host.ram - (taken.ram.get(option.host) ?? 0)
  const ramWanted = sumOf(need.ram)
  if (ramWanted > ramLeft && (option.host.isRamStated || hasWeightsInRam(need)))
    return {
      why: `needs ${say(ramWanted)} of main memory, and ${option.host.name} has ${say(Math.max(0, ramLeft))} for it`,
    }
  for (const [index, card] of option.cards.entries()) {
    const wanted = sumOf(need.cards[index] ?? [])
    const headroom = Math.max(need.headroom, headroomOn(taken, card))
    const left = (room[index] ?? 0) - headroom
    if (wanted > left)
      return {
        why: `needs ${say(wanted)} on ${card.host}/${card.id}${headroom > 0 ? ` and ${say(headroom)} left free` : ''}, and ${say(Math.max(0, room[index] ?? 0))} of ${say(card.capacity)} are there`,
      }
  }
  return need
}

/** What llama.cpp leaves free, for sharing out layers before its need is known. */
const usualHeadroom = 1024 ** 3

/** Without a stated memory only what must be off-loaded is refused: an engine's own gigabytes are there. */
const hasWeightsInRam = (need: Need): boolean => need.settings.cpuMoe > 0 || need.settings.cpuLayers > 0

const emptyTaken = (): Taken => ({ cards: new Map(), headrooms: new Map(), ram: new Map() })

const headroomOn = (taken: Taken, card: Card): number => Math.max(0, ...(taken.headrooms.get(card) ?? []))

/** Gives back (`sign` −1) in the opposite order of taking. */
function take(taken: Taken, { option, need }: Choice, sign: 1 | -1): void {
  for (const [index, card] of option.cards.entries()) {
    taken.cards.set(card, (taken.cards.get(card) ?? 0) + sign * sumOf(need.cards[index] ?? []))
    const headrooms = taken.headrooms.get(card) ?? []
    taken.headrooms.set(card, sign > 0 ? [...headrooms, need.headroom] : headrooms.slice(0, -1))
  }
  taken.ram.set(option.host, (taken.ram.get(option.host) ?? 0) + sign * sumOf(need.ram))
}

const compare = (a: Cost, b: Cost): number => {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0)
    if (Math.abs(difference) > 1e-9) return difference
  }
  return 0
}

const add = (a: Cost, b: Cost): Cost => a.map((value, index) => value + (b[index] ?? 0))

/** One replica left out is worse than anything else; among those, the ones that come later in the spec go first. */
const skipped = (index: number, count: number): Cost => [1, 0, 0, 0, 0, (count - index) / count]

function costOf(
  workload: Workload,
  { host, cards }: Option,
  { chosen, workloads }: { chosen: readonly (Choice | null)[]; workloads: readonly Workload[] },
): Cost {
  const siblings = chosen.flatMap((choice, index) =>
    choice !== null && workloads[index]?.version === workload.version ? [choice.option] : [],
  )
  const sameHost = siblings.filter(other => other.host === host).length
  const sameCard = siblings.filter(other => other.cards.some(card => cards.includes(card))).length
  // Who has a card alone is disturbed by nobody.
  const neighbours = total(cards.map(card => chosen.filter(choice => choice?.option.cards.includes(card)).length))
  return [0, sameHost + 2 * sameCard, cards.length, neighbours, total(cards.map(card => card.capacity)) / 2 ** 40, 0]
}

/** Equal for options that differ in nothing that matters: one of them stands for all. */
function twinKey(
  { host, cards }: Option,
  {
    taken,
    chosen,
    workloads,
    workload,
  }: { taken: Taken; chosen: readonly (Choice | null)[]; workloads: readonly Workload[]; workload: Workload },
): string {
  const each = cards.map(card => {
    const siblings = chosen.filter(
      (choice, index) => choice?.option.cards.includes(card) === true && workloads[index]?.version === workload.version,
    ).length
    const link = card.pcie === null ? '' : `${card.pcie.gen}x${card.pcie.lanes}`
    return `${card.known?.name}|${card.capacity}|${taken.cards.get(card) ?? 0}|${headroomOn(taken, card)}|${siblings}|${link}|${card.numa}`
  })
  return `${host.name}: ${each.toSorted().join(', ')}`
}

type Known = { options: readonly Option[]; taken: Taken; needs: Needs }

function reasonOf(workload: Workload, { option, need }: Choice, { options, needs }: Omit<Known, 'taken'>): string {
  const where = nameOf(option)
  if (workload.gpus !== null || options.length === 1)
    return options.length === 1 && workload.gpus === null
      ? `${where}: the only place there is`
      : `${where}: pinned by the spec`
  const empty = emptyTaken()
  const alone = options.filter(
    other =>
      !(
        'why' in
        needs(
          workload,
          other,
          other.cards.map(card => card.capacity),
        )
      ),
  )
  const couldHold = alone.filter(other => !('why' in tryOption(workload, other, { taken: empty, needs })))
  const fewest = Math.min(...couldHold.map(other => other.cards.length))
  if (couldHold.length === 1) return `${where}: the only place that is large enough`
  if (option.cards.length > fewest) return `${where}: smaller sets of cards are taken by others`
  const smallest =
    option.cards.length > 0 &&
    couldHold.every(other => other.cards.length > option.cards.length || capacityOf(other) >= capacityOf(option))
  const most = say(Math.max(0, ...need.cards.map(lines => sumOf(lines))))
  return smallest
    ? `${where}: the fewest and smallest cards that hold it (at least ${most} each)`
    : `${where}: smaller cards are taken by others`
}

const capacityOf = ({ cards }: Option): number => total(cards.map(card => card.capacity))
const nameOf = ({ host, cards }: Option): string =>
  cards.length === 0 ? `${host.name} (main memory)` : `${host.name}/${cards.map(card => card.id).join('+')}`

function whyNot(workload: Workload, { hosts, options, taken, needs }: Known & { hosts: readonly Host[] }): string {
  if (workload.facts === null) {
    const reading = needOf(workload, { cards: [], room: [], grow: false })
    return reading.ok ? '' : reading.why
  }
  if (hosts.length === 0) return 'the spec has no hosts to put it on'
  if (options.length === 0)
    return `${workload.engine.kind} needs a GPU, and ${workload.host ?? 'no host'} has ${workload.host === null ? 'one' : 'none'} with known memory`
  const empty = emptyTaken()
  const whys = options.map(option => {
    const alone = tryOption(workload, option, { taken: empty, needs })
    const now = tryOption(workload, option, { taken, needs })
    const text = 'why' in now ? now.why : 'there would be room, and the search was stopped before it was found'
    return { text, isAlone: 'why' in alone, size: capacityOf(option) }
  })
  // The largest place says most about what is missing.
  const [first] = whys.toSorted((a, b) => Number(a.isAlone) - Number(b.isAlone) || b.size - a.size)
  if (first === undefined) return 'no place is known for it'
  return first.isAlone ? first.text : `${first.text}; it would fit if it had the place alone`
}

const say = (bytes: number): string => {
  const gib = bytes / 1024 ** 3
  return gib >= 100 ? `${gib.toFixed(0)} GiB` : `${gib.toFixed(1)} GiB`
}

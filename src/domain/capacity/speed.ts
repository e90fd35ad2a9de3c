/** Speed: how fast one answer can come at most, from what is read for each token and how fast it can be read. */
import { total } from './fleet.ts'
import type { Card, Host, Need } from './fleet.ts'

export type Speed = {
  /** Tokens a second of one request; `null`: a bandwidth is unknown. */
  atMost: number | null
  /** Were main memory the only thing that takes time; `null`: nothing is read from it. */
  ramAtMost: number | null
  /** What is usual of that. */
  expected: { from: number; to: number } | null
  formula: string
}

/** Engines reach 40 to 70 per cent of the bound. */
const usual = { from: 0.4, to: 0.7 }

export function speedOf(need: Need, cards: readonly Card[], host: Host): Speed {
  const { gpu, ram, pcie } = need.perToken
  const seconds = gpu.map((bytes, index) => {
    const bandwidth = cards[index]?.bandwidth ?? null
    if (bytes === 0) return 0
    return bandwidth === null ? null : bytes / bandwidth
  })
  const ramSeconds = ram / host.ramBandwidth
  const pcieSeconds = pcie === 0 ? 0 : pcie / pcieBandwidth(cards[0])
  const known = seconds.filter(each => each !== null)
  // Ranks read their parts at the same time, stages one after another.
  const gpuSeconds = total(known) / need.settings.tensorParallel
  const all = gpuSeconds + ramSeconds + pcieSeconds
  const atMost = known.length < seconds.length || all === 0 ? null : 1 / all
  return {
    atMost: atMost === null ? null : round(atMost),
    ramAtMost: ram === 0 ? null : round(1 / ramSeconds),
    expected: atMost === null ? null : { from: round(atMost * usual.from), to: round(atMost * usual.to) },
    formula:
      [
        ...(total(gpu) === 0 ? [] : [`${inGB(total(gpu))} on the GPU`]),
        ...(ram === 0 ? [] : [`${inGB(ram)} in RAM at ${inGB(host.ramBandwidth)}/s`]),
        ...(pcie === 0 ? [] : [`${inGB(pcie)} over PCIe at ${inGB(pcieBandwidth(cards[0]))}/s`]),
      ].join(', ') + ' are read for each token',
  }
}

const perLane: Readonly<Record<number, number>> = {
  1: 0.25e9,
  2: 0.5e9,
  3: 0.985e9,
  4: 1.969e9,
  5: 3.938e9,
  6: 7.56e9,
  7: 15.1e9,
}

/** Bytes a second in one direction; sixteen lanes of generation 4 where the spec doesn't say. */
export function pcieBandwidth(card: Card | undefined): number {
  const { gen, lanes } = card?.pcie ?? { gen: card?.known?.pcie ?? 4, lanes: 16 }
  return (perLane[gen] ?? 1.969e9) * lanes
}

const round = (value: number): number => (value >= 1000 ? Math.round(value) : Number(value.toPrecision(3)))
const say = (value: number): number => (value >= 10 ? Math.round(value) : Number(value.toPrecision(2)))
const inGB = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 10e9 ? 2 : 0)} GB`

/** `30 tok/s at most, 12 to 21 usual`. */
export function saySpeed({ atMost, ramAtMost, expected }: Speed): string {
  if (atMost === null || expected === null) return 'speed unknown: the bandwidth of a card is not known'
  const ram = ramAtMost === null || ramAtMost - atMost < 1 ? '' : ` (${say(ramAtMost)} by RAM alone)`
  return `${say(atMost)} tok/s at most${ram}, ${say(expected.from)} to ${say(expected.to)} usual`
}

/** MIG: NVIDIA's slices of one card, and which of them a set of replicas fits into. */
import { findGpu } from './known-gpus.ts'
import type { MigFamily } from './known-gpus.ts'
import { gibi } from './fleet.ts'

export type MigProfile = {
  name: string
  /** What a program sees. */
  bytes: number
  /** Sevenths (quarters) of the card's compute. */
  compute: number
  /** Slices of memory that it takes. */
  memory: number
  /** Slices of memory that it may begin at. */
  starts: readonly number[]
}

export type MigChoice = { profile: MigProfile; start: number }

type Family = { card: string; profiles: readonly MigProfile[] }

const any = [0, 1, 2, 3, 4, 5, 6]
const even = [0, 2, 4, 6]
const profile = (
  name: string,
  size: number,
  slices: [compute: number, memory: number, starts: readonly number[]],
): MigProfile => ({
  ...{ name, bytes: Math.floor(size * gibi), compute: slices[0], memory: slices[1], starts: slices[2] },
})

/** `nvidia-smi mig -lgip` and `-lgipp` print them: NVIDIA's MIG user guide, 2025-06. */
const sevens = (
  card: string,
  sizes: { one: number; two: number; half: number; whole: number },
  unit: number,
): Family => {
  const gb = (slices: number): number => Math.round(unit * slices)
  return {
    card,
    profiles: [
      profile(`1g.${gb(1)}gb`, sizes.one, [1, 1, any]),
      profile(`1g.${gb(2)}gb`, sizes.two, [1, 2, even]),
      profile(`2g.${gb(2)}gb`, sizes.two, [2, 2, [0, 2, 4]]),
      profile(`3g.${gb(4)}gb`, sizes.half, [3, 4, [0, 4]]),
      profile(`4g.${gb(4)}gb`, sizes.half, [4, 4, [0]]),
      profile(`7g.${gb(8)}gb`, sizes.whole, [7, 8, [0]]),
    ],
  }
}

const families: Readonly<Record<MigFamily, Family>> = {
  'a30': {
    card: 'A30',
    profiles: [
      profile('1g.6gb', 5.81, [1, 1, [0, 1, 2, 3]]),
      profile('2g.12gb', 11.69, [2, 2, [0, 2]]),
      profile('4g.24gb', 23.44, [4, 4, [0]]),
    ],
  },
  // The small card has no slice of one seventh with two parts of memory before driver 525.
  'a100-40': sevens('A100 40GB', { one: 4.75, two: 9.75, half: 19.62, whole: 39.38 }, 5),
  'a100-80': sevens('A100 80GB', { one: 9.5, two: 19.5, half: 39.25, whole: 79 }, 10),
  'h100-80': sevens('H100 80GB', { one: 9.75, two: 19.62, half: 39.5, whole: 79.25 }, 10),
  'h200': sevens('H200', { one: 16, two: 32.5, half: 65.5, whole: 140 }, 17.625),
  'rtx-pro-6000': {
    card: 'RTX PRO 6000 Blackwell',
    profiles: [
      profile('1g.24gb', 23.6, [1, 1, [0, 1, 2, 3]]),
      profile('2g.48gb', 47.4, [2, 2, [0, 2]]),
      profile('4g.96gb', 95, [4, 4, [0]]),
    ],
  },
}

/** A slice that the spec names as a card of its own: `H100 MIG 1g.10gb`. */
export function instanceOf(product: string): MigProfile | null {
  const [, before = '', name] = /^(.*?)\s*\bmig\b\s*(\d+g\.\d+gb)/i.exec(product) ?? []
  const family = findGpu(before)?.mig ?? null
  if (name === undefined || family === null) return null
  return families[family].profiles.find(one => one.name === name.toLowerCase()) ?? null
}

/**
 * The slices that these needs fit into together, each the smallest that does, in the order of the needs; `null`: they
 * don't.
 */
export function pickProfiles(family: MigFamily, needs: readonly number[]): MigChoice[] | null {
  const { profiles } = families[family]
  const slices = Math.max(...profiles.map(one => one.memory))
  const compute = Math.max(...profiles.map(one => one.compute))
  const order = needs.map((need, index) => ({ need, index })).toSorted((a, b) => b.need - a.need)
  const taken: (MigChoice | null)[] = needs.map(() => null)

  const place = (at: number, free: readonly boolean[], left: number): boolean => {
    const next = order[at]
    if (next === undefined) return true
    for (const candidate of profiles) {
      if (candidate.bytes < next.need || candidate.compute > left) continue
      for (const start of candidate.starts) {
        const isFree = free.slice(start, start + candidate.memory)
        if (isFree.length < candidate.memory || isFree.includes(false)) continue
        taken[next.index] = { profile: candidate, start }
        const rest = free.map((slice, index) => slice && (index < start || index >= start + candidate.memory))
        if (place(at + 1, rest, left - candidate.compute)) return true
      }
    }
    return false
  }

  const free = Array.from({ length: slices }, () => true)
  if (needs.length === 0 || needs.length > compute || !place(0, free, compute)) return null
  return taken.flatMap(choice => (choice === null ? [] : [choice]))
}

/** The card's own name, for `nvidia-smi mig -cgi`. */
export const migCard = (family: MigFamily): string => families[family].card

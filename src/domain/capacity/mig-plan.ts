/** Slices for what shares a card: each engine in a MIG slice of its own, where the card has them and all fit. */
import { withFlags } from './flags.ts'
import { sumOf } from './fleet.ts'
import type { Card, Host, Workload } from './fleet.ts'
import { migCard, pickProfiles } from './mig.ts'
import { isLlama, needOf } from './need.ts'
import type { Placed } from './placement.ts'

export type Slices = {
  host: string
  gpu: string
  /** Empty: `why` says why there are none. */
  slices: readonly { replica: string; profile: string; start: number; bytes: number; fraction: number | null }[]
  commands: readonly string[]
  why: string
}

export function slicesOf(hosts: readonly Host[], placed: readonly Placed[]): Slices[] {
  return hosts.flatMap(host =>
    host.cards.flatMap((card): Slices[] => {
      const family = card.known?.mig ?? null
      const on = placed.filter(each => each.cards.includes(card))
      if (family === null || on.length < 2 || /\bmig\b/i.test(card.product ?? '')) return []
      const at = { host: host.name, gpu: card.id }
      if (on.some(each => each.cards.length > 1))
        return [
          {
            ...at,
            slices: [],
            commands: [],
            why: 'an engine on it uses several cards, and slices can’t be joined over cards',
          },
        ]
      const needs = on.map(({ workload }) => leastOn(workload, card))
      const choices = pickProfiles(family, needs)
      if (choices === null)
        return [
          {
            ...at,
            slices: [],
            commands: [],
            why: `${on.length} engines share it whole: no set of ${migCard(family)} slices holds them all`,
          },
        ]
      const order = choices.map((choice, index) => ({ choice, replica: on[index]?.workload.replica ?? '' }))
      const inOrder = order.toSorted((a, b) => a.choice.start - b.choice.start)
      return [
        {
          ...at,
          slices: order.map(({ choice, replica }, index) => ({
            ...{ replica, profile: choice.profile.name, start: choice.start, bytes: choice.profile.bytes },
            fraction: on[index] !== undefined && isLlama(on[index].workload) ? null : 0.9,
          })),
          commands: [
            `nvidia-smi -i ${card.ordinal} -mig 1`,
            `nvidia-smi mig -i ${card.ordinal} -cgi ${inOrder.map(({ choice }) => choice.profile.name).join(',')} -C`,
            'nvidia-smi -L',
          ],
          why: 'each engine gets memory and compute that no neighbour can take; CUDA_VISIBLE_DEVICES is then the MIG-… that nvidia-smi -L prints, and shares count from the slice',
        },
      ]
    }),
  )
}

/** In a slice an engine may take nine tenths of it. */
const sliceShare = 0.9

function leastOn(workload: Workload, card: Card): number {
  const free = withFlags(workload, {
    'gpu-memory-utilization': null,
    'mem-fraction-static': null,
    'cuda-memory-fraction': null,
  })
  const reading = needOf(free, { cards: [card], room: [card.capacity], grow: false })
  if (!reading.ok) return Number.POSITIVE_INFINITY
  const bytes = sumOf(reading.need.cards[0] ?? []) + reading.need.headroom / 4
  return isLlama(workload) ? bytes : bytes / sliceShare
}

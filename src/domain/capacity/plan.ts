/** The plan of a fleet: where every replica goes, what it takes there, how it is started, and what does not fit. */
import { adviceFor } from './advice.ts'
import { openHost } from './cards.ts'
import { commandOf } from './commands.ts'
import type { EngineCommand } from './commands.ts'
import { counterfactualsOf, slowWayOf } from './counterfactuals.ts'
import type { Counterfactual, SlowWay } from './counterfactuals.ts'
import type { Finding } from './findings.ts'
import { sumOf, total } from './fleet.ts'
import type { Card, Host, Line, Need, StatedHost, Workload } from './fleet.ts'
import { slicesOf } from './mig-plan.ts'
import type { Slices } from './mig-plan.ts'
import { growAll, place } from './placement.ts'
import type { Placed } from './placement.ts'
import { powerOf } from './power.ts'
import type { Power } from './power.ts'
import { speedOf } from './speed.ts'
import type { Speed } from './speed.ts'

/** What one replica takes of one memory. Its lines add up to the four numbers. */
export type PlannedPart = {
  version: string
  replica: string
  weightsBytes: number
  kvBytes: number
  computeBytes: number
  overheadBytes: number
  lines: readonly Line[]
}

type Memory = {
  /** `null`: not stated. */
  capacityBytes: number | null
  usedBytes: number
  parts: readonly PlannedPart[]
}

export type PlannedGpu = Memory & {
  id: string
  product: string | null
  capacityBytes: number
  /** Engines want it left free. */
  headroomBytes: number
}

export type PlannedHost = {
  name: string
  gpus: readonly PlannedGpu[]
  ram: Memory
  power: Power
}

export type PlannedReplica = {
  version: string
  replica: string
  host: string
  gpus: readonly string[]
  reason: string
  model: string
  certainty: 'read' | 'published' | 'estimated'
  source: string
  settings: Need['settings']
  cacheTokens: number
  speed: Speed
  remarks: readonly string[]
}

export type Refusal = {
  version: string
  replica: string
  why: string
  counterfactuals: readonly Counterfactual[]
  slowWay: SlowWay | null
}

export type Plan = {
  hosts: readonly PlannedHost[]
  replicas: readonly PlannedReplica[]
  refusals: readonly Refusal[]
  commands: readonly EngineCommand[]
  slices: readonly Slices[]
  findings: readonly Finding[]
  /** Whether no better placement exists. */
  search: { isProven: boolean; tried: number }
}

export function planFleet({
  hosts: stated,
  workloads,
}: {
  hosts: readonly StatedHost[]
  workloads: readonly Workload[]
}): Plan {
  const opened = stated.map(openHost)
  const hosts = opened.map(({ host }) => host)
  const placement = place(workloads, hosts)
  const placed = growAll(placement.placed)
  const powers = hosts.map(powerOf)
  const commands = placed.map(commandOf).filter(command => command !== null)
  return {
    hosts: hosts.map((host, index) => toPlannedHost(host, placed, powers[index]?.power ?? powerOf(host).power)),
    replicas: placed.map(toReplica),
    refusals: placement.unplaced.map(({ workload, why }) => ({
      version: workload.version,
      replica: workload.replica,
      why,
      counterfactuals: counterfactualsOf(workload, { hosts, others: placement.placed }),
      slowWay: slowWayFor(workload, hosts),
    })),
    commands,
    slices: slicesOf(hosts, placed),
    findings: [
      ...opened.flatMap(({ findings }) => findings),
      ...ofFacts(workloads),
      ...powers.flatMap(({ findings }) => findings),
      ...placed.flatMap(ofContext),
      ...adviceFor(hosts, placed),
    ],
    search: { isProven: placement.isProven, tried: placement.tried },
  }
}

function slowWayFor(workload: Workload, hosts: readonly Host[]): SlowWay | null {
  const host = hosts.find(each => workload.host === null || each.name === workload.host)
  return host === undefined ? null : slowWayOf(workload, host)
}

function ofFacts(workloads: readonly Workload[]): Finding[] {
  const named = (wanted: (workload: Workload) => boolean): string =>
    [...new Set(workloads.filter(wanted).map(({ replica }) => replica))].join(', ')
  const published = named(({ facts }) => facts?.certainty === 'published')
  const estimated = named(({ facts }) => facts?.certainty === 'estimated')
  const unknown = named(({ facts }) => facts === null)
  const at = { host: null, gpu: null, level: 'estimate', topic: 'model' } as const
  const read = 'where the files are here the plan reads them; holdfast model inspect reads them anywhere'
  return [
    ...(published === ''
      ? []
      : [{ ...at, what: `by published facts of the model, not by its files: ${published}`, remedy: read }]),
    ...(estimated === '' ? [] : [{ ...at, what: `by nothing but the size in its name: ${estimated}`, remedy: read }]),
    ...(unknown === ''
      ? []
      : [
          {
            ...{ ...at, what: `nothing is known of the weights of ${unknown}` },
            remedy: 'give artifact a file that is here, or the version a base model with its size (llama3-8b)',
          },
        ]),
  ]
}

function ofContext({ workload, host, need }: Placed): Finding[] {
  const made = workload.facts?.contextLength ?? null
  if (made === null || need.settings.context <= made) return []
  return [
    {
      ...{ host: host.name, gpu: null, replica: workload.replica, level: 'risk', topic: 'model' },
      what: `its context of ${need.settings.context} tokens is longer than the ${made} it was made for`,
      remedy: 'shorten it, or tell the engine how to stretch it (YaRN) and measure what that costs',
    },
  ]
}

function toPlannedHost(host: Host, placed: readonly Placed[], power: Power): PlannedHost {
  const here = placed.filter(each => each.host === host)
  const inRam = here.map(each => toPart(each, each.need.ram)).filter(part => part.lines.length > 0)
  return {
    name: host.name,
    gpus: host.cards.map(card => toGpu(card, here)),
    ram: { capacityBytes: host.isRamStated ? host.ram : null, usedBytes: total(inRam.map(used)), parts: inRam },
    power,
  }
}

function toGpu(card: Card, here: readonly Placed[]): PlannedGpu {
  const on = here.filter(each => each.cards.includes(card))
  const parts = on
    .map(each => toPart(each, each.need.cards[each.cards.indexOf(card)] ?? []))
    .filter(part => part.lines.length > 0)
  return {
    ...{ id: card.id, product: card.known?.name ?? card.product, capacityBytes: card.capacity },
    ...{ usedBytes: total(parts.map(used)), headroomBytes: Math.max(0, ...on.map(each => each.need.headroom)), parts },
  }
}

const toPart = ({ workload }: Placed, lines: readonly Line[]): PlannedPart => ({
  version: workload.version,
  replica: workload.replica,
  weightsBytes: sumOf(lines, 'weights'),
  kvBytes: sumOf(lines, 'kv'),
  computeBytes: sumOf(lines, 'compute'),
  overheadBytes: sumOf(lines, 'overhead'),
  lines,
})

const used = (part: PlannedPart): number => part.weightsBytes + part.kvBytes + part.computeBytes + part.overheadBytes

function toReplica({ workload, host, cards, need, reason }: Placed): PlannedReplica {
  return {
    ...{
      version: workload.version,
      replica: workload.replica,
      host: host.name,
      gpus: cards.map(card => card.id),
      reason,
    },
    model: workload.facts?.model ?? 'unknown',
    certainty: workload.facts?.certainty ?? 'estimated',
    source: workload.facts?.source ?? 'nothing',
    ...{
      settings: need.settings,
      cacheTokens: need.cacheTokens,
      speed: speedOf(need, cards, host),
      remarks: need.remarks,
    },
  }
}

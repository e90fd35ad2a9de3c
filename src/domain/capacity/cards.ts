/** Cards: GPUs as the spec states them, against what is known of the product, and what of it is a mistake. */
import { findGpu, gpusLike } from './known-gpus.ts'
import { instanceOf } from './mig.ts'
import { gibi, inGibi, mebi } from './fleet.ts'
import type { Card, Host, StatedGpu, StatedHost } from './fleet.ts'
import type { Finding } from './findings.ts'

/** Stated and real memory differ by what drivers keep; beyond this it is another card. */
const tolerance = 1.06
/** Kept for the system, the page cache and Holdfast itself. */
const systemShare = 0.05
const systemLeast = 2 * gibi
/** Two channels of DDR4-3200: little, so that what is promised can be kept. */
const usualBandwidth = 51.2e9

export function openHost(stated: StatedHost): { host: Host; findings: Finding[] } {
  const findings: Finding[] = []
  const cards: Card[] = []
  for (const gpu of stated.gpus) {
    const read = openCard(gpu, stated.name, cards)
    cards.push(read.card)
    findings.push(...read.findings)
  }
  const isRamStated = stated.memory !== null
  if (!isRamStated)
    findings.push({
      ...{ host: stated.name, gpu: null, level: 'estimate', topic: 'memory' },
      what: 'its main memory is not stated: nothing can be off-loaded to it',
      remedy: 'say memory: 64GiB',
    })
  if (stated.memoryBandwidth === null && isRamStated)
    findings.push({
      ...{ host: stated.name, gpu: null, level: 'estimate', topic: 'memory' },
      what: `the bandwidth of its main memory is not stated: ${usualBandwidth / 1e9} GB/s is assumed, two channels of DDR4-3200`,
      remedy: 'say memoryBandwidth: 96GB/s (two channels of DDR5-6000) or what `mlc` or `stream` measures',
    })
  const memory = stated.memory ?? 0
  return {
    host: {
      ...stated,
      cards,
      ram: Math.max(0, memory - Math.max(systemLeast, memory * systemShare)),
      ramBandwidth: stated.memoryBandwidth ?? usualBandwidth,
      isRamStated,
      isBandwidthStated: stated.memoryBandwidth !== null,
    },
    findings,
  }
}

function openCard(gpu: StatedGpu, host: string, before: readonly Card[]): { card: Card; findings: Finding[] } {
  const slice = gpu.product === null ? null : instanceOf(gpu.product)
  const known = gpu.product === null ? null : findGpu(gpu.product)
  const reported = slice?.bytes ?? (known === null ? null : known.reportedMiB * mebi)
  const capacity = Math.min(gpu.memory ?? reported ?? 0, reported ?? Number.POSITIVE_INFINITY)
  const share = slice === null || known === null ? 1 : slice.bytes / (known.reportedMiB * mebi)
  const vendor = known?.vendor ?? null
  const findings: Finding[] = []
  const say = (level: Finding['level'], what: string, remedy: string): number =>
    findings.push({ host, gpu: gpu.id, level, topic: 'hardware', what, remedy })

  if (gpu.product !== null && known === null)
    say(
      gpu.memory === null ? 'mistake' : 'estimate',
      gpu.memory === null
        ? `nothing is known of ${gpu.product}, and its memory is not stated: nothing is put on it`
        : `nothing is known of ${gpu.product}: its memory is believed, its speed is unknown`,
      gpu.memory === null ? 'say memory: 24GiB' : 'look at speeds as unknown',
    )
  if (gpu.product === null)
    say(
      gpu.memory === null ? 'mistake' : 'estimate',
      gpu.memory === null
        ? 'neither product nor memory is stated: nothing is put on it'
        : 'its product is not stated: its speed and power are unknown',
      'say product: RTX 4090',
    )
  if (known !== null && reported !== null && gpu.memory !== null && gpu.memory > tolerance * reported) {
    const meant = gpusLike(gpu.memory / gibi).filter(other => other.vendor === known.vendor)
    const others =
      meant.length === 0 ? '' : `; with ${inGibi(gpu.memory)} it would be ${meant.map(one => one.name).join(' or ')}`
    say(
      'mistake',
      `${known.name} has ${known.memoryGiB} GiB, and the spec says ${inGibi(gpu.memory)}${others}`,
      `correct product or memory; planned with ${inGibi(capacity)} (${known.source}, ${known.date})`,
    )
  }
  if (known !== null && gpu.watts !== null && gpu.watts > 1.25 * known.watts)
    say(
      'mistake',
      `${known.name} draws at most ${known.watts} W, and the spec says ${gpu.watts} W`,
      'correct product or power',
    )
  if (known !== null && gpu.pcie !== null && gpu.pcie.gen > known.pcie)
    say(
      'mistake',
      `${known.name} speaks PCIe ${known.pcie}, and the spec says generation ${gpu.pcie.gen}`,
      `correct it; planned with generation ${known.pcie}`,
    )
  const card: Card = {
    ...gpu,
    ...{ host, known, vendor, capacity },
    pcie:
      gpu.pcie === null ? null : { lanes: gpu.pcie.lanes, gen: Math.min(gpu.pcie.gen, known?.pcie ?? gpu.pcie.gen) },
    watts: gpu.watts ?? known?.watts ?? null,
    bandwidth: known === null ? null : known.bandwidth * 1e9 * share,
    ordinal: before.filter(other => other.vendor === vendor).length,
  }
  return { card, findings }
}

/** Power and heat: what a host's cards and the rest draw, against its supply and its UPS. */
import type { Finding } from './findings.ts'
import { total } from './fleet.ts'
import type { Host } from './fleet.ts'

export type Power = {
  cardsWatts: number
  restWatts: number
  totalWatts: number
  supplyWatts: number | null
  /** Of the supply. */
  share: number | null
  upsWatts: number | null
  /** The smallest supply and UPS that would do. */
  supplyNeeded: number
  upsNeeded: number
}

/** Supplies are loaded up to here: cards draw more than their limit for milliseconds, and supplies age. */
const loadShare = 0.8
/** A UPS is sized by its watts with a tenth to spare; its battery is not full for ever. */
const upsShare = 0.9
/** For a processor, memory, disks and fans, where the spec says nothing. */
const usualRest = 250
/** What 120 mm of radiator carries away quietly. */
const wattsPerRadiator = 100
/** More than these are in a chassis that brings its own cooling. */
const mostInCase = 4

export function powerOf(host: Host): { power: Power; findings: Finding[] } {
  const cardsWatts = total(host.cards.map(card => card.watts ?? 0))
  const restWatts = host.restWatts ?? usualRest
  const totalWatts = cardsWatts + restWatts
  const power: Power = {
    ...{ cardsWatts, restWatts, totalWatts, supplyWatts: host.supplyWatts },
    share: host.supplyWatts === null ? null : totalWatts / host.supplyWatts,
    upsWatts: host.ups?.watts ?? null,
    supplyNeeded: Math.ceil(totalWatts / loadShare / 50) * 50,
    upsNeeded: Math.ceil(totalWatts / upsShare / 50) * 50,
  }
  if (host.cards.length === 0) return { power, findings: [] }
  const heat = cardsWatts > 0 && host.cards.length <= mostInCase ? [cooling(host, power)] : []
  return { power, findings: [...checkCards(host), ...checkSupply(host, power), ...checkUps(host, power), ...heat] }
}

const finding = (host: Host, rest: Omit<Finding, 'host' | 'gpu'>): Finding => ({ host: host.name, gpu: null, ...rest })

function checkCards(host: Host): Finding[] {
  return host.cards
    .filter(card => card.watts === null)
    .map(card => ({
      ...{ host: host.name, gpu: card.id, level: 'estimate', topic: 'power' },
      what: 'its power is not known and counts as 0 W',
      remedy: 'say power: 300W',
    }))
}

function checkSupply(host: Host, { totalWatts, supplyWatts, cardsWatts, restWatts, supplyNeeded }: Power): Finding[] {
  const sum = `${cardsWatts} W of cards and ${restWatts} W of everything else${host.restWatts === null ? ' (assumed)' : ''}`
  if (supplyWatts === null)
    return [
      finding(host, {
        ...{ level: 'advice', topic: 'power', what: `${sum} draw up to ${totalWatts} W; its supply is not stated` },
        remedy: `say power: { supply: … }; ${supplyNeeded} W would do (load up to ${loadShare * 100} %)`,
      }),
    ]
  if (totalWatts <= loadShare * supplyWatts) return []
  const capped = Math.floor((loadShare * supplyWatts - restWatts) / Math.max(1, host.cards.length))
  const isOver = totalWatts > supplyWatts
  return [
    finding(host, {
      level: isOver ? 'mistake' : 'risk',
      topic: 'power',
      what: `${sum} draw up to ${totalWatts} W, ${Math.round((100 * totalWatts) / supplyWatts)} % of a supply of ${supplyWatts} W`,
      remedy:
        capped > 100
          ? `limit each card: nvidia-smi -pl ${capped} (rocm-smi --setpoweroverdrive), or take a supply of ${supplyNeeded} W`
          : `take a supply of ${supplyNeeded} W`,
    }),
  ]
}

function checkUps(host: Host, { totalWatts, upsWatts, upsNeeded }: Power): Finding[] {
  if (host.ups === null) return []
  const { name } = host.ups
  if (upsWatts === null)
    return [
      finding(host, {
        ...{
          level: 'advice',
          topic: 'power',
          what: `the watts of UPS ${name} are not stated; the host draws up to ${totalWatts} W`,
        },
        remedy: `say ups: { power: … } (upsc ${name} ups.realpower.nominal); ${upsNeeded} W would do`,
      }),
    ]
  if (totalWatts <= upsShare * upsWatts) return []
  return [
    finding(host, {
      level: totalWatts > upsWatts ? 'mistake' : 'risk',
      topic: 'power',
      what: `the host draws up to ${totalWatts} W, and UPS ${name} gives ${upsWatts} W`,
      remedy: `take a UPS of ${upsNeeded} W, or limit the cards when it runs on battery`,
    }),
  ]
}

function cooling(host: Host, { cardsWatts }: Power): Finding {
  const sections = Math.ceil(cardsWatts / wattsPerRadiator)
  return finding(host, {
    level: 'advice',
    topic: 'cooling',
    what: `its cards give off up to ${cardsWatts} W of heat`,
    remedy: `under water, that is ${sections} radiator sections of 120 mm for the cards alone (${wattsPerRadiator} W each); in air, keep a slot free between cards`,
  })
}

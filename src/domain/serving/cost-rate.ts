/** What an hour of a version's engine costs, from what the spec says of its hosts, and from known figures where it says nothing. */
import type { Spec, SpecVersion } from '../spec/index.ts'
import { cardOf, usualCard, usualPerKwh } from './cards.ts'
import { unknownCost } from './earlier-snapshot.ts'
import type { CostRate, Snapshot } from './snapshot.ts'

type Host = Spec['hosts'][number]
type Replica = SpecVersion['replicas'][number]

/** Three years of 24 hours: how long a card is written off. */
const hoursOfUse = 3 * 365 * 24

/** The currency that everything is told in: of the hosts' costs, else of the first budget in money. */
export function currencyOf({ hosts, teams }: Pick<Spec, 'hosts' | 'teams'>): string {
  const budget = teams.find(team => team.budget?.unit === 'money')?.budget
  return hosts.find(host => host.cost !== undefined)?.cost?.currency ?? budget?.currency ?? 'EUR'
}

/** The same, of what is served. */
export const currencyIn = ({ versions }: Pick<Snapshot, 'versions'>): string =>
  versions[0]?.cost.currency ?? unknownCost.currency

/** Of replicas on different hosts: the mean. Backups only count when there is nothing else. */
export function costRate(spec: Spec, version: SpecVersion): CostRate {
  const first = version.replicas.filter(({ backup }) => !backup)
  const rates = (first.length === 0 ? version.replicas : first).map(replica => rateOf(spec, replica))
  const rated = rates.length === 0 ? [usualRate] : rates
  const mean = (of: (rate: Rate) => number): number => rated.reduce((sum, rate) => sum + of(rate), 0) / rated.length
  return {
    hourly: mean(({ hourly }) => hourly),
    currency: currencyOf(spec),
    gpus: mean(({ gpus }) => gpus),
    estimated: rated.some(({ estimated }) => estimated),
  }
}

type Rate = Pick<CostRate, 'hourly' | 'gpus' | 'estimated'>

const usualRate: Rate = unknownCost

/** A replica's part of its host is that of its GPUs among the host's: of the machine's hour, and of the watts beside GPUs. */
function rateOf(spec: Spec, replica: Replica): Rate {
  const host = spec.hosts.find(({ name }) => name === replica.host)
  if (host === undefined) return usualRate
  const used = host.gpus.filter(({ id }) => replica.gpus?.includes(id) ?? true)
  const part = host.gpus.length === 0 ? 1 : used.length / host.gpus.length
  const { hourly, perKwh } = host.cost ?? {}
  const cards = used.length === 0 ? [usualCard] : used.map(toCard)
  const amortised = cards.reduce((sum, { price }) => sum + price, 0) / hoursOfUse
  const watts = cards.reduce((sum, card) => sum + card.watts, 0) + part * restOf(host)
  return {
    hourly: (hourly === undefined ? amortised : hourly * part) + (watts / 1000) * (perKwh ?? usualPerKwh),
    gpus: Math.max(1, used.length),
    estimated: hourly === undefined || perKwh === undefined || used.some(({ power }) => power === undefined),
  }
}

function toCard({ product, power }: Host['gpus'][number]): { price: number; watts: number } {
  const known = cardOf(product ?? '') ?? usualCard
  return { price: known.price, watts: power ?? known.watts }
}

const restOf = ({ power }: Host): number => power?.rest ?? 0

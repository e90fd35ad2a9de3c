/** What an hour of an engine costs, from what the spec says of its host. */
import type { Spec, SpecVersion } from '../spec/index.ts'
import { unknownCost } from './earlier-snapshot.ts'
import type { CostRate } from './snapshot.ts'

export function costRate(spec: Spec, version: SpecVersion): CostRate {
  const replica = version.replicas.find(({ host }) => host !== undefined)
  const host = spec.hosts.find(({ name }) => name === replica?.host)
  if (host === undefined) return unknownCost
  return { ...unknownCost, currency: host.cost?.currency ?? unknownCost.currency, gpus: replica?.gpus?.length ?? 1 }
}

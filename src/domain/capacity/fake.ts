/** Fleets for tests. */
import type { Quantisation } from '../catalog/index.ts'
import type { EngineFlag, StatedGpu, StatedHost, Workload } from './fleet.ts'
import { gibi } from './fleet.ts'
import { knownFacts, requantised } from './known-models.ts'

export const fakeGpu = (id: string, product: string | null, rest: Partial<StatedGpu> = {}): StatedGpu => ({
  ...{ id, product, memory: null, uuid: null, pcie: null, numa: null, watts: null },
  ...rest,
})

export const fakeHost = (gpus: readonly StatedGpu[], rest: Partial<StatedHost> = {}): StatedHost => ({
  ...{ name: 'host', address: null, memory: 256 * gibi, memoryBandwidth: 307e9, gpus },
  ...{ supplyWatts: null, restWatts: null, ups: null, models: null },
  ...rest,
})

type FakeWorkload = Partial<Omit<Workload, 'engine'>> & {
  model: string
  quantisation: Quantisation
  kind?: string
  engineVersion?: string
  flags?: Record<string, EngineFlag>
}

export function fakeWorkload({
  model,
  quantisation,
  kind = 'llama-cpp',
  engineVersion,
  flags = {},
  ...rest
}: FakeWorkload): Workload {
  const facts = knownFacts([model], quantisation)
  return {
    ...{ version: `dev-v1.0-${model}-${quantisation}-p0`, replica: model, artifact: model, quantisation, facts },
    engine: { kind, version: engineVersion ?? null, servedName: null, task: 'chat', flags },
    requantised: to => (facts === null ? null : requantised(facts, [model], to)),
    ...{ weights: `/srv/models/${model}`, host: null, gpus: null, port: 8000, isExternal: false, profiles: [] },
    ...rest,
  }
}

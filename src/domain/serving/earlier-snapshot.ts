/** Snapshots of earlier programs, from a gateway's disk or a controller not yet replaced: what they lack is as it was done then. */
import { millis } from '../units.ts'
import type { CostRate, Edge, HealthLimits, ModelRoute, ReplicaRoute, Snapshot, VersionRoute } from './snapshot.ts'

const noHealthProof: HealthLimits = { stall: millis(30_000), canary: null }
export const openEdge: Edge = {
  trustedProxies: [],
  perAddress: { requestsPerMinute: null, connections: null },
  tls: null,
}
export const plainModel: Omit<ModelRoute, 'name' | 'live' | 'queue'> = {
  routing: 'least-loaded',
  fallbacks: [],
  contextFallbacks: [],
  limits: null,
  release: null,
  quality: null,
}
/** Where nobody says what a machine costs: a card of about 2,500 written off in three years, and 350 W at 0.30 a kilowatt-hour. */
export const unknownCost: CostRate = { hourly: 0.2, currency: 'EUR', gpus: 1, estimated: true }

/** The same with everything that this program asks of a snapshot. */
export function completeSnapshot(written: Snapshot): Snapshot {
  return {
    ...{ flags: [], jwt: [], health: noHealthProof, edge: openEdge, sharedLimits: 'local' },
    ...written,
    models: written.models.map((model): ModelRoute => ({ ...plainModel, ...model })),
    versions: written.versions.map((version): VersionRoute => ({
      ...{ cost: unknownCost },
      ...version,
      replicas: version.replicas.map((replica): ReplicaRoute => ({ ...{ places: null }, ...replica })),
    })),
  }
}

/** A gateway's metrics, for Prometheus. Names and labels are documented in docs/reference/metrics.md. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { EngineLoad } from '../../domain/serving/index.ts'
import type { Meter } from '../../services/serve/index.ts'
import { openReleaseSeries, type ReleaseNumbers, type ReleaseSeries } from './release-series.ts'
import { openRequestSeries } from './request-series.ts'

/** Live numbers, read at each scrape. */
export type GatewayNumbers = {
  connections(): number
  inFlight(): number
  queued(): number
  /** The queue of each version: places taken, and who waits for one. */
  queues(): { version: string; running: number; waiting: number }[]
  /** Where limits are counted now. */
  limits(): 'local' | 'shared' | 'divided'
  releases: ReleaseNumbers
  replicas(): { version: string; replica: string; inFlight: number; up: boolean; load: EngineLoad | null }[]
}

/** Labels are bounded: models and versions come from the snapshot, never from what a client typed. */
export function openGatewayMetrics(
  numbers: GatewayNumbers,
): Meter & Pick<ReleaseSeries, 'shadow'> & { text(): Promise<string>; contentType: string } {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const requests = openRequestSeries()
  const releases = openReleaseSeries(registry, () => numbers.releases())
  gauge('holdfast_client_connections', 'Connections of clients that are open.', () => numbers.connections())
  gauge('holdfast_requests_in_flight', 'Requests being served.', () => numbers.inFlight())
  gauge('holdfast_requests_waiting', 'Requests waiting for a place on an engine.', () => numbers.queued())
  queueGauge('holdfast_version_places_taken', 'Places taken on a version’s engines.', ({ running }) => running)
  queueGauge('holdfast_version_requests_waiting', 'Requests in a version’s queue.', ({ waiting }) => waiting)
  gauge(
    'holdfast_limits_divided',
    '1: several gateways serve and nothing is shared (or it is away), so each grants its part of every limit.',
    () => (numbers.limits() === 'divided' ? 1 : 0),
  )
  replicaGauge('holdfast_replica_requests_in_flight', 'Requests being served by a replica.', ({ inFlight }) => inFlight)
  replicaGauge('holdfast_replica_up', '1: the replica may be given requests.', ({ up }) => (up ? 1 : 0))
  replicaGauge(
    'holdfast_replica_engine_requests_running',
    'Requests that the replica’s engine says it is working on, whoever sent them.',
    ({ load }) => load?.running ?? null,
  )
  replicaGauge(
    'holdfast_replica_engine_requests_waiting',
    'Requests in the engine’s own queue, by its own word.',
    ({ load }) => load?.waiting ?? null,
  )
  replicaGauge(
    'holdfast_replica_engine_kv_use_ratio',
    'Part of the engine’s KV cache in use, 0 to 1, by its own word.',
    ({ load }) => load?.kvUse ?? null,
  )

  type QueueNumbers = ReturnType<GatewayNumbers['queues']>[number]
  type ReplicaNumbers = ReturnType<GatewayNumbers['replicas']>[number]
  /** `null`: this engine does not say, so there is no sample. */
  function replicaGauge(name: string, help: string, read: (replica: ReplicaNumbers) => number | null): void {
    void new Gauge({
      name,
      help,
      labelNames: ['version', 'replica'],
      registers: [registry],
      collect() {
        this.reset()
        for (const numbered of numbers.replicas()) {
          const value = read(numbered)
          if (value !== null) this.set({ version: numbered.version, replica: numbered.replica }, value)
        }
      },
    })
  }

  function queueGauge(name: string, help: string, read: (queue: QueueNumbers) => number): void {
    void new Gauge({
      name,
      help,
      labelNames: ['version'],
      registers: [registry],
      collect() {
        this.reset()
        for (const queue of numbers.queues()) this.set({ version: queue.version }, read(queue))
      },
    })
  }

  function gauge(name: string, help: string, read: () => number): void {
    void new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  }

  return {
    finished(record) {
      requests.count(record)
      if (record.release !== undefined) releases.finished(record)
    },
    shadow: releases.shadow,
    text: async () => (await registry.metrics()) + requests.text(),
    contentType: registry.contentType,
  }
}

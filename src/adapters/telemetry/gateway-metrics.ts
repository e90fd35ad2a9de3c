/** A gateway's metrics, for Prometheus. Names and labels are documented in docs/reference/metrics.md. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { CloseRecord } from '../../domain/journal/index.ts'
import type { EngineLoad } from '../../domain/serving/index.ts'
import type { Meter } from '../../services/serve/index.ts'

/** Live numbers, read at each scrape. */
export type GatewayNumbers = {
  inFlight(): number
  queued(): number
  replicas(): { version: string; replica: string; inFlight: number; up: boolean; load: EngineLoad | null }[]
}

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900]

/** Labels are bounded: models and versions come from the snapshot, never from what a client typed. */
export function openGatewayMetrics(numbers: GatewayNumbers): Meter & { text(): Promise<string>; contentType: string } {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const labelNames = ['model', 'version'] as const
  const requests = new Counter({
    name: 'holdfast_requests_total',
    help: 'Requests for models that have ended, by outcome and HTTP status.',
    labelNames: [...labelNames, 'outcome', 'status'],
    registers: [registry],
  })
  const inputTokens = new Counter({
    name: 'holdfast_input_tokens_total',
    help: 'Tokens of prompts, as engines counted them.',
    labelNames: [...labelNames],
    registers: [registry],
  })
  const outputTokens = new Counter({
    name: 'holdfast_output_tokens_total',
    help: 'Tokens of answers, as engines counted them.',
    labelNames: [...labelNames],
    registers: [registry],
  })
  const duration = new Histogram({
    name: 'holdfast_request_duration_seconds',
    help: 'From arrival to the last byte of the answer.',
    labelNames: [...labelNames],
    buckets: secondsBuckets,
    registers: [registry],
  })
  const firstByte = new Histogram({
    name: 'holdfast_time_to_first_byte_seconds',
    help: 'From arrival to the first piece of the answer.',
    labelNames: [...labelNames],
    buckets: secondsBuckets,
    registers: [registry],
  })
  const failovers = new Counter({
    name: 'holdfast_failovers_total',
    help: 'Further replicas asked after one had failed.',
    labelNames: [...labelNames],
    registers: [registry],
  })
  gauge('holdfast_requests_in_flight', 'Requests being served.', () => numbers.inFlight())
  gauge('holdfast_requests_waiting', 'Requests waiting for a replica that is loading.', () => numbers.queued())
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
    finished(record: CloseRecord) {
      const labels = { model: record.model ?? '', version: record.version ?? '' }
      requests.inc({ ...labels, outcome: record.outcome, status: String(record.status) })
      if (record.version === null) return
      duration.observe(labels, record.totalMs / 1000)
      if (record.ttftMs !== null) firstByte.observe(labels, record.ttftMs / 1000)
      if (record.inputTokens !== null) inputTokens.inc(labels, record.inputTokens)
      if (record.outputTokens !== null) outputTokens.inc(labels, record.outputTokens)
      if (record.attempts > 1) failovers.inc(labels, record.attempts - 1)
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

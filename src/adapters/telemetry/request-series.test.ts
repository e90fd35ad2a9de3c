import fc from 'fast-check'
import { Counter, Histogram, Registry } from 'prom-client'
import { expect, test } from 'vitest'
import type { CloseRecord } from '../../domain/journal/index.ts'
import { openGatewayMetrics } from './gateway-metrics.ts'
import { openRequestSeries } from './request-series.ts'

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900]

/** The same numbers kept by prom-client, to compare with. */
function reference() {
  const registry = new Registry()
  const registers = [registry]
  const labelNames = ['model', 'version']
  const counter = (name: string, more: string[] = []) =>
    new Counter({ name: `holdfast_${name}`, help: name, labelNames: [...labelNames, ...more], registers })
  const histogram = (name: string) =>
    new Histogram({ name: `holdfast_${name}`, help: name, labelNames, buckets: seconds, registers })
  // Ours tells zeros from the first request of a version on.
  const begun = new Set<string>()
  const requests = counter('requests_total', ['outcome', 'status'])
  const inputTokens = counter('input_tokens_total')
  const outputTokens = counter('output_tokens_total')
  const failovers = counter('failovers_total')
  const duration = histogram('request_duration_seconds')
  const firstByte = histogram('time_to_first_byte_seconds')
  return {
    count(record: CloseRecord) {
      const labels = { model: record.model ?? '', version: record.version ?? '' }
      requests.inc({ ...labels, outcome: record.outcome, status: String(record.status) })
      if (record.version === null) return
      duration.observe(labels, record.totalMs / 1000)
      if (!begun.has(JSON.stringify(labels))) firstByte.zero(labels)
      begun.add(JSON.stringify(labels))
      if (record.ttftMs !== null) firstByte.observe(labels, record.ttftMs / 1000)
      inputTokens.inc(labels, record.inputTokens ?? 0)
      outputTokens.inc(labels, record.outputTokens ?? 0)
      failovers.inc(labels, Math.max(0, record.attempts - 1))
    },
    text: () => registry.metrics(),
  }
}

const record = fc.record({
  model: fc.constantFrom(null, 'coder', 'a "quoted" one', 'back\\slash\nand line'),
  version: fc.constantFrom(null, 'v1', 'v2'),
  outcome: fc.constantFrom('ok', 'refused', 'failed', 'cancelled'),
  status: fc.constantFrom(200, 429, 499, 502),
  // Bounds of buckets among them.
  totalMs: fc.oneof(
    fc.constantFrom(...seconds.map(each => each * 1000)),
    fc.double({ min: 0, max: 2_000_000, noNaN: true }),
  ),
  ttftMs: fc.oneof(fc.constant(null), fc.double({ min: 0, max: 100_000, noNaN: true })),
  inputTokens: fc.oneof(fc.constant(null), fc.nat()),
  outputTokens: fc.oneof(fc.constant(null), fc.nat()),
  attempts: fc.integer({ min: 0, max: 3 }),
})

const samples = (text: string): string[] =>
  text
    .split('\n')
    .filter(line => line.startsWith('holdfast_'))
    .toSorted()

test('whatever ends, the samples are those that prom-client would tell', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(record, { maxLength: 40 }), async records => {
      const mine = openRequestSeries()
      const theirs = reference()
      for (const each of records) {
        // Of a record, only what is counted.
        const whole = each as CloseRecord
        mine.count(whole)
        theirs.count(whole)
      }
      expect(samples(mine.text())).toEqual(samples(await theirs.text()))
    }),
  )
})

test('a scrape tells of every family once, also before the first request', async () => {
  const metrics = openGatewayMetrics({
    connections: () => 5,
    inFlight: () => 3,
    queued: () => 0,
    queues: () => [{ version: 'v', running: 2, waiting: 1 }],
    limits: () => 'divided',
    releases: () => [],
    replicas: () => [],
  })
  const families = Array.from((await metrics.text()).matchAll(/^# TYPE (\S+)/gm), ([, name]) => name)
  expect(new Set(families).size).toBe(families.length)
  expect(families).toContain('holdfast_requests_in_flight')
  expect(families).toContain('holdfast_request_duration_seconds')
  const text = await metrics.text()
  expect(text).toMatch(/^holdfast_requests_in_flight 3$/m)
  expect(text).toMatch(/^holdfast_client_connections 5$/m)
  expect(text).toMatch(/^holdfast_version_requests_waiting\{version="v"\} 1$/m)
  expect(text).toMatch(/^holdfast_limits_divided 1$/m)
})

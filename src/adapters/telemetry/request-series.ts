/**
 * What is counted of each request, in plain numbers that are found once: a label set of prom-client costs a hash of all its
 * labels for every number, most of what a request's metrics cost. Rendered as Prometheus reads it, at each scrape.
 */
import type { CloseRecord } from '../../domain/journal/index.ts'

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900]

export type RequestSeries = { count(record: CloseRecord): void; text(): string }

type Histogram = { counts: number[]; sum: number }

/** Of one version of one model, or of requests that got to none. */
type Series = {
  labels: string
  /** By outcome and status. */
  requests: Map<string, { labels: string; count: number }>
  inputTokens: number
  outputTokens: number
  failovers: number
  duration: Histogram
  firstByte: Histogram
}

export function openRequestSeries(): RequestSeries {
  const byModel = new Map<string, Map<string, Series>>()
  return {
    count(record) {
      const series = seriesOf(record.model ?? '', record.version ?? '')
      requestsOf(series, record).count++
      if (record.version === null) return
      observe(series.duration, record.totalMs / 1000)
      if (record.ttftMs !== null) observe(series.firstByte, record.ttftMs / 1000)
      series.inputTokens += record.inputTokens ?? 0
      series.outputTokens += record.outputTokens ?? 0
      if (record.attempts > 1) series.failovers += record.attempts - 1
    },
    text() {
      const all = [...byModel.values()].flatMap(byVersion => [...byVersion.values()])
      const served = [...byModel.values()].flatMap(byVersion =>
        [...byVersion].flatMap(([version, series]) => (version === '' ? [] : [series])),
      )
      const totals = (name: string, read: (series: Series) => number): string[] =>
        served.map(series => `${name}{${series.labels}} ${read(series)}`)
      const histograms = (name: string, read: (series: Series) => Histogram): string[] =>
        served.flatMap(series => renderHistogram(name, series.labels, read(series)))
      return [
        ...intro('requests_total', 'counter', 'Requests for models that have ended, by outcome and HTTP status.'),
        ...all.flatMap(({ requests }) =>
          [...requests.values()].map(({ labels, count }) => `holdfast_requests_total{${labels}} ${count}`),
        ),
        ...intro('input_tokens_total', 'counter', 'Tokens of prompts, as engines counted them.'),
        ...totals('holdfast_input_tokens_total', ({ inputTokens }) => inputTokens),
        ...intro('output_tokens_total', 'counter', 'Tokens of answers, as engines counted them.'),
        ...totals('holdfast_output_tokens_total', ({ outputTokens }) => outputTokens),
        ...intro('failovers_total', 'counter', 'Further replicas asked after one had failed.'),
        ...totals('holdfast_failovers_total', ({ failovers }) => failovers),
        ...intro('request_duration_seconds', 'histogram', 'From arrival to the last byte of the answer.'),
        ...histograms('holdfast_request_duration_seconds', ({ duration }) => duration),
        ...intro('time_to_first_byte_seconds', 'histogram', 'From arrival to the first piece of the answer.'),
        ...histograms('holdfast_time_to_first_byte_seconds', ({ firstByte }) => firstByte),
        '',
      ].join('\n')
    },
  }

  function seriesOf(model: string, version: string): Series {
    let byVersion = byModel.get(model)
    if (byVersion === undefined) {
      byVersion = new Map()
      byModel.set(model, byVersion)
    }
    let series = byVersion.get(version)
    if (series === undefined) {
      series = newSeries(model, version)
      byVersion.set(version, series)
    }
    return series
  }
}

function newSeries(model: string, version: string): Series {
  return {
    labels: `model="${escape(model)}",version="${escape(version)}"`,
    requests: new Map(),
    inputTokens: 0,
    outputTokens: 0,
    failovers: 0,
    duration: newHistogram(),
    firstByte: newHistogram(),
  }
}

function requestsOf({ labels, requests }: Series, { outcome, status }: CloseRecord): { count: number } {
  const key = `${outcome}${status}`
  let found = requests.get(key)
  if (found === undefined) {
    found = { labels: `${labels},outcome="${outcome}",status="${status}"`, count: 0 }
    requests.set(key, found)
  }
  return found
}

const newHistogram = (): Histogram => ({ counts: Array.from({ length: secondsBuckets.length + 1 }, () => 0), sum: 0 })

function observe(histogram: Histogram, seconds: number): void {
  let bucket = 0
  while (bucket < secondsBuckets.length && seconds > (secondsBuckets[bucket] ?? Infinity)) bucket++
  histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1
  histogram.sum += seconds
}

function renderHistogram(name: string, labels: string, { counts, sum }: Histogram): string[] {
  let upTo = 0
  const buckets = counts.map((count, bucket) => {
    upTo += count
    return `${name}_bucket{le="${secondsBuckets[bucket] ?? '+Inf'}",${labels}} ${upTo}`
  })
  return [...buckets, `${name}_sum{${labels}} ${sum}`, `${name}_count{${labels}} ${upTo}`]
}

const intro = (name: string, type: 'counter' | 'histogram', help: string): string[] => [
  `# HELP holdfast_${name} ${help}`,
  `# TYPE holdfast_${name} ${type}`,
]

const escape = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

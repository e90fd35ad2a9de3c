/** Prometheus' text format, as the clients of Python, C++ and Rust write it. */
import type { Facts, Reply } from './dialect.ts'

type Labels = Readonly<Record<string, string>>
export type Metric = {
  name: string
  type: 'counter' | 'gauge' | 'histogram'
  help: string
  values: readonly { labels?: Labels; value: number; suffix?: string }[]
}

/** Python's client writes `3.0`, the others `3`. */
export type NumberStyle = 'python' | 'plain'

export function metricsReply(metrics: readonly Metric[], labels: Labels, style: NumberStyle): Reply {
  return { status: 200, body: renderMetrics(metrics, labels, style), type: 'text/plain; version=0.0.4; charset=utf-8' }
}

export function renderMetrics(metrics: readonly Metric[], labels: Labels, style: NumberStyle): string {
  return metrics
    .map(({ name, type, help, values }) => {
      const lines = values.map(
        ({ labels: own = {}, value, suffix = '' }) =>
          `${name}${suffix}${renderLabels({ ...labels, ...own })} ${renderNumber(value, style)}\n`,
      )
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
    })
    .join('')
}

export const gauge = (name: string, help: string, value: number): Metric => ({
  name,
  help,
  type: 'gauge',
  values: [{ value }],
})
export const counter = (name: string, help: string, value: number): Metric => ({
  name,
  help,
  type: 'counter',
  values: [{ value }],
})
/** How many, and what they took together. */
type Sum = { count: number; sum: number }

/** One bucket, count and sum: what readers need for means. */
export const histogram = (name: string, help: string, { count, sum }: Sum): Metric => ({
  name,
  help,
  type: 'histogram',
  values: [
    { suffix: '_bucket', labels: { le: '+Inf' }, value: count },
    { suffix: '_count', value: count },
    { suffix: '_sum', value: sum },
  ],
})

/** The sums that engines tell in histograms, under their own names; times in seconds. */
export function toSums(state: Facts['state']) {
  const answered = state.stopped + state.cutByLength
  return {
    firstToken: { count: state.firstTokens, sum: state.firstTokenMs / 1000 },
    betweenTokens: {
      count: Math.max(0, state.generationTokens - state.firstTokens),
      sum: state.generationMs / 1000,
    },
    answer: { count: answered, sum: state.answerMs / 1000 },
    promptTokens: { count: answered, sum: state.promptTokens },
    generatedTokens: { count: answered, sum: state.generationTokens },
    queue: { count: state.firstTokens, sum: 0 },
  }
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}="${value}"`)
  return pairs.length > 0 ? `{${pairs.join(',')}}` : ''
}

function renderNumber(value: number, style: NumberStyle): string {
  // Six digits, as C++ streams write doubles: `2371.54`.
  if (style === 'plain') return String(Number(value.toPrecision(6)))
  return Number.isInteger(value) ? value.toFixed(1) : String(value)
}

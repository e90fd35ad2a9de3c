/** Counters of one engine, as Prometheus text. */
import type { Places } from './places.ts'

export type Counters = {
  /** Those evaluated: they grow while a long prompt is read. */
  promptTokens: number
  generationTokens: number
  /** Held in sequences now. */
  contextTokens: number
  aborted: number
}

export const openCounters = (): Counters => ({
  promptTokens: 0,
  generationTokens: 0,
  contextTokens: 0,
  aborted: 0,
})

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8'

type Lane = Pick<Places<unknown>, 'taken' | 'waiting'>

/** `room`: tokens that all sequences together hold; 0 before there are any. */
export function renderMetrics(counters: Counters, { lanes, room }: { lanes: readonly Lane[]; room: number }): string {
  const total = (of: 'taken' | 'waiting'): number => lanes.reduce((sum, lane) => sum + lane[of], 0)
  const rows = [
    ['requests_running', 'gauge', 'Requests that hold a sequence', total('taken')],
    ['requests_waiting', 'gauge', 'Requests that wait for a sequence', total('waiting')],
    ['kv_cache_usage_ratio', 'gauge', 'Share of the context in use', room === 0 ? 0 : counters.contextTokens / room],
    ['prompt_tokens_total', 'counter', 'Prompt tokens evaluated', counters.promptTokens],
    ['generation_tokens_total', 'counter', 'Tokens generated', counters.generationTokens],
    ['aborted_total', 'counter', 'Requests whose client left before the answer was whole', counters.aborted],
  ] as const
  return rows
    .map(
      ([name, type, help, value]) =>
        `# HELP embedded:${name} ${help}.\n# TYPE embedded:${name} ${type}\nembedded:${name} ${value}\n`,
    )
    .join('')
}

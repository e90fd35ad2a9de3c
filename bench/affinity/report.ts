/** The legs as a table: time to the first token by way of routing, the ratio of each round, and what the engines found again. */
import { ratio, show } from '../gateway/report.ts'
import type { Seen } from './drive.ts'
import type { Way } from './service.ts'
import { conversationsPerGroup, groups } from './talk.ts'

export type Leg = { way: Way; round: number; seen: readonly Seen[]; failed: number }
export type Setting = {
  date: string
  processor: string
  node: string
  loadBefore: string
  loadAfter: string
  replicas: number
  slots: number
  /** Requests of a leg, and how far apart they are on average. */
  count: number
  everyMs: number
  /** First token of a prompt that an engine has nothing of, and of the same once more. */
  wholeMs: number
  againMs: number
}

const ways: readonly Way[] = ['round-robin', 'prefix-affinity']
const titles = [
  'routing',
  'mean TTFT ms',
  'to round robin',
  'p50 ms',
  'p95 ms',
  'prompt tokens found in a cache',
  'rounds',
  'failed',
]

export function renderTable(legs: readonly Leg[]): string {
  const rows = ways.map(way => {
    const mine = legs.filter(leg => leg.way === way)
    const besides = mine.map(leg => {
      const turns = legs.find(other => other.way === 'round-robin' && other.round === leg.round)
      return turns === undefined ? null : ratio(meanOf(leg), meanOf(turns))
    })
    return [
      way,
      show(mine.map(meanOf), 0),
      show(besides, 2),
      show(
        mine.map(leg => quantileOf(leg, 0.5)),
        0,
      ),
      show(
        mine.map(leg => quantileOf(leg, 0.95)),
        0,
      ),
      show(mine.map(cachedShareOf), 2),
      String(mine.length),
      String(mine.reduce((sum, leg) => sum + leg.failed, 0)),
    ]
  })
  return [titles, titles.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

export function renderDocument(table: string, setting: Setting): string {
  return [
    '# Affinity bench: last numbers',
    '',
    'Written by `npm run bench:affinity`. Medians (min–max) of interleaved rounds; the goal is a ratio of 0.6 or less.',
    '',
    table,
    '',
    `${setting.date} · ${setting.processor} · Node ${setting.node} · load average ${setting.loadBefore} at the start, ${setting.loadAfter} at the end.`,
    '',
    `${setting.replicas} real llama-servers behind one Holdfast, serving the smoke model with room for ${setting.slots} prompts each; ${groups} groups with a`,
    `system prompt each and ${conversationsPerGroup} conversations in each group. ${setting.count} requests a leg, drawn once for a round and the same for both ways,`,
    `on average ${setting.everyMs.toFixed(0)} ms apart. Engines and Holdfast are new for every leg, and everything counts from the first request on.`,
    `One engine alone has the first token of a prompt that is new to it after ${setting.wholeMs.toFixed(0)} ms, and of the same prompt once more after ${setting.againMs.toFixed(0)} ms.`,
    '',
  ].join('\n')
}

function meanOf({ seen }: Leg): number | null {
  return seen.length === 0 ? null : seen.reduce((sum, one) => sum + one.firstTokenMs, 0) / seen.length
}

function quantileOf({ seen }: Leg, at: number): number | null {
  const sorted = seen.map(one => one.firstTokenMs).toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? null
}

/** Of all prompt tokens; null where the engine tells none. */
function cachedShareOf({ seen }: Leg): number | null {
  const told = seen.filter(one => one.cachedTokens !== null && one.promptTokens !== null)
  const cached = told.reduce((sum, one) => sum + (one.cachedTokens ?? 0), 0)
  return ratio(
    cached,
    told.reduce((sum, one) => sum + (one.promptTokens ?? 0), 0),
  )
}

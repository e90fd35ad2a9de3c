/** Load: an engine's metrics under the names that Holdfast uses, by a table of the engine's own. */
import type { EngineLoad } from '../../../domain/serving/index.ts'
import { tokens } from '../../../domain/units.ts'
import { parseMetrics, type Metrics, type Sample } from './prometheus.ts'

/** A metric, or those of its samples that have these labels. */
export type MetricName = { name: string; labels?: Readonly<Record<string, string>> }

/** For each, the first that the engine has counts: newer names stand before older ones. Empty: it has none. */
export type LoadNames = { readonly [K in keyof EngineLoad]: readonly MetricName[] } & {
  /** Labels that tell apart processes which all report the same work: the largest of them counts. */
  readonly sameWork?: readonly string[]
}

const modelLabels = ['model_name', 'model']

/**
 * `null`: the text has none of it. An engine of several data-parallel parts tells each one's load: requests and tokens
 * are added up, of KV caches the fullest counts. `served`: where samples name models and one of them is this, it alone.
 */
export function readLoad(text: string, names: LoadNames, served: string | null): EngineLoad | null {
  const metrics = parseMetrics(text)
  const samplesOf = (field: keyof EngineLoad): Sample[] => ofModel(firstOf(metrics, names[field]), served)
  const total = (field: keyof EngineLoad): number | null => sum(samplesOf(field), names.sameWork ?? [])
  const counter = (field: 'promptTokens' | 'generatedTokens') => {
    const count = total(field)
    return count === null ? null : tokens(count)
  }
  const kvUse = samplesOf('kvUse').map(({ value }) => value)
  const load: EngineLoad = {
    running: total('running'),
    waiting: total('waiting'),
    kvUse:
      kvUse.length === 0
        ? null
        : Math.min(
            1,
            kvUse.reduce((most, use) => Math.max(most, use), 0),
          ),
    promptTokens: counter('promptTokens'),
    generatedTokens: counter('generatedTokens'),
  }
  return Object.values(load).every(value => value === null) ? null : load
}

function firstOf(metrics: Metrics, names: readonly MetricName[]): Sample[] {
  for (const { name, labels } of names) {
    const found = metrics.samples(name, labels).filter(({ value }) => Number.isFinite(value))
    if (found.length > 0) return found
  }
  return []
}

function ofModel(samples: Sample[], served: string | null): Sample[] {
  if (served === null) return samples
  const theirs = samples.filter(({ labels }) => modelLabels.some(label => labels[label] === served))
  return theirs.length > 0 ? theirs : samples
}

function sum(samples: readonly Sample[], sameWork: readonly string[]): number | null {
  if (samples.length === 0) return null
  const groups = new Map<string, number>()
  for (const { labels, value } of samples) {
    const group = sameWork.length === 0 ? groups.size : keyWithout(labels, sameWork)
    groups.set(String(group), Math.max(value, groups.get(String(group)) ?? -Infinity))
  }
  return [...groups.values()].reduce((total, value) => total + value, 0)
}

function keyWithout(labels: Sample['labels'], left: readonly string[]): string {
  return JSON.stringify(
    Object.entries(labels)
      .filter(([name]) => !left.includes(name))
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
}

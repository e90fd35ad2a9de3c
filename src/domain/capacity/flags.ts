/** Flags: what a version tells its engine, under the names that the engine has for it. */
import type { EngineFlag, Workload } from './fleet.ts'
import { cacheTypes } from './kv-cache.ts'
import type { CacheType } from './kv-cache.ts'

const toName = (flag: string): string => flag.replace(/^-+/, '').replaceAll('_', '-')

/** The flag by any of its names, with or without dashes; `undefined`: it was not given. */
export function flagOf({ engine }: Workload, ...names: readonly string[]): EngineFlag | undefined {
  return Object.entries(engine.flags).find(([flag]) => names.includes(toName(flag)))?.[1]
}

/** `null`: not given, or not a number (`auto`). `32k` is 32,000 and `32K` 32,768, as vLLM reads it. */
export function numberOf(workload: Workload, ...names: readonly string[]): number | null {
  const value = flagOf(workload, ...names)
  if (typeof value === 'number') return value
  if (typeof value !== 'string') return null
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)([kKmM]?)$/.exec(value) ?? []
  const factor: Record<string, number> = { '': 1, 'k': 1000, 'K': 1024, 'm': 1_000_000, 'M': 1024 ** 2 }
  return digits === '' ? null : Number(digits) * (factor[unit] ?? 1)
}

export const isOn = (workload: Workload, ...names: readonly string[]): boolean =>
  flagOf(workload, ...names) === true || flagOf(workload, ...names) === 'true'

/** The cache type that a flag names; `fallback` where it is left out, `auto`, or not known. */
export function cacheTypeOf(workload: Workload, names: readonly string[], fallback: CacheType): CacheType {
  const value = String(flagOf(workload, ...names) ?? '').toLowerCase()
  if (value.startsWith('fp8')) return 'fp8'
  return cacheTypes.find(type => type === value) ?? fallback
}

/** The same workload with other flags; `null` takes one away. Other names of the same flag go, too. */
export function withFlags(workload: Workload, changes: Readonly<Record<string, EngineFlag | null>>): Workload {
  const same = (flag: string): string => synonyms.find(names => names.includes(toName(flag)))?.[0] ?? toName(flag)
  const changed = Object.keys(changes).map(same)
  const kept = Object.entries(workload.engine.flags).filter(([flag]) => !changed.includes(same(flag)))
  const added = Object.entries(changes).flatMap(([flag, value]) => (value === null ? [] : [[flag, value] as const]))
  return { ...workload, engine: { ...workload.engine, flags: Object.fromEntries([...kept, ...added]) } }
}

export const names = {
  contextLlama: ['ctx-size', 'c'],
  parallel: ['parallel', 'np'],
  keyType: ['cache-type-k', 'ctk'],
  valueType: ['cache-type-v', 'ctv'],
  gpuLayers: ['n-gpu-layers', 'gpu-layers', 'ngl'],
  cpuMoe: ['n-cpu-moe', 'ncmoe'],
  microBatch: ['ubatch-size', 'ub'],
  tensorParallel: ['tensor-parallel-size', 'tp', 'tp-size'],
  pipelineParallel: ['pipeline-parallel-size', 'pp', 'pp-size'],
} as const

const synonyms: readonly (readonly string[])[] = Object.values(names)

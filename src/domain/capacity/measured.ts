/** Measured profiles: what engines logged as they loaded, keyed by everything that it depends on. Plans cite them. */
import { gibi, mebi } from './fleet.ts'
import type { Card, EngineFlag, Workload } from './fleet.ts'
import type { Measured, MeasuredDevice, ProfileKey } from './profile.ts'

/** Takes from an engine's log what it says of memory; `null`: nothing of llama.cpp's or vLLM's is in it. */
export function parseLoadLog(log: string): Measured | null {
  return parseLlama(log) ?? parseVllm(log)
}

export function keyOf(workload: Workload, gpus: readonly (string | null)[]): ProfileKey {
  return {
    model: workload.artifact,
    engine: workload.engine.kind,
    engineVersion: workload.engine.version ?? 'unknown',
    flags: printFlags(workload.engine.flags),
    gpus: gpus.map(product => product ?? 'unknown').join(', '),
  }
}

/** What a profile says of one workload on these cards, in the planner's terms. */
export type MeasuredNeed = {
  source: string
  /** On each card, for engines that share weights out evenly. */
  weights: number | null
  compute: number | null
  kv: number | null
  graphs: number | null
  /** In the order of the cards. */
  devices: readonly (MeasuredDevice | undefined)[]
  host: Omit<MeasuredDevice, 'device'> | null
}

export function profileFor(workload: Workload, cards: readonly Card[]): MeasuredNeed | null {
  const wanted = keyOf(
    workload,
    cards.map(card => card.product),
  )
  const found = workload.profiles.findLast(profile => isSame(profile.key, wanted))
  if (found === undefined) return null
  const { devices, graphs } = found.measured
  const gpus = devices.filter(device => !isHost(device.device))
  const hosts = devices.filter(device => isHost(device.device))
  const sum = (of: (device: MeasuredDevice) => number | null): number | null =>
    hosts.length === 0 ? null : hosts.reduce((all, device) => all + (of(device) ?? 0), 0)
  // Matrices that are repacked for the processor are copies, and the file's own pages can be let go: a log does not tell
  // how much of both stays.
  const isRepacked = hosts.some(({ device }) => device.endsWith('_REPACK'))
  return {
    source: `measured: ${found.source}`,
    weights: gpus[0]?.weights ?? null,
    compute: gpus[0]?.compute ?? null,
    kv: gpus[0]?.kv ?? null,
    graphs,
    devices: gpus,
    host:
      hosts.length === 0
        ? null
        : {
            weights: isRepacked ? null : sum(one => one.weights),
            kv: sum(one => one.kv),
            compute: sum(one => one.compute),
          },
  }
}

const isSame = (a: ProfileKey, b: ProfileKey): boolean =>
  a.model === b.model &&
  a.engine === b.engine &&
  a.engineVersion === b.engineVersion &&
  a.flags === b.flags &&
  a.gpus === b.gpus

const isHost = (device: string): boolean => /^(CPU|.*_Host|.*_Mapped|BLAS|AMX)/.test(device)

function printFlags(flags: Readonly<Record<string, EngineFlag>>): string {
  return Object.entries(flags)
    .map(([flag, value]) => `--${flag.replace(/^-+/, '')} ${String(value)}`)
    .toSorted()
    .join(' ')
}

/** `load_tensors:        CUDA0 model buffer size =  4403.49 MiB`, and the same of KV, RS, compute and output buffers. */
const llamaLine = /\s([A-Za-z][A-Za-z0-9_]*)\s+(model|KV|RS|compute|output) buffer size\s*=\s*([\d.]+) MiB/

/** RS is the state of recurrent layers, kept as KV is. */
const fieldOf: Readonly<Record<string, 'weights' | 'kv' | 'compute'>> = { model: 'weights', KV: 'kv', RS: 'kv' }

function parseLlama(log: string): Measured | null {
  let devices = new Map<string, MeasuredDevice>()
  let kvTokens: number | null = null
  for (const line of log.split('\n')) {
    // It loads twice where it fits itself to the memory first: the last time counts.
    if (line.includes('loading model tensors')) devices = new Map()
    const context = /\bn_ctx\s+=\s*(\d+)/.exec(line)?.[1]
    if (context !== undefined) kvTokens = Number(context)
    const [, device, what, size] = llamaLine.exec(line) ?? []
    if (device === undefined || what === undefined || size === undefined) continue
    const before = devices.get(device) ?? { device, weights: null, kv: null, compute: null }
    const bytes = Math.round(Number(size) * mebi)
    const field = fieldOf[what] ?? 'compute'
    devices.set(device, { ...before, [field]: (before[field] ?? 0) + bytes })
  }
  return devices.size === 0 ? null : { devices: [...devices.values()], kvTokens, graphs: null }
}

function parseVllm(log: string): Measured | null {
  const last = (pattern: RegExp): RegExpExecArray | null => [...log.matchAll(pattern)].at(-1) ?? null
  const inGiB = (text: string | undefined): number | null =>
    text === undefined ? null : Math.round(Number(text) * gibi)
  // Both spellings mean 2^30 bytes.
  const weights = inGiB(
    last(/(?:Model loading took|model weights take|Loading model weights took) ([\d.]+) ?Gi?B/g)?.[1],
  )
  const kv = inGiB(last(/(?:Available KV cache memory:|reserved for KV Cache is) ([\d.]+) ?Gi?B/g)?.[1])
  const compute = inGiB(last(/activation peak memory takes ([\d.]+) ?Gi?B/g)?.[1])
  const graphs = inGiB(last(/Graph capturing finished in \d+ secs?, took ([\d.]+) ?Gi?B/g)?.[1])
  const tokens = last(/GPU KV cache size: ([\d,]+) tokens/g)?.[1]
  if (weights === null && kv === null && tokens === undefined) return null
  return {
    devices: [{ device: 'GPU', weights, kv, compute }],
    kvTokens: tokens === undefined ? null : Number(tokens.replaceAll(',', '')),
    graphs,
  }
}

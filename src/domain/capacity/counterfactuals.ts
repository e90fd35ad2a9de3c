/** Counterfactuals: what would make a refused replica fit. Each was tried, with the others where they are, and fits. */
import { isGguf } from './known-models.ts'
import { lossOf, smallerThan } from './bits-per-weight.ts'
import { openHost } from './cards.ts'
import { flagOf, names, numberOf, withFlags } from './flags.ts'
import { gibi, inGibi, mebi, sumOf } from './fleet.ts'
import type { EngineFlag, Host, Need, Workload } from './fleet.ts'
import { gpusWith } from './known-gpus.ts'
import { isLlama } from './need.ts'
import { tryAlone } from './placement.ts'
import type { Placed } from './placement.ts'
import { saySpeed, speedOf } from './speed.ts'
import type { Speed } from './speed.ts'

export type Counterfactual = {
  /** For people, as the end of «fits …». */
  change: string
  kind:
    | 'context'
    | 'cache-type'
    | 'share'
    | 'sequences'
    | 'quantisation'
    | 'offload'
    | 'placement'
    | 'neighbour'
    | 'hardware'
  /** Flags to set; `null` takes one away. */
  flags: Readonly<Record<string, EngineFlag | null>>
  /** Where it then is, and what it is run with. */
  at: string
  settings: Need['settings']
  /** Weights in main memory. */
  ramBytes: number
  speed: Speed
}

type World = { hosts: readonly Host[]; others: readonly Placed[] }
type Try = { change: string; kind: Counterfactual['kind']; workload: Workload; flags?: Counterfactual['flags'] }

export function counterfactualsOf(workload: Workload, world: World): Counterfactual[] {
  if (workload.facts === null) return []
  const context = byContext(workload, world)
  const cache = byCacheType(workload, world, context)
  const offload = byOffload(workload, world)
  const found = [
    ...context,
    ...cache,
    ...byShare(workload, world),
    ...bySequences(workload, world),
    ...byQuantisation(workload, world),
    ...offload,
    ...byPlace(workload, world),
    ...byNeighbour(workload, world),
    ...byMemory(workload, world),
  ]
  return [...found, ...byHardware(workload)]
}

/** The change when it works, with its speed. */
function attempt({ change, kind, workload, flags = {} }: Try, { hosts, others }: World): Counterfactual[] {
  const choice = tryAlone(workload, hosts, others)
  if ('why' in choice) return []
  const { host, cards } = choice.option
  const speed = speedOf(choice.need, cards, host)
  const at = cards.length === 0 ? `${host.name} (main memory)` : `${host.name}/${cards.map(card => card.id).join('+')}`
  const { settings, ram } = choice.need
  const ramBytes = sumOf(ram, 'weights')
  const inRam = settings.cpuMoe > 0 || settings.cpuLayers > 0 ? ` (${inGibi(ramBytes)})` : ''
  return [{ change: `${change}${inRam}: ${saySpeed(speed)}`, kind, flags, at, settings, ramBytes, speed }]
}

const fits = (workload: Workload, { hosts, others }: World): boolean => !('why' in tryAlone(workload, hosts, others))

/** The largest number in [from, to] that works; `null`: none does. What works for more works for less. */
function largest(from: number, to: number, works: (number: number) => boolean): number | null {
  if (to < from || !works(from)) return null
  let [good, bad] = [from, to + 1]
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2)
    if (works(middle)) good = middle
    else bad = middle
  }
  return good
}

const smallest = (from: number, to: number, works: (number: number) => boolean): number | null => {
  const found = largest(-to, -from, number => works(-number))
  return found === null ? null : -found
}

type ContextFlag = { flag: string; perSequence: number }

/** The flag that bounds one sequence, and how many sequences its number is shared by. */
function contextFlag(workload: Workload): ContextFlag {
  switch (workload.engine.kind) {
    case 'llama-cpp':
      return { flag: 'ctx-size', perSequence: Math.max(1, numberOf(workload, ...names.parallel) ?? 1) }
    case 'embedded':
      return { flag: 'context-size', perSequence: 1 }
    case 'ollama':
    case 'sglang':
      return { flag: 'context-length', perSequence: 1 }
    case 'tensorrt-llm':
      return { flag: 'max_seq_len', perSequence: 1 }
    case 'tgi':
      return { flag: 'max-total-tokens', perSequence: 1 }
    default:
      return { flag: 'max-model-len', perSequence: 1 }
  }
}

const step = 1024

function withContext(workload: Workload, context: number): { workload: Workload; flags: Counterfactual['flags'] } {
  const { flag, perSequence } = contextFlag(workload)
  const flags = { [flag]: context * perSequence }
  return { workload: withFlags(workload, flags), flags }
}

/** What it asks for now; `null`: the plan chooses, and has tried the least already. */
function askedContext(workload: Workload): number | null {
  const { flag, perSequence } = contextFlag(workload)
  const asked = numberOf(workload, flag, ...(flag === 'ctx-size' ? names.contextLlama : []))
  return asked === null || asked === 0 ? null : Math.floor(asked / perSequence)
}

function longestThatFits(workload: Workload, world: World): number | null {
  const asked = askedContext(workload)
  if (asked === null) return null
  const found = largest(1, Math.floor((asked - 1) / step), count =>
    fits(withContext(workload, count * step).workload, world),
  )
  return found === null ? null : found * step
}

function byContext(workload: Workload, world: World): Counterfactual[] {
  const context = longestThatFits(workload, world)
  if (context === null) return []
  const changed = withContext(workload, context)
  return attempt(
    {
      change: `with a context of at most ${context} tokens (--${contextFlag(workload).flag} ${Object.values(changed.flags).join('')})`,
      kind: 'context',
      ...changed,
    },
    world,
  )
}

const cacheChoices = (workload: Workload): Counterfactual['flags'][] => {
  if (workload.engine.kind === 'llama-cpp')
    return [
      { 'cache-type-k': 'q8_0', 'cache-type-v': 'q8_0' },
      { 'cache-type-k': 'q4_0', 'cache-type-v': 'q4_0' },
    ]
  if (workload.engine.kind === 'ollama') return [{ 'kv-cache-type': 'q8_0' }, { 'kv-cache-type': 'q4_0' }]
  return isLlama(workload) ? [] : [{ 'kv-cache-dtype': 'fp8' }]
}

function byCacheType(workload: Workload, world: World, context: readonly Counterfactual[]): Counterfactual[] {
  for (const flags of cacheChoices(workload)) {
    const changed = withFlags(workload, flags)
    const said = printFlags(flags)
    const [alone] = attempt(
      { change: `with a cache of fewer bits (${said})`, kind: 'cache-type', workload: changed, flags },
      world,
    )
    if (alone !== undefined) return [alone]
    const longest = longestThatFits(changed, world)
    const before = context[0]?.settings.context ?? 0
    if (longest === null || longest <= before) continue
    const both = withContext(changed, longest)
    return attempt(
      {
        change: `with a cache of fewer bits (${said}) and a context of at most ${longest} tokens`,
        kind: 'cache-type',
        workload: both.workload,
        flags: { ...flags, ...both.flags },
      },
      world,
    )
  }
  return []
}

const shareFlags: Readonly<Record<string, string>> = {
  vllm: 'gpu-memory-utilization',
  sglang: 'mem-fraction-static',
  tgi: 'cuda-memory-fraction',
}

function byShare(workload: Workload, world: World): Counterfactual[] {
  const flag = shareFlags[workload.engine.kind]
  const stated = flag === undefined ? null : numberOf(workload, flag)
  if (flag === undefined || stated === null) return []
  const at = (hundredths: number): Workload => withFlags(workload, { [flag]: hundredths / 100 })
  // A larger share may be too much for its neighbours, a smaller one for itself: every one is tried, the nearest first.
  const now = Math.round(stated * 100)
  const candidates = Array.from({ length: 98 }, (_, index) => index + 1).toSorted(
    (a, b) => Math.abs(a - now) - Math.abs(b - now),
  )
  const found = candidates.find(hundredths => fits(at(hundredths), world))
  if (found === undefined) return []
  const flags = { [flag]: found / 100 }
  return attempt(
    { change: `with --${flag} ${found / 100} instead of ${stated}`, kind: 'share', workload: at(found), flags },
    world,
  )
}

function bySequences(workload: Workload, world: World): Counterfactual[] {
  const flag = { 'llama-cpp': 'parallel', 'embedded': 'sequences', 'ollama': 'num-parallel' }[workload.engine.kind]
  const stated = flag === undefined ? null : numberOf(workload, flag, ...(flag === 'parallel' ? names.parallel : []))
  const context = askedContext(workload)
  if (flag === undefined || stated === null || stated < 2 || context === null) return []
  const at = (count: number): Counterfactual['flags'] => ({
    [flag]: count,
    ...(flag === 'parallel' ? { 'ctx-size': context * count } : {}),
  })
  const found = largest(1, stated - 1, count => fits(withFlags(workload, at(count)), world))
  if (found === null) return []
  const change = `with ${found} at once instead of ${stated} (${printFlags(at(found))})`
  return attempt({ change, kind: 'sequences', workload: withFlags(workload, at(found)), flags: at(found) }, world)
}

function byQuantisation(workload: Workload, world: World): Counterfactual[] {
  const gguf = isLlama(workload) || isGguf(workload.quantisation)
  for (const quantisation of smallerThan(workload.quantisation, { gguf })) {
    const facts = workload.requantised(quantisation)
    if (facts === null) continue
    const smaller: Workload = { ...workload, quantisation, facts, profiles: [] }
    const name = quantisation.toUpperCase().replaceAll('-', '_')
    const found = attempt(
      {
        change: `as ${gguf ? name : quantisation}, ${inGibi(facts.bytes)} of weights (${lossOf(quantisation)})`,
        kind: 'quantisation',
        workload: smaller,
      },
      world,
    )
    if (found.length > 0) return found
  }
  return []
}

function byOffload(workload: Workload, world: World): Counterfactual[] {
  if (workload.engine.kind === 'llama-cpp') return [...expertsInRam(workload, world), ...layersInRam(workload, world)]
  if (workload.engine.kind === 'vllm') return [...vllmOffload(workload, world), ...asLlama(workload, world)]
  return isLlama(workload) ? [] : asLlama(workload, world)
}

/** Experts off the cards: with larger batches, since a prompt's experts are then copied once for more tokens. */
function expertsInRam(workload: Workload, world: World): Counterfactual[] {
  const { facts } = workload
  const layers = facts?.layers ?? 0
  if (facts?.experts === null || layers === 0) return []
  const at = (count: number, cache: Counterfactual['flags']): Counterfactual['flags'] => ({
    ...cache,
    'n-cpu-moe': count,
    'batch-size': 2048,
    'ubatch-size': 2048,
  })
  const now = numberOf(workload, ...names.cpuMoe) ?? 0
  return [{}, ...cacheChoices(workload).slice(0, 1)].flatMap((cache): Counterfactual[] => {
    if (Object.keys(cache).length > 0 && flagOf(workload, ...names.keyType) !== undefined) return []
    const found = smallest(now + 1, layers, count => fits(withFlags(workload, at(count, cache)), world))
    if (found === null) return []
    const flags = at(found, cache)
    const also = Object.keys(cache).length === 0 ? '' : ` and ${printFlags(cache)}`
    return attempt(
      {
        change: `with --n-cpu-moe ${found}${also}, experts of ${found} layers in RAM`,
        kind: 'offload',
        workload: withFlags(workload, flags),
        flags,
      },
      world,
    )
  })
}

function layersInRam(workload: Workload, world: World): Counterfactual[] {
  const { facts } = workload
  const layers = facts?.layers ?? 0
  if (layers === 0 || facts?.experts !== null) return []
  const found = largest(0, layers, count => fits(withFlags(workload, { 'n-gpu-layers': count }), world))
  if (found === null) return []
  const flags = { 'n-gpu-layers': found }
  return attempt(
    {
      change: `with --n-gpu-layers ${found}, ${layers + 1 - found} of ${layers + 1} layers in RAM`,
      kind: 'offload',
      workload: withFlags(workload, flags),
      flags,
    },
    world,
  )
}

function vllmOffload(workload: Workload, world: World): Counterfactual[] {
  const most = Math.ceil((workload.facts?.bytes ?? 0) / gibi)
  const found = smallest(1, most, count => fits(withFlags(workload, { 'cpu-offload-gb': count }), world))
  if (found === null) return []
  const flags = { 'cpu-offload-gb': found }
  return attempt(
    {
      change: `with --cpu-offload-gb ${found}, which cross PCIe for every token`,
      kind: 'offload',
      workload: withFlags(workload, flags),
      flags,
    },
    world,
  )
}

/** The same model on llama.cpp, which reads what is in RAM where it is. */
function asLlama(workload: Workload, world: World): Counterfactual[] {
  const facts = workload.requantised('q4-k-m')
  if (facts === null) return []
  const context = askedContext(workload) ?? Math.min(32_768, facts.contextLength ?? 32_768)
  const llama: Workload = {
    ...{ ...workload, facts, quantisation: 'q4-k-m', profiles: [] },
    engine: { ...workload.engine, kind: 'llama-cpp', version: null, flags: { 'ctx-size': context } },
  }
  const whole = attempt(
    {
      change: `on llama-cpp as Q4_K_M, a context of ${context}`,
      kind: 'offload',
      workload: llama,
      flags: llama.engine.flags,
    },
    world,
  )
  if (whole.length > 0) return whole
  return byOffload(llama, world)
    .slice(0, 1)
    .map(each => ({
      ...each,
      change: `on llama-cpp as Q4_K_M, a context of ${context}, ${each.change}`,
      flags: { ...llama.engine.flags, ...each.flags },
    }))
}

/** Other cards of the same fleet. */
function byPlace(workload: Workload, world: World): Counterfactual[] {
  if (workload.gpus === null && workload.host === null) return []
  const here: Workload = { ...workload, gpus: null }
  const anywhere: Workload = { ...workload, gpus: null, host: null }
  for (const moved of workload.gpus === null ? [anywhere] : [here, anywhere]) {
    const choice = tryAlone(moved, world.hosts, world.others)
    if ('why' in choice) continue
    const { host, cards } = choice.option
    const where =
      cards.length === 0 ? `${host.name} (main memory)` : `${host.name}/${cards.map(card => card.id).join('+')}`
    return attempt({ change: `on ${where}`, kind: 'placement', workload: moved }, world)
  }
  return []
}

function byNeighbour(workload: Workload, world: World): Counterfactual[] {
  return world.others
    .filter(({ workload: other }) =>
      fits(workload, { ...world, others: world.others.filter(each => each.workload !== other) }),
    )
    .slice(0, 3)
    .flatMap(({ workload: other }) =>
      attempt(
        {
          change: `while ${other.replica} is not running (idle: stops it when nobody asks)`,
          kind: 'neighbour',
          workload,
        },
        { ...world, others: world.others.filter(each => each.workload !== other) },
      ),
    )
}

/** More main memory, in steps of 16 GiB as it is sold, for what is read from there anyway. */
function byMemory(workload: Workload, { hosts, others }: World): Counterfactual[] {
  if (!isLlama(workload)) return []
  const allowed = hosts.filter(host => host.isRamStated && (workload.host === null || host.name === workload.host))
  for (const host of allowed) {
    const more = (count: number): World => {
      const larger = { ...host, ram: host.ram + count * 16 * gibi }
      const moved = others.map(each => (each.host === host ? { ...each, host: larger } : each))
      return { hosts: hosts.map(each => (each === host ? larger : each)), others: moved }
    }
    const found = smallest(1, 128, count => fits(workload, more(count)))
    if (found === null) continue
    const change = `with ${found * 16} GiB more main memory in ${host.name}`
    return attempt({ change, kind: 'hardware', workload }, more(found))
  }
  return []
}

/** The smallest card that would do, alone, two, four or eight of a kind. */
function byHardware(workload: Workload): Counterfactual[] {
  const free: Workload = { ...workload, host: null, gpus: null }
  for (const count of [1, 2, 4, 8]) {
    for (const gpu of gpusWith(16 * gibi)) {
      if ((count > 1 && gpu.memoryGiB < 24) || count * gpu.reportedMiB * mebi < (workload.facts?.bytes ?? 0) / 1.05)
        continue
      const stated = {
        ...{
          name: 'new',
          address: null,
          memory: 1024 * gibi,
          memoryBandwidth: 307e9,
          supplyWatts: null,
          restWatts: null,
          ups: null,
          models: null,
        },
        gpus: Array.from({ length: count }, (_, index) => ({
          ...{ id: `gpu${index}`, product: gpu.name, memory: null, uuid: null, pcie: null, numa: null, watts: null },
        })),
      }
      const { host } = openHost(stated)
      const found = attempt(
        {
          change: `on ${count === 1 ? 'one' : count} ${gpu.name} (${gpu.memoryGiB} GiB${count === 1 ? '' : ' each'})`,
          kind: 'hardware',
          workload: free,
        },
        { hosts: [host], others: [] },
      )
      if (found.length > 0) return found
    }
  }
  return []
}

/** DeepSpeed's way for what fits nowhere: what it takes, and why it is slow. */
export type SlowWay = { way: string; ramBytes: number; nvmeBytes: number; secondsPerToken: number; why: string }

/** Read at once from one drive of PCIe 4. */
const nvmeBandwidth = 7e9

export function slowWayOf(workload: Workload, host: Host): SlowWay | null {
  const parameters = workload.facts?.parameters?.total ?? null
  // What all its cards together hold needs nothing of the kind.
  const cards = host.cards.reduce((sum, card) => sum + card.capacity, 0)
  if (parameters === null || cards === 0 || (workload.facts?.bytes ?? 0) <= cards) return null
  const bytes = 2 * parameters
  const inRam = bytes * 1.1 < host.ram
  const bandwidth = inRam ? Math.min(host.ramBandwidth, 25e9) : nvmeBandwidth
  const secondsPerToken = bytes / bandwidth
  return {
    way: `DeepSpeed ZeRO-3 inference, ${inRam ? 'parameters in main memory' : 'parameters on NVMe'}`,
    ramBytes: Math.ceil(inRam ? bytes * 1.1 : 32 * gibi),
    nvmeBytes: inRam ? 0 : Math.ceil(bytes),
    secondsPerToken: Number(secondsPerToken.toPrecision(2)),
    why: `all ${inGibi(bytes)} of 16-bit weights cross to the card for every step (${Math.round(bandwidth / 1e9)} GB/s), experts that are not used, too: ${secondsPerToken.toPrecision(2)} s a token; only large batches without anybody waiting are worth it`,
  }
}

const printFlags = (flags: Counterfactual['flags']): string =>
  Object.entries(flags)
    .map(([flag, value]) => `--${flag} ${String(value)}`)
    .join(' ')

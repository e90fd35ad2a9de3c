/** Command lines: what starts each replica as it was planned. The same settings go into every renderer. */
import { flagOf, names } from './flags.ts'
import type { EngineFlag, Settings, Workload } from './fleet.ts'
import type { Placed } from './placement.ts'

export type EngineCommand = { replica: string; argv: string[]; env: Record<string, string> }

/** `null`: nobody starts it from here (somebody else runs it, or Holdfast itself does). */
export function commandOf(placed: Placed): EngineCommand | null {
  const { workload } = placed
  if (workload.isExternal || workload.engine.kind === 'embedded') return null
  const argv = argvOf(placed)
  return argv === null ? null : { replica: workload.replica, argv: [...numactl(placed), ...argv], env: envOf(placed) }
}

function argvOf({ workload, host, cards, need }: Placed): string[] | null {
  const { settings } = need
  const address = host.address ?? '127.0.0.1'
  const port = String(workload.port ?? 8000)
  const at = ['--host', address, '--port', port]
  const { engine, weights } = workload
  const file = weights.startsWith('models:')
    ? `${host.models ?? '/srv/models'}/${weights.slice('models:'.length)}`
    : weights
  const [repository = file, revision] = file.startsWith('/') ? [file] : file.split('@')
  const pinned = revision === undefined ? [] : ['--revision', revision]
  const served = engine.servedName === null ? [] : [engine.servedName]
  switch (engine.kind) {
    case 'vllm':
      return [
        ...['vllm', 'serve', repository, ...pinned, ...at],
        ...served.flatMap(name => ['--served-model-name', name]),
        ...printFlags(workload, {
          'max-model-len': settings.context,
          ...fraction(workload, settings, 'gpu-memory-utilization'),
          ...parallel(settings, 'tensor-parallel-size', 'pipeline-parallel-size'),
        }),
      ]
    case 'sglang':
      return [
        ...['python3', '-m', 'sglang.launch_server', '--model-path', repository, ...pinned, ...at],
        ...served.flatMap(name => ['--served-model-name', name]),
        ...printFlags(workload, {
          'context-length': settings.context,
          ...fraction(workload, settings, 'mem-fraction-static'),
          ...parallel(settings, 'tp', 'pp-size'),
          'enable-metrics': true,
        }),
      ]
    case 'tensorrt-llm':
      return [
        ...['trtllm-serve', repository, ...at],
        ...printFlags(workload, {
          max_seq_len: settings.context,
          ...fraction(workload, settings, 'kv_cache_free_gpu_memory_fraction'),
          ...parallel(settings, 'tp_size', 'pp_size'),
        }),
      ]
    case 'tgi':
      return [
        ...['text-generation-launcher', '--model-id', repository, ...pinned, '--hostname', address, '--port', port],
        ...printFlags(workload, {
          'max-total-tokens': settings.context,
          ...fraction(workload, settings, 'cuda-memory-fraction'),
          ...(cards.length > 1 ? { 'num-shard': cards.length } : {}),
        }),
      ]
    case 'triton':
      return ['tritonserver', `--model-repository=${repository}`, `--http-port=${port}`, ...printFlags(workload, {})]
    case 'ollama':
      return ['ollama', 'serve']
    case 'llama-cpp':
      return [
        ...['llama-server', '--model', repository, ...at],
        ...served.flatMap(name => ['--alias', name]),
        ...(engine.task === 'embed' ? ['--embeddings'] : []),
        ...(engine.task === 'rerank' ? ['--rerank'] : []),
        ...printFlags(workload, {
          'ctx-size': settings.context * settings.sequences,
          'n-gpu-layers': cards.length === 0 ? 0 : 999,
          ...(cards.length > 1 ? { 'tensor-split': layersByCard(need.cards.map(lines => lines[0]?.what ?? '')) } : {}),
          'metrics': true,
        }),
      ]
    default:
      return null
  }
}

const layersByCard = (whats: readonly string[]): string => whats.map(what => /\d+/.exec(what)?.[0] ?? '0').join(',')

/** Only what the version does not say itself: its flags are part of what it is. */
const fraction = (workload: Workload, settings: Settings, flag: string): Record<string, EngineFlag> =>
  settings.fraction === null || flagOf(workload, flag.replaceAll('_', '-')) !== undefined
    ? {}
    : { [flag]: settings.fraction }

const parallel = (
  { tensorParallel, pipelineParallel }: Settings,
  tensor: string,
  pipeline: string,
): Record<string, EngineFlag> => ({
  ...(tensorParallel > 1 ? { [tensor]: tensorParallel } : {}),
  ...(pipelineParallel > 1 ? { [pipeline]: pipelineParallel } : {}),
})

function printFlags(workload: Workload, planned: Readonly<Record<string, EngineFlag>>): string[] {
  const own = Object.entries(workload.engine.flags).map(([flag, value]) => [flag.replace(/^-+/, ''), value] as const)
  const added = Object.entries(planned).filter(([flag]) => flagOf(workload, ...namesOf(flag)) === undefined)
  return [...own, ...added].flatMap(([flag, value]) => {
    const dashes = flag.length <= 2 ? '-' : '--'
    if (value === true) return [`${dashes}${flag}`]
    if (value === false) return [`--no-${flag}`]
    return [`${dashes}${flag}`, String(value)]
  })
}

const namesOf = (flag: string): readonly string[] => {
  const name = flag.replaceAll('_', '-')
  return Object.values(names).find(all => all.some(one => one === name)) ?? [name]
}

function envOf({ workload, host, cards, need }: Placed): Record<string, string> {
  const env: Record<string, string> = {}
  const uuids = cards.flatMap(card => (card.uuid === null ? [] : [card.uuid]))
  const which = uuids.length === cards.length ? uuids : cards.map(card => String(card.ordinal))
  if (cards[0]?.vendor === 'nvidia') {
    if (uuids.length < cards.length) env['CUDA_DEVICE_ORDER'] = 'PCI_BUS_ID'
    env['CUDA_VISIBLE_DEVICES'] = which.join(',')
  }
  if (cards[0]?.vendor === 'amd') env['ROCR_VISIBLE_DEVICES'] = which.join(',')
  if (cards.length === 0 && host.cards.some(card => card.vendor === 'nvidia')) env['CUDA_VISIBLE_DEVICES'] = ''
  if (workload.engine.kind === 'ollama') {
    env['OLLAMA_HOST'] = `${host.address ?? '127.0.0.1'}:${workload.port ?? 11_434}`
    env['OLLAMA_CONTEXT_LENGTH'] = String(need.settings.context)
    env['OLLAMA_NUM_PARALLEL'] = String(need.settings.sequences)
    env['OLLAMA_KV_CACHE_TYPE'] = need.settings.keyType
    env['OLLAMA_FLASH_ATTENTION'] = '1'
    env['OLLAMA_MAX_LOADED_MODELS'] = '1'
  }
  return env
}

/** Bound to the node of its cards; what is read from main memory may lie on every node. */
function numactl({ cards, need }: Placed): string[] {
  const nodes = [...new Set(cards.map(card => card.numa))]
  const [node] = nodes
  if (node === undefined || node === null || nodes.length > 1) return []
  const isOffloaded = need.settings.cpuMoe > 0 || need.settings.cpuLayers > 0
  return ['numactl', `--cpunodebind=${node}`, isOffloaded ? `--preferred=${node}` : `--membind=${node}`]
}

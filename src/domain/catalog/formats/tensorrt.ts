/** TensorRT: recognises an engine (a plan) and tells what can be told; what is in it only TensorRT itself can read. */
import { openSettings } from './hub-config.ts'
import { FormatError, shown, type Reading } from './reading.ts'
import { emptyReport, type ModelReport } from './report.ts'
import { isRecord } from './text.ts'

export type TensorRtEngine = { serialVersion: number; wrapped: boolean }

const mostWrapperBytes = 1024 * 1024

/** `ftrt`; older ones `ptrt`. Its ninth byte counts TensorRT's versions (NVIDIA/TensorRT#3073). Some put a JSON text in front. */
export function* readTensorRt(size: number): Reading<TensorRtEngine> {
  const head = yield { kind: 'bytes', at: 0, bytes: Math.min(size, 32) }
  if (isPlan(head)) return { serialVersion: head[8] ?? 0, wrapped: false }
  const jsonBytes = head.length < 9 ? 0 : new DataView(head.buffer, head.byteOffset, head.byteLength).getUint32(0, true)
  if (jsonBytes > 0 && jsonBytes < mostWrapperBytes && head[4] === 0x7b && 4 + jsonBytes + 9 <= size) {
    const inner = yield { kind: 'bytes', at: 4 + jsonBytes, bytes: 9 }
    if (isPlan(inner)) return { serialVersion: inner[8] ?? 0, wrapped: true }
  }
  throw new FormatError(
    0,
    'no TensorRT engine: its first bytes are not that of a plan',
    'Name a .engine or .plan that trtexec or trtllm-build wrote.',
  )
}

export const isPlan = (head: Uint8Array): boolean =>
  (head[0] === 0x66 || head[0] === 0x70) && head[1] === 0x74 && head[2] === 0x72 && head[3] === 0x74

/** `config`: the config.json that trtllm-build writes beside its engines; `null`: there is none. */
export function toTensorRtReport(
  engines: readonly TensorRtEngine[],
  { bytes, config }: { bytes: number; config: unknown },
): ModelReport {
  const built =
    isRecord(config) && isRecord(config['pretrained_config']) ? openSettings(config['pretrained_config']) : null
  const limits = isRecord(config) && isRecord(config['build_config']) ? openSettings(config['build_config']) : null
  const notes = [
    'An engine is compiled for one kind of GPU, one version of TensorRT and fixed sizes; only TensorRT can read which. Parameters, layers and memory can’t be known from the file.',
  ]
  const unknown: ModelReport = {
    ...emptyReport,
    format: 'tensorrt',
    formatDetail: `TensorRT engine${engines.length > 1 ? ` of ${engines.length} ranks` : ''}, serial version ${engines[0]?.serialVersion ?? 0}`,
    bytes,
    notes,
  }
  if (built === null) return unknown
  const layers = built.count('num_hidden_layers')
  const heads = built.count('num_attention_heads')
  const hidden = built.count('hidden_size')
  const kvHeads = built.count('num_key_value_heads') ?? heads
  const keyLength = built.count('head_size') ?? (heads !== null && heads > 0 && hidden !== null ? hidden / heads : null)
  const algorithm = built.inner('quantization')?.text('quant_algo') ?? null
  const ranks = built.inner('mapping')?.count('world_size') ?? engines.length
  notes.push(
    `Its config.json says: built for ${ranks} GPUs, at most ${limits?.count('max_batch_size') ?? 'unknown'} sequences of ${limits?.count('max_seq_len') ?? 'unknown'} tokens${algorithm === null ? '' : `, weights in ${shown(algorithm)}`}.`,
  )
  return {
    ...unknown,
    architecture: built.text('architecture'),
    layers,
    hidden,
    heads,
    vocabulary: built.count('vocab_size'),
    contextLength: limits?.count('max_seq_len') ?? built.count('max_position_embeddings'),
    attention:
      layers === null || kvHeads === null || keyLength === null
        ? []
        : [{ kind: 'full', layers, kvHeads, keyLength, valueLength: keyLength }],
  }
}

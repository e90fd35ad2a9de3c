/** From GGUF headers to a report. Keys: ggml/docs/gguf.md and llama.cpp's src/llama-arch.cpp, read 2026-08. */
import { toQuantisation } from '../quantisation.ts'
import { bothInOne, groupLayers, keepsNothing, slides, stateOf, type LayerAttention } from './attention.ts'
import { readChatTemplate } from './chat-template.ts'
import { fileTypeName } from './ggml-types.ts'
import type { GgufHeader, GgufTensor, GgufValue } from './gguf.ts'
import { FormatError, shown } from './reading.ts'
import { emptyReport, tallyTypes, type ModelReport } from './report.ts'
import { layerOf, weigh } from './weigh.ts'

/** Above any that exists; what is repeated per layer stays bounded. */
const mostLayers = 10_000

/** Where llama.cpp itself knows which layers slide: of so many, all but the last (`set_swa_pattern`). */
const periods = new Map<string, number>([
  ['gemma2', 2],
  ['gemma3', 6],
  ['gemma3n', 5],
  ['gemma-embedding', 6],
  ['cohere2', 4],
  ['gpt-oss', 2],
  ['llama4', 4],
  ['exaone4', 4],
  ['exaone-moe', 4],
  ['olmo2', 4],
  ['smallthinker', 4],
  ['afmoe', 4],
])
const llama4Chunk = 8192

/** Of all files of a split model, its first one first. `bytes`: of the files. */
export function toGgufReport(headers: readonly [GgufHeader, ...GgufHeader[]], bytes: number): ModelReport {
  const [first] = headers
  const keys = openKeys(first.metadata)
  const tensors = headers.flatMap(header => header.tensors)
  const predictors = keys.count('nextn_predict_layers') ?? 0
  const blocks = keys.count('block_count')
  if (blocks !== null && blocks > mostLayers)
    throw new FormatError(null, `${blocks} layers are announced`, 'No model has that many.')
  const layers = blocks === null ? null : Math.max(0, blocks - predictors)
  const experts = expertsOf(keys)
  const weighed = weigh(
    tensors.map(({ name, values, bytes: size }) => ({ name, parameters: values, bytes: size })),
    { architecture: keys.architecture, layers, experts },
  )
  const notes: string[] = []
  const estimated = tensors.filter(tensor => tensor.estimated)
  if (estimated.length > 0)
    notes.push(
      `${estimated.length} tensors are of a type that is too new to be known here (${[...new Set(estimated.map(({ type }) => type))].join(', ')}): their bytes are estimated from where the next tensor begins.`,
    )
  if (weighed.predictors > 0)
    notes.push(`${weighed.predictors} parameters predict further tokens (MTP): in the total, not in what is active.`)
  const kind = keys.text('general.type')
  if (kind === 'adapter') notes.push('This is a LoRA adapter: it needs its base model.')
  if (kind === 'mmproj' || keys.architecture === 'clip')
    notes.push('This is the part that sees or hears (mmproj): it needs its language model.')

  return {
    ...emptyReport,
    format: 'gguf',
    formatDetail: `GGUF version ${first.version}, ${first.byteOrder}-endian${headers.length > 1 ? `, ${headers.length} files` : ''}`,
    architecture: keys.architecture,
    parameters: weighed.total === 0 ? null : { total: weighed.total, active: weighed.active },
    layers,
    contextLength: keys.count('context_length'),
    hidden: keys.count('embedding_length'),
    vocabulary: vocabularyOf(keys),
    heads: keys.perLayer('attention.head_count', layers ?? 0).find(count => count > 0) ?? null,
    attention: groupLayers(attentionOf(keys, { layers: layers ?? 0, tensors, notes })),
    experts,
    quantisation: quantisationOf(keys, { tensors, parameters: weighed.total }),
    bytes,
    parts: weighed.total === 0 ? null : weighed.parts,
    tokenizer: tokenizerOf(keys),
    chatTemplate: readChatTemplate(templatesIn(first.metadata)),
    licence: keys.text('general.license.name') ?? keys.text('general.license'),
    tensorTypes: tallyTypes(tensors),
    notes,
  }
}

type Keys = ReturnType<typeof openKeys>

function openKeys(metadata: ReadonlyMap<string, GgufValue>) {
  const asText = (value: GgufValue | undefined): string | null => (typeof value === 'string' ? shown(value) : null)
  const architecture = asText(metadata.get('general.architecture'))
  const own = (key: string): GgufValue | undefined => metadata.get(`${architecture}.${key}`)
  const asCount = (value: unknown): number | null =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < 2 ** 40 ? value : null
  return {
    architecture,
    text: (key: string): string | null => asText(metadata.get(key)),
    value: (key: string): GgufValue | undefined => metadata.get(key),
    own,
    count: (key: string): number | null => asCount(own(key)),
    /** One a layer, whether the file says one for all or a list. */
    perLayer(key: string, layers: number): number[] {
      const value = own(key)
      const list = typeof value === 'object' ? (value.items ?? []) : null
      return Array.from({ length: layers }, (_, i) => asCount(list === null ? value : list[i]) ?? 0)
    },
  }
}

function expertsOf(keys: Keys): ModelReport['experts'] {
  const count = keys.count('expert_count') ?? 0
  if (count === 0) return null
  return {
    count,
    used: Math.min(count, keys.count('expert_used_count') ?? count),
    shared: keys.count('expert_shared_count') ?? 0,
  }
}

function vocabularyOf(keys: Keys): number | null {
  const tokens = keys.value('tokenizer.ggml.tokens')
  return typeof tokens === 'object' ? tokens.count : keys.count('vocab_size')
}

const tokenizers = new Map([
  ['llama', 'SentencePiece'],
  ['gpt2', 'BPE'],
  ['bert', 'WordPiece'],
  ['t5', 'Unigram'],
  ['rwkv', 'RWKV'],
])

function tokenizerOf(keys: Keys): ModelReport['tokenizer'] {
  const model = keys.text('tokenizer.ggml.model')
  if (model === null) return null
  const pre = keys.text('tokenizer.ggml.pre')
  return {
    kind: `${tokenizers.get(model) ?? model}${pre === null || pre === 'default' ? '' : ` (${pre})`}`,
    vocabulary: vocabularyOf(keys),
  }
}

function templatesIn(metadata: ReadonlyMap<string, GgufValue>): Map<string, string> {
  const found = new Map<string, string>()
  for (const [key, value] of metadata) {
    const [, name = null] = /^tokenizer\.chat_template(?:\.(\w+))?$/.exec(key) ?? [null, null]
    if (typeof value === 'string' && key.startsWith('tokenizer.chat_template')) found.set(name ?? 'default', value)
  }
  return found
}

function quantisationOf(
  keys: Keys,
  { tensors, parameters }: { tensors: readonly GgufTensor[]; parameters: number },
): ModelReport['quantisation'] {
  if (parameters === 0) return null
  const fileType = keys.value('general.file_type')
  const said = typeof fileType === 'number' ? fileTypeName(fileType) : null
  // Norms and biases are 32-bit in every file.
  const matrices = tallyTypes(tensors.filter(({ shape }) => shape.length > 1))
  const name = said ?? matrices[0]?.type ?? tensors[0]?.type ?? 'unknown'
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)
  return { name: toQuantisation(name) ?? name, bitsPerWeight: (bytes * 8) / parameters }
}

type Layers = { layers: number; tensors: readonly GgufTensor[]; notes: string[] }

function attentionOf(keys: Keys, { layers, tensors, notes }: Layers): LayerAttention[] {
  const heads = keys.perLayer('attention.head_count', layers)
  const kvHeads =
    keys.own('attention.head_count_kv') === undefined ? heads : keys.perLayer('attention.head_count_kv', layers)
  const kinds = kindsOf(tensors, { layers, notes })
  const headLength = (keys.count('embedding_length') ?? 0) / (heads.find(count => count > 0) ?? 1)
  const keyLength = keys.count('attention.key_length') ?? headLength
  const valueLength = keys.count('attention.value_length') ?? headLength
  const isSliding = slidingOf(keys, { layers, notes })
  const window = windowOf(keys)
  const shared = keys.count('attention.shared_kv_layers') ?? 0
  const latent = latentOf(keys, notes)
  if (tensors.length === 0 || (keyLength === 0 && !kinds.includes('state'))) return []

  return kinds.map((kind, i): LayerAttention => {
    if (kind === 'state') return layerState(keys)
    if (kind === 'none' || (kvHeads[i] === 0 && latent === null) || i >= layers - shared) return keepsNothing
    if (latent !== null) return latent
    const sliding = isSliding(i)
    return {
      kind: sliding ? 'sliding' : 'full',
      kvHeads: kvHeads[i] ?? 0,
      keyLength: (sliding ? keys.count('attention.key_length_swa') : null) ?? keyLength,
      valueLength: (sliding ? keys.count('attention.value_length_swa') : null) ?? valueLength,
      window: sliding ? window : 0,
    }
  })
}

/** What a layer has tells what it keeps: keys and values, a state, or nothing. */
function kindsOf(
  tensors: readonly GgufTensor[],
  { layers, notes }: Omit<Layers, 'tensors'>,
): ('attention' | 'state' | 'none')[] {
  const found = Array.from({ length: layers }, () => ({ attention: false, state: false }))
  for (const { name } of tensors) {
    const layer = found[layerOf(name) ?? -1]
    if (layer === undefined) continue
    layer.attention ||= /\.(attn_(k|v|kv_a_mqa|kv_b|k_b|output|out)\.|attn_k_norm)/.test(name)
    layer.state ||= /\.(ssm_|shortconv|time_mix)/.test(name)
  }
  if (found.some(({ attention, state }) => attention && state)) notes.push(bothInOne)
  return found.map(({ attention, state }) => {
    if (attention) return 'attention'
    return state ? 'state' : 'none'
  })
}

function layerState(keys: Keys): LayerAttention {
  const hidden = keys.count('embedding_length') ?? 0
  const short = keys.count('shortconv.l_cache')
  if (short !== null) return stateOf({ inner: 0, state: 0, convolution: short, channels: hidden })
  const head = keys.count('wkv.head_size')
  if (head !== null)
    return stateOf({
      inner: hidden,
      state: head,
      convolution: 1 + (keys.count('token_shift_count') ?? 2),
      channels: hidden,
    })
  const inner = keys.count('ssm.inner_size') ?? 0
  const state = keys.count('ssm.state_size') ?? 0
  const groups = keys.count('ssm.group_count') ?? 0
  const convolution = keys.count('ssm.conv_kernel') ?? 0
  return stateOf({ inner, state, convolution, channels: inner + 2 * groups * state })
}

const windowOf = (keys: Keys): number =>
  keys.count('attention.sliding_window') ??
  (keys.architecture === 'llama4' ? (keys.count('attention.chunk_size') ?? llama4Chunk) : 0)

function slidingOf(keys: Keys, { layers, notes }: { layers: number; notes: string[] }): (layer: number) => boolean {
  if (windowOf(keys) === 0) return () => false
  const said = keys.own('attention.sliding_window_pattern')
  if (typeof said === 'object' && said.items !== null) {
    const { items } = said
    return layer => items[layer] === true || items[layer] === 1
  }
  const period = typeof said === 'number' ? said : periods.get(keys.architecture ?? '')
  if (period !== undefined) return layer => slides(layer, period)
  notes.push(
    `The file has a sliding window of ${windowOf(keys)} tokens and does not tell for which of its ${layers} layers: all are counted as if they had none, as llama.cpp runs them.`,
  )
  return () => false
}

function latentOf(keys: Keys, notes: string[]): LayerAttention | null {
  const rank = keys.count('attention.kv_lora_rank')
  if (rank === null || rank === 0) return null
  if (keys.count('attention.key_length_mla') === null) {
    notes.push(
      'The file is from before llama.cpp kept latent attention (MLA) compressed: it is counted with all its keys and values, as it runs. A newer file of this model needs far less.',
    )
    return null
  }
  return { kind: 'latent', rank, rotary: keys.count('rope.dimension_count') ?? 0 }
}

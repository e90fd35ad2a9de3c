/** Models by name: what their makers' config.json says, for planning without the files at hand. */
import type { AttentionGroup, ModelFacts, Quantisation } from '../catalog/index.ts'
import { bitsOf } from './bits-per-weight.ts'

/** Facts and how they came to be known. */
export type KnownFacts = ModelFacts & {
  model: string
  /** What they rest on, for people. */
  source: string
  /** `read`: from its own files. `published`: from a table here. `estimated`: from its size in a name. */
  certainty: 'read' | 'published' | 'estimated'
}

type Architecture = {
  name: string
  match: RegExp
  layers: number
  hidden: number
  heads: number
  headLength: number
  attention: AttentionGroup[]
  /** Of dense layers. */
  ffn: number
  experts?: { count: number; used: number; shared: number; ffn: number; denseLayers: number }
  vocabulary: number
  /** Output and embedding are one. */
  tied: boolean
  contextLength: number
  /** Attention parameters of a layer where they are not the usual four matrices. */
  attentionParameters?: number
  /** Vision towers and the like. */
  otherParameters?: number
  source: string
  date: string
}

const full = (layers: number, kvHeads: number, length: number): AttentionGroup[] => [
  { kind: 'full', layers, kvHeads, keyLength: length, valueLength: length },
]
const alternating = (
  counts: { full: number; sliding: number },
  shape: { kvHeads: number; length: number; window: number },
): AttentionGroup[] => {
  const heads = { kvHeads: shape.kvHeads, keyLength: shape.length, valueLength: shape.length }
  return [
    { kind: 'full', layers: counts.full, ...heads },
    { kind: 'sliding', layers: counts.sliding, ...heads, window: shape.window },
  ]
}

const config = { source: 'its config.json, as published', date: '2026-08' }

const architectures: readonly Architecture[] = [
  {
    ...config,
    name: 'Qwen3-Coder-30B-A3B',
    match: /qwen3-(coder-)?30b-a3b/,
    layers: 48,
    hidden: 2048,
    heads: 32,
    headLength: 128,
    attention: full(48, 4, 128),
    ffn: 6144,
    experts: { count: 128, used: 8, shared: 0, ffn: 768, denseLayers: 0 },
    vocabulary: 151_936,
    tied: false,
    contextLength: 262_144,
  },
  {
    ...config,
    name: 'Qwen3-235B-A22B',
    match: /qwen3-235b-a22b/,
    layers: 94,
    hidden: 4096,
    heads: 64,
    headLength: 128,
    attention: full(94, 4, 128),
    ffn: 12_288,
    experts: { count: 128, used: 8, shared: 0, ffn: 1536, denseLayers: 0 },
    vocabulary: 151_936,
    tied: false,
    contextLength: 40_960,
  },
  {
    ...config,
    name: 'Qwen3-235B-A22B-2507',
    match: /qwen3-235b-a22b-(instruct-|thinking-)?2507/,
    layers: 94,
    hidden: 4096,
    heads: 64,
    headLength: 128,
    attention: full(94, 4, 128),
    ffn: 12_288,
    experts: { count: 128, used: 8, shared: 0, ffn: 1536, denseLayers: 0 },
    vocabulary: 151_936,
    tied: false,
    contextLength: 262_144,
  },
  {
    ...config,
    name: 'gpt-oss-20b',
    match: /gpt-oss-20b/,
    layers: 24,
    hidden: 2880,
    heads: 64,
    headLength: 64,
    attention: alternating({ full: 12, sliding: 12 }, { kvHeads: 8, length: 64, window: 128 }),
    ffn: 2880,
    experts: { count: 32, used: 4, shared: 0, ffn: 2880, denseLayers: 0 },
    vocabulary: 201_088,
    tied: false,
    contextLength: 131_072,
  },
  {
    ...config,
    name: 'gpt-oss-120b',
    match: /gpt-oss-120b/,
    layers: 36,
    hidden: 2880,
    heads: 64,
    headLength: 64,
    attention: alternating({ full: 18, sliding: 18 }, { kvHeads: 8, length: 64, window: 128 }),
    ffn: 2880,
    experts: { count: 128, used: 4, shared: 0, ffn: 2880, denseLayers: 0 },
    vocabulary: 201_088,
    tied: false,
    contextLength: 131_072,
  },
  {
    ...config,
    name: 'Llama-3.1-8B',
    match: /llama-?3(-[13])?-8b/,
    layers: 32,
    hidden: 4096,
    heads: 32,
    headLength: 128,
    attention: full(32, 8, 128),
    ffn: 14_336,
    vocabulary: 128_256,
    tied: false,
    contextLength: 131_072,
  },
  {
    ...config,
    name: 'Llama-3.1-70B',
    match: /llama-?3(-[13])?-70b/,
    layers: 80,
    hidden: 8192,
    heads: 64,
    headLength: 128,
    attention: full(80, 8, 128),
    ffn: 28_672,
    vocabulary: 128_256,
    tied: false,
    contextLength: 131_072,
  },
  {
    ...config,
    name: 'Qwen3-8B',
    match: /qwen3-8b/,
    layers: 36,
    hidden: 4096,
    heads: 32,
    headLength: 128,
    attention: full(36, 8, 128),
    ffn: 12_288,
    vocabulary: 151_936,
    tied: false,
    contextLength: 40_960,
  },
  {
    ...config,
    name: 'Qwen3-Embedding-8B',
    match: /qwen3-embedding-8b/,
    layers: 36,
    hidden: 4096,
    heads: 32,
    headLength: 128,
    attention: full(36, 8, 128),
    ffn: 12_288,
    vocabulary: 151_665,
    tied: true,
    contextLength: 40_960,
  },
  {
    ...config,
    name: 'Mistral-7B v0.3',
    match: /mistral-7b/,
    layers: 32,
    hidden: 4096,
    heads: 32,
    headLength: 128,
    attention: full(32, 8, 128),
    ffn: 14_336,
    vocabulary: 32_768,
    tied: false,
    contextLength: 32_768,
  },
  {
    ...config,
    name: 'DeepSeek-V3',
    match: /deepseek-(v3|r1)(-671b)?$|deepseek-(v3|r1)(?!-distill)/,
    layers: 61,
    hidden: 7168,
    heads: 128,
    headLength: 128,
    attention: [{ kind: 'latent', layers: 61, rank: 512, rotary: 64 }],
    ffn: 18_432,
    experts: { count: 256, used: 8, shared: 1, ffn: 2048, denseLayers: 3 },
    vocabulary: 129_280,
    tied: false,
    contextLength: 163_840,
    attentionParameters: 7168 * 1536 + 1536 * 128 * 192 + 7168 * 576 + 512 * 128 * 256 + 128 * 128 * 7168,
  },
  {
    ...config,
    name: 'Gemma-3-27B',
    match: /gemma-?3-27b/,
    layers: 62,
    hidden: 5376,
    heads: 32,
    headLength: 128,
    attention: alternating({ full: 10, sliding: 52 }, { kvHeads: 16, length: 128, window: 1024 }),
    ffn: 21_504,
    vocabulary: 262_208,
    tied: true,
    contextLength: 131_072,
    otherParameters: 420_000_000,
  },
  {
    ...config,
    name: 'Smoke 2M',
    match: /^smoke(-2m)?$/,
    layers: 4,
    hidden: 192,
    heads: 3,
    headLength: 64,
    attention: full(4, 3, 64),
    ffn: 512,
    vocabulary: 1536,
    tied: true,
    contextLength: 512,
    source: 'the weights that come with Holdfast',
    date: '2026-11',
  },
]

/** The facts of a model that one of these names tells of; `null`: none is known, and none has its size in it. */
export function knownFacts(names: readonly string[], quantisation: Quantisation): KnownFacts | null {
  for (const name of names.map(toWords)) {
    const found = architectures
      .map(architecture => ({ architecture, length: architecture.match.exec(name)?.[0].length ?? 0 }))
      .filter(({ length }) => length > 0)
      .toSorted((a, b) => b.length - a.length)[0]
    if (found === undefined) continue
    const { architecture } = found
    const source = `${architecture.name}: ${architecture.source} (${architecture.date}); ${bitsOf(quantisation).source}`
    return { ...toFacts(architecture, quantisation), model: architecture.name, source, certainty: 'published' }
  }
  for (const name of names) {
    const sizes = sizesIn(toWords(name))
    if (sizes !== null) return estimated(sizes, quantisation)
  }
  return null
}

/** A repository's owner says nothing of the model. */
const toWords = (name: string): string =>
  name
    .slice(name.indexOf('/') + 1)
    .toLowerCase()
    .replace(/[._\s]+/g, '-')

function toFacts(model: Architecture, quantisation: Quantisation): Omit<KnownFacts, 'model' | 'source' | 'certainty'> {
  const { layers, hidden, experts, vocabulary } = model
  const bits = bitsOf(quantisation)
  const end = vocabulary * hidden
  const attention =
    model.attentionParameters ?? hidden * model.headLength * (2 * model.heads + 2 * kvHeadsOf(model.attention))
  const expertsOf = (layer: number): number =>
    experts === undefined || layer < experts.denseLayers ? 0 : experts.count * 3 * hidden * experts.ffn
  const denseOf = (layer: number): number => {
    if (expertsOf(layer) === 0 || experts === undefined) return attention + 3 * hidden * model.ffn
    return attention + hidden * experts.count + experts.shared * 3 * hidden * experts.ffn
  }
  const each = Array.from({ length: layers }, (_, layer) => ({ dense: denseOf(layer), experts: expertsOf(layer) }))
  const expertTotal = each.reduce((sum, layer) => sum + layer.experts, 0)
  const denseTotal = each.reduce((sum, layer) => sum + layer.dense, 0)
  const other = model.otherParameters ?? 0
  const total = denseTotal + expertTotal + end * (model.tied ? 1 : 2) + other
  const used = experts === undefined ? 0 : (expertTotal * experts.used) / experts.count
  // MXFP4 is for experts alone; the rest was never made smaller.
  const denseBits = quantisation === 'mxfp4' && experts !== undefined ? 16 : bits.layers
  const toBytes = (count: number, width: number): number => Math.round((count * width) / 8)
  const parts = {
    embedding: toBytes(end, bits.ends),
    output: model.tied ? 0 : toBytes(end, bits.ends),
    layers: each.map(layer => ({
      dense: toBytes(layer.dense, denseBits),
      experts: toBytes(layer.experts, bits.layers),
    })),
    other: toBytes(other, bits.ends),
  }
  const bytes = parts.layers.reduce((sum, layer) => sum + layer.dense + layer.experts, 0)
  const all = bytes + parts.embedding + parts.output + parts.other
  return {
    format: isGguf(quantisation) ? 'gguf' : 'safetensors',
    architecture: model.name,
    parameters: { total, active: total - expertTotal + used },
    ...{ layers, contextLength: model.contextLength, hidden, vocabulary, heads: model.heads },
    attention: model.attention,
    experts: experts === undefined ? null : { count: experts.count, used: experts.used, shared: experts.shared },
    quantisation: { name: quantisation, bitsPerWeight: (all * 8) / total },
    bytes: all,
    parts,
  }
}

/** The same model with other weights: published where it is known, else what its own files have, by their bits. */
export function requantised(facts: KnownFacts, names: readonly string[], to: Quantisation): KnownFacts | null {
  const known = knownFacts(names, to)
  if (known?.certainty === 'published') return known
  const bits = facts.quantisation?.bitsPerWeight ?? 0
  if (bits === 0) return known
  const factor = bitsOf(to).layers / bits
  const scale = (bytes: number): number => Math.round(bytes * factor)
  return {
    ...facts,
    format: isGguf(to) ? 'gguf' : 'safetensors',
    quantisation: { name: to, bitsPerWeight: bitsOf(to).layers },
    bytes: scale(facts.bytes),
    parts:
      facts.parts === null
        ? null
        : {
            embedding: scale(facts.parts.embedding),
            output: scale(facts.parts.output),
            layers: facts.parts.layers.map(layer => ({ dense: scale(layer.dense), experts: scale(layer.experts) })),
            other: scale(facts.parts.other),
          },
    certainty: 'estimated',
    source: `${facts.source}, made smaller: ${bitsOf(to).layers} bits a weight (${bitsOf(to).source})`,
  }
}

export const isGguf = (quantisation: Quantisation): boolean => /^(i?q\d|tq\d)/.test(quantisation)

const kvHeadsOf = (attention: readonly AttentionGroup[]): number =>
  Math.max(0, ...attention.map(group => ('kvHeads' in group ? group.kvHeads : 0)))

type Sizes = { total: number; active: number | null }

/** `30b-a3b` and `7b`, and `1-5b` for 1.5 billions. */
function sizesIn(name: string): Sizes | null {
  const [, whole = '', fraction, active] = /(?:^|-)(\d{1,4})(?:-(\d))?b(?:-a(\d{1,3})b)?(?:-|$)/.exec(name) ?? []
  if (whole === '') return null
  const isDecimal = fraction !== undefined && whole.length === 1
  const total = Number(isDecimal ? `${whole}.${fraction}` : (fraction ?? whole)) * 1e9
  return total > 0 ? { total, active: active === undefined ? null : Number(active) * 1e9 } : null
}

/** Usual shapes by billions of parameters: layers, hidden size, KV heads. Generous with KV. */
const usual: readonly [billions: number, layers: number, hidden: number, kvHeads: number][] = [
  [1, 24, 1536, 4],
  [3, 28, 3072, 8],
  [8, 36, 4096, 8],
  [14, 48, 5120, 8],
  [32, 64, 5120, 8],
  [72, 80, 8192, 8],
  [130, 94, 8192, 8],
  [Number.POSITIVE_INFINITY, 126, 16_384, 8],
]

function estimated({ total, active }: Sizes, quantisation: Quantisation): KnownFacts {
  const [, layers = 32, hidden = 4096, kvHeads = 8] = usual.find(([billions]) => total / 1e9 <= billions * 1.2) ?? []
  const bits = bitsOf(quantisation)
  const bytes = Math.round((total * bits.layers) / 8)
  const size = `${total / 1e9} billion parameters`
  return {
    format: isGguf(quantisation) ? 'gguf' : 'safetensors',
    architecture: null,
    parameters: { total, active: active ?? total },
    ...{ layers, hidden, contextLength: 32_768, vocabulary: 152_000, heads: hidden / 128 },
    attention: full(layers, kvHeads, 128),
    // How many there are is not in a name; 128 of which 8 are used is usual.
    experts: active === null ? null : { count: 128, used: 8, shared: 0 },
    quantisation: { name: quantisation, bitsPerWeight: bits.layers },
    ...{ bytes, parts: null, model: size, certainty: 'estimated' },
    source: `${size} by its name; layers and KV heads as is usual for that size: an estimate`,
  }
}

/** What is published of well-known models, beside what their headers and config.json tell here. */
import { afterAll, expect, test } from 'vitest'
import { kvBytes } from '../../capacity/index.ts'
import { safetensorsHeader, tensorBytes, writeGguf, type TensorDraft } from '../../../../test/support/model-files.ts'
import { toGgufReport } from './gguf-report.ts'
import { readGguf } from './gguf.ts'
import { toHubReport } from './hub-report.ts'
import { readWhole } from './reading.ts'
import type { ModelReport } from './report.ts'
import { readSafetensors } from './safetensors.ts'

type Config = Record<string, unknown>
type Row = {
  model: string
  config: Config
  tensors: TensorDraft[]
  /** In billions, as published. */
  total: number
  active: number
  kv: { bytesPerToken: number; bytesPerSequence: number }
  /** Of all files, in GB, where it is published. */
  gigabytes?: number
}

const rows: Row[] = []
const errors: string[] = []
afterAll(() => console.log(['model: fact, published, here, error', ...errors].join('\n')))

const MiB = 1024 * 1024
const mostError = 0.05

type Llama = {
  layers: number
  hidden: number
  heads: number
  kvHeads: number
  headDim: number
  ffn: number
  vocab: number
  norms?: boolean
  experts?: { count: number; used: number; ffn: number }
}

/** Names and shapes as Llama, Mistral and Qwen3 have them. */
function llama(shape: Llama, config: Config, tied = false): { config: Config; tensors: TensorDraft[] } {
  const { layers, hidden, heads, kvHeads, headDim, ffn, vocab, norms = false, experts } = shape
  const bf16 = (name: string, ...lengths: number[]): TensorDraft => ({ name, type: 'BF16', shape: lengths })
  const mlp = (at: string, wide: number): TensorDraft[] => [
    bf16(`${at}.gate_proj.weight`, wide, hidden),
    bf16(`${at}.up_proj.weight`, wide, hidden),
    bf16(`${at}.down_proj.weight`, hidden, wide),
  ]
  const layer = (at: string): TensorDraft[] => [
    bf16(`${at}.self_attn.q_proj.weight`, heads * headDim, hidden),
    bf16(`${at}.self_attn.k_proj.weight`, kvHeads * headDim, hidden),
    bf16(`${at}.self_attn.v_proj.weight`, kvHeads * headDim, hidden),
    bf16(`${at}.self_attn.o_proj.weight`, hidden, heads * headDim),
    ...(norms ? [bf16(`${at}.self_attn.q_norm.weight`, headDim), bf16(`${at}.self_attn.k_norm.weight`, headDim)] : []),
    bf16(`${at}.input_layernorm.weight`, hidden),
    bf16(`${at}.post_attention_layernorm.weight`, hidden),
    ...(experts === undefined
      ? mlp(`${at}.mlp`, ffn)
      : [
          bf16(`${at}.mlp.gate.weight`, experts.count, hidden),
          ...Array.from({ length: experts.count }, (_, i) => mlp(`${at}.mlp.experts.${i}`, experts.ffn)).flat(),
        ]),
  ]
  return {
    config: {
      num_hidden_layers: layers,
      hidden_size: hidden,
      num_attention_heads: heads,
      num_key_value_heads: kvHeads,
      head_dim: headDim,
      vocab_size: vocab,
      ...(experts === undefined ? {} : { num_experts: experts.count, num_experts_per_tok: experts.used }),
      ...config,
    },
    tensors: [
      bf16('model.embed_tokens.weight', vocab, hidden),
      ...Array.from({ length: layers }, (_, i) => layer(`model.layers.${i}`)).flat(),
      bf16('model.norm.weight', hidden),
      ...(tied ? [] : [bf16('lm_head.weight', vocab, hidden)]),
    ],
  }
}

rows.push(
  {
    model: 'Qwen3-Coder-30B-A3B',
    ...llama(
      {
        layers: 48,
        hidden: 2048,
        heads: 32,
        kvHeads: 4,
        headDim: 128,
        ffn: 0,
        vocab: 151_936,
        norms: true,
        experts: { count: 128, used: 8, ffn: 768 },
      },
      {
        model_type: 'qwen3_moe',
        architectures: ['Qwen3MoeForCausalLM'],
        max_position_embeddings: 262_144,
        use_sliding_window: false,
        sliding_window: null,
      },
    ),
    total: 30.5,
    active: 3.3,
    kv: { bytesPerToken: 98_304, bytesPerSequence: 0 },
    gigabytes: 61,
  },
  {
    model: 'Qwen3-235B-A22B',
    ...llama(
      {
        layers: 94,
        hidden: 4096,
        heads: 64,
        kvHeads: 4,
        headDim: 128,
        ffn: 0,
        vocab: 151_936,
        norms: true,
        experts: { count: 128, used: 8, ffn: 1536 },
      },
      { model_type: 'qwen3_moe', architectures: ['Qwen3MoeForCausalLM'], max_position_embeddings: 40_960 },
    ),
    total: 235,
    active: 22,
    kv: { bytesPerToken: 192_512, bytesPerSequence: 0 },
    gigabytes: 470,
  },
  {
    model: 'Llama-3.1-8B',
    ...llama(
      { layers: 32, hidden: 4096, heads: 32, kvHeads: 8, headDim: 128, ffn: 14_336, vocab: 128_256 },
      { model_type: 'llama', architectures: ['LlamaForCausalLM'], max_position_embeddings: 131_072 },
    ),
    total: 8.03,
    active: 8.03,
    kv: { bytesPerToken: 131_072, bytesPerSequence: 0 },
    gigabytes: 16.1,
  },
  {
    model: 'Llama-3.1-70B',
    ...llama(
      { layers: 80, hidden: 8192, heads: 64, kvHeads: 8, headDim: 128, ffn: 28_672, vocab: 128_256 },
      { model_type: 'llama', architectures: ['LlamaForCausalLM'], max_position_embeddings: 131_072 },
    ),
    total: 70.6,
    active: 70.6,
    kv: { bytesPerToken: 327_680, bytesPerSequence: 0 },
    gigabytes: 141,
  },
  {
    model: 'Qwen3-8B',
    ...llama(
      { layers: 36, hidden: 4096, heads: 32, kvHeads: 8, headDim: 128, ffn: 12_288, vocab: 151_936, norms: true },
      {
        model_type: 'qwen3',
        architectures: ['Qwen3ForCausalLM'],
        max_position_embeddings: 40_960,
        use_sliding_window: false,
      },
    ),
    total: 8.2,
    active: 8.2,
    kv: { bytesPerToken: 147_456, bytesPerSequence: 0 },
    gigabytes: 16.4,
  },
  {
    model: 'Qwen3-Embedding-8B',
    ...llama(
      { layers: 36, hidden: 4096, heads: 32, kvHeads: 8, headDim: 128, ffn: 12_288, vocab: 151_665, norms: true },
      { model_type: 'qwen3', architectures: ['Qwen3ForCausalLM'], max_position_embeddings: 40_960 },
      true,
    ),
    total: 7.6,
    active: 7.6,
    kv: { bytesPerToken: 147_456, bytesPerSequence: 0 },
  },
  {
    model: 'Mistral-7B v0.3',
    ...llama(
      { layers: 32, hidden: 4096, heads: 32, kvHeads: 8, headDim: 128, ffn: 14_336, vocab: 32_768 },
      {
        model_type: 'mistral',
        architectures: ['MistralForCausalLM'],
        max_position_embeddings: 32_768,
        sliding_window: null,
      },
    ),
    total: 7.25,
    active: 7.25,
    kv: { bytesPerToken: 131_072, bytesPerSequence: 0 },
    gigabytes: 14.5,
  },
  gptOss({
    model: 'gpt-oss-20b',
    layers: 24,
    experts: 32,
    total: 20.9,
    active: 3.6,
    kv: { bytesPerToken: 24_576, bytesPerSequence: 3 * MiB },
    gigabytes: 13.8,
  }),
  gptOss({
    model: 'gpt-oss-120b',
    layers: 36,
    experts: 128,
    total: 116.8,
    active: 5.1,
    kv: { bytesPerToken: 36_864, bytesPerSequence: 4.5 * MiB },
    gigabytes: 65.3,
  }),
  gemma3(),
  deepSeekV3(),
)

/** Experts are stored as blocks of 4-bit values and their scales. */
function gptOss({
  layers,
  experts,
  ...published
}: { layers: number; experts: number } & Omit<Row, 'config' | 'tensors'>): Row {
  const [hidden, ffn, heads, kvHeads, headDim, vocab] = [2880, 2880, 64, 8, 64, 201_088]
  const bf16 = (name: string, ...shape: number[]): TensorDraft => ({ name, type: 'BF16', shape })
  const packed = (name: string, rows: number): TensorDraft[] => [
    { name: `${name}_blocks`, type: 'U8', shape: [experts, rows, hidden / 32, 16] },
    { name: `${name}_scales`, type: 'U8', shape: [experts, rows, hidden / 32] },
    bf16(`${name}_bias`, experts, rows),
  ]
  const layer = (at: string): TensorDraft[] => [
    ...(['q', 'k', 'v'] as const).flatMap(each => {
      const wide = (each === 'q' ? heads : kvHeads) * headDim
      return [
        bf16(`${at}.self_attn.${each}_proj.weight`, wide, hidden),
        bf16(`${at}.self_attn.${each}_proj.bias`, wide),
      ]
    }),
    bf16(`${at}.self_attn.o_proj.weight`, hidden, heads * headDim),
    bf16(`${at}.self_attn.o_proj.bias`, hidden),
    bf16(`${at}.self_attn.sinks`, heads),
    bf16(`${at}.mlp.router.weight`, experts, hidden),
    bf16(`${at}.mlp.router.bias`, experts),
    ...packed(`${at}.mlp.experts.gate_up_proj`, 2 * ffn),
    ...packed(`${at}.mlp.experts.down_proj`, hidden),
  ]
  return {
    ...published,
    config: {
      model_type: 'gpt_oss',
      architectures: ['GptOssForCausalLM'],
      num_hidden_layers: layers,
      hidden_size: hidden,
      num_attention_heads: heads,
      num_key_value_heads: kvHeads,
      head_dim: headDim,
      num_local_experts: experts,
      num_experts_per_tok: 4,
      sliding_window: 128,
      layer_types: Array.from({ length: layers }, (_, i) => (i % 2 === 0 ? 'sliding_attention' : 'full_attention')),
      vocab_size: vocab,
      max_position_embeddings: 131_072,
      quantization_config: { quant_method: 'mxfp4' },
    },
    tensors: [
      bf16('model.embed_tokens.weight', vocab, hidden),
      ...Array.from({ length: layers }, (_, i) => layer(`model.layers.${i}`)).flat(),
      bf16('lm_head.weight', vocab, hidden),
    ],
  }
}

/** Its text under `language_model`, a SigLIP tower of 0.4 B beside it; config.json has no `layer_types`. */
function gemma3(): Row {
  const { config, tensors } = llama(
    { layers: 62, hidden: 5376, heads: 32, kvHeads: 16, headDim: 128, ffn: 21_504, vocab: 262_208, norms: true },
    { model_type: 'gemma3_text', sliding_window: 1024, max_position_embeddings: 131_072 },
    true,
  )
  const tower = Array.from({ length: 27 }, (_, i) => `vision_tower.vision_model.encoder.layers.${i}`).flatMap(
    (at): TensorDraft[] => [
      ...['q', 'k', 'v', 'out'].map((each): TensorDraft => ({
        name: `${at}.self_attn.${each}_proj.weight`,
        type: 'BF16',
        shape: [1152, 1152],
      })),
      { name: `${at}.mlp.fc1.weight`, type: 'BF16', shape: [4304, 1152] },
      { name: `${at}.mlp.fc2.weight`, type: 'BF16', shape: [1152, 4304] },
    ],
  )
  return {
    model: 'Gemma-3-27B',
    config: {
      model_type: 'gemma3',
      architectures: ['Gemma3ForConditionalGeneration'],
      text_config: config,
      vision_config: { num_hidden_layers: 27 },
    },
    tensors: [...tensors.map(each => ({ ...each, name: `language_model.${each.name}` })), ...tower],
    total: 27.4,
    active: 27.4,
    kv: { bytesPerToken: 81_920, bytesPerSequence: 416 * MiB },
    gigabytes: 54.8,
  }
}

/** FP8 with a scale for every 128 × 128; three dense layers; what predicts the token after the next is layer 61. */
function deepSeekV3(): Row {
  const [hidden, heads, rank, queryRank, rotary, nope, value, vocab, moe] = [
    7168, 128, 512, 1536, 64, 128, 128, 129_280, 2048,
  ]
  const bf16 = (name: string, ...shape: number[]): TensorDraft => ({ name, type: 'BF16', shape })
  const fp8 = (name: string, rows: number, columns: number): TensorDraft[] => [
    { name: `${name}.weight`, type: 'F8_E4M3', shape: [rows, columns] },
    { name: `${name}.weight_scale_inv`, type: 'F32', shape: [Math.ceil(rows / 128), Math.ceil(columns / 128)] },
  ]
  const mlp = (at: string, wide: number): TensorDraft[] => [
    ...fp8(`${at}.gate_proj`, wide, hidden),
    ...fp8(`${at}.up_proj`, wide, hidden),
    ...fp8(`${at}.down_proj`, hidden, wide),
  ]
  const layer = (at: string, dense: boolean): TensorDraft[] => [
    ...fp8(`${at}.self_attn.q_a_proj`, queryRank, hidden),
    ...fp8(`${at}.self_attn.q_b_proj`, heads * (nope + rotary), queryRank),
    ...fp8(`${at}.self_attn.kv_a_proj_with_mqa`, rank + rotary, hidden),
    ...fp8(`${at}.self_attn.kv_b_proj`, heads * (nope + value), rank),
    ...fp8(`${at}.self_attn.o_proj`, hidden, heads * value),
    ...(dense
      ? mlp(`${at}.mlp`, 18_432)
      : [
          bf16(`${at}.mlp.gate.weight`, 256, hidden),
          ...mlp(`${at}.mlp.shared_experts`, moe),
          ...Array.from({ length: 256 }, (_, i) => mlp(`${at}.mlp.experts.${i}`, moe)).flat(),
        ]),
  ]
  return {
    model: 'DeepSeek-V3',
    config: {
      model_type: 'deepseek_v3',
      architectures: ['DeepseekV3ForCausalLM'],
      num_hidden_layers: 61,
      hidden_size: hidden,
      num_attention_heads: heads,
      num_key_value_heads: heads,
      kv_lora_rank: rank,
      qk_rope_head_dim: rotary,
      v_head_dim: value,
      n_routed_experts: 256,
      n_shared_experts: 1,
      num_experts_per_tok: 8,
      vocab_size: vocab,
      max_position_embeddings: 163_840,
      quantization_config: { quant_method: 'fp8', fmt: 'e4m3', weight_block_size: [128, 128] },
    },
    tensors: [
      bf16('model.embed_tokens.weight', vocab, hidden),
      ...Array.from({ length: 61 }, (_, i) => layer(`model.layers.${i}`, i < 3)).flat(),
      ...layer('model.layers.61', false),
      ...fp8('model.layers.61.eh_proj', hidden, 2 * hidden),
      bf16('model.layers.61.embed_tokens.weight', vocab, hidden),
      bf16('model.layers.61.shared_head.head.weight', vocab, hidden),
      bf16('lm_head.weight', vocab, hidden),
    ],
    total: 671,
    active: 37,
    kv: { bytesPerToken: 70_272, bytesPerSequence: 0 },
    gigabytes: 689,
  }
}

test.each(rows)('$model: parameters, KV cache and size are those that are published', row => {
  const { header, bytes } = safetensorsHeader(row.tensors)
  const { tensors } = readWhole(readSafetensors(bytes), header)
  const report: ModelReport = toHubReport(
    { format: 'safetensors', formatDetail: 'safetensors', tensors, bytes },
    { config: row.config, quantisation: null, tokenizer: null, template: null, readme: null },
  )
  const { total = 0, active = 0 } = report.parameters ?? {}
  compare(row.model, 'parameters', { published: row.total * 1e9, here: total })
  compare(row.model, 'active parameters', { published: row.active * 1e9, here: active })
  const kv = kvBytes(report.attention, { keyType: 'bf16', valueType: 'bf16' })
  compare(row.model, 'KV bytes a token', { published: row.kv.bytesPerToken, here: kv.bytesPerToken })
  expect(kv).toEqual(row.kv)
  if (row.gigabytes !== undefined) compare(row.model, 'bytes', { published: row.gigabytes * 1e9, here: report.bytes })

  const { parts } = report
  const inLayers = parts?.layers.reduce((sum, layer) => sum + layer.dense + layer.experts, 0) ?? 0
  expect(inLayers + (parts?.embedding ?? 0) + (parts?.output ?? 0) + (parts?.other ?? 0)).toBe(
    row.tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0),
  )
  expect(report.attention.reduce((sum, group) => sum + group.layers, 0)).toBe(report.layers)
})

// llama.cpp's tools/quantize/README.md: bits per weight and GiB of Llama-3.1-8B.
const recipes = [
  { name: 'q4-k-m', fileType: 15, usual: 12, better: 14, output: 14, bits: 4.89, gibibytes: 4.58 },
  { name: 'q5-k-m', fileType: 17, usual: 13, better: 14, output: 14, bits: 5.7, gibibytes: 5.33 },
  { name: 'q6-k', fileType: 18, usual: 14, better: 14, output: 14, bits: 6.56, gibibytes: 6.14 },
  { name: 'q8-0', fileType: 7, usual: 8, better: 8, output: 8, bits: 8.5, gibibytes: 7.95 },
  { name: 'fp16', fileType: 1, usual: 1, better: 1, output: 1, bits: 16, gibibytes: 14.96 },
]
const blockBits = new Map([
  [0, 32],
  [1, 16],
  [8, 8.5],
  [12, 4.5],
  [13, 5.5],
  [14, 6.5625],
])

test.each(recipes)(
  'Llama-3.1-8B in $name: bits per weight and size are those that llama.cpp tells',
  ({ name, fileType, usual, better, output, bits, gibibytes }) => {
    const tensor = (at: string, type: number, ...shape: number[]) => {
      const values = shape.reduce((product, length) => product * length, 1)
      return { name: at, shape, type, bytes: (values * (blockBits.get(type) ?? 0)) / 8 }
    }
    // The first and last eighth of the layers, and every third between, get more bits for values and the way down.
    const moreBits = (i: number): boolean => i < 4 || i >= 28 || (i - 4) % 3 === 2
    const layers = Array.from({ length: 32 }, (_, i) => [
      tensor(`blk.${i}.attn_q.weight`, usual, 4096, 4096),
      tensor(`blk.${i}.attn_k.weight`, usual, 4096, 1024),
      tensor(`blk.${i}.attn_v.weight`, moreBits(i) ? better : usual, 4096, 1024),
      tensor(`blk.${i}.attn_output.weight`, usual, 4096, 4096),
      tensor(`blk.${i}.ffn_gate.weight`, usual, 4096, 14_336),
      tensor(`blk.${i}.ffn_up.weight`, usual, 4096, 14_336),
      tensor(`blk.${i}.ffn_down.weight`, moreBits(i) ? better : usual, 14_336, 4096),
      tensor(`blk.${i}.attn_norm.weight`, 0, 4096),
      tensor(`blk.${i}.ffn_norm.weight`, 0, 4096),
    ]).flat()
    const file = writeGguf({
      data: false,
      metadata: {
        'general.architecture': 'llama',
        'general.file_type': fileType,
        'llama.block_count': 32,
        'llama.embedding_length': 4096,
        'llama.attention.head_count': 32,
        'llama.attention.head_count_kv': 8,
        'llama.context_length': 131_072,
      },
      tensors: [
        tensor('token_embd.weight', usual, 4096, 128_256),
        ...layers,
        tensor('output.weight', output, 4096, 128_256),
      ],
    })
    const report = toGgufReport([readWhole(readGguf(Infinity), file)], 0)
    const bytes = report.tensorTypes.reduce((sum, type) => sum + type.bytes, 0)
    expect(report.quantisation?.name).toBe(name)
    expect(report.attention).toEqual([{ kind: 'full', layers: 32, kvHeads: 8, keyLength: 128, valueLength: 128 }])
    compare(`Llama-3.1-8B ${name}`, 'bits per weight', {
      published: bits,
      here: report.quantisation?.bitsPerWeight ?? 0,
    })
    compare(`Llama-3.1-8B ${name}`, 'bytes', { published: gibibytes * 1024 * MiB, here: bytes })
  },
)

function compare(model: string, fact: string, { published, here }: { published: number; here: number }): void {
  const error = here / published - 1
  errors.push(`${model}: ${fact}, ${published}, ${Math.round(here * 1000) / 1000}, ${(error * 100).toFixed(2)} %`)
  expect(Math.abs(error), `${model}: ${fact}`).toBeLessThan(mostError)
}

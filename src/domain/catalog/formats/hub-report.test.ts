import { describe, expect, test } from 'vitest'
import { readChatTemplate } from './chat-template.ts'
import { judgeEngines } from './engines.ts'
import { toHubReport } from './hub-report.ts'
import type { StoredTensor } from './safetensors.ts'

type Config = Record<string, unknown>

const tensor = (name: string, type: string, shape: number[], bits = 16): StoredTensor => {
  const values = shape.reduce((product, length) => product * length, 1)
  return { name, type, shape, values, bytes: (values * bits) / 8 }
}

const reportOf = (config: Config | null, tensors: StoredTensor[] = [], more: object = {}) =>
  toHubReport(
    { format: 'safetensors', formatDetail: '', tensors, bytes: 0 },
    { config, quantisation: null, tokenizer: null, template: null, readme: null, ...more },
  )

const shape = { num_hidden_layers: 8, hidden_size: 64, num_attention_heads: 4, num_key_value_heads: 2 }
const heads = { kvHeads: 2, keyLength: 16, valueLength: 16 }
const full = (layers: number, more: object = {}) => ({ kind: 'full', layers, ...heads, ...more })
const sliding = (layers: number, window: number) => ({ kind: 'sliding', layers, ...heads, window })

describe('F8 attention from config.json', () => {
  test.each<[string, Config, object[]]>([
    ['heads and their length are derived where nothing else is told', { model_type: 'llama' }, [full(8)]],
    [
      'a length that is told goes first',
      { model_type: 'qwen3', head_dim: 128 },
      [full(8, { keyLength: 128, valueLength: 128 })],
    ],
    ['gemma2 slides every other layer', { model_type: 'gemma2', sliding_window: 4096 }, [sliding(4, 4096), full(4)]],
    [
      'gemma3 slides five of six',
      { model_type: 'gemma3', text_config: { ...shape, model_type: 'gemma3_text', sliding_window: 512 } },
      [sliding(7, 512), full(1)],
    ],
    [
      'llama4 looks at pieces in three of four',
      { model_type: 'llama4_text', attention_chunk_size: 8192 },
      [sliding(6, 8192), full(2)],
    ],
    [
      'cohere2 slides three of four',
      { model_type: 'cohere2', sliding_window: 4096, sliding_window_pattern: 4 },
      [sliding(6, 4096), full(2)],
    ],
    [
      'exaone4 spells its pattern',
      { model_type: 'exaone4', sliding_window: 4096, sliding_window_pattern: 'LLLG' },
      [sliding(6, 4096), full(2)],
    ],
    ['Mistral v0.1 slides everywhere', { model_type: 'mistral', sliding_window: 4096 }, [sliding(8, 4096)]],
    ['Mistral v0.2 nowhere', { model_type: 'mistral', sliding_window: null }, [full(8)]],
    [
      'Qwen2 has a window that is switched off',
      { model_type: 'qwen2', sliding_window: 4096, use_sliding_window: false, max_window_layers: 4 },
      [full(8)],
    ],
    [
      'and slides behind the first layers when it is on',
      { model_type: 'qwen2', sliding_window: 4096, use_sliding_window: true, max_window_layers: 6 },
      [full(6), sliding(2, 4096)],
    ],
    [
      'gemma3n shares what its last layers would keep',
      { model_type: 'gemma3n_text', sliding_window: 512, num_kv_shared_layers: 4 },
      [sliding(4, 512), { kind: 'state', layers: 4, bytesPerSequence: 0 }],
    ],
    [
      'DeepSeek keeps one vector',
      { model_type: 'deepseek_v3', kv_lora_rank: 512, qk_rope_head_dim: 64 },
      [{ kind: 'latent', layers: 8, rank: 512, rotary: 64 }],
    ],
    [
      'falcon has one head of keys',
      { model_type: 'falcon', num_key_value_heads: undefined, multi_query: true },
      [full(8, { kvHeads: 1 })],
    ],
  ])('%s', (_, config, attention) => expect(reportOf({ ...shape, ...config }).attention).toEqual(attention))

  test('layer_types go before all else', () => {
    const types = ['sliding_attention', 'full_attention', 'sliding_attention', 'full_attention']
    const found = reportOf({
      ...shape,
      model_type: 'gemma3_text',
      num_hidden_layers: 4,
      sliding_window: 128,
      layer_types: types,
    })
    expect(found.attention).toEqual([sliding(2, 128), full(2)])
  })

  test('Qwen3-Next: three of four layers keep a state', () => {
    const found = reportOf({
      ...shape,
      model_type: 'qwen3_next',
      num_hidden_layers: 48,
      full_attention_interval: 4,
      linear_num_key_heads: 16,
      linear_key_head_dim: 128,
      linear_num_value_heads: 32,
      linear_value_head_dim: 128,
      linear_conv_kernel_dim: 4,
    })
    const bytesPerSequence = (32 * 128 * 128 + 3 * (2 * 16 * 128 + 32 * 128)) * 4
    expect(found.attention).toEqual([{ kind: 'state', layers: 36, bytesPerSequence }, full(12)])
  })

  test('Jamba, Nemotron-H and Mamba tell by other means which layers attend', () => {
    const mamba = { mamba_d_state: 16, mamba_d_conv: 4, mamba_expand: 2 }
    const layers = (config: Config): [string, number][] =>
      reportOf({ ...shape, ...config }).attention.map(group => [group.kind, group.layers])
    expect(layers({ model_type: 'jamba', attn_layer_period: 8, attn_layer_offset: 4, ...mamba })).toEqual([
      ['state', 7],
      ['full', 1],
    ])
    expect(
      layers({
        model_type: 'nemotron_h',
        hybrid_override_pattern: 'M-M*-M-M',
        mamba_num_heads: 8,
        mamba_head_dim: 8,
        n_groups: 1,
        ssm_state_size: 16,
      }),
    ).toEqual([
      ['state', 4],
      ['state', 3],
      ['full', 1],
    ])
    expect(layers({ model_type: 'mamba', state_size: 16, num_attention_heads: undefined })).toEqual([['state', 8]])
  })

  test('Falcon-H1 has both in every layer, and the report says what is counted', () => {
    const found = reportOf({ ...shape, model_type: 'falcon_h1', mamba_d_ssm: 128 })
    expect(found.attention).toEqual([full(8)])
    expect(found.notes.join()).toContain('without the state')
  })

  test('what nobody tells is told as unknown', () => {
    const window = reportOf({ ...shape, model_type: 'newcomer', sliding_window: 100 })
    expect(window.attention).toEqual([full(8)])
    expect(window.notes.join()).toContain('does not tell for which layers')
    const headless = reportOf({ model_type: 'newcomer', num_hidden_layers: 3 })
    expect(headless.attention).toEqual([])
    expect(headless.notes.join()).toContain('is not known')
    expect(reportOf({ ...shape, num_hidden_layers: 1e9 }).attention).toEqual([])
  })
})

describe('F6, F9 packed weights count as what they stand for', () => {
  const packed = (quantization_config: Config, tensors: StoredTensor[]) =>
    reportOf({ ...shape, quantization_config }, tensors)
  // A layer of 256 × 512 in groups of 128.
  test.each<[string, Config, StoredTensor[], string]>([
    [
      'AWQ',
      { quant_method: 'awq', bits: 4 },
      [
        tensor('l.qweight', 'I32', [256, 64], 32),
        tensor('l.qzeros', 'I32', [2, 64], 32),
        tensor('l.scales', 'F16', [2, 512]),
      ],
      'awq',
    ],
    [
      'GPTQ in 8 bits',
      { quant_method: 'gptq', bits: 8 },
      [
        tensor('l.qweight', 'I32', [64, 512], 32),
        tensor('l.g_idx', 'I32', [256], 32),
        tensor('l.scales', 'F16', [2, 512]),
      ],
      'gptq',
    ],
    [
      'FP8 in blocks',
      { quant_method: 'fp8' },
      [tensor('l.weight', 'F8_E4M3', [256, 512], 8), tensor('l.weight_scale_inv', 'F32', [2, 4], 32)],
      'fp8',
    ],
    [
      'bitsandbytes NF4',
      { quant_method: 'bitsandbytes', load_in_4bit: true, bnb_4bit_quant_type: 'nf4' },
      [
        tensor('l.weight', 'U8', [65_536, 1], 8),
        tensor('l.weight.absmax', 'U8', [2048], 8),
        tensor('l.weight.quant_state.bitsandbytes__nf4', 'U8', [80], 8),
      ],
      'nf4',
    ],
    [
      'bitsandbytes in 8 bits',
      { quant_method: 'bitsandbytes', load_in_8bit: true },
      [tensor('l.weight', 'I8', [256, 512], 8), tensor('l.SCB', 'F32', [256], 32)],
      'int8',
    ],
    [
      'NVFP4 of llm-compressor',
      { quant_method: 'compressed-tensors', format: 'nvfp4-pack-quantized' },
      [
        tensor('l.weight_packed', 'U8', [256, 256], 8),
        tensor('l.weight_scale', 'F8_E4M3', [256, 32], 8),
        tensor('l.weight_global_scale', 'F32', [1], 32),
      ],
      'nvfp4',
    ],
    [
      'four-bit integers of llm-compressor',
      {
        quant_method: 'compressed-tensors',
        format: 'pack-quantized',
        config_groups: { group_0: { weights: { num_bits: 4, type: 'int' } } },
      },
      [
        tensor('l.weight_packed', 'I32', [256, 64], 32),
        tensor('l.weight_scale', 'BF16', [256, 4]),
        tensor('l.weight_shape', 'I64', [2], 64),
      ],
      'int4',
    ],
    [
      'NVFP4 of ModelOpt',
      { quant_method: 'modelopt', quant_algo: 'NVFP4' },
      [
        tensor('l.weight', 'U8', [256, 256], 8),
        tensor('l.weight_scale', 'F8_E4M3', [256, 32], 8),
        tensor('l.weight_scale_2', 'F32', [1], 32),
        tensor('l.input_scale', 'F32', [1], 32),
      ],
      'nvfp4',
    ],
    [
      'MXFP4',
      { quant_method: 'mxfp4' },
      [
        tensor('experts.down_proj_blocks', 'U8', [1, 256, 16, 16], 8),
        tensor('experts.down_proj_scales', 'U8', [1, 256, 16], 8),
      ],
      'mxfp4',
    ],
  ])('%s', (_, config, tensors, name) => {
    const found = packed(config, tensors)
    expect(found.parameters?.total).toBe(256 * 512)
    expect(found.quantisation?.name).toBe(name)
    const bytes = tensors.reduce((sum, each) => sum + each.bytes, 0)
    expect(found.quantisation?.bitsPerWeight).toBe((bytes * 8) / (256 * 512))
  })

  test('what ModelOpt writes beside config.json counts, too; a scale of an unquantised model is its own', () => {
    const beside = reportOf(shape, [tensor('l.weight', 'F8_E4M3', [4, 4], 8)], {
      quantisation: { quantization: { quant_algo: 'FP8' } },
    })
    expect(beside.quantisationMethod).toBe('modelopt')
    expect(reportOf(shape, [tensor('l.layer_scale', 'BF16', [4])])).toMatchObject({
      parameters: { total: 4 },
      quantisation: { name: 'bf16' },
    })
  })
})

test('licence and tokenizer come from the files beside the weights', () => {
  const readme = '---\nlicense: other\nlicense_name: "llama3.1"\n---\n# A model\nlicense: mit'
  expect(
    reportOf({ ...shape, vocab_size: 100 }, [], { readme, tokenizer: { tokenizer_class: 'Qwen2Tokenizer' } }),
  ).toMatchObject({
    licence: 'llama3.1',
    tokenizer: { kind: 'Qwen2Tokenizer', vocabulary: 100 },
  })
  expect(reportOf(shape, [], { readme: 'license: mit' }).licence).toBe(null)
})

describe('F10 what a chat template can say', () => {
  const read = (text: string) => readChatTemplate(new Map([['default', text]]))
  const chatMl =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] }}{% endfor %}"

  test('ChatML writes out whatever role there is, and knows no tools', () => {
    expect(read(chatMl)).toMatchObject({ system: true, tools: false, thinking: false })
  })
  test('one that refuses a system message has none', () => {
    const gemma =
      "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    expect(read(gemma + chatMl)).toMatchObject({ system: false })
  })
  test('tools count in code, not in comments or plain text', () => {
    expect(read(`{%- if tools %}{{ tools | tojson }}{% endif %}${chatMl}`)).toMatchObject({ tools: true })
    expect(read(`{# tools are for others #}Use no tools!${chatMl}`)).toMatchObject({ tools: false })
  })
  test('a template of its own for tools counts', () => {
    const both = readChatTemplate(
      new Map([
        ['default', chatMl],
        ['tool_use', '{{ tools }}'],
      ]),
    )
    expect(both).toMatchObject({ tools: true, names: ['default', 'tool_use'] })
  })
  test('thinking', () =>
    expect(read(`${chatMl}{% if enable_thinking %}<think>{% endif %}`)).toMatchObject({ thinking: true }))
  test('none, and one without an end', () => {
    expect(readChatTemplate(new Map())).toBe(null)
    expect(read('{% if tools')).toMatchObject({ tools: false })
    expect(read('{{'.repeat(400_000))).toMatchObject({ system: false })
  })
})

describe('F11 engines', () => {
  const usual = {
    quantisationMethod: null,
    hasConfig: true,
    files: 1,
    bigEndian: false,
    torchScript: false,
    builtForTensorRtLlm: false,
  }
  const qwen = { ...reportOf({ ...shape, model_type: 'qwen3', architectures: ['Qwen3ForCausalLM'] }) }
  const takers = (report: object, more: object = {}): string[] =>
    judgeEngines({ report: { ...qwen, ...report }, ...usual, ...more }).flatMap(({ engine, ok }) =>
      ok ? [engine] : [],
    )

  test.each<[string, object, object, string[]]>([
    ['safetensors of a known class', {}, {}, ['vllm', 'sglang', 'tgi', 'tensorrt-llm', 'triton']],
    ['the same without config.json', {}, { hasConfig: false }, []],
    ['AWQ', {}, { quantisationMethod: 'awq' }, ['vllm', 'sglang', 'tgi', 'triton']],
    ['MXFP4', {}, { quantisationMethod: 'mxfp4' }, ['vllm', 'sglang', 'tensorrt-llm', 'triton']],
    ['a class that nobody knows', { modelClass: 'NewcomerForCausalLM' }, {}, []],
    [
      'Llama for Ollama',
      { modelClass: 'LlamaForCausalLM' },
      {},
      ['ollama', 'vllm', 'sglang', 'tgi', 'tensorrt-llm', 'triton'],
    ],
    ['GGUF', { format: 'gguf', architecture: 'qwen3' }, {}, ['llama-cpp', 'embedded', 'ollama', 'vllm', 'sglang']],
    ['GGUF in parts', { format: 'gguf', architecture: 'qwen3' }, { files: 3 }, ['llama-cpp', 'embedded']],
    [
      'GGUF of an architecture that transformers does not read',
      { format: 'gguf', architecture: 'gpt-oss' },
      {},
      ['llama-cpp', 'embedded', 'ollama'],
    ],
    ['GGUF for other machines', { format: 'gguf', architecture: 'qwen3' }, { bigEndian: true }, []],
    ['ONNX', { format: 'onnx' }, {}, ['triton']],
    ['a SavedModel', { format: 'tensorflow' }, {}, ['triton']],
    ['a plain TensorRT engine', { format: 'tensorrt' }, {}, ['triton']],
    ['one of TensorRT-LLM', { format: 'tensorrt' }, { builtForTensorRtLlm: true }, ['tensorrt-llm', 'triton']],
    ['a harmless pickle', { format: 'pytorch', pickle: { imports: [], calls: [] } }, {}, ['vllm', 'sglang', 'tgi']],
    [
      'a pickle that runs code',
      { format: 'pytorch', pickle: { imports: [{ name: 'os.system', times: 1, verdict: 'refused' }], calls: [] } },
      {},
      [],
    ],
    ['TorchScript', { format: 'pytorch', modelClass: null }, { torchScript: true }, ['triton']],
  ])('%s', (_, report, more, engines) => expect(takers(report, more)).toEqual(engines))

  test('each has a reason', () => {
    for (const format of ['gguf', 'safetensors', 'pytorch', 'onnx', 'tensorflow', 'tensorrt'] as const)
      for (const { why } of judgeEngines({ report: { ...qwen, format }, ...usual }))
        expect(why.length).toBeGreaterThan(10)
  })
})

import { describe, expect, test } from 'vitest'
import { ArtifactError } from '../domain/catalog/index.ts'
import {
  safetensorsHeader,
  stateDict,
  torchArchive,
  writeBundle,
  writeGguf,
  writeOnnx,
  writeSafetensors,
  writeSavedModel,
  type TensorDraft,
} from '../../test/support/model-files.ts'
import { inspectModel, type Inspection } from './inspect-model.ts'
import type { ModelPlace } from './inspect-ports.ts'

type Files = Record<string, Buffer>
type Behaviour = { file?: string | null; listed?: boolean; failures?: ArtifactError[] }

/** A place in memory; counts what is read, and what stays open. */
function openPlace(files: Files, { file = null, listed = true, failures = [] }: Behaviour = {}) {
  const seen = { opened: [] as string[], open: 0, readBytes: 0 }
  const place: ModelPlace = {
    name: 'memory',
    file,
    list: async () => (listed ? Object.entries(files).map(([path, bytes]) => ({ path, bytes: bytes.length })) : null),
    async open(path) {
      const bytes = files[path]
      if (bytes === undefined) return null
      seen.opened.push(path)
      seen.open++
      return {
        bytes: bytes.length,
        async read(at, count) {
          const failure = failures.shift()
          if (failure !== undefined) throw failure
          const read = bytes.subarray(at, at + count)
          seen.readBytes += read.length
          return read
        },
        async close() {
          seen.open--
        },
      }
    },
  }
  return { place, seen }
}

const inspect = (files: Files, behaviour: Behaviour & { allow?: string[] } = {}): Promise<Inspection> =>
  inspectModel({
    place: openPlace(files, behaviour).place,
    allowedImports: new Set(behaviour.allow),
    signal: new AbortController().signal,
  })

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

const config = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  num_hidden_layers: 2,
  hidden_size: 32,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 100,
  max_position_embeddings: 1024,
}
const layer = (number: number): TensorDraft => ({
  name: `model.layers.${number}.mlp.up_proj.weight`,
  type: 'BF16',
  shape: [64, 32],
})
const embedding: TensorDraft = { name: 'model.embed_tokens.weight', type: 'BF16', shape: [100, 32] }

describe('safetensors', () => {
  const shards = {
    'model-00001-of-00002.safetensors': writeSafetensors([embedding, layer(0)]),
    'model-00002-of-00002.safetensors': writeSafetensors([layer(1)]),
    'model.safetensors.index.json': json({
      weight_map: { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' },
    }),
    'config.json': json(config),
    'tokenizer_config.json': json({ tokenizer_class: 'LlamaTokenizer', chat_template: "{{ messages[0]['role'] }}" }),
    'README.md': Buffer.from('---\nlicense: apache-2.0\n---\n'),
  }

  test('a folder of shards is one model, with what lies beside them', async () => {
    const found = await inspect(shards)
    expect(found).toMatchObject({
      format: 'safetensors',
      architecture: 'llama',
      parameters: { total: 100 * 32 + 2 * 64 * 32, active: 100 * 32 + 2 * 64 * 32 },
      layers: 2,
      contextLength: 1024,
      attention: [{ kind: 'full', layers: 2, kvHeads: 2, keyLength: 8, valueLength: 8 }],
      kv: { bytesPerToken: 2 * 2 * 2 * 8 * 2, bytesPerSequence: 0 },
      quantisation: { name: 'bf16', bitsPerWeight: 16 },
      tokenizer: { kind: 'LlamaTokenizer' },
      chatTemplate: { system: true, tools: false },
      licence: 'apache-2.0',
    })
    expect(found.files.map(({ path }) => path)).toEqual([
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
    ])
    expect(found.bytes).toBe(
      shards['model-00001-of-00002.safetensors'].length + shards['model-00002-of-00002.safetensors'].length,
    )
    expect(found.engines.find(({ engine }) => engine === 'vllm')).toMatchObject({ ok: true })
  })

  test('so it is where nobody lists files, by its index', async () => {
    const found = await inspect(shards, { file: 'model.safetensors.index.json', listed: false })
    expect(found).toMatchObject({ layers: 2, licence: 'apache-2.0' })
    expect(found.files).toHaveLength(2)
  })

  test('a shard that is missing is told by its name', async () => {
    const { 'model-00002-of-00002.safetensors': _, ...rest } = shards
    await expect(inspect(rest)).rejects.toThrow(/model-00002-of-00002\.safetensors: there is no such file in memory/)
  })

  test('without config.json the shapes are told, and no engine takes it', async () => {
    const found = await inspect({ 'model.safetensors': writeSafetensors([embedding, layer(0), layer(1)]) })
    expect(found).toMatchObject({ layers: 2, attention: [], kv: null, parameters: { total: 7296 } })
    expect(found.engines.every(({ ok }) => !ok)).toBe(true)
    expect(found.notes.join()).toContain('no config.json')
  })

  test('what is no JSON beside it is told and left out', async () => {
    const found = await inspect({
      'model.safetensors': writeSafetensors([embedding]),
      'config.json': Buffer.from('<html>'),
    })
    expect(found.notes.join()).toMatch(/Left out: config\.json: no JSON/)
    expect(found.parameters?.total).toBe(3200)
  })
})

describe('GGUF', () => {
  const part = (number: number): Buffer =>
    writeGguf({
      metadata: {
        ...(number === 1
          ? {
              'general.architecture': 'llama',
              'llama.block_count': 2,
              'llama.embedding_length': 32,
              'llama.attention.head_count': 4,
            }
          : {}),
        'split.count': 2,
      },
      tensors: [{ name: `blk.${number - 1}.attn_k.weight`, shape: [32, 32], type: 0, bytes: 4096 }],
    })
  const parts = { 'm-00001-of-00002.gguf': part(1), 'm-00002-of-00002.gguf': part(2) }

  test('the parts of a split model are one', async () => {
    for (const behaviour of [{}, { file: 'm-00002-of-00002.gguf', listed: false }])
      expect(await inspect(parts, behaviour)).toMatchObject({
        layers: 2,
        parameters: { total: 2048 },
        attention: [{ layers: 2 }],
      })
  })

  test('a part under another name is refused', async () => {
    await expect(inspect({ 'm.gguf': part(1) })).rejects.toThrow(/m\.gguf: one of 2 parts/)
  })

  test('what is wrong is told with its file and its byte', async () => {
    const error: unknown = await inspect({ 'm.gguf': part(1).subarray(0, 60) }, { file: 'm.gguf' }).catch(
      (caught: unknown) => caught,
    )
    expect(error).toBeInstanceOf(ArtifactError)
    expect(String(error)).toMatch(/m\.gguf: at byte \d+: /)
  })

  test('of gigabytes only the header is read', async () => {
    const tensors = [{ name: 'blk.0.attn_k.weight', shape: [1024, 16_384], type: 0, bytes: 64 * 1024 * 1024 }]
    const { place, seen } = openPlace({
      'm.gguf': writeGguf({ metadata: { 'general.architecture': 'llama' }, tensors }),
    })
    const found = await inspectModel({ place, allowedImports: new Set(), signal: new AbortController().signal })
    expect(found.bytes).toBeGreaterThan(64 * 1024 * 1024)
    expect(seen.readBytes).toBeLessThan(70_000)
    expect(seen.open).toBe(0)
  })
})

describe('PyTorch', () => {
  const state = stateDict([{ name: 'model.layers.0.mlp.up_proj.weight', shape: [64, 32], storage: 'BFloat16Storage' }])
  const evil = Buffer.concat([state.subarray(0, -1), Buffer.from('cos\nsystem\n0.')])

  test('a checkpoint beside its config is told as safetensors are', async () => {
    const found = await inspect({ 'pytorch_model.bin': torchArchive(state), 'config.json': json(config) })
    expect(found).toMatchObject({
      format: 'pytorch',
      parameters: { total: 2048 },
      quantisation: { name: 'bf16' },
      kv: { bytesPerToken: 128 },
    })
    expect(found.engines.find(({ engine }) => engine === 'vllm')).toMatchObject({ ok: true })
  })

  test('one that runs code is taken by no engine, until what it runs is allowed', async () => {
    const files = { 'pytorch_model.bin': torchArchive(evil), 'config.json': json(config) }
    const found = await inspect(files)
    expect(found.pickle?.imports).toContainEqual({ name: 'os.system', times: 1, verdict: 'refused' })
    expect(found.engines.find(({ engine }) => engine === 'vllm')).toMatchObject({
      ok: false,
      why: expect.stringContaining('os.system'),
    })
    const allowed = await inspect(files, { allow: ['os.system'] })
    expect(allowed.engines.find(({ engine }) => engine === 'vllm')).toMatchObject({ ok: true })
  })
})

describe('ONNX, TensorFlow, TensorRT', () => {
  test('tensors beside an ONNX graph belong to it, and must be there and inside its folder', async () => {
    const graph = (external: string): Buffer =>
      writeOnnx({ tensors: [{ name: 'w', shape: [10, 10], type: 1, external }] })
    const found = await inspect({
      'onnx/model.onnx': graph('model.onnx.data'),
      'onnx/model.onnx.data': Buffer.alloc(400),
      'config.json': json(config),
    })
    expect(found).toMatchObject({ format: 'onnx', architecture: 'llama', parameters: { total: 100 } })
    expect(found.files.map(({ path }) => path)).toEqual(['onnx/model.onnx', 'onnx/model.onnx.data'])
    await expect(inspect({ 'model.onnx': graph('gone.data') })).rejects.toThrow(/gone\.data, which is not here/)
    await expect(inspect({ 'model.onnx': graph('../../etc/passwd') })).rejects.toThrow(/outside its folder/)
  })

  test('a SavedModel’s variables are its parameters; what training keeps beside them is not', async () => {
    const found = await inspect({
      'saved_model.pb': writeSavedModel({ version: '2.16.1', tags: ['serve'], signatures: ['serving_default'] }),
      'variables/variables.index': writeBundle([
        { name: 'layer/kernel/.ATTRIBUTES/VARIABLE_VALUE', shape: [4, 8], type: 1, bytes: 128 },
        { name: 'layer/kernel/.OPTIMIZER_SLOT/m/.ATTRIBUTES/VARIABLE_VALUE', shape: [4, 8], type: 1, bytes: 128 },
      ]),
      'variables/variables.data-00000-of-00001': Buffer.alloc(256),
    })
    expect(found).toMatchObject({ format: 'tensorflow', formatDetail: expect.stringContaining('2.16.1') })
    expect(found.files).toHaveLength(3)
    expect(found.parameters?.total).toBe(32)
  })

  test('the engines of all ranks are one model', async () => {
    const plan = Buffer.concat([Buffer.from('ftrt'), Buffer.alloc(64)])
    const built = {
      pretrained_config: {
        architecture: 'LlamaForCausalLM',
        num_hidden_layers: 2,
        num_attention_heads: 4,
        hidden_size: 32,
      },
    }
    const found = await inspect({ 'rank0.engine': plan, 'rank1.engine': plan, 'config.json': json(built) })
    expect(found).toMatchObject({ format: 'tensorrt', layers: 2, bytes: 2 * plan.length })
    expect(found.engines.find(({ engine }) => engine === 'tensorrt-llm')).toMatchObject({ ok: true })
  })
})

test('a file of no known format is told by how it starts', async () => {
  await expect(inspect({ 'notes.txt': Buffer.from('Dear all,') }, { file: 'notes.txt' })).rejects.toThrow(
    /notes\.txt: at byte 0: no format that is known here: it starts with "Dear all,"/,
  )
})

test('what may be over soon is asked again; what is not is told at once', async () => {
  const files = { 'm.gguf': writeGguf({ metadata: { 'general.architecture': 'llama' } }) }
  const soon = () => new ArtifactError('soon', 'the hub answers 503', { afterMs: 0 })
  expect(await inspect(files, { failures: [soon(), soon()] })).toMatchObject({ architecture: 'llama' })
  await expect(inspect(files, { failures: [soon(), soon(), soon()] })).rejects.toThrow('the hub answers 503')
  await expect(inspect(files, { failures: [new ArtifactError('never', 'gated')] })).rejects.toThrow('gated')
})

test('when it fails, no file stays open', async () => {
  const { header } = safetensorsHeader([embedding])
  const { place, seen } = openPlace({ 'model.safetensors': header.subarray(0, 30) })
  await expect(
    inspectModel({ place, allowedImports: new Set(), signal: new AbortController().signal }),
  ).rejects.toThrow()
  expect(seen.opened).not.toEqual([])
  expect(seen.open).toBe(0)
})

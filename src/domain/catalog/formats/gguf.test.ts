import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { writeGguf, type GgufDraft } from '../../../../test/support/model-files.ts'
import { toGgufReport } from './gguf-report.ts'
import { readGguf, type GgufHeader } from './gguf.ts'
import { FormatError, readWhole } from './reading.ts'

const read = (file: Uint8Array): GgufHeader => readWhole(readGguf(file.length), file)
const report = (draft: GgufDraft) => toGgufReport([read(writeGguf(draft))], 0)

function refusal(file: Uint8Array): string {
  try {
    read(file)
  } catch (error) {
    if (error instanceof FormatError) return error.message
    throw error
  }
  return 'it was read'
}

const small: GgufDraft = {
  metadata: { 'general.architecture': 'llama', 'llama.block_count': 1 },
  tensors: [
    { name: 'token_embd.weight', shape: [32, 4], type: 0, bytes: 512 },
    { name: 'blk.0.attn_k.weight', shape: [32, 8], type: 8, bytes: 272 },
  ],
}

test('F4 the smoke model is read as it was made', () => {
  const bytes = readFileSync('weights/smoke/smoke.gguf')
  const header = read(bytes)
  const found = toGgufReport([header], bytes.length)
  expect(found).toMatchObject({
    architecture: 'llama',
    layers: 4,
    contextLength: 512,
    hidden: 192,
    heads: 3,
    attention: [{ kind: 'full', layers: 4, kvHeads: 3, keyLength: 64, valueLength: 64 }],
    quantisation: { name: 'q8-0' },
    tokenizer: { kind: 'SentencePiece', vocabulary: 1536 },
    licence: 'mit',
  })
  const data = header.tensors.reduce((sum, tensor) => sum + Math.ceil(tensor.bytes / 32) * 32, 0)
  expect(header.dataAt + data).toBe(bytes.length)
})

test.each([
  { version: 2, bigEndian: false },
  { version: 3, bigEndian: false },
  { version: 3, bigEndian: true },
])('F4 version $version is read, big-endian: $bigEndian', ({ version, bigEndian }) => {
  const header = read(writeGguf({ ...small, version, bigEndian }))
  expect(header).toMatchObject({ version, byteOrder: bigEndian ? 'big' : 'little' })
  expect(header.tensors.map(({ name, values, bytes }) => [name, values, bytes])).toEqual([
    ['token_embd.weight', 128, 512],
    ['blk.0.attn_k.weight', 256, 272],
  ])
  expect(header.metadata.get('llama.block_count')).toBe(1)
})

test('F4 a tensor of unknown type counts up to the next one, and the report says that it is an estimate', () => {
  const found = report({
    metadata: { 'general.architecture': 'llama', 'llama.block_count': 1 },
    tensors: [
      { name: 'blk.0.ffn_up.weight', shape: [256, 4], type: 999, bytes: 640 },
      { name: 'output_norm.weight', shape: [32], type: 0, bytes: 128 },
    ],
  })
  expect(found.tensorTypes).toContainEqual({ type: 'type 999', tensors: 1, bytes: 640 })
  expect(found.parameters?.total).toBe(1024 + 32)
  expect(found.notes.join()).toContain('estimated')
})

describe('F2 what is damaged or forged is refused in words', () => {
  const good = writeGguf(small)
  const patched = (at: number, bytes: number[]): Buffer => {
    const copy = Buffer.from(good)
    copy.set(bytes, at)
    return copy
  }
  const huge = [255, 255, 255, 255, 255, 255, 255, 255]

  test.each<[string, Uint8Array, RegExp]>([
    ['another format', Buffer.from('GGML and more'), /at byte 0: no GGUF file: it starts with "GGML"/],
    ['version 1', writeGguf({ ...small, version: 1 }), /version 1.*convert_hf_to_gguf/],
    ['a version to come', writeGguf({ ...small, version: 9 }), /version 9.*newer Holdfast/],
    ['more tensors than fit', patched(8, huge), /at byte 8: .* tensors are announced/],
    ['more entries than fit', patched(16, huge), /at byte 16: .* metadata entries are announced/],
    ['a thousand tensors in a small file', patched(8, [0xe8, 3, 0, 0, 0, 0, 0, 0]), /at byte 8: 1000 tensors/],
    [
      'a list longer than the file',
      writeGguf({ metadata: { x: Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]) } }),
      /4294967296 items of a list are announced/,
    ],
    ['a key longer than any', patched(24, huge), /at byte 24: a text of/],
    ['a cut header', good.subarray(0, 200), /ends at byte 200.*not whole/],
    ['cut data', good.subarray(0, good.length - 40), /'blk\.0\.attn_k\.weight' ends at byte.*not whole/],
    ['a value of unknown type', writeGguf({ metadata: { x: Buffer.from([77, 0, 0, 0]) } }), /unknown type 77/],
    ['an alignment of 0', writeGguf({ metadata: { 'general.alignment': 0 } }), /alignment/],
    ['two entries of one name', Buffer.concat([writeTwice()]), /a second 'x'/],
    [
      'a row that is no whole block',
      writeGguf({ tensors: [{ name: 'a', shape: [33], type: 8, bytes: 64 }] }),
      /rows of 33 values/,
    ],
    [
      'five dimensions',
      writeGguf({ tensors: [{ name: 'a', shape: [1, 1, 1, 1, 1], type: 0, bytes: 4 }] }),
      /5 dimensions/,
    ],
    [
      'a tensor of 2^80 values',
      writeGguf({ tensors: [{ name: 'a', shape: [2 ** 40, 2 ** 40], type: 0, bytes: 4 }] }),
      /larger than anything/,
    ],
    [
      'tensors over each other',
      writeGguf({
        tensors: [
          { name: 'a', shape: [32], type: 0, bytes: 128 },
          { name: 'b', shape: [32], type: 0, bytes: 128, offset: 64 },
        ],
      }),
      /'a' and 'b' overlap/,
    ],
    [
      'a tensor that is not aligned',
      writeGguf({ tensors: [{ name: 'a', shape: [1], type: 0, bytes: 4, offset: 3 }] }),
      /not aligned/,
    ],
    ['lists in lists in lists', writeGguf({ metadata: { x: nested(9) } }), /nested deeper/],
  ])('%s', (_, file, words) => expect(refusal(file)).toMatch(words))

  test('names are shown without control characters, and cut', () => {
    const name = `\u001b[31m${'n'.repeat(300)}`
    const words = refusal(writeGguf({ tensors: [{ name, shape: [33], type: 8, bytes: 64 }] }))
    expect(words).not.toContain('\u001b')
    expect(words).toContain(`'\uFFFD[31m${'n'.repeat(115)}…'`)
  })
})

test('F1 a vocabulary of half a million tokens is read through a window, and none of it is kept', () => {
  const tokens = Array.from({ length: 500_000 }, (_, i) => `token-${i}`)
  const file = writeGguf({ metadata: { 'tokenizer.ggml.tokens': tokens, 'general.architecture': 'llama' } })
  const reading = readGguf(file.length)
  let largest = 0
  let step = reading.next()
  while (step.done !== true) {
    const want = step.value
    if (want.kind !== 'bytes') throw new Error('no archive here')
    largest = Math.max(largest, want.bytes)
    step = reading.next(file.subarray(want.at, want.at + want.bytes))
  }
  expect(step.value.metadata.get('tokenizer.ggml.tokens')).toEqual({ count: 500_000, items: null })
  expect(largest).toBeLessThanOrEqual(4 * 1024 * 1024)
  expect(file.length).toBeGreaterThan(largest)
})

test('F1 texts without end in the metadata are not gathered', () => {
  const value = 'x'.repeat(1024 * 1024)
  const metadata = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`key-${i}`, value]))
  expect(refusal(writeGguf({ metadata }))).toMatch(/more than 33554432 bytes of texts/)
})

describe('F8 attention from GGUF', () => {
  const layered = (
    architecture: string,
    layers: number,
    keys: Record<string, GgufDraft['metadata']> | object,
  ): GgufDraft => ({
    metadata: {
      'general.architecture': architecture,
      [`${architecture}.block_count`]: layers,
      [`${architecture}.embedding_length`]: 64,
      [`${architecture}.attention.head_count`]: 4,
      [`${architecture}.attention.head_count_kv`]: 2,
      [`${architecture}.attention.key_length`]: 16,
      [`${architecture}.attention.value_length`]: 16,
      ...Object.fromEntries(Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value])),
    },
    tensors: Array.from({ length: layers }, (_, i) => ({
      name: `blk.${i}.attn_k.weight`,
      shape: [32],
      type: 0,
      bytes: 128,
    })),
  })
  const heads = { kvHeads: 2, keyLength: 16, valueLength: 16 }

  test('gemma3: five of six layers slide', () => {
    expect(report(layered('gemma3', 12, { 'attention.sliding_window': 1024 })).attention).toEqual([
      { kind: 'sliding', layers: 10, ...heads, window: 1024 },
      { kind: 'full', layers: 2, ...heads },
    ])
  })

  test('gpt-oss: every second layer slides', () => {
    expect(report(layered('gpt-oss', 4, { 'attention.sliding_window': 128 })).attention).toEqual([
      { kind: 'sliding', layers: 2, ...heads, window: 128 },
      { kind: 'full', layers: 2, ...heads },
    ])
  })

  test('a pattern that the file tells goes before what is known of its architecture', () => {
    const keys = { 'attention.sliding_window': 128, 'attention.sliding_window_pattern': [true, true, false] }
    expect(report(layered('gpt-oss', 3, keys)).attention).toEqual([
      { kind: 'sliding', layers: 2, ...heads, window: 128 },
      { kind: 'full', layers: 1, ...heads },
    ])
  })

  test('a window whose layers nobody tells counts as none, and the report says so', () => {
    const found = report(layered('newcomer', 3, { 'attention.sliding_window': 128 }))
    expect(found.attention).toEqual([{ kind: 'full', layers: 3, ...heads }])
    expect(found.notes.join()).toContain('does not tell for which')
  })

  test('latent attention is one vector a token; files from before llama.cpp kept it so count whole', () => {
    const mla = { 'attention.kv_lora_rank': 512, 'rope.dimension_count': 64, 'attention.head_count_kv': 1 }
    expect(report(layered('deepseek2', 2, { ...mla, 'attention.key_length_mla': 192 })).attention).toEqual([
      { kind: 'latent', layers: 2, rank: 512, rotary: 64 },
    ])
    const old = report(layered('deepseek2', 2, { 'attention.kv_lora_rank': 512, 'attention.head_count_kv': 4 }))
    expect(old.attention).toEqual([{ kind: 'full', layers: 2, ...heads, kvHeads: 4 }])
    expect(old.notes.join()).toContain('from before')
  })

  test('layers with a state keep it once, whatever the length; those without attention keep nothing', () => {
    const draft = layered('granitehybrid', 3, {
      'ssm.inner_size': 128,
      'ssm.state_size': 16,
      'ssm.group_count': 1,
      'ssm.conv_kernel': 4,
    })
    const tensors = ['blk.0.ssm_in.weight', 'blk.1.attn_k.weight', 'blk.2.ffn_up.weight'].map(name => ({
      name,
      shape: [32],
      type: 0,
      bytes: 128,
    }))
    expect(report({ ...draft, tensors }).attention).toEqual([
      { kind: 'state', layers: 1, bytesPerSequence: (128 * 16 + 3 * (128 + 2 * 16)) * 4 },
      { kind: 'full', layers: 1, ...heads },
      { kind: 'state', layers: 1, bytesPerSequence: 0 },
    ])
  })

  test('attention and a state in one layer: the report says what is counted', () => {
    const tensors = ['blk.0.ssm_in.weight', 'blk.0.attn_k.weight'].map(name => ({
      name,
      shape: [32],
      type: 0,
      bytes: 128,
    }))
    const found = report({ ...layered('falcon-h1', 1, {}), tensors })
    expect(found.attention).toEqual([{ kind: 'full', layers: 1, ...heads }])
    expect(found.notes.join()).toContain('without the state')
  })

  test('heads may differ from layer to layer, and layers that predict further tokens are not counted', () => {
    const found = report(layered('nemo', 3, { 'attention.head_count_kv': [2, 4, 2], 'nextn_predict_layers': 1 }))
    expect(found.layers).toBe(2)
    expect(found.attention).toEqual([
      { kind: 'full', layers: 1, ...heads },
      { kind: 'full', layers: 1, ...heads, kvHeads: 4 },
    ])
  })
})

test('F7 of the experts only those that are used count as active', () => {
  const found = report({
    metadata: {
      'general.architecture': 'qwen3moe',
      'qwen3moe.block_count': 1,
      'qwen3moe.expert_count': 8,
      'qwen3moe.expert_used_count': 2,
    },
    tensors: [
      { name: 'blk.0.ffn_up_exps.weight', shape: [32, 8, 8], type: 0, bytes: 8192 },
      { name: 'blk.0.ffn_up_shexp.weight', shape: [32, 8], type: 0, bytes: 1024 },
      { name: 'output.weight', shape: [32, 8], type: 0, bytes: 1024 },
    ],
  })
  expect(found.parameters).toEqual({ total: 2048 + 256 + 256, active: 512 + 256 + 256 })
  expect(found.parts).toEqual({ embedding: 0, output: 1024, layers: [{ dense: 1024, experts: 8192 }], other: 0 })
})

function nested(depth: number): Buffer {
  const list = Buffer.alloc(12)
  list.writeUInt32LE(9, 0)
  list.writeBigUInt64LE(1n, 4)
  return Buffer.concat([Buffer.from([9, 0, 0, 0]), ...Array.from({ length: depth }, () => list), Buffer.alloc(64)])
}

/** The same key twice: a second entry in the place of a value. */
function writeTwice(): Buffer {
  const entry = Buffer.concat([
    Buffer.from([4, 0, 0, 0, 1, 0, 0, 0]),
    Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]),
    Buffer.from('x'),
    Buffer.from([4, 0, 0, 0, 1, 0, 0, 0]),
  ])
  const file = writeGguf({ metadata: { x: entry } })
  file.writeBigUInt64LE(2n, 16)
  return file
}

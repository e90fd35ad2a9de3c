import { describe, expect, test } from 'vitest'
import {
  field,
  writeBundle,
  writeOldCheckpoint,
  writeOnnx,
  writeSavedModel,
} from '../../../../test/support/model-files.ts'
import { toOnnxReport } from './onnx-report.ts'
import { readOnnx } from './onnx.ts'
import { FormatError, readWhole } from './reading.ts'
import { readCheckpoint, readSavedModel } from './tensorflow.ts'
import { readTensorRt, toTensorRtReport } from './tensorrt.ts'

const side = { config: null, quantisation: null, tokenizer: null, template: null, readme: null }
const onnx = (file: Uint8Array) => readWhole(readOnnx(file.length), file)
const checkpoint = (file: Uint8Array) => readWhole(readCheckpoint(file.length), file)

describe('ONNX', () => {
  const file = writeOnnx({
    tensors: [
      { name: 'w', shape: [4, 8], type: 1, data: Buffer.alloc(128) },
      { name: 'far', shape: [1000, 1000], type: 10, external: 'model.onnx.data' },
    ],
    inputs: [
      { name: 'input_ids', shape: ['batch', 'tokens'] },
      { name: 'past_key_values.0.key', shape: ['batch', 2, 'past', 64] },
      { name: 'past_key_values.0.value', shape: ['batch', 2, 'past', 64] },
      { name: 'past_key_values.1.key', shape: ['batch', 2, 'past', 64] },
    ],
    nodes: [{ operator: 'GroupQueryAttention', numbers: { num_heads: 8, kv_num_heads: 2 } }, { operator: 'MatMul' }],
  })

  test('tensors, operators and versions are told; values are passed over', () => {
    const model = onnx(file)
    expect(model.tensors).toEqual([
      { name: 'w', shape: [4, 8], type: 'F32', values: 32, bytes: 128 },
      { name: 'far', shape: [1000, 1000], type: 'F16', values: 1_000_000, bytes: 2_000_000 },
    ])
    expect(model).toMatchObject({
      irVersion: 8,
      producer: 'writer',
      opsets: [{ domain: 'ai.onnx', version: 17 }],
      externalFiles: ['model.onnx.data'],
    })
    expect(model.operators.get('GroupQueryAttention')).toBe(1)
  })

  test('F8 what a generator keeps is told by its inputs', () => {
    const report = toOnnxReport(onnx(file), { bytes: 0, side })
    expect(report.attention).toEqual([{ kind: 'full', layers: 2, kvHeads: 2, keyLength: 64, valueLength: 64 }])
    expect(report).toMatchObject({ layers: 2, heads: 8, parameters: { total: 1_000_032 } })
  })

  test.each<[string, Uint8Array, RegExp]>([
    ['a graph cut short', file.subarray(0, file.length - 60), /goes beyond its message/],
    ['no graph', field(1, 8), /no ONNX file/],
    [
      'a tensor that is announced larger than its bytes',
      writeOnnx({ tensors: [{ name: 'w', shape: [1e9], type: 1, data: Buffer.alloc(4) }] }),
      /stands in \d+ bytes/,
    ],
    [
      'a tensor beyond numbers',
      writeOnnx({ tensors: [{ name: 'w', shape: [2 ** 40, 2 ** 40], type: 1, external: 'x' }] }),
      /larger than anything/,
    ],
    ['a field of a group', Buffer.from([0x0b]), /wire type 3/],
    ['a number without an end', Buffer.alloc(20, 0xff), /more than ten bytes/],
    ['graphs in graphs in graphs', field(7, deep(30)), /nested deeper/],
  ])('F2 %s', (_, bytes, words) => {
    expect(() => onnx(bytes)).toThrow(FormatError)
    expect(() => onnx(bytes)).toThrow(words)
  })
})

describe('TensorFlow', () => {
  const variables = [
    { name: 'layer/bias/.ATTRIBUTES/VARIABLE_VALUE', shape: [8], type: 1, bytes: 32 },
    { name: 'layer/kernel/.ATTRIBUTES/VARIABLE_VALUE', shape: [4, 8], type: 14, bytes: 64 },
  ]

  test('a SavedModel tells its version, tags and signatures', () => {
    const file = writeSavedModel({ version: '2.16.1', tags: ['serve'], signatures: ['serving_default'] })
    expect(readWhole(readSavedModel(file.length), file)).toEqual({
      version: '2.16.1',
      tags: ['serve'],
      signatures: ['serving_default'],
      metaGraphs: 1,
    })
    expect(() => readWhole(readSavedModel(2), field(1, 1))).toThrow(/no graph/)
  })

  test('the index of a checkpoint tells its variables', () => {
    expect(checkpoint(writeBundle(variables))).toEqual({
      generation: 2,
      tensors: [
        { name: 'layer/bias', shape: [8], type: 'F32', values: 8, bytes: 32 },
        { name: 'layer/kernel', shape: [4, 8], type: 'BF16', values: 32, bytes: 64 },
      ],
    })
  })

  test('so does a checkpoint of the first generation', () => {
    expect(checkpoint(writeOldCheckpoint(variables))).toMatchObject({
      generation: 1,
      tensors: [{ values: 8 }, { values: 32 }],
    })
  })

  test('F2 what is damaged is refused in words', () => {
    const good = writeBundle(variables)
    const packed = Buffer.from(good)
    packed[packed.indexOf(0, 1)] = 1
    expect(() => checkpoint(good.subarray(0, good.length - 1))).toThrow(/its end is not that of a table/)
    expect(() => checkpoint(Buffer.from('short'))).toThrow(/too short/)
    expect(() => checkpoint(Buffer.concat([Buffer.alloc(64, 0xff), good.subarray(-8)]))).toThrow(FormatError)
  })
})

describe('TensorRT', () => {
  const plan = Buffer.concat([Buffer.from('ftrt'), Buffer.alloc(4), Buffer.from([239]), Buffer.alloc(100)])
  const read = (file: Uint8Array) => readWhole(readTensorRt(file.length), file)

  test('a plan is recognised, also behind a JSON text, and the report says what can’t be known', () => {
    const json = Buffer.from('{"task":"detect"}')
    const length = Buffer.alloc(4)
    length.writeUInt32LE(json.length)
    expect(read(plan)).toEqual({ serialVersion: 239, wrapped: false })
    expect(read(Buffer.concat([length, json, plan]))).toEqual({ serialVersion: 239, wrapped: true })
    const report = toTensorRtReport([read(plan)], { bytes: plan.length, config: null })
    expect(report).toMatchObject({ parameters: null, layers: null, attention: [] })
    expect(report.notes.join()).toContain('can’t be known')
    expect(() => read(Buffer.from('anything'))).toThrow(/no TensorRT engine/)
  })

  test('TensorRT-LLM’s config.json tells its shape and limits', () => {
    const config = {
      pretrained_config: {
        architecture: 'LlamaForCausalLM',
        num_hidden_layers: 32,
        num_attention_heads: 32,
        num_key_value_heads: 8,
        hidden_size: 4096,
        vocab_size: 128_256,
        quantization: { quant_algo: 'FP8' },
        mapping: { world_size: 2 },
      },
      build_config: { max_seq_len: 8192, max_batch_size: 64 },
    }
    const report = toTensorRtReport([read(plan), read(plan)], { bytes: 0, config })
    expect(report).toMatchObject({
      layers: 32,
      contextLength: 8192,
      attention: [{ kind: 'full', layers: 32, kvHeads: 8, keyLength: 128 }],
    })
    expect(report.notes.join()).toContain('built for 2 GPUs, at most 64 sequences of 8192 tokens, weights in FP8')
  })
})

/** Graphs in attributes of nodes of graphs. */
function deep(levels: number): Buffer {
  return levels === 0 ? Buffer.alloc(0) : field(1, field(5, field(6, deep(levels - 1))))
}

import { expect, test } from 'vitest'
import type { HubSource } from '../../domain/catalog/index.ts'
import { chooseFiles } from './choose-files.ts'

const source: HubSource = { kind: 'hf', repository: 'owner/name', commit: '4f1c2d9e', file: null }

async function choose(files: Record<string, number>, index: object = {}) {
  const listed = Object.entries(files).map(([path, bytes]) => ({ path, bytes }))
  const chosen = await chooseFiles(source, listed, {
    readWhole: () => Promise.resolve(new TextEncoder().encode(JSON.stringify(index))),
  })
  return { files: chosen.files.map(({ path }) => path), leftOut: chosen.leftOut.map(({ path }) => path) }
}

test('of a sharded model come the shards that its index names, with all that is no weights; other copies are left out', async () => {
  const files = {
    'README.md': 1,
    'config.json': 1,
    'model.safetensors.index.json': 1,
    'model-00001-of-00002.safetensors': 1_000,
    'model-00002-of-00002.safetensors': 1_000,
    'consolidated.safetensors': 2_000,
    'pytorch_model.bin': 2_000,
    'original/model.safetensors': 2_000,
    'metal/model.bin': 2_000,
    'onnx/model_q4.onnx_data': 500,
    'tokenizer/tokenizer.json': 1,
  }
  const weight_map = { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' }
  expect(await choose(files, { weight_map })).toEqual({
    files: [
      'README.md',
      'config.json',
      'model.safetensors.index.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'tokenizer/tokenizer.json',
    ],
    leftOut: [
      'consolidated.safetensors',
      'pytorch_model.bin',
      'original/model.safetensors',
      'metal/model.bin',
      'onnx/model_q4.onnx_data',
    ],
  })
})

test('a small part of the model in a folder of its own comes along; without safetensors the PyTorch files do', async () => {
  expect((await choose({ 'model.safetensors': 1_000, '2_Dense/model.safetensors': 20 })).leftOut).toEqual([])
  expect(await choose({ 'config.json': 1, 'pytorch_model.bin': 9, 'tf_model.h5': 9 })).toEqual({
    files: ['config.json', 'pytorch_model.bin'],
    leftOut: ['tf_model.h5'],
  })
  expect(await choose({ 'README.md': 1, 'm.gguf': 9 })).toEqual({ files: ['README.md', 'm.gguf'], leftOut: [] })
})

test('what could be several models, or none, is told with how to name one', async () => {
  await expect(choose({ 'a-Q4_K_M.gguf': 1, 'a-Q8_0.gguf': 2 })).rejects.toThrow(
    /2 models to choose from: a-Q4_K_M\.gguf, a-Q8_0\.gguf.*hf:owner\/name@4f1c2d9e:<file>/,
  )
  await expect(choose({ 'README.md': 1 })).rejects.toThrow(/owner\/name@4f1c2d9e: no model file/)
  const index = { weight_map: { a: 'model-00001-of-00001.safetensors' } }
  await expect(choose({ 'model.safetensors.index.json': 1 }, index)).rejects.toThrow(/lacks model-00001-of-00001/)
})

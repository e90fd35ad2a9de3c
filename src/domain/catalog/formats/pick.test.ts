import { describe, expect, test } from 'vitest'
import { parseModelSource } from './model-source.ts'
import { ggufParts, pickWeights } from './pick.ts'
import { sniff } from './sniff.ts'

const pick = (...paths: string[]) => pickWeights(paths.map(path => ({ path, bytes: 1 })))

describe('which files of a folder are the model', () => {
  test.each<[string[], object]>([
    [['README.md', 'model.safetensors', 'pytorch_model.bin'], { weights: ['model.safetensors'] }],
    [
      ['model-00002-of-00002.safetensors', 'model-00001-of-00002.safetensors', 'model.safetensors.index.json'],
      { index: 'model.safetensors.index.json' },
    ],
    [
      ['model-00002-of-00002.safetensors', 'model-00001-of-00002.safetensors'],
      { weights: ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] },
    ],
    [
      ['a-00001-of-00002.gguf', 'a-00002-of-00002.gguf', 'mmproj-a-f16.gguf'],
      { weights: ['a-00001-of-00002.gguf', 'a-00002-of-00002.gguf'] },
    ],
    [['pytorch_model.bin.index.json', 'pytorch_model-00001-of-00002.bin'], { index: 'pytorch_model.bin.index.json' }],
    [['training_args.bin', 'optimizer.pt', 'pytorch_model.bin'], { weights: ['pytorch_model.bin'] }],
    [
      ['saved_model.pb', 'variables/variables.index', 'variables/variables.data-00000-of-00001'],
      { weights: ['saved_model.pb'] },
    ],
    [['config.json', 'onnx/model.onnx', 'onnx/model_q4.onnx'], { weights: ['onnx/model.onnx'] }],
    [['config.json', 'rank1.engine', 'rank0.engine'], { weights: ['rank0.engine', 'rank1.engine'] }],
    [['model.ckpt-5.index', 'model.ckpt-5.data-00000-of-00001'], { weights: ['model.ckpt-5.index'] }],
  ])('%j', (paths, picked) => expect(pick(...paths)).toEqual(picked))

  test('several to choose from, and none, are told', () => {
    expect(() => pick('m-Q4_K_M.gguf', 'm-Q8_0.gguf')).toThrow(
      /2 models to choose from: m-Q4_K_M\.gguf, m-Q8_0\.gguf.*Name one/,
    )
    expect(() => pick('README.md')).toThrow(/no model file among README\.md/)
    expect(() => pick()).toThrow(/no files/)
  })

  test('any part of a split GGUF stands for all of them', () => {
    expect(ggufParts('x/m-00002-of-00003.gguf')).toEqual([
      'x/m-00001-of-00003.gguf',
      'x/m-00002-of-00003.gguf',
      'x/m-00003-of-00003.gguf',
    ])
    expect(ggufParts('m.gguf')).toEqual(['m.gguf'])
    expect(() => ggufParts('m-00001-of-99999.gguf')).toThrow(/at most 256/)
  })
})

describe('what a file is, by its first bytes', () => {
  const lfs = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a'
  test.each<[string, Buffer, string | null]>([
    ['x', Buffer.from('GGUF....'), 'gguf'],
    ['x', Buffer.from([64, 1, 0, 0, 0, 0, 0, 0, 0x7b]), 'safetensors'],
    ['x', Buffer.from('PK\u0003\u0004'), 'zip'],
    ['x', Buffer.from([0x80, 2, 0x8a]), 'pickle'],
    ['old.bin', Buffer.from('(dp0\n'), 'pickle'],
    ['x', Buffer.from([8, 8, 0x12]), 'onnx'],
    ['a/saved_model.pb', Buffer.from([8, 1, 0x12]), 'saved-model'],
    ['x', Buffer.from('ftrt'), 'tensorrt'],
    ['variables.index', Buffer.from([0, 0, 5]), 'table'],
    ['x', Buffer.from('hello'), null],
  ])('%s', (name, head, kind) => expect(sniff(head, name)).toBe(kind))

  test.each<[Buffer, RegExp]>([
    [Buffer.from(lfs), /Git LFS pointer.*git lfs pull/],
    [Buffer.from('<!doctype html><title>Sign in'), /web page.*\/resolve\//],
    [Buffer.from('tjgg\u0003'), /GGML, the format before GGUF/],
    [Buffer.from([0x89, 0x48, 0x44, 0x46, 13, 10]), /HDF5/],
    [Buffer.from([0x1f, 0x8b, 8]), /gzip/],
    [Buffer.alloc(0), /empty/],
  ])('%s is refused with what to do instead', (head, words) => expect(() => sniff(head, 'x')).toThrow(words))
})

describe('where a model to look at is', () => {
  test.each<[string, object]>([
    ['./a.gguf', { kind: 'path', path: './a.gguf' }],
    [`file:/a.gguf@sha256:${'0'.repeat(64)}`, { kind: 'path', path: '/a.gguf' }],
    ['https://host/a.gguf', { kind: 'url', url: 'https://host/a.gguf' }],
    ['hf:owner/name', { kind: 'hf', repository: 'owner/name', revision: 'main', file: null }],
    ['hf:owner/name@v1.0:x/a.gguf', { kind: 'hf', repository: 'owner/name', revision: 'v1.0', file: 'x/a.gguf' }],
  ])('%s', (text, source) => expect(parseModelSource(text)).toEqual({ ok: true, source }))

  test.each(['', 'hf:', 'hf:a/b/c', 'hf:owner/name@..', 'hf:owner/name@main:../x', 'hf:owner/name@a b'])(
    '%j is refused',
    text => {
      expect(parseModelSource(text)).toMatchObject({ ok: false })
    },
  )
})

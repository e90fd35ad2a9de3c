import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { writeGguf, type GgufDraft } from '../../../test/support/model-files.ts'
import { openLocalPlace } from '../../adapters/model-files/index.ts'
import { readImportance } from './importance.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-importance-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Named = { name: string; shape: number[]; values: number[] }

async function read(tensors: readonly Named[], draft: GgufDraft = { metadata: { 'general.type': 'imatrix' } }) {
  const path = join(folder, 'importance.gguf')
  const placed = tensors.map(({ name, shape, values }) => ({ name, shape, type: 0, bytes: values.length * 4 }))
  const file = writeGguf({ ...draft, tensors: placed })
  // The writer leaves zeros, each tensor's data 32 bytes after the one before here.
  const data = tensors.map(({ values }) => {
    const padded = Buffer.alloc(Math.ceil((values.length * 4) / 32) * 32)
    values.forEach((value, at) => padded.writeFloatLE(value, at * 4))
    return padded
  })
  const bytes = data.reduce((sum, each) => sum + each.length, 0)
  writeFileSync(path, Buffer.concat([file.subarray(0, file.length - bytes), ...data]))
  return readImportance(await openLocalPlace(path), new AbortController().signal)
}

describe('a file of importance', () => {
  test('gives the mean square of each input, by tensor', async () => {
    const found = await read([
      { name: 'blk.0.attn_q.weight.in_sum2', shape: [4, 1], values: [8, 4, 2, 0] },
      { name: 'blk.0.attn_q.weight.counts', shape: [1, 1], values: [2] },
    ])
    expect([...found]).toEqual([['blk.0.attn_q.weight', Float32Array.of(4, 2, 1, 0)]])
  })

  test('counts each expert by itself; one that saw nothing counts all its inputs alike', async () => {
    const found = await read([
      { name: 'blk.0.ffn_up_exps.weight.in_sum2', shape: [2, 3], values: [8, 4, 0, 0, 3, 9] },
      { name: 'blk.0.ffn_up_exps.weight.counts', shape: [1, 3], values: [2, 0, 3] },
    ])
    expect(found.get('blk.0.ffn_up_exps.weight')).toEqual(Float32Array.of(4, 2, 1, 1, 1, 3))
  })

  test.each([
    ['is a model', { 'general.type': 'model' }, [{ name: 'a.in_sum2', shape: [1], values: [1] }], 'is no file of'],
    ['has nothing', { 'general.type': 'imatrix' }, [{ name: 'a.weight', shape: [1], values: [1] }], 'is no file of'],
    [
      'has no counts',
      { 'general.type': 'imatrix' },
      [{ name: 'a.in_sum2', shape: [1], values: [1] }],
      'a.counts is missing',
    ],
    [
      'holds what is no number',
      { 'general.type': 'imatrix' },
      [
        { name: 'a.in_sum2', shape: [1], values: [Number.NaN] },
        { name: 'a.counts', shape: [1], values: [1] },
      ],
      'a.in_sum2 ends early, or holds what is no number',
    ],
  ])('that %s is refused', async (_, metadata, tensors, why) => {
    await expect(read(tensors, { metadata })).rejects.toThrow(why)
  })
})

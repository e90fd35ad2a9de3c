import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AttentionGroup } from '../catalog/index.ts'
import { attentionOfRank, kvBytes, kvTotal } from './kv-cache.ts'

const mebi = 1024 ** 2
const bf16 = { keyType: 'bf16', valueType: 'bf16' } as const

const full = (layers: number, kvHeads: number, length: number): AttentionGroup => ({
  ...{ kind: 'full', layers, kvHeads, keyLength: length, valueLength: length },
})
const sliding = (layers: number, kvHeads: number, length: number, window: number): AttentionGroup => ({
  ...{ kind: 'sliding', layers, kvHeads, keyLength: length, valueLength: length, window },
})

test.each([
  ['Llama-3.1-8B', [full(32, 8, 128)], 131_072, 0],
  ['Qwen3-235B-A22B', [full(94, 4, 128)], 192_512, 0],
  ['gpt-oss-20b', [full(12, 8, 64), sliding(12, 8, 64, 128)], 24_576, 3 * mebi],
  ['gpt-oss-120b', [full(18, 8, 64), sliding(18, 8, 64, 128)], 36_864, 4.5 * mebi],
  ['Gemma-3-27B', [full(10, 16, 128), sliding(52, 16, 128, 1024)], 81_920, 416 * mebi],
  ['DeepSeek-V3', [{ kind: 'latent', layers: 61, rank: 512, rotary: 64 }], 70_272, 0],
] satisfies [string, AttentionGroup[], number, number][])(
  'K1-K4 %s keeps what is published',
  (_name, attention, perToken, perSequence) => {
    expect(kvBytes(attention, bf16)).toEqual({ bytesPerToken: perToken, bytesPerSequence: perSequence })
  },
)

test('K2 a sequence shorter than the window takes no more than it is long', () => {
  expect(kvTotal([sliding(1, 1, 64, 4096)], { ...bf16, context: 100, sequences: 2 })).toBe(2 * 100 * 256)
})

test('K3 a state takes the same, however long the sequence', () => {
  const state: AttentionGroup = { kind: 'state', layers: 36, bytesPerSequence: 1000 }
  const at = (context: number): number => kvTotal([state], { ...bf16, context, sequences: 3 })
  expect(at(1)).toBe(108_000)
  expect(at(1_000_000)).toBe(108_000)
})

test('K5 a quantised cache takes its blocks’ scales along', () => {
  const types = { keyType: 'q8_0', valueType: 'q4_0' } as const
  expect(kvBytes([full(1, 1, 128)], types).bytesPerToken).toBe((128 * 34) / 32 + (128 * 18) / 32)
})

test('K6 tensor parallel shares heads, repeats the last one, and repeats what is latent', () => {
  const latent: AttentionGroup = { kind: 'latent', layers: 61, rank: 512, rotary: 64 }
  expect(kvBytes(attentionOfRank([full(32, 8, 128)], 4), bf16).bytesPerToken).toBe(32_768)
  expect(kvBytes(attentionOfRank([full(32, 2, 128)], 8), bf16).bytesPerToken).toBe(16_384)
  expect(attentionOfRank([latent], 8)).toEqual([latent])
})

test('K1 the whole is tokens and sequences, once every window is full', () => {
  fc.assert(
    fc.property(fc.integer({ min: 4096, max: 262_144 }), fc.integer({ min: 1, max: 64 }), (context, sequences) => {
      const attention = [full(10, 16, 128), sliding(52, 16, 128, 1024)]
      const { bytesPerToken, bytesPerSequence } = kvBytes(attention, bf16)
      expect(kvTotal(attention, { ...bf16, context, sequences })).toBe(
        sequences * (bytesPerToken * context + bytesPerSequence),
      )
    }),
  )
})

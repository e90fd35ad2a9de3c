import { describe, expect, test } from 'vitest'
import type { WindowScore } from '../../domain/evaluation/index.ts'
import type { Inspection } from '../inspect-model.ts'
import { compareModels, type Comparing } from './compare-models.ts'
import type { ScoreOrder } from './ports.ts'

const inspectionOf = (over: Partial<Inspection> = {}): Inspection => ({
  ...{ source: 'coder.gguf', format: 'gguf', formatDetail: '', architecture: 'llama', modelClass: null },
  ...{ parameters: { total: 1000, active: 1000 }, layers: 4, contextLength: 4096, hidden: 8, vocabulary: 9, heads: 1 },
  ...{ attention: [], experts: null, quantisation: { name: 'fp16', bitsPerWeight: 16 }, bytes: 3000, parts: null },
  ...{ tokenizer: { kind: 'llama', vocabulary: 9 }, chatTemplate: null, licence: null, pickle: null, notes: [] },
  ...{ files: [], kv: null, engines: [], readBytes: 0, tensorTypes: [] },
  ...over,
})

const windowOf = (other: number): WindowScore => ({
  ...{ reference: 2, other, sameTop: 1, divergences: Float64Array.of(0.1) },
})

/** The order that the scorer gets, and what comes of it; it answers `scores`. */
async function play(over: Partial<Comparing> & { scores?: WindowScore[]; inspection?: Partial<Inspection> } = {}) {
  const orders: ScoreOrder[] = []
  const done = await compareModels({
    reference: { inspection: inspectionOf(over.inspection), path: 'a' },
    other: { inspection: inspectionOf({ source: 'coder-q4.gguf', ...over.inspection }), path: 'b' },
    ...{ text: 'x'.repeat(4000), context: null, windows: null, threads: 2, signal: new AbortController().signal },
    scorer: {
      score: order => {
        orders.push(order)
        return Promise.resolve({ windows: over.scores ?? [windowOf(2.1), windowOf(2.3)], tokens: 1000 })
      },
    },
    onWindow: () => {},
    ...over,
  }).catch((error: unknown) => error)
  return { done, order: orders[0] }
}

test('both are scored on the same windows of 512 tokens', async () => {
  const { done, order } = await play()
  expect(order).toMatchObject({ reference: 'a', other: 'b', context: 512, windows: null, threads: 2 })
  expect(done).toMatchObject({ windows: 2, context: 512, text: { tokens: 1000, bytes: 4000 } })
})

test('a model of less context is scored on what it has', async () => {
  expect((await play({ inspection: { contextLength: 128 } })).order?.context).toBe(128)
})

describe('refused', () => {
  const other = (over: Partial<Inspection>) => ({ other: { inspection: inspectionOf(over), path: 'b' } })
  test.each<[string, Parameters<typeof play>[0], string]>([
    ['two shapes', other({ layers: 5, hidden: 16 }), 'they differ in layers 4 and 5, width 8 and 16. Name two'],
    ['another family', other({ architecture: 'qwen3' }), 'architecture llama and qwen3'],
    ['other experts', other({ experts: { count: 8, used: 2, shared: 0 } }), 'experts 0 and 8'],
    ['another tokenizer', other({ tokenizer: { kind: 'gpt2', vocabulary: 9 } }), 'tokenizer llama and gpt2'],
    ['another format', other({ format: 'onnx' }), 'is onnx, and llama.cpp compares GGUF'],
    ['windows longer than the model', { context: 8192 }, '--context is 8192, and this model was made for 4096'],
    // 4 bytes a token, 50 windows of 512.
    [
      'one window',
      { scores: [windowOf(2)] },
      'which is one window of 512, and how much windows differ takes 2 at least, better 50: bring 103 kB of text, or say --context 20',
    ],
    ['no window', { scores: [] }, 'are no whole window of 512'],
    [
      'what is no number',
      { scores: [windowOf(2), windowOf(Number.NaN)] },
      'coder-q4.gguf gives chances that are no numbers',
    ],
  ])('%s', async (_, over, why) => {
    expect(String((await play(over)).done)).toContain(why)
  })
})

/** What the plan says of memory against what llama.cpp itself logs, for real files of several quantisations and contexts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getLlama, LlamaLogLevel } from 'node-llama-cpp'
import type { Llama } from 'node-llama-cpp'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openLocalPlace } from '../../src/adapters/model-files/index.ts'
import { parseLoadLog } from '../../src/domain/capacity/index.ts'
import { parseSpec } from '../../src/domain/spec/index.ts'
import { inspectModel } from '../../src/services/inspect-model.ts'
import { planSpec } from '../../src/services/plan-spec.ts'
import { writeGguf, type GgufDraft } from '../support/model-files.ts'
import { repository } from '../support/service.ts'

let folder = ''
let llama: Llama
/** What llama.cpp says: to the first logger that a process gives it, and to no other. */
const lines: string[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-plan-'))
  llama = await getLlama({
    ...{ build: 'never', gpu: false, skipDownload: true, maxThreads: 1, progressLogs: false },
    logLevel: LlamaLogLevel.info,
    logger: (_, message) => lines.push(message.trimEnd()),
  })
})
afterAll(async () => {
  await llama.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const shape = { hidden: 512, layers: 6, heads: 8, kvHeads: 2, length: 64, ffn: 1536, vocabulary: 2048, window: 512 }

/** ggml's number, and the bytes of 32 weights. */
const types = { 'fp16': [1, 64], 'q8-0': [8, 34], 'q4-0': [2, 18], 'mxfp4': [39, 17] } as const
type Type = keyof typeof types

/** A model that loads and means nothing: its weights are zeros. */
function writeModel(architecture: 'llama' | 'gemma3', type: Type): string {
  const { hidden, layers, heads, kvHeads, length, ffn, vocabulary, window } = shape
  const [number, bytes] = types[type]
  const norm = (name: string, width: number) => ({ name, shape: [width], type: 0, bytes: width * 4 })
  const matrix = (name: string, columns: number, rows: number) => ({
    ...{ name, shape: [columns, rows], type: number, bytes: (columns * rows * bytes) / 32 },
  })
  const gemma = architecture === 'gemma3'
  const block = (index: number) => {
    const at = `blk.${index}`
    return [
      norm(`${at}.attn_norm.weight`, hidden),
      matrix(`${at}.attn_q.weight`, hidden, heads * length),
      matrix(`${at}.attn_k.weight`, hidden, kvHeads * length),
      matrix(`${at}.attn_v.weight`, hidden, kvHeads * length),
      matrix(`${at}.attn_output.weight`, heads * length, hidden),
      ...(gemma ? [norm(`${at}.attn_q_norm.weight`, length), norm(`${at}.attn_k_norm.weight`, length)] : []),
      ...(gemma ? [norm(`${at}.post_attention_norm.weight`, hidden), norm(`${at}.post_ffw_norm.weight`, hidden)] : []),
      norm(`${at}.ffn_norm.weight`, hidden),
      matrix(`${at}.ffn_gate.weight`, hidden, ffn),
      matrix(`${at}.ffn_up.weight`, hidden, ffn),
      matrix(`${at}.ffn_down.weight`, ffn, hidden),
    ]
  }
  // Its tokenizer wants a token for every byte.
  const byteOf = (index: number): string => `<0x${(index - 3).toString(16).toUpperCase().padStart(2, '0')}>`
  const tokens = Array.from({ length: vocabulary }, (_, index) => {
    if (index < 3) return ['<unk>', '<s>', '</s>'][index] ?? ''
    return index < 259 ? byteOf(index) : `w${index}`
  })
  const kinds = tokens.map((_, index) => tokenKind(index))
  const draft: GgufDraft = {
    metadata: {
      'general.architecture': architecture,
      [`${architecture}.vocab_size`]: vocabulary,
      [`${architecture}.context_length`]: 8192,
      [`${architecture}.embedding_length`]: hidden,
      [`${architecture}.block_count`]: layers,
      [`${architecture}.feed_forward_length`]: ffn,
      [`${architecture}.attention.head_count`]: heads,
      [`${architecture}.attention.head_count_kv`]: kvHeads,
      [`${architecture}.attention.key_length`]: length,
      [`${architecture}.attention.value_length`]: length,
      [`${architecture}.rope.dimension_count`]: length,
      [`${architecture}.attention.layer_norm_rms_epsilon`]: { f32: 1e-5 },
      ...(gemma ? { [`${architecture}.attention.sliding_window`]: window } : {}),
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.scores': numbers(
        'f32',
        tokens.map((_, index) => -index),
      ),
      'tokenizer.ggml.token_type': numbers('i32', kinds),
      'tokenizer.ggml.bos_token_id': 1,
      'tokenizer.ggml.eos_token_id': 2,
    },
    tensors: [
      matrix('token_embd.weight', hidden, vocabulary),
      norm('output_norm.weight', hidden),
      ...(gemma ? [] : [matrix('output.weight', hidden, vocabulary)]),
      ...Array.from({ length: layers }, (_, index) => block(index)).flat(),
    ],
  }
  const file = join(folder, `${architecture}-${type}.gguf`)
  writeFileSync(file, writeGguf(draft))
  return file
}

/** Unknown, control, byte, normal. */
function tokenKind(index: number): number {
  if (index === 0) return 2
  if (index < 3) return 3
  return index < 259 ? 6 : 1
}

const ggufTypes = { i32: 5, f32: 6 }

/** An array of 32-bit numbers as GGUF has it, with its type in front. */
function numbers(type: keyof typeof ggufTypes, values: readonly number[]): Buffer {
  const array = Buffer.alloc(4 + 4 + 8 + 4 * values.length)
  array.writeUInt32LE(9, 0)
  array.writeUInt32LE(ggufTypes[type], 4)
  array.writeBigUInt64LE(BigInt(values.length), 8)
  values.forEach((value, index) =>
    type === 'f32' ? array.writeFloatLE(value, 16 + 4 * index) : array.writeInt32LE(value, 16 + 4 * index),
  )
  return array
}

type Sizes = { context: number; sequences: number }
type Memory = { weights: number; kv: number; compute: number }

async function planned(file: string, { context, sequences }: Sizes): Promise<Memory> {
  const reading = parseSpec({
    hosts: [{ name: 'here', memory: '16GiB' }],
    versions: [
      {
        name: 'dev-v1.0-tiny-q8-0-p0',
        artifact: { from: 'builtin:smoke' },
        engine: { kind: 'embedded', task: 'embed', flags: { 'context-size': context, sequences } },
        replicas: [{ id: 'tiny' }],
      },
    ],
    models: [{ name: 'tiny', live: 'dev-v1.0-tiny-q8-0-p0' }],
  })
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems))
  const plan = await planSpec(reading.spec, {
    readFacts: async () =>
      inspectModel({
        place: await openLocalPlace(file),
        allowedImports: new Set(),
        signal: new AbortController().signal,
      }),
    resolvePath: path => path,
    profiles: [],
    memoryHere: 0,
  })
  const [part] = plan.hosts[0]?.ram.parts ?? []
  if (part === undefined || plan.replicas[0]?.certainty !== 'read') throw new Error('it was not planned from its file')
  return { weights: part.weightsBytes, kv: part.kvBytes, compute: part.computeBytes }
}

/** What llama.cpp logs of its buffers, for the contexts that the embedded engine opens: one for answers, one for embeddings. */
async function measured(file: string, { context, sequences }: Sizes): Promise<Memory & { repacked: number }> {
  lines.length = 0
  const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 })
  const contexts = [
    await model.createContext({ contextSize: context, sequences, threads: 1 }),
    await model.createEmbeddingContext({ contextSize: context, batchSize: context, threads: 1 }),
  ]
  // Its log comes a little later.
  await vi.waitFor(() => expect(lines.filter(line => /compute buffer size/.test(line))).toHaveLength(2), 10_000)
  // By hand: a model waits for ever for the end of a context that was collected as garbage before it.
  for (const one of contexts) await one.dispose()
  await model.dispose()
  const log = parseLoadLog(lines.map(line => ` ${line}`).join('\n'))
  const devices = log?.devices ?? []
  const sum = (of: 'weights' | 'kv' | 'compute', among = devices): number =>
    among.reduce((all, device) => all + (device[of] ?? 0), 0)
  const repacked = sum(
    'weights',
    devices.filter(({ device }) => device.endsWith('_REPACK')),
  )
  return { weights: sum('weights'), kv: sum('kv'), compute: sum('compute'), repacked }
}

const inMiB = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(2)} MiB`.padStart(11)

const smoke = join(repository, 'weights/smoke/smoke.gguf')
const cases: readonly [name: string, file: () => string, sizes: Sizes][] = [
  ['smoke q8-0', () => smoke, { context: 512, sequences: 1 }],
  ['smoke q8-0', () => smoke, { context: 512, sequences: 8 }],
  ['smoke q8-0', () => smoke, { context: 4096, sequences: 2 }],
  ['llama fp16', () => writeModel('llama', 'fp16'), { context: 2048, sequences: 4 }],
  ['llama q8-0', () => writeModel('llama', 'q8-0'), { context: 8192, sequences: 1 }],
  ['llama q4-0', () => writeModel('llama', 'q4-0'), { context: 1024, sequences: 3 }],
  ['llama mxfp4', () => writeModel('llama', 'mxfp4'), { context: 1024, sequences: 1 }],
  ['gemma3 q8-0', () => writeModel('gemma3', 'q8-0'), { context: 4096, sequences: 2 }],
]

test.each(cases)('%s: planned and measured memory', async (name, file, sizes) => {
  const path = file()
  const [plan, real] = [await planned(path, sizes), await measured(path, sizes)]
  for (const part of ['weights', 'kv', 'compute'] as const) {
    const error = ((100 * (plan[part] - real[part])) / real[part]).toFixed(1)
    process.stdout.write(
      `${name.padEnd(12)} ${sizes.context} × ${sizes.sequences} ${part.padEnd(8)} planned ${inMiB(plan[part])}, measured ${inMiB(real[part])}, ${error} %\n`,
    )
  }
  // Matrices that are repacked for this processor are copies, and the file's pages behind them can be let go.
  expect(plan.weights).toBeGreaterThan(0.97 * (real.repacked === 0 ? real.weights : real.repacked))
  expect(plan.weights).toBeLessThan(1.03 * real.weights)
  expect(Math.abs(plan.kv - real.kv) / real.kv).toBeLessThan(0.01)
  expect(plan.compute).toBeGreaterThan(0.95 * real.compute)
  expect(plan.compute).toBeLessThan(1.1 * real.compute)
})

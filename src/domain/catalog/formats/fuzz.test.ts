/** Damaged and forged headers: real ones with bytes changed, cut and doubled. Seeds are fixed: a failure is one again. */
import { readFileSync } from 'node:fs'
import { inflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  stateDict,
  torchArchive,
  writeBundle,
  writeGguf,
  writeOnnx,
  writeSafetensors,
  writeSavedModel,
  writeZip,
} from '../../../../test/support/model-files.ts'
import { toGgufReport } from './gguf-report.ts'
import { readGguf } from './gguf.ts'
import { toHubReport } from './hub-report.ts'
import { toOnnxReport } from './onnx-report.ts'
import { readOnnx } from './onnx.ts'
import { readPytorch } from './pytorch.ts'
import { FormatError, type Reading } from './reading.ts'
import { readSafetensors } from './safetensors.ts'
import { readCheckpoint, readSavedModel } from './tensorflow.ts'

/** Whatever a file announces, no more than this of it is asked for at once, nor in all. */
const mostAtOnce = 64 * 1024 * 1024
const mostAsked = 64
const runs = { numRuns: 400, seed: 20_261_122 }

function run(reading: Reading<unknown>, file: Uint8Array): 'read' | 'refused' {
  let asked = 0
  try {
    for (let step = reading.next(); ;) {
      if (step.done === true) return 'read'
      const want = step.value
      if (want.kind === 'bytes') {
        asked += Math.min(want.bytes, file.length)
        expect(want.bytes).toBeLessThanOrEqual(mostAtOnce)
        expect(want.at).toBeGreaterThanOrEqual(0)
        expect(asked).toBeLessThanOrEqual(mostAsked * file.length + 1024)
        step = reading.next(file.subarray(want.at, want.at + want.bytes))
      } else step = reading.next(inflate(want))
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    // What, and what to do.
    expect(error.message).toMatch(/\. [A-Z]/)
    expect(error.message.length).toBeLessThan(1000)
    return 'refused'
  }
}

function inflate({ deflated, most }: { deflated: Uint8Array; most: number }): Uint8Array {
  try {
    return inflateRawSync(deflated, { maxOutputLength: most })
  } catch {
    throw new FormatError(null, 'broken', 'Fetch it again.')
  }
}

const side = { config: null, quantisation: null, tokenizer: null, template: null, readme: null }
const allowed = new Set<string>()
const dict = stateDict([
  { name: 'model.embed_tokens.weight', shape: [10, 4] },
  { name: 'model.layers.0.mlp.up_proj.weight', shape: [4, 4] },
])

const formats: { name: string; files: Buffer[]; read: (size: number) => Reading<unknown> }[] = [
  {
    name: 'GGUF',
    files: [
      readFileSync('weights/smoke/smoke.gguf').subarray(0, 60_000),
      writeGguf({
        metadata: {
          'general.architecture': 'llama',
          'llama.block_count': 2,
          'llama.attention.head_count': [1, 2],
          'a': ['b', 'c'],
          'd': { u64: 9n },
        },
        tensors: [
          { name: 'blk.0.attn_k.weight', shape: [32, 4], type: 8, bytes: 136 },
          { name: 'blk.1.ssm_in.weight', shape: [256], type: 999, bytes: 64 },
        ],
      }),
    ],
    *read(size) {
      toGgufReport([yield* readGguf(size)], size)
    },
  },
  {
    name: 'safetensors',
    files: [
      writeSafetensors(
        [
          { name: 'model.layers.0.a', type: 'F16', shape: [4, 4] },
          { name: 'b', type: 'I32', shape: [2] },
        ],
        { format: 'pt' },
      ),
    ],
    *read(size) {
      const { tensors } = yield* readSafetensors(size)
      toHubReport({ format: 'safetensors', formatDetail: '', tensors, bytes: size }, side)
    },
  },
  {
    name: 'archives of PyTorch',
    files: [torchArchive(dict), writeZip([{ name: 'x/data.pkl', bytes: dict, deflate: true }])],
    read: size => readPytorch(size, { zipped: true, allowed }),
  },
  { name: 'pickles', files: [dict], read: size => readPytorch(size, { zipped: false, allowed }) },
  {
    name: 'ONNX',
    files: [
      writeOnnx({
        tensors: [{ name: 'w', shape: [4, 4], type: 1, data: Buffer.alloc(64) }],
        inputs: [{ name: 'past_key_values.0.key', shape: ['b', 2, 'p', 8] }],
        nodes: [{ operator: 'GroupQueryAttention', numbers: { num_heads: 4 } }],
      }),
    ],
    *read(size) {
      toOnnxReport(yield* readOnnx(size), { bytes: size, side })
    },
  },
  {
    name: 'SavedModels',
    files: [writeSavedModel({ version: '2.16', tags: ['serve'], signatures: ['a'] })],
    read: readSavedModel,
  },
  {
    name: 'checkpoints',
    files: [
      writeBundle([
        { name: 'a/b', shape: [4], type: 1, bytes: 16 },
        { name: 'a/c', shape: [4], type: 1, bytes: 16 },
      ]),
    ],
    read: readCheckpoint,
  },
]

/** One way to spoil a file. */
const damage = fc.oneof(
  fc.record({ kind: fc.constant('byte' as const), at: fc.nat(), value: fc.nat(255) }),
  // Counts and lengths at their limits.
  fc.record({
    kind: fc.constant('number' as const),
    at: fc.nat(),
    value: fc.constantFrom(0n, 1n, 0x7fn, 0xffffn, 0x7fffffffn, 0xffffffffn, 2n ** 53n, 2n ** 63n - 1n, 2n ** 64n - 1n),
  }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }),
  fc.record({ kind: fc.constant('again' as const), at: fc.nat(), length: fc.nat(200) }),
)
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never

function spoil(file: Buffer, damages: readonly Damage[]): Buffer {
  return damages.reduce((spoiled, each) => {
    const at = spoiled.length === 0 ? 0 : each.at % Math.min(spoiled.length, 4096)
    if (each.kind === 'cut') return spoiled.subarray(0, at)
    if (each.kind === 'again') return Buffer.concat([spoiled.subarray(0, at + each.length), spoiled.subarray(at)])
    const copy = Buffer.from(spoiled)
    if (each.kind === 'byte' && at < copy.length) copy[at] = each.value
    if (each.kind === 'number' && at + 8 <= copy.length) copy.writeBigUInt64LE(each.value, at)
    return copy
  }, file)
}

describe.each(formats)('F2 $name', ({ files, read }) => {
  test('as they are, they are read', () => {
    for (const file of files.slice(-1)) expect(run(read(file.length), file)).toBe('read')
  })

  test('with bytes changed, cut and doubled they are read or refused in words, within bounds', () => {
    const ends = { read: 0, refused: 0 }
    fc.assert(
      fc.property(fc.constantFrom(...files), fc.array(damage, { minLength: 1, maxLength: 4 }), (file, damages) => {
        const spoiled = spoil(file, damages)
        ends[run(read(spoiled.length), spoiled)]++
      }),
      runs,
    )
    // A parser that refused everything, or nothing, would pass the rest.
    expect(ends.refused).toBeGreaterThan(20)
  })

  test('any bytes at all are read or refused in words', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
        run(read(bytes.length), bytes)
      }),
      runs,
    )
  })
})

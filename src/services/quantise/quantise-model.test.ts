import { describe, expect, test } from 'vitest'
import { ArtifactError } from '../../domain/catalog/index.ts'
import type { Inspection } from '../inspect-model.ts'
import type { Foreseen, NewFile, QuantiseOrder } from './ports.ts'
import { quantiseModel, type Quantising } from './quantise-model.ts'

/** As much of an inspection as quantising looks at. */
const inspectionOf = (types: string[], over: Partial<Inspection> = {}): Inspection => ({
  ...{ source: 'coder-f16.gguf', format: 'gguf', formatDetail: '', architecture: 'llama', modelClass: null },
  ...{ parameters: { total: 1000, active: 1000 }, layers: 1, contextLength: 512, hidden: 8, vocabulary: 9, heads: 1 },
  ...{ attention: [], experts: null, quantisation: { name: 'fp16', bitsPerWeight: 16 }, bytes: 3000, parts: null },
  ...{ tokenizer: null, chatTemplate: null, licence: null, pickle: null, notes: [], files: [], kv: null, engines: [] },
  ...{ readBytes: 0, tensorTypes: types.map(type => ({ type, tensors: 1, bytes: 1000 })) },
  ...over,
})

/** What happened, in order; the parts answer as `over` says. */
async function play(over: Partial<Quantising> & { foreseen?: Partial<Foreseen>; free?: number; fails?: Error } = {}) {
  const log: string[] = []
  const output: NewFile = {
    path: 'out/coder-Q4_K_M.gguf',
    temporary: 'out/.part',
    free: () => Promise.resolve(over.free ?? null),
    publish: async () => void log.push('publish'),
    discard: async () => void log.push('discard'),
  }
  const asked: Quantising = {
    input: { inspection: inspectionOf(['F16', 'F32']), path: 'coder-f16.gguf' },
    ...{ to: 'q4-k-m', threads: 1, requantise: false, importance: null, output },
    quantiser: {
      makes: ['fp16', 'q8-0', 'q4-k-m', 'iq2-xxs'],
      foresee: async () => {
        log.push('foresee')
        return { bytes: 500, changes: [], fallBacks: [], importanceWanted: false, ...over.foreseen }
      },
      quantise: async ({ to }: QuantiseOrder) => {
        log.push(`write ${to}`)
        if (over.fails !== undefined) throw over.fails
      },
    },
    inspect: async path => {
      log.push(`inspect ${path}`)
      return inspectionOf(['Q4_K'], { source: path, files: [{ path, bytes: 500 }] })
    },
    signal: new AbortController().signal,
    onTensor: () => {},
    ...over,
  }
  const done = await quantiseModel(asked).catch((error: unknown) => error)
  return { log, done }
}

test('a file is inspected before it is published, and told under the name that it has then', async () => {
  const { log, done } = await play()
  expect(log).toEqual(['foresee', 'write out/.part', 'inspect out/.part', 'publish', 'discard'])
  expect(done).toMatchObject({
    made: { source: 'out/coder-Q4_K_M.gguf', files: [{ path: 'coder-Q4_K_M.gguf' }] },
    fallBacks: [],
  })
})

test('what fails in the middle is not published', async () => {
  const { log, done } = await play({ fails: new ArtifactError('never', 'the library fell over') })
  expect(log).toEqual(['foresee', 'write out/.part', 'discard'])
  expect(String(done)).toContain('the library fell over')
})

describe('refused, with nothing written', () => {
  const already = { inspection: inspectionOf(['Q8_0', 'F32']), path: 'a' }
  test.each<[string, Parameters<typeof play>[0], string]>([
    ['weights that were quantised already', { input: already }, 'is quantised already (Q8_0)'],
    ['what is no GGUF', { input: { inspection: inspectionOf([], { format: 'onnx' }), path: 'a' } }, 'is onnx'],
    ['a quantisation that is not made', { to: 'awq' }, 'does not make AWQ; it makes F16, Q8_0, Q4_K_M, IQ2_XXS'],
    [
      'one that wants a file of importance',
      { to: 'iq2-xxs', foreseen: { importanceWanted: true } },
      'needs none: F16, Q8_0, Q4_K_M',
    ],
    // 500 for its tensors, 1000 for the header of the input, a mebibyte to spare.
    [
      'a disk that is full',
      { free: 500 + 1000 + 1024 * 1024 - 1 },
      `will take ${500 + 1000 + 1024 * 1024} bytes, and ${500 + 1000 + 1024 * 1024 - 1} are free`,
    ],
  ])('%s', async (_, over, why) => {
    const { log, done } = await play(over)
    expect(String(done)).toContain(why)
    expect(log.filter(line => line !== 'foresee')).toEqual(['discard'])
  })
})

test('quantised weights are taken where that is allowed, and the order says so', async () => {
  const input = { inspection: inspectionOf(['Q8_0', 'F32']), path: 'a' }
  expect((await play({ input, requantise: true })).log).toContain('publish')
})

test('a file of importance makes what wants one', async () => {
  const importance = new Map([['a', Float32Array.of(1)]])
  expect((await play({ to: 'iq2-xxs', importance, foreseen: { importanceWanted: true } })).log).toContain('publish')
})

test('a disk with just enough room will do', async () => {
  expect((await play({ free: 500 + 1000 + 1024 * 1024 })).log).toContain('publish')
})

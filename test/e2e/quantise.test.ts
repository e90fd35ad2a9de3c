/** `holdfast model quantise` and `model compare`, as a person and as CI use them, with the smoke model and its own engine. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import type { Order } from '../../src/adapters/llama-library/index.ts'
import { writeGguf } from '../support/model-files.ts'
import { repository, runCli, type CliAnswer } from '../support/service.ts'

const smoke = join(repository, 'weights/smoke/smoke.gguf')
const stories = join(repository, 'examples/quantising/stories.txt')
const golden = join(repository, 'examples/golden/smoke.jsonl')

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-quantise-'))
  // The smoke model comes as Q8_0: what its weights are then, in 16 bits, is the reference here.
  const made = await quantise(smoke, 'F16', '--allow-requantise', '--out', at('f16'))
  if (made.exitCode !== 0) throw new Error(made.stderr)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const at = (name: string): string => join(folder, `smoke-${name}.gguf`)
const env = () => ({ ...process.env, HOLDFAST_HOME: join(folder, 'home') })
const model = (...args: string[]): Promise<CliAnswer> => runCli(['model', ...args], env())
const quantise = (from: string, to: string, ...more: string[]) => model('quantise', from, '--to', to, ...more)

const Interval = z.object({ mean: z.number(), lower: z.number(), upper: z.number() })
const Compared = z.object({
  perplexity: z
    .object({
      ...{ windows: z.number(), tokens: z.number(), loss: Interval, sameTop: z.number() },
      perplexity: z.object({ reference: z.number(), other: z.number() }),
      divergence: Interval.extend({ p99: z.number() }),
    })
    .nullable(),
  golden: z.object({ outcome: z.looseObject({ compared: z.number(), verdict: z.string() }) }).nullable(),
})

async function compare(other: string, ...more: string[]) {
  const { exitCode, stdout, stderr } = await model(
    ...['compare', at('f16'), other, '--text', stories, '--context', '128', '--json', ...more],
  )
  if (stdout === '') throw new Error(stderr)
  const { perplexity, golden: asked } = Compared.parse(JSON.parse(stdout))
  if (perplexity === null) throw new Error('it measured no perplexity')
  return { exitCode, ...perplexity, golden: asked }
}

describe('quantise', () => {
  test('makes a file that is what its name says, and tells which tensors are something else', async () => {
    const { exitCode, stdout } = await quantise(at('f16'), 'q4_k_m', '--json')
    expect(exitCode).toBe(0)
    const made = JSON.parse(stdout)
    expect(made).toMatchObject({ path: at('Q4_K_M'), bytes: statSync(at('Q4_K_M')).size })
    // Rows of 192 do not divide into blocks of 256; those of 512 do. 6.06 is what llama.cpp itself counts.
    expect(made.quantisation).toEqual({ name: 'q4-k-m', bitsPerWeight: expect.closeTo(6.06, 2) })
    expect(made.fallBacks).toHaveLength(24)
    expect(made.fallBacks).toContainEqual({ tensor: 'blk.0.attn_k.weight', wanted: 'q4_K', got: 'q5_0' })
    expect(made.tensorTypes.map(({ type }: { type: string }) => type)).toEqual(
      expect.arrayContaining(['Q5_0', 'Q4_K', 'Q6_K', 'F32']),
    )
    expect(readdirSync(folder).filter(name => name.endsWith('.part'))).toEqual([])
  })

  // Other processors may round the last bit of a scale elsewhere.
  test.runIf(process.arch === 'x64')('makes the very bytes that llama.cpp’s own program makes', () => {
    // llama-quantize of llama.cpp v0.5.0, built by hand (docs/design/0028-quantise-and-compare.md).
    const digest = createHash('sha256')
      .update(readFileSync(at('Q4_K_M')))
      .digest('hex')
    expect(digest).toBe('a4b95971fc881e635dbda5a708d2fc96517e4c6826f547fee145f97bb65b7794')
  })

  test('makes with a file of importance what it refuses without one', async () => {
    const importance = join(folder, 'importance.gguf')
    writeImportance(importance)
    const { exitCode, stdout, stderr } = await quantise(at('f16'), 'IQ2_XXS', '--imatrix', importance, '--json')
    expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining('did not find weights')])
    const made = JSON.parse(stdout)
    expect(made).toMatchObject({ path: at('IQ2_XXS'), quantisation: { name: 'iq2-xxs' } })
    expect(made.tensorTypes).toContainEqual({ type: 'IQ2_XXS', tensors: expect.any(Number), bytes: expect.any(Number) })
  })

  test('counts the bits of generated weights as their types have them', async () => {
    const file = join(folder, 'random-f32.gguf')
    const { matrices, norms } = writeRandom(file)
    for (const [type, bits] of [
      ['Q4_0', 4.5],
      ['Q8_0', 8.5],
    ] as const) {
      const { stdout } = await quantise(file, type, '--json')
      const made = JSON.parse(stdout)
      const output = matrices.output * (type === 'Q4_0' ? 6.5625 : bits)
      const expected = (matrices.layers * bits + output + norms * 32) / (matrices.layers + matrices.output + norms)
      expect(made.quantisation.bitsPerWeight).toBeCloseTo(expected, 3)
      expect(made.fallBacks).toEqual([])
    }
  })

  test('what can’t be made is refused in words, and nothing is written', async () => {
    const [partial, before] = [damaged(), readdirSync(folder)]
    const refused = await Promise.all([
      quantise(at('f16'), 'IQ2_XXS', '--out', at('none')),
      quantise(at('f16'), 'awq'),
      quantise(partial, 'Q8_0'),
      quantise(at('f16'), 'Q4_K_M'),
    ])
    expect(refused.map(({ exitCode }) => exitCode)).toEqual([1, 2, 1, 1])
    const [importance, unknown, broken, taken] = refused.map(({ stderr }) => stderr)
    expect(importance).toContain('name one with --imatrix, or take one that needs none: F32')
    expect(unknown).toContain('llama.cpp does not make awq; it makes: F32, BF16')
    expect(broken).toContain('damaged')
    expect(taken).toContain(`there is a file ${at('Q4_K_M')} already`)
    expect(readdirSync(folder)).toEqual(before)
  })

  test('kill -9 in the middle leaves nothing under the name, nothing running, and nothing in the way', async () => {
    const killed = spawn(join(repository, 'bin/holdfast'), ['model', 'quantise', at('f16'), '--to', 'Q5_K_M'], {
      env: env(),
      stdio: 'ignore',
    })
    const { pid = 0 } = killed
    const parts = () => readdirSync(folder).filter(name => name.endsWith('.part'))
    // The command, and the process that works for it: nobody tells that one.
    await vi.waitUntil(() => parts().length > 0 && childrenOf(pid).length > 0, { timeout: 30_000, interval: 5 })
    const workers = childrenOf(pid)
    killed.kill('SIGKILL')
    if (killed.exitCode === null && killed.signalCode === null) await once(killed, 'exit')
    await vi.waitUntil(() => workers.every(worker => !existsSync(`/proc/${worker}`)), { timeout: 30_000 })
    expect([parts().length, existsSync(at('Q5_K_M'))]).toEqual([1, false])

    expect((await quantise(at('f16'), 'Q5_K_M')).exitCode).toBe(0)
    expect([parts().length, existsSync(at('Q5_K_M'))]).toEqual([0, true])
  })

  test('whoever works in the library ends with its parent, in the middle of a tensor, too', async () => {
    const from = join(folder, 'wide.gguf')
    writeRandom(from, 65_536)
    const worker = spawn(process.execPath, [join(repository, 'src/apps/main.ts'), 'llama-library'], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
    })
    let said = ''
    worker.stderr?.setEncoding('utf8').on('data', (more: string) => (said += more))
    const ended = once(worker, 'exit')
    const order: Order = {
      ...{ do: 'quantise', from, to: join(folder, 'wide-q2.gguf'), fileType: 10, threads: 1 },
      ...{ requantise: false, dryRun: false, importance: null },
    }
    worker.once('message', () => worker.send(order))
    await vi.waitUntil(() => /converting to \S+ \.\. $/.test(said), { timeout: 30_000, interval: 1 })
    worker.disconnect()
    expect(await ended).toEqual([null, 'SIGKILL'])
    rmSync(from)
  })
})

describe('compare', () => {
  test('measures what llama.cpp’s own program measures, and the quantised file answers in the embedded engine', async () => {
    const found = await compare(at('Q4_K_M'), '--golden', golden)
    expect(found).toMatchObject({ exitCode: 0, windows: 39, tokens: 39 * 63 })
    // llama-perplexity of llama.cpp v0.5.0, built by hand: -c 128 -b 128 on these files (docs/design/0028-quantise-and-compare.md).
    expect(Math.abs(found.perplexity.reference / 5.1645 - 1)).toBeLessThan(0.001)
    expect(Math.abs(found.perplexity.other / 5.35 - 1)).toBeLessThan(0.001)
    expect(Math.abs(found.divergence.mean / 0.005627 - 1)).toBeLessThan(0.02)
    expect(Math.abs(found.sameTop - 0.97314)).toBeLessThan(0.002)
    expect(found.loss.lower).toBeLessThan(found.perplexity.other / found.perplexity.reference - 1)
    expect(found.loss.upper).toBeGreaterThan(found.perplexity.other / found.perplexity.reference - 1)
    // Most of what the smoke model knows it still knows in four bits.
    expect(found.golden?.outcome).toMatchObject({ compared: 11, arms: { candidate: { failed: 0 } } })
    expect(z.object({ passed: z.number() }).parse(armOf(found.golden?.outcome)).passed).toBeGreaterThan(5)
  })

  test('a model against itself loses exactly nothing', async () => {
    const { loss, divergence, sameTop } = await compare(at('f16'), '--chunks', '8')
    expect(loss).toEqual({ mean: 0, lower: 0, upper: 0 })
    expect([divergence.mean, divergence.p99, sameTop]).toEqual([0, 0, 1])
  })

  test('fewer bits lose more, and --worst is a gate for CI', async () => {
    await Promise.all([quantise(at('f16'), 'Q8_0', '--out', at('q8')), quantise(at('f16'), 'Q2_K', '--out', at('q2'))])
    const [q8, q2] = await Promise.all([
      compare(at('q8'), '--worst', '3', '--chunks', '20'),
      compare(at('q2'), '--worst', '3', '--chunks', '20'),
    ])
    // On so little text the loss itself is sure for one of them alone; how far they are from the reference is sure for both.
    expect(q8.divergence.upper).toBeLessThan(q2.divergence.lower)
    expect(q8.loss.mean).toBeLessThan(q2.loss.mean)
    expect([q8.loss.lower < 0, q2.loss.lower > 0]).toEqual([true, true])
    expect([q8.exitCode, q2.exitCode]).toEqual([0, 1])
  })

  test('what can’t be compared is refused in words', async () => {
    const [another, short, renamed] = [other(), text('A few words.'), withOtherToken()]
    const refused = await Promise.all([
      model('compare', at('f16'), another, '--text', stories),
      model('compare', at('f16'), smoke, '--text', short),
      model('compare', at('f16'), smoke, '--text', smoke),
      model('compare', at('f16'), smoke),
      model('compare', at('f16'), renamed, '--text', stories),
    ])
    expect(refused.map(({ exitCode }) => exitCode)).toEqual([1, 1, 2, 2, 1])
    const [different, few, binary, nothing, token] = refused.map(({ stderr }) => stderr)
    expect(different).toContain('are not one model in two quantisations: they differ in layers 4 and 2')
    expect(few).toContain('of text, or say --context 16')
    expect(binary).toContain('it is no UTF-8 text')
    expect(nothing).toContain('--text <file>, --golden <set>, or both')
    expect(token).toContain(
      'token 3 is "<|im_start|>" in one and "<|im_stare|>" in the other: they are different models',
    )
  })
})

const armOf = (outcome: unknown): unknown =>
  z.object({ arms: z.object({ candidate: z.unknown() }) }).parse(outcome).arms.candidate

function text(content: string): string {
  const path = join(folder, 'text.txt')
  writeFileSync(path, content)
  return path
}

/** Cut in the middle of its tensors. */
function damaged(): string {
  const path = join(folder, 'damaged.gguf')
  writeFileSync(path, readFileSync(at('f16')).subarray(0, 1_000_000))
  return path
}

/** The same shape, and another word for one token. */
function withOtherToken(): string {
  const path = join(folder, 'token.gguf')
  const file = readFileSync(at('f16'))
  file.write('<|im_stare|>', file.indexOf('<|im_start|>'))
  writeFileSync(path, file)
  return path
}

function other(): string {
  const path = join(folder, 'other.gguf')
  writeRandom(path)
  return path
}

/** Of a process that runs, those that it started. */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Every input of every matrix of the smoke model matters the same. */
function writeImportance(path: string): void {
  const matrices = Array.from({ length: 4 }, (_, layer) =>
    ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'].map(each => ({
      name: `blk.${layer}.${each}.weight`,
      width: each === 'ffn_down' ? 512 : 192,
    })),
  ).flat()
  const tensors = matrices.flatMap(({ name, width }) => [
    { name: `${name}.in_sum2`, shape: [width, 1], type: 0, bytes: 4 * width },
    { name: `${name}.counts`, shape: [1, 1], type: 0, bytes: 4 },
  ])
  const file = writeGguf({ metadata: { 'general.type': 'imatrix' }, tensors })
  const dataBytes = tensors.reduce((sum, { bytes }) => sum + Math.ceil(bytes / 32) * 32, 0)
  for (let place = file.length - dataBytes; place < file.length; place += 4) file.writeFloatLE(1, place)
  writeFileSync(path, file)
}

/** A llama of two layers with random weights; how many of them are where. */
function writeRandom(path: string, vocabulary = 512): { matrices: { layers: number; output: number }; norms: number } {
  const [width, wide, layers] = [256, 512, 2]
  const tensor = (name: string, ...shape: number[]) => ({
    ...{ name, shape, type: 0, bytes: 4 * shape.reduce((product, each) => product * each, 1) },
  })
  const block = (index: number) => [
    tensor(`blk.${index}.attn_norm.weight`, width),
    ...['q', 'k', 'v', 'output'].map(each => tensor(`blk.${index}.attn_${each}.weight`, width, width)),
    tensor(`blk.${index}.ffn_norm.weight`, width),
    ...['gate', 'up'].map(each => tensor(`blk.${index}.ffn_${each}.weight`, width, wide)),
    tensor(`blk.${index}.ffn_down.weight`, wide, width),
  ]
  const tensors = [
    tensor('token_embd.weight', width, vocabulary),
    tensor('output_norm.weight', width),
    tensor('output.weight', width, vocabulary),
    ...Array.from({ length: layers }, (_, index) => block(index)).flat(),
  ]
  const file = writeGguf({
    metadata: {
      'general.architecture': 'llama',
      'llama.vocab_size': vocabulary,
      'llama.context_length': 512,
      'llama.embedding_length': width,
      'llama.block_count': layers,
      'llama.feed_forward_length': wide,
      'llama.attention.head_count': 4,
      'llama.attention.layer_norm_rms_epsilon': { f32: 1e-5 },
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.tokens': Array.from({ length: vocabulary }, (_, index) => `w${index}`),
    },
    tensors,
  })
  const dataBytes = tensors.reduce((sum, { bytes }) => sum + bytes, 0)
  for (let place = file.length - dataBytes, state = 1; place < file.length; place += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    file.writeFloatLE(state / 2 ** 32 - 0.5, place)
  }
  writeFileSync(path, file)
  const inLayers = layers * (4 * width * width + 3 * width * wide)
  return {
    matrices: { layers: inLayers + width * vocabulary, output: width * vocabulary },
    norms: width * (1 + 2 * layers),
  }
}

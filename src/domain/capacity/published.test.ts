import { expect, test } from 'vitest'
import type { Quantisation } from '../catalog/index.ts'
import { fakeGpu, fakeHost, fakeWorkload } from './fake.ts'
import { gibi, mebi } from './fleet.ts'
import { knownFacts } from './known-models.ts'
import { kvBytes } from './kv-cache.ts'
import { planFleet } from './plan.ts'

/** Printed whether or not it is right: what is known of models is only as good as this table. */
function report(title: string, rows: readonly { name: string; ours: number; published: number }[]): void {
  const lines = rows.map(({ name, ours, published }) => {
    const error = (100 * (ours - published)) / published
    return `${name.padEnd(32)} ${ours.toPrecision(5).padStart(12)} ${published.toPrecision(5).padStart(12)} ${error.toFixed(2).padStart(7)} %`
  })
  process.stdout.write(`${title}: ours, published, error\n${lines.join('\n')}\n`)
}

const errorOf = ({ ours, published }: { ours: number; published: number }): number =>
  Math.abs(ours - published) / published

test('parameters are what makers publish: none more than 5 % off', () => {
  const rows = (
    [
      ['qwen3-coder-30b-a3b', 30.5, 3.3],
      ['qwen3-235b-a22b', 235, 22],
      ['gpt-oss-20b', 20.9, 3.6],
      ['gpt-oss-120b', 116.8, 5.1],
      ['llama3-1-8b', 8.03, 8.03],
      ['llama3-1-70b', 70.6, 70.6],
      ['qwen3-8b', 8.2, 8.2],
      ['qwen3-embedding-8b', 7.6, 7.6],
      ['mistral-7b', 7.25, 7.25],
      ['deepseek-v3', 671, 37],
      ['gemma-3-27b', 27.4, 27.4],
    ] as const
  ).flatMap(([name, total, active]) => {
    const parameters = knownFacts([name], 'bf16')?.parameters ?? { total: 0, active: 0 }
    return [
      { name: `${name} total`, ours: parameters.total / 1e9, published: total },
      // The makers of gpt-oss leave the embedding out of what is in use.
      ...(name.startsWith('gpt-oss')
        ? []
        : [{ name: `${name} active`, ours: parameters.active / 1e9, published: active }]),
    ]
  })
  report('Parameters in billions', rows)
  expect(rows.filter(row => errorOf(row) > 0.05)).toEqual([])
})

test('file sizes are what is published: none more than 5 % off', () => {
  const rows = (
    [
      ['qwen3-30b-a3b', 'iq4-xs', 16.6],
      ['qwen3-coder-30b-a3b', 'q4-k-m', 18.6],
      ['qwen3-coder-30b-a3b', 'q8-0', 32.4],
      ['qwen3-coder-30b-a3b', 'bf16', 61],
      ['qwen3-235b-a22b', 'q3-k-m', 114.6],
      ['qwen3-235b-a22b', 'q4-k-m', 143],
      ['qwen3-235b-a22b', 'fp8', 236],
      ['llama3-1-8b', 'q2-k', 3.2],
      ['llama3-1-8b', 'iq4-xs', 4.5],
      ['llama3-1-8b', 'q4-k-m', 4.9],
      ['llama3-1-8b', 'q5-k-m', 5.7],
      ['llama3-1-8b', 'q6-k', 6.6],
      ['llama3-1-8b', 'q8-0', 8.5],
      ['llama3-1-8b', 'bf16', 16.1],
      ['llama3-1-70b', 'q4-k-m', 43.1],
      ['qwen3-8b', 'q4-k-m', 5],
      ['mistral-7b', 'q4-0', 4.1],
      ['gemma-3-27b', 'q4-k-m', 16.5],
      ['deepseek-r1-671b', 'q4-k-m', 404],
      ['gpt-oss-20b', 'mxfp4', 13.8],
      ['gpt-oss-120b', 'mxfp4', 65.3],
    ] as const satisfies readonly (readonly [string, Quantisation, number])[]
  ).map(([name, quantisation, published]) => ({
    name: `${name} ${quantisation}`,
    ours: (knownFacts([name], quantisation)?.bytes ?? 0) / 1e9,
    published,
  }))
  report('File sizes in GB', rows)
  expect(rows.filter(row => errorOf(row) > 0.05)).toEqual([])
})

test('KV cache is what is published, to the byte', () => {
  const rows = (
    [
      ['qwen3-coder-30b-a3b', 98_304, 0],
      ['qwen3-235b-a22b', 192_512, 0],
      ['gpt-oss-20b', 24_576, 3 * mebi],
      ['gpt-oss-120b', 36_864, 4.5 * mebi],
      ['llama3-1-8b', 131_072, 0],
      ['llama3-1-70b', 327_680, 0],
      ['qwen3-8b', 147_456, 0],
      ['mistral-7b', 131_072, 0],
      ['deepseek-v3', 70_272, 0],
      ['gemma-3-27b', 81_920, 416 * mebi],
    ] as const
  ).map(([name, perToken, perSequence]) => {
    const attention = knownFacts([name], 'bf16')?.attention ?? []
    const ours = kvBytes(attention, { keyType: 'bf16', valueType: 'bf16' })
    return {
      name,
      ours: ours.bytesPerToken,
      published: perToken,
      fixed: ours.bytesPerSequence,
      publishedFixed: perSequence,
    }
  })
  report('KV bytes a token', rows)
  expect(rows.filter(row => row.ours !== row.published || row.fixed !== row.publishedFixed)).toEqual([])
})

/** One 96 GB card, 235 billion parameters: layers whose experts are in RAM, and what its bandwidth then allows. */
const offloaded = [
  { quantisation: 'q3-k-m', context: 32_768, type: 'f16', layers: 21, slow: 61, fast: 196 },
  { quantisation: 'q3-k-m', context: 131_072, type: 'q8_0', layers: 26, slow: 50, fast: 158 },
  { quantisation: 'iq4-xs', context: 32_768, type: 'f16', layers: 29, slow: 39, fast: 126 },
  { quantisation: 'iq4-xs', context: 131_072, type: 'q8_0', layers: 34, slow: 34, fast: 107 },
  { quantisation: 'q4-k-m', context: 32_768, type: 'f16', layers: 35, slow: 30, fast: 95 },
  { quantisation: 'q4-k-m', context: 131_072, type: 'q8_0', layers: 40, slow: 26, fast: 83 },
  { quantisation: 'q6-k', context: 32_768, type: 'f16', layers: 51, slow: 15, fast: 49 },
  { quantisation: 'q6-k', context: 131_072, type: 'q8_0', layers: 54, slow: 14, fast: 46 },
] as const satisfies readonly { quantisation: Quantisation; context: number; [other: string]: unknown }[]

test.each(offloaded)(
  'Qwen3-235B as $quantisation with $context tokens of $type: --n-cpu-moe $layers',
  ({ quantisation, context, type, layers, slow, fast }) => {
    const cache = type === 'f16' ? {} : { 'cache-type-k': type, 'cache-type-v': type }
    const flags = { 'ctx-size': context, ...cache }
    const plan = (memoryBandwidth: number, more = {}) =>
      planFleet({
        hosts: [fakeHost([fakeGpu('rtx', 'RTX PRO 6000 Blackwell')], { memoryBandwidth })],
        workloads: [fakeWorkload({ model: 'qwen3-235b-a22b', quantisation, flags: { ...flags, ...more } })],
      })
    const [refusal] = plan(96e9).refusals
    const offload = refusal?.counterfactuals.find(each => each.kind === 'offload')
    expect(Math.abs((offload?.settings.cpuMoe ?? 0) - layers)).toBeLessThanOrEqual(1)

    // The reference's own number of layers gives its own ceilings.
    for (const [bandwidth, published] of [
      [96e9, slow],
      [307e9, fast],
    ] as const) {
      const { speed } = offloadedBy(plan(bandwidth, { 'n-cpu-moe': layers + 3 }))
      const ours = ((speed.ramAtMost ?? 0) * (layers + 3)) / layers
      expect(Math.abs(ours - published) / published).toBeLessThan(0.05)
    }
  },
)

function offloadedBy({ replicas: [replica], refusals }: ReturnType<typeof planFleet>) {
  if (replica === undefined) throw new Error(`not placed: ${refusals[0]?.why}`)
  return replica
}

test('N2 a vLLM that is given a fraction takes it of the whole card', () => {
  const flags = { 'gpu-memory-utilization': 0.5, 'max-model-len': 8192 }
  const { hosts } = planFleet({
    hosts: [fakeHost([fakeGpu('a', 'H100 80GB')])],
    workloads: [
      fakeWorkload({ model: 'llama3-1-8b', quantisation: 'fp8', kind: 'vllm', engineVersion: '0.20.0', flags }),
    ],
  })
  expect(hosts[0]?.gpus[0]?.usedBytes).toBeCloseTo(0.5 * 81_559 * mebi, -2)
})

test('N2 a vLLM of before 0.19 has its CUDA graphs on top of its fraction', () => {
  const used = (engineVersion: string): number =>
    planFleet({
      hosts: [fakeHost([fakeGpu('a', 'H100 80GB')])],
      workloads: [
        fakeWorkload({
          ...{ model: 'llama3-1-8b', quantisation: 'fp8', kind: 'vllm', engineVersion },
          flags: { 'gpu-memory-utilization': 0.5 },
        }),
      ],
    }).hosts[0]?.gpus[0]?.usedBytes ?? 0
  expect(used('0.11.2') - used('0.20.0')).toBeCloseTo(600 * mebi, -2)
})

test('N4 TensorRT-LLM takes nine tenths of what is left, not of the card', () => {
  const { hosts } = planFleet({
    hosts: [fakeHost([fakeGpu('a', 'H100 80GB')])],
    workloads: [fakeWorkload({ model: 'llama3-1-8b', quantisation: 'fp8', kind: 'tensorrt-llm' })],
  })
  const [part] = hosts[0]?.gpus[0]?.parts ?? []
  if (part === undefined) throw new Error('nothing was placed')
  const free = 81_559 * mebi - part.weightsBytes - part.computeBytes - part.overheadBytes
  expect(part.kvBytes).toBeCloseTo(0.9 * free, -2)
})

test('N5 slots share the context of llama.cpp, and have one each in the embedded engine', () => {
  const kv = (kind: string, flags: Record<string, number>): number =>
    planFleet({
      hosts: [fakeHost([])],
      workloads: [fakeWorkload({ model: 'llama3-1-8b', quantisation: 'q4-k-m', kind, flags })],
    }).hosts[0]?.ram.parts[0]?.kvBytes ?? 0
  expect(kv('llama-cpp', { 'ctx-size': 8192, 'parallel': 4 })).toBe(gibi)
  expect(kv('embedded', { 'context-size': 8192, 'sequences': 4 })).toBe(4 * gibi)
})

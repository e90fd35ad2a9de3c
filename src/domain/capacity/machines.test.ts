import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openHost } from './cards.ts'
import { fakeGpu, fakeHost, fakeWorkload } from './fake.ts'
import { gibi, mebi } from './fleet.ts'
import { findGpu } from './known-gpus.ts'
import { pickProfiles } from './mig.ts'
import { planFleet } from './plan.ts'
import { powerOf } from './power.ts'

test.each([
  ['RTX PRO 6000 Blackwell', 96],
  ['NVIDIA RTX PRO 6000 Blackwell Workstation Edition', 96],
  ['RTX 6000 Ada', 48],
  ['NVIDIA RTX 6000 Ada Generation', 48],
  ['RX 9070 XT', 16],
  ['NVIDIA H100 80GB HBM3', 80],
  ['NVIDIA A100-SXM4-40GB', 40],
  ['NVIDIA A100-SXM4-80GB', 80],
  ['Tesla V100-SXM2-32GB', 32],
  ['NVIDIA GeForce RTX 3090', 24],
  ['NVIDIA L40S', 48],
  ['AMD Instinct MI300X', 192],
])('%s is a card of %i GiB', (product, memory) => {
  expect(findGpu(product)?.memoryGiB).toBe(memory)
})

test('an RTX 6000 Ada of 96 GiB is caught, and planned with what it has', () => {
  const { host, findings } = openHost(fakeHost([fakeGpu('ada', 'RTX 6000 Ada', { memory: 96 * gibi })]))
  expect(findings).toMatchObject([{ level: 'mistake', gpu: 'ada' }])
  expect(findings[0]?.what).toMatch(/RTX 6000 Ada has 48 GiB, and the spec says 96.0 GiB; .* RTX PRO 6000 Blackwell/)
  expect(host.cards[0]?.capacity).toBe(49_140 * mebi)
})

test('a card that nobody knows is believed when its memory is stated, and left empty when not', () => {
  const stated = openHost(fakeHost([fakeGpu('x', 'Voodoo 9', { memory: 32 * gibi })]))
  expect(stated.host.cards[0]?.capacity).toBe(32 * gibi)
  expect(stated.findings).toMatchObject([{ level: 'estimate' }])
  const unstated = openHost(fakeHost([fakeGpu('x', 'Voodoo 9')]))
  expect(unstated.host.cards[0]?.capacity).toBe(0)
  expect(unstated.findings).toMatchObject([{ level: 'mistake' }])
})

test('power: two cards and the rest against supply and UPS', () => {
  const gpus = [fakeGpu('rtx', 'RTX PRO 6000 Blackwell'), fakeGpu('amd', 'RX 9070 XT')]
  const of = (supplyWatts: number, watts: number) =>
    powerOf(openHost(fakeHost(gpus, { supplyWatts, restWatts: 350, ups: { name: 'ups', watts } })).host)
  const enough = of(1600, 1500)
  expect(enough.power).toMatchObject({ cardsWatts: 904, totalWatts: 1254, upsNeeded: 1400 })
  expect(enough.findings.map(({ topic }) => topic)).toEqual(['cooling'])
  const short = of(1200, 1200).findings.filter(({ topic }) => topic === 'power')
  expect(short.map(({ level }) => level)).toEqual(['mistake', 'mistake'])
  expect(
    of(1400, 1300)
      .findings.filter(({ topic }) => topic === 'power')
      .map(({ level }) => level),
  ).toEqual(['risk', 'risk'])
})

test('power: a limit that is advised brings the host below its bound', () => {
  const { host } = openHost(
    fakeHost([fakeGpu('a', 'RTX 4090'), fakeGpu('b', 'RTX 4090')], { supplyWatts: 1000, restWatts: 200 }),
  )
  const remedy = powerOf(host).findings.find(({ topic }) => topic === 'power')?.remedy ?? ''
  const limit = Number(/-pl (\d+)/.exec(remedy)?.[1])
  expect(2 * limit + 200).toBeLessThanOrEqual(800)
})

test.each([
  [
    'seven small ones',
    'h100-80',
    [9, 9, 9, 9, 9, 9, 9],
    ['1g.10gb', '1g.10gb', '1g.10gb', '1g.10gb', '1g.10gb', '1g.10gb', '1g.10gb'],
  ],
  ['a large and a small one', 'a100-80', [39, 9], ['3g.40gb', '1g.10gb']],
  ['two halves', 'a100-40', [19, 19], ['3g.20gb', '3g.20gb']],
  ['four of a workstation card', 'rtx-pro-6000', [20, 20, 20, 20], ['1g.24gb', '1g.24gb', '1g.24gb', '1g.24gb']],
  ['the newest', 'h200', [30, 60], ['1g.35gb', '3g.71gb']],
] as const)('MIG: %s', (_name, family, needs, names) => {
  expect(
    pickProfiles(
      family,
      needs.map(need => need * gibi),
    )?.map(({ profile }) => profile.name),
  ).toEqual(names)
})

test.each([
  ['eight', [1, 1, 1, 1, 1, 1, 1, 1]],
  ['three halves', [30, 30, 30]],
  ['one more than the card', [90]],
])('MIG: %s do not fit, and it says so', (_name, needs) => {
  expect(
    pickProfiles(
      'h100-80',
      needs.map(need => need * gibi),
    ),
  ).toBeNull()
})

test('MIG: slices never overlap, and each holds what it is for', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 7 }), needs => {
      const choices =
        pickProfiles(
          'h100-80',
          needs.map(need => need * gibi),
        ) ?? []
      const taken = choices.flatMap(({ profile, start }) =>
        Array.from({ length: profile.memory }, (_, slice) => start + slice),
      )
      expect(new Set(taken).size).toBe(taken.length)
      expect(Math.max(0, ...taken)).toBeLessThan(8)
      choices.forEach(({ profile }, index) => expect(profile.bytes).toBeGreaterThanOrEqual((needs[index] ?? 0) * gibi))
    }),
    { seed: 5 },
  )
})

test('MIG: a slice that the spec names is a card of its own', () => {
  const { host } = openHost(fakeHost([fakeGpu('s', 'H100 80GB MIG 3g.40gb', { uuid: 'MIG-0000' })]))
  expect((host.cards[0]?.capacity ?? 0) / gibi).toBeCloseTo(39.5, 1)
  const [command] = planFleet({
    hosts: [fakeHost([fakeGpu('s', 'H100 80GB MIG 3g.40gb', { uuid: 'MIG-0000' })])],
    workloads: [fakeWorkload({ model: 'llama3-1-8b', quantisation: 'fp8', kind: 'vllm' })],
  }).commands
  expect(command?.env).toEqual({ CUDA_VISIBLE_DEVICES: 'MIG-0000' })
})

test('commands: what the version says itself is not said twice, what it leaves out is', () => {
  const flags = { 'max-model-len': 8192, 'enable-prefix-caching': true, 'enable-chunked-prefill': false }
  const [command] = planFleet({
    hosts: [fakeHost([fakeGpu('a', 'RTX 4090', { numa: 1 }), fakeGpu('b', 'RTX 4090', { numa: 1 })])],
    workloads: [
      fakeWorkload({
        model: 'gemma-3-27b',
        quantisation: 'fp8',
        kind: 'vllm',
        flags: { ...flags, 'max-num-seqs': 16 },
      }),
    ],
  }).commands
  const argv = command?.argv.join(' ') ?? ''
  expect(argv).toMatch(/^numactl --cpunodebind=1 --membind=1 vllm serve /)
  expect(argv.match(/--max-model-len/g)).toHaveLength(1)
  expect(argv).toContain('--enable-prefix-caching --no-enable-chunked-prefill')
  expect(argv).toMatch(/--gpu-memory-utilization 0\.\d+ --tensor-parallel-size 2$/)
  expect(command?.env).toEqual({ CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: '0,1' })
})

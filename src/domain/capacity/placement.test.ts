import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Quantisation } from '../catalog/index.ts'
import { openHost } from './cards.ts'
import { fakeGpu, fakeHost, fakeWorkload } from './fake.ts'
import { gibi, sumOf, total } from './fleet.ts'
import type { StatedHost, Workload } from './fleet.ts'
import { tryAlone } from './placement.ts'
import { planFleet } from './plan.ts'
import type { Plan } from './plan.ts'

/** What of a plan tests look at: where everything is. */
const places = (plan: Plan): Record<string, string> =>
  Object.fromEntries(plan.replicas.map(({ replica, host, gpus }) => [replica, `${host}/${gpus.join('+')}`]))

const small = (replica: string, rest: Partial<Workload> = {}): Workload => ({
  ...fakeWorkload({ model: 'llama3-1-8b', quantisation: 'q4-k-m', flags: { 'ctx-size': 8192 } }),
  replica,
  ...rest,
})

test('P1 a pinned replica stays where it is pinned, room or not', () => {
  const hosts = [fakeHost([fakeGpu('tiny', 'RTX 3060', { memory: 6 * gibi }), fakeGpu('large', 'RTX 4090')])]
  const { refusals, replicas } = planFleet({ hosts, workloads: [small('a', { host: 'host', gpus: ['tiny'] })] })
  expect(replicas).toEqual([])
  expect(refusals[0]?.why).toContain('host/tiny')
  expect(refusals[0]?.counterfactuals.map(each => each.at)).toContain('host/large')
})

test('P2 what needs the large card gets it, though it comes second', () => {
  const hosts = [fakeHost([fakeGpu('large', 'RTX 4090'), fakeGpu('small', 'RTX 3060')])]
  const large = fakeWorkload({ model: 'gemma-3-27b', quantisation: 'q4-k-m', flags: { 'ctx-size': 8192 } })
  expect(places(planFleet({ hosts, workloads: [small('a'), large] }))).toEqual({
    'a': 'host/small',
    'gemma-3-27b': 'host/large',
  })
})

test('P2 two replicas of one version are on two hosts, then on two cards', () => {
  const pair = [small('a'), small('b')]
  const cards = [fakeGpu('x', 'RTX 4090'), fakeGpu('y', 'RTX 4090')]
  const twoHosts = [fakeHost(cards, { name: 'one' }), fakeHost(cards, { name: 'two' })]
  expect(Object.values(places(planFleet({ hosts: twoHosts, workloads: pair }))).toSorted()).toEqual(['one/x', 'two/x'])
  expect(Object.values(places(planFleet({ hosts: [fakeHost(cards)], workloads: pair }))).toSorted()).toEqual([
    'host/x',
    'host/y',
  ])
})

test('P2 what fits no card takes two of a kind, under tensor parallel', () => {
  const hosts = [fakeHost([fakeGpu('a', 'RTX 4090'), fakeGpu('odd', 'RTX A5000'), fakeGpu('b', 'RTX 4090')])]
  const plan = planFleet({
    hosts,
    workloads: [
      fakeWorkload({ model: 'gemma-3-27b', quantisation: 'fp8', kind: 'vllm', flags: { 'max-num-seqs': 16 } }),
    ],
  })
  expect(places(plan)).toEqual({ 'gemma-3-27b': 'host/a+b' })
  expect(plan.replicas[0]?.settings.tensorParallel).toBe(2)
})

test('N7 one vLLM takes no cards of two vendors', () => {
  const hosts = [fakeHost([fakeGpu('n', 'RTX 4090'), fakeGpu('a', 'RX 7900 XTX')])]
  const workload = fakeWorkload({
    model: 'llama3-1-8b',
    quantisation: 'fp8',
    kind: 'vllm',
    host: 'host',
    gpus: ['n', 'a'],
  })
  expect(planFleet({ hosts, workloads: [workload] }).refusals[0]?.why).toMatch(/cards of nvidia and amd together/)
})

test('P5 what is left is shared evenly by those who can use it', () => {
  const hosts = [fakeHost([fakeGpu('a', 'H100 80GB')])]
  const workloads = ['one', 'two'].map(replica => ({
    ...fakeWorkload({ model: 'llama3-1-8b', quantisation: 'fp8', kind: 'vllm', flags: { 'max-model-len': 8192 } }),
    replica,
  }))
  const shares = planFleet({ hosts, workloads }).replicas.map(({ settings }) => settings.fraction ?? 0)
  expect(Math.abs((shares[0] ?? 0) - (shares[1] ?? 1))).toBeLessThan(0.02)
  expect(total(shares)).toBeGreaterThan(0.9)
  expect(total(shares)).toBeLessThanOrEqual(1)
})

test('N8 what nothing is known of is refused and said, and crashes nothing', () => {
  const workload = { ...fakeWorkload({ model: 'mystery', quantisation: 'fp16' }), facts: null }
  const { refusals, findings } = planFleet({ hosts: [fakeHost([fakeGpu('a', 'RTX 4090')])], workloads: [workload] })
  expect(refusals[0]?.why).toContain('nothing is known')
  expect(findings.some(({ what }) => what.includes('mystery'))).toBe(true)
})

test('C1 every counterfactual fits where it says, with the others where they are', () => {
  const hosts = [fakeHost([fakeGpu('a', 'RTX 4090'), fakeGpu('b', 'RTX 3060')])]
  const first = small('first', { host: 'host', gpus: ['a'] })
  const flags = { 'ctx-size': 16_384, 'parallel': 4 }
  const second = fakeWorkload({
    model: 'qwen3-coder-30b-a3b',
    quantisation: 'q4-k-m',
    flags,
    host: 'host',
    gpus: ['a'],
  })
  const plan = planFleet({ hosts, workloads: [first, second] })
  const [refusal] = plan.refusals
  expect(refusal?.counterfactuals.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['offload', 'quantisation', 'neighbour', 'hardware']),
  )
  for (const { flags: changes, kind } of refusal?.counterfactuals ?? []) {
    if (!['context', 'cache-type', 'sequences', 'offload'].includes(kind)) continue
    const set = Object.fromEntries(
      Object.entries(changes).flatMap(([flag, value]) => (value === null ? [] : [[flag, value]])),
    )
    const changed = { ...second, engine: { ...second.engine, flags: { ...flags, ...set } } }
    expect(planFleet({ hosts, workloads: [first, changed] }).refusals).toEqual([])
  }
})

test('C2 one token more of context than the counterfactual says does not fit', () => {
  const hosts = [fakeHost([fakeGpu('a', 'RTX 3060')])]
  const ask = (context: number): Workload =>
    fakeWorkload({ model: 'llama3-1-8b', quantisation: 'q4-k-m', flags: { 'ctx-size': context } })
  const context = planFleet({ hosts, workloads: [ask(131_072)] }).refusals[0]?.counterfactuals.find(
    each => each.kind === 'context',
  )
  const most = context?.settings.context ?? 0
  expect(planFleet({ hosts, workloads: [ask(most)] }).refusals).toEqual([])
  expect(planFleet({ hosts, workloads: [ask(most + 1024)] }).refusals).toHaveLength(1)
})

const products = ['RTX 4090', 'RTX 3060', 'H100 80GB', 'RX 9070 XT', 'RTX PRO 6000 Blackwell', 'T4']
const models: readonly (readonly [string, Quantisation, string])[] = [
  ['llama3-1-8b', 'q4-k-m', 'llama-cpp'],
  ['qwen3-coder-30b-a3b', 'q4-k-m', 'llama-cpp'],
  ['gemma-3-27b', 'q4-k-m', 'ollama'],
  ['llama3-1-8b', 'fp8', 'vllm'],
  ['gpt-oss-20b', 'mxfp4', 'vllm'],
  ['qwen3-8b', 'awq', 'sglang'],
  ['mistral-7b', 'bf16', 'tensorrt-llm'],
  ['llama3-1-70b', 'awq', 'vllm'],
  ['smoke-2m', 'q8-0', 'embedded'],
]

const anyWorkload = fc
  .record({
    model: fc.constantFrom(...models),
    context: fc.constantFrom(null, 4096, 32_768),
    share: fc.constantFrom(null, 0.3, 0.6),
    pin: fc.constantFrom(null, 0, 1),
  })
  .map(({ model: [model, quantisation, kind], context, share, pin }): Workload => {
    const contextName = { 'vllm': 'max-model-len', 'llama-cpp': 'ctx-size', 'ollama': 'context-length' }[kind]
    const flags = {
      ...(context === null || contextName === undefined ? {} : { [contextName]: context }),
      ...(share === null || kind !== 'vllm' ? {} : { 'gpu-memory-utilization': share }),
    }
    const place = pin === null || kind === 'embedded' ? {} : { host: 'host0', gpus: [`g${pin}`] }
    return fakeWorkload({ model, quantisation, kind, flags, ...place })
  })

const anyFleet = fc.record({
  hosts: fc
    .array(
      fc.record({
        cards: fc.array(fc.constantFrom(...products), { maxLength: 4 }),
        ram: fc.integer({ min: 16, max: 256 }),
      }),
      { minLength: 1, maxLength: 2 },
    )
    .map(all =>
      all.map(({ cards, ram }, index) =>
        fakeHost(
          cards.map((product, card) => fakeGpu(`g${card}`, product)),
          { name: `host${index}`, memory: ram * gibi },
        ),
      ),
    ),
  workloads: fc
    .array(anyWorkload, { maxLength: 5 })
    .map(all => all.map((workload, index) => ({ ...workload, replica: `r${index}`, version: `v${index % 3}` }))),
})

test('P4 no card and no main memory is given more than it has', () => {
  fc.assert(
    fc.property(anyFleet, fleet => {
      for (const { gpus, ram } of planFleet(fleet).hosts) {
        for (const { usedBytes, headroomBytes, capacityBytes, parts } of gpus)
          expect(usedBytes + (parts.length > 0 ? headroomBytes : 0)).toBeLessThanOrEqual(capacityBytes)
        expect(ram.usedBytes).toBeLessThanOrEqual(ram.capacityBytes ?? 0)
      }
    }),
    { seed: 6, numRuns: 80 },
  )
})

test('N1 lines add up to parts, and parts to what is used', () => {
  fc.assert(
    fc.property(anyFleet, fleet => {
      for (const { gpus, ram } of planFleet(fleet).hosts) {
        for (const { usedBytes, parts } of [...gpus, ram]) {
          for (const part of parts) {
            expect(sumOf(part.lines, 'weights')).toBe(part.weightsBytes)
            expect(sumOf(part.lines, 'kv')).toBe(part.kvBytes)
            expect(sumOf(part.lines)).toBe(part.weightsBytes + part.kvBytes + part.computeBytes + part.overheadBytes)
            for (const line of part.lines)
              expect([line.bytes >= 0, line.formula !== '', line.source !== '']).toEqual([true, true, true])
          }
          expect(total(parts.flatMap(({ lines }) => lines.map(({ bytes }) => bytes)))).toBe(usedBytes)
        }
      }
    }),
    { seed: 7, numRuns: 50 },
  )
})

test('P5 nobody is placed with less than it cannot do without, and everybody is placed or refused', () => {
  fc.assert(
    fc.property(anyFleet, fleet => {
      const { replicas, refusals } = planFleet(fleet)
      expect([...replicas, ...refusals].map(({ replica }) => replica).toSorted()).toEqual(
        fleet.workloads.map(({ replica }) => replica).toSorted(),
      )
    }),
    { seed: 8, numRuns: 30 },
  )
})

const withMore = (hosts: readonly StatedHost[], gib: number): StatedHost[] =>
  hosts.map(host => ({
    ...host,
    memory: (host.memory ?? 0) + gib * gibi,
    // A product has the memory it has: more of it is another card.
    gpus: host.gpus.map(gpu => ({ ...gpu, product: `card like ${gpu.id}`, memory: (gpu.memory ?? 0) + gib * gibi })),
  }))

test('P6 adding memory never makes a plan worse', () => {
  fc.assert(
    fc.property(anyFleet, fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), (fleet, base, more) => {
      const before = withMore(fleet.hosts, base)
      const [less, plenty] = [before, withMore(before, more)].map(hosts =>
        planFleet({ hosts, workloads: fleet.workloads }),
      )
      if (less?.search.isProven === true && plenty?.search.isProven === true)
        expect(plenty.replicas.length).toBeGreaterThanOrEqual(less.replicas.length)
    }),
    { seed: 9, numRuns: 60 },
  )
})

test('P3 no other way of placing two by hand beats the search', () => {
  fc.assert(
    fc.property(anyFleet, fleet => {
      const plan = planFleet({ hosts: fleet.hosts, workloads: fleet.workloads.slice(0, 2) })
      const [first, second] = fleet.workloads
      if (first === undefined || second === undefined || plan.replicas.length === 2) return
      const hosts = fleet.hosts.map(each => openHost(each).host)
      // Every single place of the first, and then whether the second still finds one.
      const both = hosts
        .flatMap(host => [...host.cards.map(card => [card]), []].map(cards => ({ host, cards })))
        .some(({ host, cards }) => {
          const isAllowed =
            first.gpus === null ||
            (host.name === first.host && cards.length === 1 && first.gpus.includes(cards[0]?.id ?? ''))
          if (!isAllowed || (first.engine.kind === 'embedded') !== (cards.length === 0)) return false
          const one = tryAlone({ ...first, host: host.name, gpus: cards.map(card => card.id) }, hosts, [])
          if ('why' in one) return false
          const placed = { workload: first, host: one.option.host, cards: one.option.cards, need: one.need, reason: '' }
          return !('why' in tryAlone(second, hosts, [placed]))
        })
      expect(both).toBe(false)
    }),
    { seed: 10, numRuns: 100 },
  )
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openFairQueue, weightOf, type Claim, type FairQueue } from './fair-queue.ts'

const claim = (owner: string, change: Partial<Claim> = {}): Claim => ({ owner, weight: 1, cost: 1, ...change })

function drain<Item>(queue: FairQueue<Item>): Item[] {
  const taken: Item[] = []
  for (let item = queue.takeNext(); item !== null; item = queue.takeNext()) taken.push(item)
  return taken
}

/** The same rules with lists that are sorted whenever somebody asks. */
function openSlowQueue() {
  type Turn = { owner: string; start: number; weight: number; seq: number }
  let items: { item: number; owner: string; charge: number }[] = []
  let turns: Turn[] = []
  let ends: Record<string, number> = {}
  let virtual = 0
  let seq = 0
  const ownTurns = (owner: string): Turn[] => turns.filter(turn => turn.owner === owner)
  const begin = (owner: string): number => Math.max(virtual, ends[owner] ?? 0)
  const inOrder = (): number[] => {
    const sorted = turns.toSorted((a, b) => a.start - b.start || b.weight - a.weight || a.seq - b.seq)
    return sorted.map((turn, index) => {
      const nth = sorted.slice(0, index).filter(({ owner }) => owner === turn.owner).length
      return items.filter(({ owner }) => owner === turn.owner)[nth]!.item
    })
  }
  return {
    push(item: number, { owner, weight, cost }: Claim): void {
      const before = ownTurns(owner).at(-1)
      const start = Math.max(begin(owner), before?.start ?? 0)
      const least = before?.start === start ? Math.min(weight, before.weight) : weight
      turns.push({ owner, start, weight: least, seq: seq++ })
      items.push({ item, owner, charge: cost / weight })
      ends[owner] = begin(owner) + cost / weight
    },
    pass({ owner, weight, cost }: Claim): void {
      virtual = begin(owner)
      ends[owner] = virtual + cost / weight
    },
    takeNext(): number | null {
      const item = inOrder()[0]
      if (item === undefined) return null
      const { owner } = items.find(other => other.item === item)!
      const turn = ownTurns(owner)[0]!
      virtual = turn.start
      turns = turns.filter(other => other !== turn)
      items = items.filter(other => other.item !== item)
      return item
    },
    remove(item: number): boolean {
      const found = items.find(other => other.item === item)
      if (found === undefined) return false
      const turn = ownTurns(found.owner).at(-1)
      turns = turns.filter(other => other !== turn)
      items = items.filter(other => other !== found)
      ends[found.owner] = (ends[found.owner] ?? 0) - found.charge
      return true
    },
    inOrder,
    rest(): void {
      ends = {}
      virtual = 0
    },
  }
}

const owners = ['ana', 'ben', 'cyd', 'dan']
const anyClaim = fc.record({
  owner: fc.constantFrom(...owners),
  weight: fc.constantFrom(1, 4, 16),
  cost: fc.constantFrom(1, 1, 1, 2, 100),
})
const anyStep = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('push' as const), claim: anyClaim }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), claim: anyClaim }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), which: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rest' as const) }) },
)

test('Q1–Q8 however it is used, the queue does what a slow and obvious one does', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 120 }), steps => {
      const queue = openFairQueue<number>()
      const slow = openSlowQueue()
      for (const [item, step] of steps.entries()) {
        if (step.do === 'push') for (const one of [queue, slow]) one.push(item, step.claim)
        // As it is used: passed only when nobody waits, at rest only then.
        if (step.do === 'pass' && queue.size() === 0) for (const one of [queue, slow]) one.pass(step.claim)
        if (step.do === 'rest' && queue.size() === 0) for (const one of [queue, slow]) one.rest()
        if (step.do === 'take') expect(queue.takeNext()).toBe(slow.takeNext())
        if (step.do === 'remove') expect(queue.remove(step.which)).toBe(slow.remove(step.which))

        const order = slow.inOrder()
        expect(queue.inOrder()).toEqual(order)
        expect(order.map(each => queue.placeOf(each))).toEqual(order.map((_, index) => index + 1))
        expect(queue.last()).toBe(order.at(-1) ?? null)
        expect(queue.size()).toBe(order.length)
      }
      const order = queue.inOrder()
      expect(drain(queue)).toEqual(order)
    }),
    { numRuns: 400 },
  )
})

test('Q1 two owners who always want more get work by their weights, to within one request of each', () => {
  const owner = fc.record({
    weight: fc.constantFrom(1, 4, 16),
    costs: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 40, maxLength: 40 }),
  })
  fc.assert(
    fc.property(owner, owner, fc.nat(79), (ana, ben, taken) => {
      const queue = openFairQueue<{ owner: 'ana' | 'ben'; cost: number }>()
      for (const cost of ana.costs) queue.push({ owner: 'ana', cost }, { owner: 'ana', weight: ana.weight, cost })
      for (const cost of ben.costs) queue.push({ owner: 'ben', cost }, { owner: 'ben', weight: ben.weight, cost })
      const work = { ana: 0, ben: 0 }
      const left = { ana: 40, ben: 40 }
      for (let count = 0; count < taken; count++) {
        const next = queue.takeNext()!
        work[next.owner] += next.cost
        left[next.owner]--
        if (left.ana === 0 || left.ben === 0) return
        const difference = Math.abs(work.ana / ana.weight - work.ben / ben.weight)
        expect(difference).toBeLessThanOrEqual(9 / ana.weight + 9 / ben.weight)
      }
    }),
  )
})

test('Q1 high goes before normal before low, sixteen to four to one, and low is not starved', () => {
  const queue = openFairQueue<string>()
  for (const priority of ['low', 'normal', 'high'] as const)
    for (let count = 0; count < 200; count++)
      queue.push(`${priority} ${count}`, claim(priority, { weight: weightOf(priority) }))
  const first = drain(queue).slice(0, 210)
  const countOf = (priority: string): number => first.filter(item => item.startsWith(priority)).length
  expect([countOf('high'), countOf('normal'), countOf('low')]).toEqual([160, 40, 10])
})

test('Q2 an owner’s requests go in the order in which they came', () => {
  const queue = openFairQueue<number>()
  for (const item of [1, 2, 3]) queue.push(item, claim('ana', { weight: item * item, cost: 4 - item }))
  expect(drain(queue)).toEqual([1, 2, 3])
})

test('Q3 an owner who was idle while others worked takes turns with them when it comes, and no more', () => {
  const queue = openFairQueue<string>()
  for (let count = 0; count < 100; count++) queue.push(`ana ${count}`, claim('ana'))
  for (let count = 0; count < 80; count++) queue.takeNext()
  for (let count = 0; count < 10; count++) queue.push(`ben ${count}`, claim('ben'))
  const next = drain(queue).slice(0, 10)
  expect(next.filter(item => item.startsWith('ben'))).toHaveLength(5)
})

test('Q3 after a rest nobody owes anything', () => {
  const queue = openFairQueue<string>()
  queue.pass(claim('ana', { cost: 1_000 }))
  queue.rest()
  queue.push('ana', claim('ana'))
  queue.push('ben', claim('ben'))
  expect(drain(queue)).toEqual(['ana', 'ben'])
})

test('Q4 who took places without waiting goes after who had none', () => {
  const queue = openFairQueue<string>()
  for (let count = 0; count < 3; count++) queue.pass(claim('ana'))
  queue.push('ana', claim('ana'))
  queue.push('ben', claim('ben'))
  expect(drain(queue)).toEqual(['ben', 'ana'])
})

test('Q5 a request that leaves costs its owner nothing, wherever it stood', () => {
  for (const leaving of [0, 1, 2]) {
    const queue = openFairQueue<string>()
    for (const item of ['a0', 'a1', 'a2']) queue.push(item, claim('ana'))
    for (const item of ['b0', 'b1']) queue.push(item, claim('ben'))
    queue.remove(`a${leaving}`)
    queue.push('a3', claim('ana'))
    queue.push('b2', claim('ben'))
    expect(drain(queue).map(item => item[0])).toEqual(['a', 'b', 'a', 'b', 'a', 'b'])
  }
})

test('Q5 a thousand requests that were taken back leave their owner where it was', () => {
  const queue = openFairQueue<string>()
  queue.push('ben', claim('ben'))
  for (let count = 0; count < 1_000; count++) {
    queue.push('gone', claim('ana'))
    expect(queue.remove('gone')).toBe(true)
  }
  expect(queue.remove('gone')).toBe(false)
  queue.push('ana', claim('ana'))
  expect(queue.placeOf('ana')).toBe(2)
  expect(queue.placeOf('gone')).toBeNull()
})

test('Q7 of two who would begin at once the heavier goes first, then the earlier', () => {
  const queue = openFairQueue<string>()
  queue.push('low', claim('ana', { weight: weightOf('low') }))
  queue.push('low too', claim('ben', { weight: weightOf('low') }))
  queue.push('high', claim('cyd', { weight: weightOf('high') }))
  expect(queue.last()).toBe('low too')
  expect(drain(queue)).toEqual(['high', 'low', 'low too'])
})

test('Q7 an owner whose weight was raised does not overtake itself', () => {
  const queue = openFairQueue<string>()
  for (const [item, cost] of [
    ['gone', 100],
    ['first', 1],
    ['second', 1],
  ] as const)
    queue.push(item, claim('ana', { cost }))
  // Its turn at 100 is now the second's, and the third would begin there too.
  queue.remove('gone')
  queue.push('third', claim('ana', { weight: weightOf('high') }))
  expect(queue.inOrder().map(item => [item, queue.placeOf(item)])).toEqual([
    ['first', 1],
    ['second', 2],
    ['third', 3],
  ])
})

test('Q8 owners whose work has been passed are forgotten', () => {
  const queue = openFairQueue<number>()
  for (let count = 0; count < 50_000; count++) {
    queue.pass(claim(`once ${count}`))
    queue.pass(claim('always'))
  }
  expect(queue.owners()).toBeLessThan(200)
  queue.rest()
  expect(queue.owners()).toBe(0)
})

test('Q8 twenty thousand that wait and leave are forgotten', () => {
  const queue = openFairQueue<number>()
  const count = 20_000
  for (let item = 0; item < count; item++) queue.push(item, claim(`key ${item % 1_000}`))
  for (let item = 0; item < count; item++) queue.remove((item * 7_919) % count)
  expect([queue.size(), queue.owners(), queue.inOrder()]).toEqual([0, 0, []])
})

test('an item waits once', () => {
  const queue = openFairQueue<string>()
  queue.push('one', claim('ana'))
  expect(() => queue.push('one', claim('ben'))).toThrow('an item waits once')
})

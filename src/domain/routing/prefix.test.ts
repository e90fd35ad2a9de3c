import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { millis, replicaId } from '../units.ts'
import type { RoutingStrategy } from '../serving/index.ts'
import type { Candidate } from './candidate.ts'
import { hashText } from './hash.ts'
import { blockLength, mostBlocks, prefixBlocks } from './prefix-blocks.ts'
import { openPrefixMemory } from './prefix-memory.ts'
import { openRouting } from './routing.ts'

/** How many leading blocks two prompts share. */
function shared(a: readonly number[], b: readonly number[]): number {
  const end = a.findIndex((block, i) => block !== b[i])
  return end === -1 ? a.length : end
}

const chat = (...contents: unknown[]) => ({
  messages: contents.map((content, i) => ({ role: i === 0 ? 'system' : 'user', content })),
})
/** Text without repeats, so that shifted blocks never look alike. */
const text = (seed: string, length: number): string => {
  let made = ''
  for (let i = 0; made.length < length; i++) made += `${seed}${i} `
  return made.slice(0, length)
}

describe('prefix blocks', () => {
  test('R14 prompts share as many blocks as they share text', () => {
    const system = text('rules', 10 * blockLength)
    const one = prefixBlocks(chat(system, text('one', 5 * blockLength)))
    const two = prefixBlocks(chat(system, text('two', 5 * blockLength)))
    expect(one).toHaveLength(15)
    expect(shared(one, two)).toBe(10)
    expect(shared(one, prefixBlocks(chat(`x${system}`, 'Hi')))).toBe(0)
  })

  test('R14 a conversation that goes on keeps its blocks', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 600 }), { maxLength: 6 }), fc.string(), (turns, next) => {
        const before = prefixBlocks(chat(...turns))
        expect(prefixBlocks(chat(...turns, next)).slice(0, before.length)).toEqual(before)
      }),
    )
  })

  test('R14 a block is equal only when all before it is', () => {
    const tail = text('tail', 8 * blockLength)
    const one = prefixBlocks({ prompt: text('a', blockLength) + tail })
    const two = prefixBlocks({ prompt: text('b', blockLength) + tail })
    expect(one.filter(block => two.includes(block))).toEqual([])
  })

  test('R14 roles, tools and calls of tools count, wherever the text is the same', () => {
    const content = text('same', 4 * blockLength)
    const base = { messages: [{ role: 'user', content }] }
    const tools = [{ type: 'function', function: { name: 'look_up' } }]
    const all = [
      base,
      { messages: [{ role: 'assistant', content }] },
      { ...base, tools },
      { messages: [{ role: 'assistant', tool_calls: tools }, ...base.messages] },
    ].map(body => prefixBlocks(body)[0])
    expect(new Set(all).size).toBe(all.length)
  })

  test('R14 a text means the same whole or as a part', () => {
    const content = text('same', 3 * blockLength)
    expect(prefixBlocks(chat([{ type: 'text', text: content }]))).toEqual(prefixBlocks(chat(content)))
  })

  test('R14 ten megabytes cost no more than the first 64 KiB, images included', () => {
    const huge = 'All work and no play. '.repeat(500_000)
    expect(prefixBlocks(chat(huge))).toHaveLength(mostBlocks)
    const image = (end: string) => ({ type: 'image_url', image_url: { url: `data:image/png;base64,${huge}${end}` } })
    const after = { type: 'text', text: text('what is it', 4 * blockLength) }
    const one = prefixBlocks(chat([image('one'), after]))
    expect(one.length).toBeLessThan(6)
    expect(shared(one, prefixBlocks(chat([image('two'), after])))).toBe(0)
  })

  test('prompts of completions come as text, as tokens, or several', () => {
    const tokens = Array.from({ length: 4 * blockLength }, (_, i) => i * 7)
    expect(prefixBlocks({ prompt: tokens })).toHaveLength(8)
    expect(prefixBlocks({ prompt: [tokens, [1]] })).toEqual(prefixBlocks({ prompt: tokens }))
    expect(prefixBlocks({ prompt: [text('a', 999)] })).toEqual(prefixBlocks({ prompt: text('a', 999) }))
  })

  test('whatever JSON is sent, it is read without a fault', () => {
    const body = fc.dictionary(fc.constantFrom('messages', 'prompt', 'tools'), fc.jsonValue())
    fc.assert(fc.property(body, given => Array.isArray(prefixBlocks(given))))
  })

  test('hashes of texts that differ at their end spread', () => {
    const buckets = Array.from({ length: 16 }, () => 0)
    for (let i = 0; i < 16_000; i++) buckets[hashText(`replica-${i}`) % 16]!++
    for (const filled of buckets) expect(Math.abs(filled - 1_000)).toBeLessThan(150)
  })
})

describe('prefix memory', () => {
  const [a, b] = [replicaId('a'), replicaId('b')]

  test('R11 it knows how far each has seen a prompt', () => {
    const memory = openPrefixMemory()
    memory.learn(a, [1, 2, 3])
    memory.learn(a, [1, 2, 7, 8])
    expect(memory.known(a, [1, 2, 3, 4]).blocks).toBe(3)
    expect(memory.known(a, [1, 2, 7, 8, 9]).blocks).toBe(4)
    expect(memory.known(a, [5]).blocks).toBe(0)
    expect(memory.known(b, [1, 2, 3]).blocks).toBe(0)
  })

  test('R13 it holds no more than it may, and the ends of prompts go before their beginnings', () => {
    const memory = openPrefixMemory({ mostBlocks: 6 })
    memory.learn(a, [1, 2, 3, 4, 5])
    expect(memory.known(a, [1, 2, 3, 4, 5]).blocks).toBe(5)
    memory.learn(a, [1, 9, 8])
    expect(memory.known(a, [1, 2, 3, 4, 5]).blocks).toBe(2)
    expect(memory.known(a, [1, 9, 8]).blocks).toBe(3)
    memory.learn(a, [20, 21, 22, 23, 24, 25, 26])
    // At least half of what it may.
    expect(memory.known(a, [20, 21, 22, 23, 24, 25, 26]).blocks).toBe(5)
    expect(memory.known(a, [1, 2]).blocks).toBe(0)
  })

  test('R13 whatever is learned, what it says to know is what a search block by block finds', () => {
    // Chained, as real ones: a block stands for all before it.
    const chain = (steps: readonly number[]): number[] => {
      let block = 1
      return steps.map(step => (block = block * 4 + step))
    }
    const anyPrefix = fc.array(fc.nat(2), { maxLength: 8 }).map(chain)
    fc.assert(
      fc.property(
        fc.array(anyPrefix, { maxLength: 30 }),
        anyPrefix,
        fc.integer({ min: 8, max: 20 }),
        (learned, asked, most) => {
          const memory = openPrefixMemory({ mostBlocks: most })
          for (const prefix of learned) memory.learn(a, prefix)
          const each = asked.map((_, i) => memory.known(a, asked.slice(0, i + 1)).blocks === i + 1)
          const end = each.indexOf(false)
          expect(memory.known(a, asked).blocks).toBe(end === -1 ? asked.length : end)
          expect(each.lastIndexOf(true)).toBe(memory.known(a, asked).blocks - 1)
        },
      ),
    )
  })
})

describe('four engines with caches', () => {
  type Engine = { candidate: Candidate; cache: Set<number> }
  /** What its cache holds, the one used longest ago dropped first. */
  const cacheBlocks = 500

  /** How much of the prompts the engines had in their caches, and the most that one had in flight. */
  function play(strategy: RoutingStrategy): { hits: number; most: number } {
    const routing = openRouting()
    const engines: Engine[] = Array.from({ length: 4 }, (_, i) => ({
      candidate: {
        id: replicaId(`r${i}`),
        inFlight: 0,
        weight: 1,
        backup: false,
        standing: 'usable',
        usableFor: millis(60_000),
        places: 8,
        load: null,
      },
      cache: new Set(),
    }))
    const running: Candidate[] = []
    let asked = 0
    let hit = 0
    let most = 0
    let dice = 1
    const roll = (sides: number): number => ((dice = (Math.imul(dice, 1_103_515_245) + 12_345) >>> 0) % 65_521) % sides
    for (let request = 0; request < 4_000; request++) {
      // Thirty documents of forty blocks, questions of two; twelve requests at once.
      const document = roll(30)
      const prefix = Array.from({ length: 42 }, (_, i) => (i < 40 ? document * 100 + i : 1_000_000 + request * 2 + i))
      const { candidate } = routing.choose(
        strategy,
        engines.map(engine => engine.candidate),
        { conversation: null, prefix },
      )!
      routing.given(candidate, { conversation: null, prefix })
      const { cache } = engines.find(engine => engine.candidate === candidate)!
      const known = prefix.findIndex(block => !cache.has(block))
      hit += known === -1 ? 42 : known
      asked += 42
      for (const block of prefix.toReversed()) {
        cache.delete(block)
        cache.add(block)
      }
      for (const block of cache) if (cache.size > cacheBlocks) cache.delete(block)
      candidate.inFlight++
      most = Math.max(most, candidate.inFlight)
      running.push(candidate)
      if (running.length >= 12) running.splice(roll(running.length), 1)[0]!.inFlight--
    }
    return { hits: hit / asked, most }
  }

  test('R11 prompts that share their beginning find it in a cache, where taking turns finds it seldom', () => {
    const affinity = play('prefix-affinity')
    const turns = play('round-robin')
    expect(affinity.hits).toBeGreaterThan(0.75)
    expect(turns.hits).toBeLessThan(0.5)
    expect(affinity.most).toBeLessThanOrEqual(4)
  })
})

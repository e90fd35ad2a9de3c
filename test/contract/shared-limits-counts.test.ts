/** What counts that gateways share must do, word by word: the fake's simulations are worth what Redis does the same. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openRedisCounts } from '../../src/adapters/limits/redis/index.ts'
import type { Call, GaugeWord, Reply, Word } from '../../src/domain/limits/index.ts'
import { openFakeCounts } from '../../src/services/limits/fake.ts'
import type { SharedCounts } from '../../src/services/limits/index.ts'
import { startRedis, type Redis } from '../support/redis.ts'

type Gateway = { exchange: (call: Call) => Promise<Reply> }
type Open = (
  gateways: number,
) => Promise<{ gateways: Gateway[]; forget: () => Promise<void>; close: () => Promise<void> }>

let redis: Redis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => redis.stop())

const gauge = (change: Partial<GaugeWord>): GaugeWord => ({
  ...{ limit: 10, keep: 0, want: 0, wanted: 0, smallest: 1, changes: [] },
  ...change,
})
const word = (id: string, change: Partial<Word>): Word => ({
  ...{ id, number: 1, after: 0, requests: null, tokens: null, places: null },
  ...change,
})
/** The slice of this moment, and how many were used in it. */
const used = (count: number): number[] => [Math.floor(performance.now() / 500), count]

contract('the fake', async count => {
  const store = openFakeCounts(() => performance.now() + 1e9)
  return {
    gateways: Array.from({ length: count }, (_, index) => ({
      exchange: (call: Call) => Promise.resolve(store.carryOut(`g${index}`, structuredClone(call))),
    })),
    forget: () => Promise.resolve(store.forget()),
    close: () => Promise.resolve(),
  }
})

contract('Redis', async count => {
  await redis.restart()
  const all: SharedCounts[] = []
  for (let index = 0; index < count; index += 1) {
    const counts = openRedisCounts(redis.url)
    await counts.reach()
    all.push(counts)
  }
  return {
    gateways: all,
    forget: async () => {
      await redis.restart()
      for (const counts of all) await counts.reach()
    },
    close: async () => {
      for (const counts of all) await counts.close()
    },
  }
})

function contract(name: string, openCounts: Open): void {
  describe(`the shared counts contract, over ${name}`, () => {
    let opened: Awaited<ReturnType<Open>>
    let id = 0
    beforeEach(async () => {
      id += 1
      opened = await openCounts(3)
      return () => opened.close()
    })
    const say = (by: number, kind: Call['kind'], { words = [], of = 1 }: { words?: Word[]; of?: number } = {}) => {
      const gateway = opened.gateways[by]
      if (gateway === undefined) throw new Error('no such gateway')
      return gateway.exchange({ kind, sentAt: performance.now(), gateways: of, words })
    }
    const join = async (by: number, of = 1): Promise<void> => {
      await say(by, 'hello', { of })
      expect((await say(by, 'join', { of })).status).toBe('done')
    }
    const granted = async (by: number, told: Word, of = 1) => (await say(by, 'words', { words: [told], of })).answers[0]

    test('W8 a gateway that is not known is told so, whatever it says but hello', async () => {
      for (const kind of ['tell', 'join', 'words'] as const) expect((await say(0, kind)).status).toBe('unknown')
      await join(0)
      expect((await say(0, 'words')).status).toBe('done')
      await opened.forget()
      for (const kind of ['tell', 'join', 'words'] as const) expect((await say(0, kind)).status).toBe('unknown')
    })

    test('W8 nobody is let in before all have told everything', async () => {
      await say(0, 'hello', { of: 2 })
      expect((await say(0, 'join', { of: 2 })).status).toBe('early')
      await say(1, 'hello', { of: 2 })
      expect((await say(1, 'join', { of: 2 })).status).toBe('done')
      expect((await say(0, 'join', { of: 2 })).status).toBe('done')
    })

    test('W3 used by all, held by all and granted now are never more than the limit', async () => {
      await join(0)
      await join(1)
      const wanting = { wanted: 6, want: 6 }
      const told = word(`a${id}`, { requests: gauge({ ...wanting, changes: used(3) }) })
      expect(await granted(0, told)).toMatchObject({ requests: { granted: 6, fitsIn: 0, others: 0 } })
      expect(await granted(1, told)).toMatchObject({ requests: { granted: 0, others: 9 } })
      const one = word(`a${id}`, { number: 2, after: 1, requests: gauge({ wanted: 1, want: 1, changes: [] }) })
      expect(await granted(1, one)).toMatchObject({ requests: { granted: 0 } })
    })

    test('W1 a word that goes on from another than the last is not taken; one that tells everything always is', async () => {
      await join(0)
      await join(1)
      const changes = used(4)
      await granted(0, word(`b${id}`, { number: 7, requests: gauge({ changes }) }))
      expect(await granted(0, word(`b${id}`, { number: 9, after: 8, requests: gauge({ changes }) }))).toBeNull()
      await granted(0, word(`b${id}`, { number: 10, after: null, requests: gauge({ changes }) }))
      await granted(0, word(`b${id}`, { number: 11, after: null, requests: gauge({ changes }) }))
      expect(await granted(1, word(`b${id}`, { requests: gauge({}) }))).toMatchObject({ requests: { others: 4 } })
    })

    test('W1 what is given back is taken from the slice it was used in', async () => {
      await join(0)
      await join(1)
      const [slice = 0] = used(0)
      await granted(0, word(`c${id}`, { tokens: gauge({ limit: 100, changes: [slice, 80] }) }))
      await granted(0, word(`c${id}`, { number: 2, after: 1, tokens: gauge({ limit: 100, changes: [slice, -50] }) }))
      const told = word(`c${id}`, { tokens: gauge({ limit: 100, wanted: 70, want: 70, smallest: 70 }) })
      expect(await granted(1, told)).toMatchObject({ tokens: { granted: 70, others: 30 } })
    })

    test('W4 of what nobody waits for, half of an equal part of what is left', async () => {
      await join(0)
      await join(1)
      const told = word(`d${id}`, { requests: gauge({ limit: 100, want: 90, wanted: 0 }) })
      expect(await granted(0, told)).toMatchObject({ requests: { granted: 25 } })
    })

    test('L4 W3 the time until the smallest that waits would fit is exact', async () => {
      await join(0)
      const sentAt = performance.now()
      const slice = Math.floor(sentAt / 500)
      const told = word(`e${id}`, { requests: gauge({ changes: [slice - 20, 4, slice, 6], wanted: 3, want: 3 }) })
      const { requests } = (await granted(0, told)) ?? {}
      const leaves = (slice - 20 + 1) * 500 + 60_000
      expect(requests?.granted).toBe(0)
      expect(requests?.fitsIn).toBeLessThanOrEqual(leaves - Math.floor(sentAt) + 2)
      expect(requests?.fitsIn).toBeGreaterThan(leaves - sentAt - 1_000)
    })

    test('W3 places in use, held and granted are never more than the limit', async () => {
      await join(0)
      await join(1)
      const places = { limit: 5, inUse: 2, keep: 1, want: 1, wanted: 1 }
      expect(await granted(0, word(`f${id}`, { places }))).toMatchObject({ places: { granted: 1, others: 0 } })
      expect(
        await granted(1, word(`f${id}`, { places: { ...places, inUse: 0, keep: 0, want: 3, wanted: 3 } })),
      ).toMatchObject({
        places: { granted: 1, others: 4 },
      })
    })

    test('W6 the part of a gateway that is absent is kept from the others', async () => {
      for (const by of [0, 1, 2]) await say(by, 'hello', { of: 3 })
      for (const by of [0, 1, 2, 0, 1]) await say(by, 'join', { of: 3 })
      await say(2, 'leave', { of: 3 })
      const told = word(`g${id}`, { requests: gauge({ limit: 9, wanted: 9, want: 9 }) })
      expect(await granted(0, told, 3)).toMatchObject({ requests: { granted: 6 } })
    })
  })
}

describe('Redis', () => {
  test('W10 a command that it carries out late does nothing', async () => {
    const [slow, other] = [openRedisCounts(redis.url), openRedisCounts(redis.url)]
    for (const counts of [slow, other]) {
      await counts.reach()
      await counts.exchange({ kind: 'hello', sentAt: performance.now(), gateways: 1, words: [] })
      await counts.exchange({ kind: 'join', sentAt: performance.now(), gateways: 1, words: [] })
    }
    const requests = gauge({ wanted: 10, want: 10 })
    const call = (): Call => ({
      kind: 'words',
      sentAt: performance.now(),
      gateways: 1,
      words: [word('late', { requests })],
    })
    redis.hang()
    const waiting = slow.exchange(call())
    await expect(waiting).rejects.toThrow(/no answer within 100 ms/)
    // The command lies in its socket, and is read when it goes on, long after its deadline.
    await new Promise(resolve => setTimeout(resolve, 300))
    redis.resume()
    await other.reach()
    await other.exchange({ kind: 'hello', sentAt: performance.now(), gateways: 1, words: [] })
    await other.exchange({ kind: 'join', sentAt: performance.now(), gateways: 1, words: [] })
    expect((await other.exchange(call())).answers[0]).toMatchObject({ requests: { granted: 10 } })
    for (const counts of [slow, other]) await counts.close()
  })
})

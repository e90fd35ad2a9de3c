/** Limits that gateways share, with a real redis-server, which is killed, stopped, and started again empty. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openRedisCounts } from '../../src/adapters/limits/redis/index.ts'
import { openLimiter, type Limiter, type LimiterMode } from '../../src/services/limits/index.ts'
import { tokens } from '../../src/domain/units.ts'
import { freePort, startRedis, type Redis } from '../support/redis.ts'
import { until } from '../support/settled.ts'
import { aKey, isFault, limiterContract, storm, tryTake, turn, type Gateways } from './shared-limits.ts'

let redis: Redis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => redis.stop())

limiterContract('one gateway alone', async () => {
  const limiter = openLimiter({ shared: null, onMode: () => undefined })
  return { limiters: [limiter], close: () => limiter.close() }
})
limiterContract('one gateway with Redis', () => open(1))
limiterContract('three gateways with Redis', () => open(3))

type Opened = Gateways & { modes: LimiterMode[][] }

/** Gateways that share what the redis-server counts. Returns once they do. */
async function open(count: number, url = redis.url): Promise<Opened> {
  const modes = Array.from({ length: count }, (): LimiterMode[] => [])
  const limiters = modes.map(told => {
    const limiter = openLimiter({ shared: openRedisCounts(url), onMode: mode => told.push(mode) })
    limiter.gateways(count)
    return limiter
  })
  await all(limiters, 'shared')
  return {
    limiters,
    modes,
    close: async () => {
      for (const limiter of limiters) await limiter.close()
    },
  }
}

async function all(limiters: readonly Limiter[], mode: LimiterMode['mode']): Promise<void> {
  while (limiters.some(limiter => limiter.mode().mode !== mode)) await turn(5)
}

const count = async (limiter: Limiter | undefined, subjects: Parameters<typeof tryTake>[1]): Promise<number> => {
  let taken = 0
  while (!isFault(await tryTake(limiter, subjects))) taken += 1
  return taken
}

describe('gateways and their Redis', () => {
  let opened: Opened | null = null
  afterEach(async () => {
    redis.resume()
    await redis.restart()
    await opened?.close()
    opened = null
  })

  test('W4 load on one of three gateways gets the whole limit', async () => {
    opened = await open(3)
    const subjects = [aKey({ requestsPerMinute: 400 })]
    const [only] = opened.limiters
    if (only === undefined) throw new Error('no limiter')
    const { taken } = await storm([only], { subjects, clients: 200, times: 6 })
    expect(taken.length).toBeLessThanOrEqual(400)
    expect(taken.length).toBeGreaterThanOrEqual(390)
  })

  test('L11 killed: each goes on with its part, says so once, and shares again when it is back, without more than the limit', async () => {
    opened = await open(3)
    const { limiters, modes } = opened
    const subjects = [aKey({ requestsPerMinute: 600 })]
    const before = await storm(limiters, { subjects, clients: 60, times: 3 })
    await redis.kill()
    const during = await storm(limiters, { subjects, clients: 60, times: 5 })
    await all(limiters, 'divided')
    expect(before.taken).toHaveLength(180)
    expect(during.taken.length).toBeGreaterThan(250)
    expect(limiters[0]?.mode().why).toMatch(/^Redis at 127\.0\.0\.1:\d+: nothing listens there \(ECONNREFUSED\)/)

    await redis.restart()
    await all(limiters, 'shared')
    const after = await storm(limiters, { subjects, clients: 60, times: 10 })
    const total = before.taken.length + during.taken.length + after.taken.length
    expect(total).toBeLessThanOrEqual(606)
    expect(total).toBeGreaterThanOrEqual(570)
    for (const told of modes) expect(told.map(({ mode }) => mode)).toEqual(['shared', 'divided', 'shared'])
  })

  test('W8 restarted empty under load: no more than the limit again', async () => {
    opened = await open(3)
    const subjects = [aKey({ requestsPerMinute: 600 })]
    const load = storm(opened.limiters, { subjects, clients: 120, times: 60 })
    await turn(100)
    await redis.restart()
    const { taken } = await load
    await all(opened.limiters, 'shared')
    const after = await storm(opened.limiters, { subjects, clients: 60, times: 10 })
    const total = taken.length + after.taken.length
    expect(total).toBeLessThanOrEqual(606)
    expect(total).toBeGreaterThanOrEqual(570)
  })

  test('L11 hung: nobody waits for it, and what it does late counts for nothing', async () => {
    opened = await open(3)
    const { limiters } = opened
    const subjects = [aKey({ requestsPerMinute: 300, parallel: 200 })]
    const before = await storm(limiters, { subjects, clients: 30, times: 2 })
    redis.hang()
    const during = await storm(limiters, { subjects, clients: 60, times: 3 })
    await all(limiters, 'divided')
    // Divided now: not one promise.
    const other = [aKey({ requestsPerMinute: 90 })]
    const need = { asked: tokens(0), guessed: tokens(0) }
    for (const limiter of limiters) expect(limiter.take(other, need)).not.toBeInstanceOf(Promise)
    redis.resume()
    await all(limiters, 'shared')
    const after = await storm(limiters, { subjects, clients: 60, times: 10 })
    expect(before.taken.length + during.taken.length).toBeGreaterThan(150)
    const total = before.taken.length + during.taken.length + after.taken.length
    expect(total).toBeLessThanOrEqual(303)
    expect(total).toBeGreaterThanOrEqual(285)
    expect(limiters[0]?.mode()).toEqual({ mode: 'shared', why: null })
  })

  test('L8 parallel: after Redis came back empty no place is held twice, and none is lost', async () => {
    opened = await open(3)
    const { limiters } = opened
    const subjects = [aKey({ parallel: 9 })]
    const held = await tryTake(limiters[0], subjects)
    if (isFault(held)) throw new Error(held.kind)
    await redis.restart()
    await all(limiters, 'shared')
    let others = 0
    while (others < 8) {
      if (isFault(await tryTake(limiters[1], subjects))) await turn(50)
      else others += 1
    }
    expect(await tryTake(limiters[2], subjects)).toMatchObject({ what: 'parallel' })
    held.release()
    held.release()
    while (isFault(await tryTake(limiters[2], subjects))) await turn(50)
    expect(await tryTake(limiters[2], subjects)).toMatchObject({ what: 'parallel' })
  })

  test('W2 W7 the places and blocks of a gateway that died come back', async () => {
    opened = await open(2)
    const { limiters } = opened
    const subjects = [aKey({ parallel: 4 })]
    const dying = openRedisCounts(redis.url)
    const dead = openLimiter({ shared: dying, onMode: () => undefined })
    dead.gateways(3)
    await all([dead], 'shared')
    for (const _ of [1, 2, 3]) expect(isFault(await tryTake(dead, subjects))).toBe(false)
    // As a process that is killed: it says nothing any more.
    await dying.close()
    dying.reach = () => Promise.reject(new Error('dead'))
    let taken = 0
    while (taken < 4) {
      if (isFault(await tryTake(limiters[0], subjects))) await turn(100)
      else taken += 1
    }
    expect(await tryTake(limiters[1], subjects)).toMatchObject({ what: 'parallel' })
    await dead.close()
  })

  test('W5 a gateway that leaves gives back what it held, at once', async () => {
    opened = await open(1)
    const subjects = [aKey({ requestsPerMinute: 50 })]
    const leaving = await open(1)
    const { taken } = await storm(leaving.limiters, { subjects, clients: 5, times: 4 })
    await leaving.close()
    // A Redis that answers late lets one be refused before its turn: asked again, it comes.
    let total = taken.length
    const [staying] = opened.limiters
    await until('the rest is taken', async () => (total += await count(staying, subjects)) >= 50, 20_000)
    expect(total).toBe(50)
  })
})

describe('a Redis with a password', () => {
  const password = 'c0rrect-horse'

  test('is used with the right one; the wrong one is said, and never shown', async () => {
    const guarded = await startRedis(['--requirepass', password])
    const { host } = new URL(guarded.url)
    const right = await open(1, `redis://:${password}@${host}/1`)
    expect(isFault(await tryTake(right.limiters[0], [aKey({ requestsPerMinute: 1 })]))).toBe(false)
    await right.close()
    for (const [url, said] of [
      [`redis://:${password}-not@${host}`, /refuses the user or the password/],
      [guarded.url, /wants a password/],
    ] as const) {
      const wrong = openRedisCounts(url)
      await expect(wrong.reach()).rejects.toThrow(said)
      await expect(wrong.reach()).rejects.not.toThrow(new RegExp(password))
      await wrong.close()
    }
    await guarded.stop()
  })

  test('where nothing listens the limiter serves, and says where it looked', async () => {
    const port = await freePort()
    const told: LimiterMode[] = []
    const limiter = openLimiter({
      shared: openRedisCounts(`redis://:${password}@127.0.0.1:${port}`),
      onMode: mode => told.push(mode),
    })
    expect(isFault(await tryTake(limiter, [aKey({ requestsPerMinute: 1 })]))).toBe(false)
    while (told.length === 0) await turn(5)
    expect(told[0]).toMatchObject({ mode: 'divided', why: expect.stringContaining(`127.0.0.1:${port}`) })
    expect(JSON.stringify(told)).not.toContain(password)
    await limiter.close()
  })
})

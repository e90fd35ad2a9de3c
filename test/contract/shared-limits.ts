/** What every limiter does, whoever counts: the same sentences over one gateway alone, one with Redis, and three. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FaultError, type Fault } from '../../src/domain/fault.ts'
import { tokens } from '../../src/domain/units.ts'
import type { LimitLease, Limiter, Subject } from '../../src/services/limits/index.ts'

export type Gateways = { limiters: Limiter[]; close: () => Promise<void> }
type Limits = Subject['limits']

let made = 0
/** Nobody has used it before. */
export const aKey = (limits: Limits): Subject => {
  made += 1
  return { subject: 'key', id: `k${made}`, name: `key ${made}`, limits }
}

export async function tryTake(
  limiter: Limiter | undefined,
  subjects: readonly Subject[],
  asked = 0,
): Promise<LimitLease | Fault> {
  if (limiter === undefined) throw new Error('no limiter')
  try {
    return await limiter.take(subjects, { asked: tokens(asked), guessed: tokens(0) })
  } catch (error) {
    if (error instanceof FaultError) return error.fault
    throw error
  }
}

export const isFault = (taken: LimitLease | Fault): taken is Fault => 'kind' in taken

async function mustTake(limiter: Limiter | undefined, subjects: readonly Subject[], asked = 0): Promise<LimitLease> {
  const taken = await tryTake(limiter, subjects, asked)
  if (isFault(taken)) throw new FaultError(taken)
  return taken
}

export const turn = (milliseconds: number): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  setTimeout(resolve, milliseconds)
  return promise
}

/** `clients` ask again and again, spread over the limiters; answers what was taken, when, and by which. */
export async function storm(
  limiters: readonly Limiter[],
  {
    subjects,
    clients,
    times,
    asked = 0,
  }: { subjects: readonly Subject[]; clients: number; times: number; asked?: number },
) {
  const taken: { by: number; at: number }[] = []
  const refused: Fault[] = []
  let atOnce = 0
  let mostAtOnce = 0
  const client = async (index: number): Promise<void> => {
    const by = index % limiters.length
    for (let time = 0; time < times; time += 1) {
      const lease = await tryTake(limiters[by], subjects, asked)
      if (isFault(lease)) refused.push(lease)
      else {
        taken.push({ by, at: performance.now() })
        atOnce += 1
        mostAtOnce = Math.max(mostAtOnce, atOnce)
        await turn(1 + ((index * 7 + time * 3) % 10))
        atOnce -= 1
        lease.settle(null)
        lease.release()
      }
      await turn((index + time) % 5)
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)))
  return { taken, refused, mostAtOnce }
}

export function limiterContract(name: string, open: () => Promise<Gateways>): void {
  describe(`the limiter contract, over ${name}`, () => {
    let gateways: Gateways
    beforeEach(async () => {
      gateways = await open()
    })
    afterEach(async () => gateways.close())

    test('L1 200 clients get the requests of a minute, not one more, and not much less', async () => {
      const subjects = [aKey({ requestsPerMinute: 500 })]
      const { taken, refused } = await storm(gateways.limiters, { subjects, clients: 200, times: 10 })
      expect(taken.length).toBeLessThanOrEqual(500)
      expect(taken.length).toBeGreaterThanOrEqual(490)
      expect(refused[0]).toMatchObject({ kind: 'rate-limited', what: 'requests', limit: 500 })
    })

    test('L1 200 clients get the tokens of a minute, not more, and not much less', async () => {
      const subjects = [aKey({ tokensPerMinute: 100_000 })]
      const { taken } = await storm(gateways.limiters, { subjects, clients: 200, times: 10, asked: 200 })
      expect(taken.length).toBeLessThanOrEqual(500)
      expect(taken.length).toBeGreaterThanOrEqual(485)
    })

    test('L8 never more at once than may be, and no place is lost by a storm', async () => {
      const subjects = [aKey({ parallel: 12 })]
      const { mostAtOnce } = await storm(gateways.limiters, { subjects, clients: 100, times: 10 })
      expect(mostAtOnce).toBeLessThanOrEqual(12)
      expect(mostAtOnce).toBeGreaterThanOrEqual(6)
      // All of it can be had by one, once the others have given back what lay idle.
      const leases: LimitLease[] = []
      while (leases.length < 12) {
        const lease = await tryTake(gateways.limiters[0], subjects)
        if (isFault(lease)) await turn(50)
        else leases.push(lease)
      }
      expect(await tryTake(gateways.limiters[0], subjects)).toMatchObject({ kind: 'rate-limited', what: 'parallel' })
      for (const lease of leases) lease.release()
    })

    test('L3 what the team refuses uses nothing of the key', async () => {
      const key = aKey({ requestsPerMinute: 5 })
      const team: Subject = { ...aKey({ requestsPerMinute: 2 }), subject: 'team' }
      const [limiter] = gateways.limiters
      for (const _ of [1, 2]) await mustTake(limiter, [key, team])
      for (let again = 0; again < 10; again += 1)
        expect(await tryTake(limiter, [key, team])).toMatchObject({ by: { subject: 'team' } })
      for (const _ of [1, 2, 3]) await mustTake(limiter, [key])
      expect(await tryTake(limiter, [key])).toMatchObject({ by: { subject: 'key' }, what: 'requests' })
    })

    test('L5 L6 what is given back can be had again, by any gateway', async () => {
      const subjects = [aKey({ tokensPerMinute: 1_000, requestsPerMinute: 3 })]
      const [first] = gateways.limiters
      const last = gateways.limiters.at(-1)
      const cancelled = await mustTake(first, subjects, 900)
      cancelled.cancel()
      cancelled.release()
      const settled = await mustTake(first, subjects, 900)
      settled.settle(tokens(100))
      settled.release()
      // Told within moments; until then the others do not know it.
      while (isFault(await tryTake(last, subjects, 850))) await turn(20)
      expect(await tryTake(last, subjects, 100)).toMatchObject({ kind: 'rate-limited', what: 'tokens' })
      await mustTake(last, subjects, 0)
      expect(await tryTake(last, subjects, 0)).toMatchObject({ kind: 'rate-limited', what: 'requests' })
    })

    test('L4 the refusal says when there will be room again', async () => {
      const subjects = [aKey({ requestsPerMinute: 1 })]
      await mustTake(gateways.limiters[0], subjects)
      // Until the first gateway has told what became of its block, the others may hope for it.
      let told = 0
      while (told <= 1_000) {
        const refused = await tryTake(gateways.limiters.at(-1), subjects)
        if (!isFault(refused) || refused.kind !== 'rate-limited') throw new Error(JSON.stringify(refused))
        told = refused.retryAfter
        await turn(5)
      }
      expect(told).toBeGreaterThan(50_000)
      expect(told).toBeLessThanOrEqual(60_600)
    })

    test('A1 the headers tell what is left', async () => {
      const subjects = [aKey({ requestsPerMinute: 10, tokensPerMinute: 1_000 })]
      const lease = await mustTake(gateways.limiters[0], subjects, 300)
      expect(lease.headers('openai')).toMatchObject({
        'x-ratelimit-limit-requests': '10',
        'x-ratelimit-remaining-requests': '9',
        'x-ratelimit-remaining-tokens': '700',
      })
    })
  })
}

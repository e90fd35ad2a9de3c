/** What every gateway store does: the same sentences over each adapter. */
import { afterEach, describe, expect, test } from 'vitest'
import type { GatewayStore } from '../../src/domain/serving/index.ts'
import { instant } from '../../src/domain/units.ts'

export type OpenGatewayStore = () => Promise<{ gateways: GatewayStore; close: () => Promise<void> }>

const ask = { tokenHash: 't1', id: 'gateway-a', keyHash: 'k1', from: '10.0.0.2', now: instant(500) }

export function gatewayStoreContract(name: string, openStore: OpenGatewayStore): void {
  describe(`the gateway store contract, over ${name}`, () => {
    let opened: Awaited<ReturnType<OpenGatewayStore>>[] = []
    afterEach(async () => {
      for (const one of opened) await one.close()
      opened = []
    })
    async function open({ token = true } = {}): Promise<GatewayStore> {
      const one = await openStore()
      opened.push(one)
      if (token) await one.gateways.addToken({ hash: 't1', expiresAt: instant(1_000) }, instant(0))
      return one.gateways
    }

    test('a token lets one gateway in, once', async () => {
      const store = await open()
      expect(await store.join(ask)).toBe('joined')
      expect(await store.join({ ...ask, id: 'gateway-b', keyHash: 'k2' })).toBe('token-used')
      expect(await store.gateways()).toEqual([
        {
          id: 'gateway-a',
          keyHash: 'k1',
          joinedAt: 500,
          removedAt: null,
          seenAt: 500,
          presence: 'left',
          from: '10.0.0.2',
        },
      ])
    })

    test('of many who bring a token at once, one gets in', async () => {
      const store = await open()
      const ids = Array.from({ length: 8 }, (_, n) => `gateway-${n}`)
      const answers = await Promise.all(ids.map(id => store.join({ ...ask, id, keyHash: id })))
      expect(answers.filter(answer => answer === 'joined')).toHaveLength(1)
      expect(answers.filter(answer => answer === 'token-used')).toHaveLength(7)
      expect(await store.gateways()).toHaveLength(1)
    })

    test('a token that is over or unknown lets nobody in, and is told apart', async () => {
      const store = await open()
      expect(await store.join({ ...ask, now: instant(1_000) })).toBe('token-expired')
      expect(await store.join({ ...ask, tokenHash: 'other' })).toBe('token-unknown')
      expect(await store.gateways()).toEqual([])
      const month = 30 * 24 * 3_600_000
      await store.addToken({ hash: 't2', expiresAt: instant(month + 1) }, instant(month))
      expect(await store.join({ ...ask, now: instant(month) })).toBe('token-unknown')
    })

    test('one that was removed is known as such, and comes back with a new token', async () => {
      const store = await open()
      await store.join(ask)
      expect(await store.remove('gateway-a', instant(600))).toBe(true)
      expect(await store.remove('gateway-a', instant(601))).toBe(false)
      expect(await store.remove('nobody', instant(601))).toBe(false)
      expect(await store.gateways()).toMatchObject([{ id: 'gateway-a', removedAt: 600 }])
      await store.addToken({ hash: 't2', expiresAt: instant(2_000) }, instant(0))
      expect(await store.join({ ...ask, tokenHash: 't2', now: instant(700) })).toBe('joined')
      expect(await store.gateways()).toMatchObject([{ id: 'gateway-a', removedAt: null, joinedAt: 700 }])
    })

    test('who comes and goes is noted, and one nobody let in is the one on this machine', async () => {
      const store = await open()
      await store.join(ask)
      await store.saw({ id: 'gateway-a', presence: 'connected', from: '10.0.0.3', now: instant(800) })
      await store.saw({ id: 'here', presence: 'lost', from: null, now: instant(900) })
      expect(await store.gateways()).toMatchObject([
        { id: 'gateway-a', keyHash: 'k1', joinedAt: 500, presence: 'connected', from: '10.0.0.3', seenAt: 800 },
        { id: 'here', keyHash: null, presence: 'lost', seenAt: 900 },
      ])
    })
  })
}

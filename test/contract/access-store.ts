/** What every access store does: the same sentences over each adapter and the fake. */
import { afterEach, describe, expect, test } from 'vitest'
import type { AccessStore, Key, Team } from '../../src/domain/access/index.ts'
import { FaultError } from '../../src/domain/fault.ts'
import { instant, keyId, modelName, teamName } from '../../src/domain/units.ts'

type Opened = { access: AccessStore; close: () => Promise<void> }
/** `beside`: another connection to the same store, as another process has it. */
export type OpenAccessStore = (tuning: { kept: number }) => Promise<Opened & { beside: () => Promise<Opened> }>

const hash = (digit: string): string => digit.repeat(64)

export const aKey = (id: string, change: Partial<Key> = {}): Key => ({
  id: keyId(id),
  alias: id,
  team: null,
  models: null,
  owner: null,
  routes: null,
  addresses: null,
  secrets: [{ hash: hash(id.slice(-1)), validUntil: null }],
  createdAt: instant(1_000),
  expiresAt: null,
  blockedAt: null,
  revokedAt: null,
  metadata: {},
  ...change,
})
const aTeam = (name: string, change: Partial<Team> = {}): Team => ({
  name: teamName(name),
  models: null,
  metadata: {},
  createdAt: instant(1_000),
  source: 'api',
  ...change,
})
const refusal = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof FaultError ? error.fault.kind : error),
  )

export function accessStoreContract(name: string, openStore: OpenAccessStore): void {
  describe(`the access store contract, over ${name}`, () => {
    let opened: Opened[] = []
    afterEach(async () => {
      for (const one of opened.toReversed()) await one.close()
      opened = []
    })
    async function openTwo(kept = 10_000): Promise<[AccessStore, AccessStore]> {
      const one = await openStore({ kept })
      opened.push(one)
      const two = await one.beside()
      opened.push(two)
      return [one.access, two.access]
    }
    async function open(kept = 10_000): Promise<AccessStore> {
      const one = await openStore({ kept })
      opened.push(one)
      return one.access
    }

    test('a new store is empty, has an epoch and begins at 0', async () => {
      const store = await open()
      expect(await store.image()).toEqual({ epoch: await store.epoch(), seq: 0, keys: [], teams: [] })
      expect(await store.epoch()).not.toBe('')
    })

    test('what is put is read back whole, secrets in their order', async () => {
      const store = await open()
      const key = aKey('k1', {
        alias: null,
        team: teamName('ops'),
        models: [modelName('coder'), modelName('chat')],
        secrets: [
          { hash: hash('b'), validUntil: null },
          { hash: hash('a'), validUntil: instant(5_000) },
        ],
        owner: { kind: 'service', name: 'ci-bot' },
        routes: ['chat', 'models'],
        addresses: ['10.0.0.0/8', 'fd00::/8'],
        expiresAt: instant(9_000),
        blockedAt: instant(7_000),
        metadata: { owner: 'Ada', limits: { a: [1, null] } },
      })
      const team = aTeam('ops', { models: [], metadata: { cost: 4 }, source: 'spec' })
      await store.commit([
        { put: 'team', team },
        { put: 'key', key },
      ])
      expect(await store.key(key.id)).toEqual(key)
      expect(await store.keys()).toEqual([key])
      expect(await store.team(team.name)).toEqual(team)
      expect(await store.teams()).toEqual([team])
      expect(await store.image()).toMatchObject({ seq: 2, keys: [key], teams: [team] })
    })

    test('what bounded a key can be taken away again', async () => {
      const store = await open()
      const bounded: Partial<Key> = {
        owner: { kind: 'person', name: 'Ada' },
        routes: [],
        addresses: [],
        blockedAt: instant(7_000),
        expiresAt: instant(9_000),
      }
      await store.commit([{ put: 'key', key: aKey('k1', bounded) }])
      expect(await store.key(keyId('k1'))).toEqual(aKey('k1', bounded))
      await store.commit([{ put: 'key', key: aKey('k1') }])
      expect(await store.key(keyId('k1'))).toEqual(aKey('k1'))
    })

    test('what is not there is null', async () => {
      const store = await open()
      expect(await store.key(keyId('none'))).toBeNull()
      expect(await store.keyByHash(hash('0'))).toBeNull()
      expect(await store.keyByAlias('none')).toBeNull()
      expect(await store.team(teamName('none'))).toBeNull()
    })

    test('changes are numbered one by one over all commits', async () => {
      const store = await open()
      expect(
        (
          await store.commit([
            { put: 'key', key: aKey('k1') },
            { put: 'team', team: aTeam('t') },
          ])
        ).map(one => one.seq),
      ).toEqual([1, 2])
      expect(await store.commit([])).toEqual([])
      const [third] = await store.commit([{ drop: 'team', name: teamName('t') }])
      expect(third).toEqual({ seq: 3, change: { drop: 'team', name: 't' } })
      expect(await store.teams()).toEqual([])
    })

    test('changesSince tells what came after, and null for what it cannot know', async () => {
      const store = await open(3)
      for (const id of ['k1', 'k2', 'k3', 'k4', 'k5']) await store.commit([{ put: 'key', key: aKey(id) }])
      expect((await store.changesSince(2))?.map(one => one.seq)).toEqual([3, 4, 5])
      expect(await store.changesSince(4)).toEqual([{ seq: 5, change: { put: 'key', key: aKey('k5') } }])
      expect(await store.changesSince(5)).toEqual([])
      expect(await store.changesSince(1)).toBeNull()
      expect(await store.changesSince(6)).toBeNull()
    })

    test('an alias belongs to one key that is not revoked', async () => {
      const store = await open()
      await store.commit([{ put: 'key', key: aKey('k1', { alias: 'bot' }) }])
      expect(await refusal(store.commit([{ put: 'key', key: aKey('k2', { alias: 'bot' }) }]))).toBe('conflict')
      await store.commit([{ put: 'key', key: aKey('k1', { alias: 'bot', revokedAt: instant(2_000) }) }])
      await store.commit([{ put: 'key', key: aKey('k2', { alias: 'bot' }) }])
      expect((await store.keyByAlias('bot'))?.id).toBe('k2')
    })

    test('many keys may have no alias', async () => {
      const store = await open()
      await store.commit([
        { put: 'key', key: aKey('k1', { alias: null }) },
        { put: 'key', key: aKey('k2', { alias: null }) },
      ])
      expect(await store.keys()).toHaveLength(2)
    })

    test('a secret belongs to one key that is not revoked', async () => {
      const store = await open()
      const secrets = [{ hash: hash('c'), validUntil: null }]
      await store.commit([{ put: 'key', key: aKey('k1', { secrets }) }])
      expect(await refusal(store.commit([{ put: 'key', key: aKey('k2', { secrets }) }]))).toBe('conflict')
    })

    test('a revoked key keeps its secret, so that it can be told from an unknown one', async () => {
      const store = await open()
      const revoked = aKey('k1', { revokedAt: instant(2_000) })
      await store.commit([{ put: 'key', key: aKey('k1') }])
      await store.commit([{ put: 'key', key: revoked }])
      expect(await store.keyByHash(hash('1'))).toEqual(revoked)
      expect(await store.keyByAlias('k1')).toBeNull()
      const taken = aKey('k2', { secrets: revoked.secrets })
      await store.commit([{ put: 'key', key: taken }])
      expect(await store.keyByHash(hash('1'))).toEqual(taken)
    })

    test('a rotation replaces the secrets of a key', async () => {
      const store = await open()
      await store.commit([{ put: 'key', key: aKey('k1') }])
      const rotated = aKey('k1', {
        secrets: [
          { hash: hash('d'), validUntil: null },
          { hash: hash('1'), validUntil: instant(3_000) },
        ],
      })
      await store.commit([{ put: 'key', key: rotated }])
      expect(await store.keyByHash(hash('d'))).toEqual(rotated)
      await store.commit([{ put: 'key', key: aKey('k1', { secrets: [{ hash: hash('d'), validUntil: null }] }) }])
      expect(await store.keyByHash(hash('1'))).toBeNull()
    })

    test('a refused commit changes nothing, not even the numbers', async () => {
      const store = await open()
      await store.commit([{ put: 'key', key: aKey('k1', { alias: 'bot' }) }])
      const before = await store.image()
      expect(
        await refusal(
          store.commit([
            { put: 'team', team: aTeam('t') },
            { put: 'key', key: aKey('k2', { alias: 'bot' }) },
          ]),
        ),
      ).toBe('conflict')
      expect(await store.image()).toEqual(before)
      expect((await store.commit([{ put: 'team', team: aTeam('t') }]))[0]?.seq).toBe(2)
    })

    test('commits made at once are all kept, with numbers of their own', async () => {
      const store = await open()
      const ids = Array.from({ length: 20 }, (_, at) => `key-${at}`)
      const secrets = (at: number) => [{ hash: at.toString(16).padStart(64, '0'), validUntil: null }]
      const done = await Promise.all(
        ids.map((id, at) => store.commit([{ put: 'key', key: aKey(id, { secrets: secrets(at) }) }])),
      )
      expect(
        done
          .flat()
          .map(one => one.seq)
          .sort((a, b) => a - b),
      ).toEqual(ids.map((_, at) => at + 1))
      expect(await store.keys()).toHaveLength(20)
      expect((await store.changesSince(0))?.map(one => one.seq)).toEqual(ids.map((_, at) => at + 1))
    })

    test('two connections that commit at once leave no hole, and whoever reads meanwhile sees none', async () => {
      const [one, two] = await openTwo()
      const each = 30
      const idOf = (who: number, at: number) => `${who}-${at.toString().padStart(3, '0')}`
      const commitAll = async (store: AccessStore, who: number) => {
        for (let at = 0; at < each; at++) {
          const secrets = [{ hash: `${who}${at.toString(16).padStart(63, '0')}`, validUntil: null }]
          await store.commit([{ put: 'key', key: aKey(idOf(who, at), { secrets }) }])
        }
      }
      let busy = true
      const watching = (async () => {
        let seen = 0
        while (busy) {
          const [image, changes] = await Promise.all([two.image(), one.changesSince(seen)])
          expect(image.keys).toHaveLength(image.seq)
          expect(changes?.map(({ seq }) => seq)).toEqual(changes?.map((_, at) => seen + 1 + at))
          seen += changes?.length ?? 0
        }
      })()
      await Promise.all([commitAll(one, 1), commitAll(two, 2)]).finally(() => {
        busy = false
      })
      await watching
      const changes = await two.changesSince(0)
      expect(changes?.map(({ seq }) => seq)).toEqual(Array.from({ length: 2 * each }, (_, at) => at + 1))
      expect(await one.image()).toEqual(await two.image())
    })

    test('of two connections that take one alias at once, one gets it', async () => {
      const [one, two] = await openTwo()
      const take = (store: AccessStore, id: string) =>
        refusal(store.commit([{ put: 'key', key: aKey(id, { alias: 'bot' }) }]))
      for (let round = 0; round < 10; round++) {
        const [a, b] = [`${round}a`, `${round}b`]
        expect([await Promise.all([take(one, a), take(two, b)])].flat().sort()).toEqual(['conflict', 'done'])
        const holder = await one.keyByAlias('bot')
        if (holder !== null) await one.commit([{ put: 'key', key: { ...holder, revokedAt: instant(2_000) } }])
      }
      expect(await two.keys()).toHaveLength(10)
    })

    test('names are in the order of their bytes, whatever language the database speaks', async () => {
      const store = await open()
      const names = ['Zeta', 'alpha', 'a-b', 'ab', 'aZ', 'a_b', 'A']
      await store.commit(names.map(name => ({ put: 'team', team: aTeam(name) })))
      expect((await store.teams()).map(({ name }) => name)).toEqual(['A', 'Zeta', 'a-b', 'aZ', 'a_b', 'ab', 'alpha'])
    })
  })
}

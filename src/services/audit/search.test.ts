import { expect, test } from 'vitest'
import { fakeAccessStore } from '../../domain/access/fake.ts'
import type { AuditEntry, AuditFilter } from '../../domain/journal/index.ts'
import { actId, instant, keyId, modelName } from '../../domain/units.ts'
import { findPersonBy } from './person.ts'
import { openAuditSearch } from './search.ts'

const anAct = (n: number): AuditEntry => ({
  kind: 'act',
  act: {
    ...{ id: actId(String(n).padStart(6, '0')), time: '', who: 'admin', alias: null, from: null, what: 'key.create' },
    ...{ target: null, decision: 'done', why: null, detail: null },
  },
})

/** So many acts, the newest first; notes what it was asked. */
function aStore(count: number) {
  const asked: AuditFilter[] = []
  return {
    asked,
    async search(filter: AuditFilter): Promise<AuditEntry[]> {
      asked.push(filter)
      const from = filter.before === undefined ? count : Number(filter.before)
      return Array.from({ length: Math.min(filter.limit, from) }, (_, at) => anAct(from - 1 - at))
    },
  }
}

test('all of it comes a page at a time, and the next page is read when the one before was taken', async () => {
  const store = aStore(2_500)
  const pages = openAuditSearch({ store, keys: fakeAccessStore() }).all({})
  const sizes: number[] = []
  for await (const page of pages) {
    sizes.push(page.length)
    expect(store.asked).toHaveLength(sizes.length)
  }
  expect(sizes).toEqual([1_000, 1_000, 500])
})

test('whoever stops reading stops the asking', async () => {
  const store = aStore(1_000_000)
  for await (const _ of openAuditSearch({ store, keys: fakeAccessStore() }).all({})) break
  expect(store.asked).toHaveLength(1)
})

test('what is asked of requests only is not looked for among acts, and the other way round', async () => {
  const store = aStore(0)
  const search = openAuditSearch({ store, keys: fakeAccessStore() })
  for (const ask of [{}, { what: 'request' }, { what: 'key.*' }, { model: modelName('m') }]) {
    await search.page({ limit: 1, ...ask })
  }
  expect(store.asked.map(filter => filter.kinds.join())).toEqual(['request,act', 'request', 'act', 'request'])
})

const person = { kind: 'person', name: 'Anna' } as const
async function keysOf(): Promise<ReturnType<typeof fakeAccessStore>> {
  const keys = fakeAccessStore()
  const shared = { team: null, models: null, routes: null, addresses: null, secrets: [], expiresAt: null }
  const put = (id: string, change: { alias: string | null; owner: typeof person | null; revoked?: true }) => ({
    put: 'key' as const,
    key: {
      ...shared,
      ...{ id: keyId(id), createdAt: instant(0), blockedAt: null, metadata: {} },
      ...{ alias: change.alias, owner: change.owner, revokedAt: change.revoked ? instant(1) : null },
    },
  })
  await keys.commit([
    put('k1', { alias: 'anna-laptop', owner: person, revoked: true }),
    put('k2', { alias: 'anna-phone', owner: person }),
    put('k3', { alias: 'bot', owner: null }),
  ])
  return keys
}

const quiet = {
  idsByAlias: async () => [],
  aliasesOf: async () => [],
  countAbout: async () => ({ requests: 0, acts: 0 }),
}

test('a person’s keys belong together: one of them, its alias or the person means all', async () => {
  const keys = await keysOf()
  const find = findPersonBy({ keys, store: quiet, now: () => instant(7) })
  for (const ref of ['k1', 'anna-phone', 'Anna']) {
    const { subject, living } = await find(ref)
    expect(subject.ids).toEqual(expect.arrayContaining(['k1', 'k2']))
    expect(subject.ids).not.toContain('k3')
    expect(subject.names).toEqual(expect.arrayContaining(['anna-laptop', 'anna-phone', 'Anna']))
    expect(subject.until).toBe(7)
    expect(living).toEqual(['k2'])
  }
})

test('somebody known by a token only is found by subject and by alias', async () => {
  const store = { ...quiet, idsByAlias: async () => ['jwt:7'], countAbout: async () => ({ requests: 3, acts: 0 }) }
  const { subject } = await findPersonBy({ keys: fakeAccessStore(), store, now: () => instant(7) })('carl')
  expect(subject).toMatchObject({ ids: ['jwt:carl', 'jwt:7'], names: ['carl'] })
})

test.each(['admin', 'controller', 'erased'])('%s is nobody who could be erased', async ref => {
  await expect(findPersonBy({ keys: await keysOf(), store: quiet, now: () => instant(7) })(ref)).rejects.toThrow(
    'nobody in particular',
  )
})

test('of whom nothing is known is not found', async () => {
  await expect(findPersonBy({ keys: await keysOf(), store: quiet, now: () => instant(7) })('nina')).rejects.toThrow(
    "no key, person or token 'nina'",
  )
})

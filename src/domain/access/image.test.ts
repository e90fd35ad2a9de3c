import fc from 'fast-check'
import { expect, test } from 'vitest'
import { instant, keyId, modelName, teamName } from '../units.ts'
import {
  applyChanges,
  authenticate,
  buildAccessTable,
  grantsOf,
  keyStatus,
  mayUse,
  permittedModels,
  toAccessImage,
} from './image.ts'
import { unbounded } from './scopes.ts'
import { fakeAccessStore } from './fake.ts'
import type { AccessChange, AccessImage, Key, Principal, Team } from './types.ts'

const [coder, embed, general] = [modelName('coder'), modelName('embed'), modelName('general')]
const names = [coder, embed, general]
const now = instant(1_000)

const aKey = (over: Partial<Key> = {}): Key => ({
  id: keyId('key_1'),
  alias: 'slack',
  team: null,
  models: null,
  owner: null,
  routes: null,
  addresses: null,
  secrets: [{ hash: 'h1', validUntil: null }],
  createdAt: instant(0),
  expiresAt: null,
  blockedAt: null,
  revokedAt: null,
  metadata: {},
  ...over,
})
const aTeam = (over: Partial<Team> = {}): Team => ({
  name: teamName('platform'),
  models: null,
  metadata: {},
  createdAt: instant(0),
  source: 'api',
  ...over,
})
const tableOf = (image: Partial<AccessImage>) =>
  buildAccessTable({ epoch: 'e', seq: 0, adminHash: 'admin', keys: [], teams: [], ...image })
const ask = (key: Key, hash = 'h1', at = now) => authenticate(tableOf({ keys: [key] }), { hash, format: 'ours' }, at)
const principal = (key: Key): Principal => ({ kind: 'key', id: key.id, alias: key.alias, team: key.team })

test('A1 the admin key is the administrator', () => {
  expect(authenticate(tableOf({}), { hash: 'admin', format: 'foreign' }, now)).toEqual({
    ok: true,
    principal: { kind: 'admin' },
    grants: null,
    scopes: unbounded,
  })
})

test('A2 a key is known by its secret', () => {
  expect(ask(aKey())).toEqual({
    ok: true,
    principal: { kind: 'key', id: 'key_1', alias: 'slack', team: null },
    grants: null,
    scopes: unbounded,
  })
})

test('A3 an unknown key is mistyped only when it looks like ours and cannot be', () => {
  const table = tableOf({ keys: [aKey()] })
  expect(authenticate(table, { hash: 'other', format: 'mistyped' }, now)).toEqual({ ok: false, why: 'mistyped' })
  expect(authenticate(table, { hash: 'other', format: 'ours' }, now)).toEqual({ ok: false, why: 'unknown' })
  expect(authenticate(table, { hash: 'other', format: 'foreign' }, now)).toEqual({ ok: false, why: 'unknown' })
})

test('A4 a revoked key is revoked even when it has expired too, and before the moment it says', () => {
  expect(ask(aKey({ revokedAt: instant(500), expiresAt: instant(400) }))).toEqual({ ok: false, why: 'revoked' })
  expect(ask(aKey({ revokedAt: instant(5_000) }))).toEqual({ ok: false, why: 'revoked' })
})

test('A15 a blocked key is blocked, also when it has expired, and revoked when it was revoked too', () => {
  const blocked = aKey({ blockedAt: instant(500), expiresAt: instant(400) })
  expect(ask(blocked)).toEqual({ ok: false, why: 'blocked' })
  expect(keyStatus(blocked, now)).toBe('blocked')
  expect(ask({ ...blocked, revokedAt: instant(600) })).toEqual({ ok: false, why: 'revoked' })
  expect(keyStatus({ ...blocked, revokedAt: instant(600) }, now)).toBe('revoked')
})

test('A17 A18 a key comes with its scopes', () => {
  expect(ask(aKey({ routes: ['chat'], addresses: ['10.0.0.0/8'] }))).toMatchObject({
    ok: true,
    scopes: { routes: ['chat'], networks: [{ family: 4, prefix: 8 }] },
  })
})

test('A19 a key from an older program has none of what came later', () => {
  const { owner, routes, addresses, blockedAt, ...older } = aKey()
  // As an older gateway wrote it to its disk.
  const table = tableOf({ keys: [older as Key] })
  expect(toAccessImage(table).keys).toEqual([{ ...older, owner, routes, addresses, blockedAt }])
  expect(authenticate(table, { hash: 'h1', format: 'ours' }, now)).toMatchObject({ ok: true, scopes: unbounded })
})

test('A5 a key opens up to its end and not from it on', () => {
  const key = aKey({ expiresAt: instant(1_000) })
  expect(ask(key, 'h1', instant(999)).ok).toBe(true)
  expect(ask(key, 'h1', instant(1_000))).toEqual({ ok: false, why: 'expired' })
  expect(keyStatus(key, instant(999))).toBe('active')
  expect(keyStatus(key, instant(1_000))).toBe('expired')
})

test('A6 during the grace both secrets open the key, after it the new one only', () => {
  const key = aKey({
    secrets: [
      { hash: 'new', validUntil: null },
      { hash: 'old', validUntil: instant(2_000) },
    ],
  })
  expect(ask(key, 'old', instant(1_999)).ok).toBe(true)
  expect(ask(key, 'new', instant(1_999)).ok).toBe(true)
  expect(ask(key, 'old', instant(2_000))).toEqual({ ok: false, why: 'expired' })
  expect(ask(key, 'new', instant(2_000)).ok).toBe(true)
})

test('A7 the administrator may use every model', () => {
  expect(permittedModels(tableOf({}), { kind: 'admin' }, names)).toEqual(names)
})

test.each<{ rule: string; key: Key['models']; team: Team['models'] | 'no team' | 'gone'; may: Key['models'] }>([
  { rule: 'A8 nothing said, no team: every model', key: null, team: 'no team', may: names },
  { rule: 'A8 nothing said, a team: what the team may', key: null, team: [coder], may: [coder] },
  { rule: 'A9 a team without models may use every model', key: null, team: null, may: names },
  { rule: 'A9 the key bounds itself in a team without bounds', key: [embed], team: null, may: [embed] },
  { rule: 'A10 both bounded: what is in both', key: [embed, general], team: [coder, general], may: [general] },
  { rule: 'A10 an empty list of the key is nothing', key: [], team: 'no team', may: [] },
  { rule: 'A10 an empty list of the team is nothing', key: null, team: [], may: [] },
  { rule: 'A11 the team is gone: nothing', key: null, team: 'gone', may: [] },
  { rule: 'A11 the team is gone: nothing, whatever the key says', key: [coder], team: 'gone', may: [] },
])('$rule', ({ key: models, team, may }) => {
  const key = aKey({ models, team: team === 'no team' ? null : teamName('platform') })
  const teams = team === 'no team' || team === 'gone' ? [] : [aTeam({ models: team })]
  const table = tableOf({ keys: [key], teams })
  expect(permittedModels(table, principal(key), names)).toEqual(may)
  for (const name of names) expect(mayUse(table, principal(key), name)).toBe(may?.includes(name))
  const authenticated = authenticate(table, { hash: 'h1', format: 'ours' }, now)
  expect(authenticated).toMatchObject({ ok: true, grants: grantsOf(table, principal(key)) })
})

test('A11 a key that is not known any more may use nothing', () => {
  expect(permittedModels(tableOf({}), principal(aKey()), names)).toEqual([])
})

test('A12 changes apply once and stop at a hole', () => {
  const table = tableOf({ seq: 4, keys: [aKey()] })
  const revoked: AccessChange = { put: 'key', key: aKey({ revokedAt: instant(1) }) }
  expect(applyChanges(table, [{ seq: 4, change: revoked }])).toBe('applied')
  expect(authenticate(table, { hash: 'h1', format: 'ours' }, now).ok).toBe(true)
  expect(applyChanges(table, [{ seq: 6, change: revoked }])).toBe('hole')
  expect(table.seq).toBe(4)
  expect(applyChanges(table, [{ seq: 5, change: revoked }])).toBe('applied')
  expect(table.seq).toBe(5)
  expect(authenticate(table, { hash: 'h1', format: 'ours' }, now)).toEqual({ ok: false, why: 'revoked' })
})

test('A12 a secret that a key no longer has opens nothing', () => {
  const table = tableOf({ keys: [aKey()] })
  applyChanges(table, [{ seq: 1, change: { put: 'key', key: aKey({ secrets: [{ hash: 'h2', validUntil: null }] }) } }])
  expect(authenticate(table, { hash: 'h1', format: 'ours' }, now)).toEqual({ ok: false, why: 'unknown' })
  expect(authenticate(table, { hash: 'h2', format: 'ours' }, now).ok).toBe(true)
})

test('A13 a secret used again belongs to the living key, in whichever order they arrive', () => {
  const dead = aKey({ id: keyId('key_dead'), revokedAt: instant(1) })
  const alive = aKey({ id: keyId('key_alive') })
  for (const keys of [
    [dead, alive],
    [alive, dead],
  ]) {
    expect(authenticate(tableOf({ keys }), { hash: 'h1', format: 'foreign' }, now)).toMatchObject({
      principal: { id: 'key_alive' },
    })
  }
})

const models = fc.option(fc.subarray(names), { nil: null })
const change: fc.Arbitrary<AccessChange> = fc.oneof(
  fc
    .record({
      n: fc.nat(4),
      models,
      team: fc.option(fc.constantFrom('a', 'b').map(teamName), { nil: null }),
      revoked: fc.boolean(),
    })
    .map(({ n, models: some, team, revoked }): AccessChange => ({
      put: 'key',
      key: aKey({
        id: keyId(`key_${n}`),
        alias: `alias-${n}`,
        secrets: [{ hash: `hash-${n}`, validUntil: null }],
        models: some,
        team,
        revokedAt: revoked ? instant(1) : null,
      }),
    })),
  fc
    .record({ name: fc.constantFrom('a', 'b').map(teamName), models })
    .map((team): AccessChange => ({ put: 'team', team: aTeam(team) })),
  fc.constantFrom('a', 'b').map((name): AccessChange => ({ drop: 'team', name: teamName(name) })),
)

test('A14 an image and the changes after it are the later image', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 20 }), fc.nat(20), async (changes, cut) => {
      const store = fakeAccessStore()
      await store.commit(changes.slice(0, cut))
      const table = buildAccessTable({ ...(await store.image()), adminHash: 'admin' })
      await store.commit(changes.slice(cut))
      expect(applyChanges(table, (await store.changesSince(table.seq)) ?? [])).toBe('applied')
      const later = { ...(await store.image()), adminHash: 'admin' }
      // A store tells teams by name, a table in the order in which they came: nobody asks for either.
      expect(byName(toAccessImage(table))).toEqual(byName(later))
      for (const key of later.keys) {
        const sent = { hash: key.secrets[0]?.hash ?? '', format: 'ours' as const }
        expect(authenticate(table, sent, now)).toEqual(authenticate(buildAccessTable(later), sent, now))
      }
    }),
  )
})

function byName(image: AccessImage): AccessImage {
  return { ...image, teams: image.teams.toSorted((a, b) => (a.name < b.name ? -1 : 1)) }
}

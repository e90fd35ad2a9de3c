import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { authenticate, buildAccessTable, checkKeyFormat } from '../../domain/access/index.ts'
import type { NumberedChange } from '../../domain/access/index.ts'
import { fakeAccessStore } from '../../domain/access/fake.ts'
import { FaultError } from '../../domain/fault.ts'
import type { Fault } from '../../domain/fault.ts'
import { instant, millis, modelName, teamName } from '../../domain/units.ts'
import { hashKey, identifyBy, manageAccess } from './index.ts'
import type { NewKey } from './index.ts'

const adminKey = 'sk-admin-'.padEnd(40, 'x')
const plain: NewKey = { alias: null, team: null, models: null, expires: null, metadata: {}, secret: null }

function open({ at = 1_000_000 } = {}) {
  const store = fakeAccessStore()
  const published: NumberedChange[][] = []
  let now = at
  const access = manageAccess({
    store,
    publisher: {
      publish: async changes => {
        published.push([...changes])
        return { acknowledged: ['gw'], waitingFor: [] }
      },
    },
    adminHash: hashKey(adminKey),
    now: () => instant(now),
    randomBytes,
    models: () => [modelName('coder')],
    currency: () => 'EUR',
    whereDeclared: team => (team === 'platform' ? 'holdfast.yaml:12' : null),
  })
  const identify = identifyBy({ store, adminHash: hashKey(adminKey), now: () => instant(now) })
  const opens = async (secret: string) =>
    authenticate(
      buildAccessTable({ ...(await store.image()), adminHash: '' }),
      { hash: hashKey(secret), format: checkKeyFormat(secret) },
      instant(now),
    )
  return {
    ...access,
    store,
    published,
    identify,
    opens,
    pass: (length: number) => {
      now += length
    },
  }
}

async function fault(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (error instanceof FaultError) return error.fault
  throw new Error('expected a fault', { cause: error })
}

test('a key is shown once, kept as a hash, and told to the gateways', async () => {
  const { keys, store, published, opens } = open()
  const born = await keys.create({ ...plain, alias: 'slack', models: [modelName('coder')] })
  expect(checkKeyFormat(born.secret)).toBe('ours')
  expect(born.key.id).toMatch(/^key_[0-9A-Za-z]{16}$/)
  expect(JSON.stringify(await store.image())).not.toContain(born.secret)
  expect(await opens(born.secret)).toMatchObject({ ok: true, grants: ['coder'] })
  expect(published).toEqual([[{ seq: 1, change: { put: 'key', key: born.key } }]])
  expect(born.inForce).toEqual({ acknowledged: ['gw'], waitingFor: [] })
  expect(born.warnings).toEqual([])
})

test('a model that is not there yet is a warning', async () => {
  const { warnings } = await open().keys.create({ ...plain, models: [modelName('coder'), modelName('soon')] })
  expect(warnings).toEqual([expect.stringContaining("'soon'")])
})

test('a key may be brought from elsewhere, unless it is short, ours, the admin key or taken', async () => {
  const { keys, opens } = open()
  await keys.create({ ...plain, secret: 'sk-litellm-1234567890' })
  expect(await opens('sk-litellm-1234567890')).toMatchObject({ ok: true })
  expect(await fault(keys.create({ ...plain, secret: 'sk-short' }))).toMatchObject({
    kind: 'request-invalid',
    param: 'key',
  })
  expect(await fault(keys.create({ ...plain, secret: `sk-hf-${'0'.repeat(38)}` }))).toMatchObject({
    kind: 'request-invalid',
    param: 'key',
  })
  expect(await fault(keys.create({ ...plain, secret: adminKey }))).toMatchObject({ kind: 'conflict' })
  expect(await fault(keys.create({ ...plain, secret: 'sk-litellm-1234567890' }))).toMatchObject({ kind: 'conflict' })
})

test('a key expires after its time or at its moment, which must be to come', async () => {
  const { keys, opens, pass } = open()
  const { key, secret } = await keys.create({ ...plain, expires: { in: millis(1000) } })
  expect(key.expiresAt).toBe(1_001_000)
  expect((await keys.create({ ...plain, expires: { at: instant(2_000_000) } })).key.expiresAt).toBe(2_000_000)
  expect(await fault(keys.create({ ...plain, expires: { at: instant(999_999) } }))).toMatchObject({
    kind: 'request-invalid',
  })
  expect(await fault(keys.create({ ...plain, expires: { in: millis(0) } }))).toMatchObject({ kind: 'request-invalid' })
  pass(1000)
  expect(await opens(secret)).toEqual({ ok: false, why: 'expired' })
})

test('an alias is unique among living keys, and neither an id nor a secret', async () => {
  const { keys } = open()
  await keys.create({ ...plain, alias: 'slack' })
  expect(await fault(keys.create({ ...plain, alias: 'slack' }))).toMatchObject({ kind: 'conflict' })
  await keys.revoke('slack')
  await keys.create({ ...plain, alias: 'slack' })
  for (const alias of ['', ' a', 'a\n', 'key_0123456789abcdef', 'sk-hf-abc', 'x'.repeat(129)]) {
    expect(await fault(keys.create({ ...plain, alias }))).toMatchObject({ kind: 'request-invalid', param: 'alias' })
  }
})

test('an unknown team is refused with what to do', async () => {
  expect(await fault(open().keys.create({ ...plain, team: teamName('nobody') }))).toMatchObject({
    kind: 'request-invalid',
    param: 'team',
  })
})

test('A6 rotation keeps the id, and the old secret for the grace', async () => {
  const { keys, opens, pass } = open()
  const first = await keys.create({ ...plain, alias: 'slack' })
  const second = await keys.rotate('slack', { grace: millis(5000) })
  expect(second.key.id).toBe(first.key.id)
  expect(second.previousValidUntil).toBe(1_005_000)
  expect([await opens(first.secret), await opens(second.secret)]).toMatchObject([{ ok: true }, { ok: true }])
  pass(5000)
  expect([await opens(first.secret), await opens(second.secret)]).toMatchObject([
    { ok: false, why: 'expired' },
    { ok: true },
  ])
})

test('A6 a second rotation with a longer grace does not revive or lengthen the first secret', async () => {
  const { keys, opens, pass } = open()
  const first = await keys.create(plain)
  await keys.rotate(first.key.id, { grace: millis(1000) })
  await keys.rotate(first.key.id, { grace: millis(60_000) })
  pass(1000)
  expect(await opens(first.secret)).toEqual({ ok: false, why: 'expired' })
  await keys.rotate(first.key.id, { grace: millis(60_000) })
  expect(await opens(first.secret)).toEqual({ ok: false, why: 'expired' })
  pass(31 * 86_400_000)
  await keys.rotate(first.key.id, { grace: millis(0) })
  expect(await opens(first.secret)).toEqual({ ok: false, why: 'unknown' })
})

test('rotating without grace ends the old secret at once', async () => {
  const { keys, opens } = open()
  const { key, secret } = await keys.create(plain)
  await keys.rotate(key.id, { grace: millis(0) })
  expect(await opens(secret)).toEqual({ ok: false, why: 'expired' })
})

test('an ended key is not rotated', async () => {
  const { keys, pass } = open()
  const revoked = await keys.create(plain)
  await keys.revoke(revoked.key.id)
  expect(await fault(keys.rotate(revoked.key.id, { grace: millis(0) }))).toMatchObject({ kind: 'conflict' })
  const expired = await keys.create({ ...plain, expires: { in: millis(10) } })
  pass(10)
  expect(await fault(keys.rotate(expired.key.id, { grace: millis(0) }))).toMatchObject({ kind: 'conflict' })
})

test('A4 revoking is at once, for good, and the same when repeated', async () => {
  const { keys, opens, pass } = open()
  const { key, secret } = await keys.create({ ...plain, alias: 'slack' })
  const first = await keys.revoke('slack')
  pass(10)
  expect(await keys.revoke('slack')).toEqual(first)
  expect(await keys.revoke(key.id)).toEqual(first)
  expect(await opens(secret)).toEqual({ ok: false, why: 'revoked' })
})

test('a rotation that runs beside a revocation does not bring the key back', async () => {
  const { keys, opens } = open()
  const { key, secret } = await keys.create(plain)
  const [rotated] = await Promise.all([keys.rotate(key.id, { grace: millis(1000) }), keys.revoke(key.id)])
  expect([await opens(secret), await opens(rotated.secret)]).toEqual([
    { ok: false, why: 'revoked' },
    { ok: false, why: 'revoked' },
  ])
})

test('revoking several is all or nothing', async () => {
  const { keys, published } = open()
  const a = await keys.create({ ...plain, alias: 'a' })
  await keys.create({ ...plain, alias: 'b' })
  expect(await fault(keys.revokeAll(['a', 'nobody']))).toMatchObject({ kind: 'not-found', name: 'nobody' })
  expect((await keys.get('a')).revokedAt).toBeNull()
  const { keys: gone } = await keys.revokeAll(['a', a.key.id, 'b'])
  expect(gone.map(key => key.revokedAt)).toEqual([1_000_000, 1_000_000, 1_000_000])
  expect(published.at(-1)?.map(change => change.seq)).toEqual([3, 4])
})

test('a secret sent where an id belongs does not come back whole', async () => {
  const { keys } = open()
  const { secret } = await keys.create(plain)
  const found = await fault(keys.revoke(secret))
  expect(JSON.stringify(found)).not.toContain(secret)
})

test('a team is made, changed, and removed once no key needs it', async () => {
  const { teams, keys } = open()
  await teams.create({ name: 'search', models: [modelName('coder')], metadata: {} })
  expect(await fault(teams.create({ name: 'search', models: null, metadata: {} }))).toMatchObject({ kind: 'conflict' })
  expect((await teams.update('search', { models: [modelName('soon')] })).warnings).toHaveLength(1)
  expect(await teams.get('search')).toMatchObject({ models: ['soon'], metadata: {} })
  const { key } = await keys.create({ ...plain, alias: 'slack', team: teamName('search') })
  expect(await fault(teams.remove('search'))).toMatchObject({
    kind: 'conflict',
    problem: expect.stringContaining('slack'),
  })
  await keys.revoke(key.id)
  await teams.remove('search')
  expect(await fault(teams.get('search'))).toMatchObject({ kind: 'not-found' })
  expect(await fault(teams.create({ name: 'no spaces', models: null, metadata: {} }))).toMatchObject({ param: 'name' })
})

test("the spec's teams are read-only, and the answer names file and line", async () => {
  const { teams } = open()
  await teams.declare([{ name: teamName('platform'), models: null, metadata: {} }])
  expect(await fault(teams.update('platform', { models: [] }))).toMatchObject({
    kind: 'conflict',
    problem: expect.stringContaining('holdfast.yaml:12'),
  })
  expect(await fault(teams.remove('platform'))).toMatchObject({ kind: 'conflict' })
})

test('declaring again changes only what differs, and drops what is gone from the spec but not what was made by hand', async () => {
  const { teams, pass } = open()
  const platform = { name: teamName('platform'), models: null, metadata: {} }
  const search = { name: teamName('search'), models: [modelName('coder')], metadata: {} }
  await teams.create({ name: 'hand', models: null, metadata: {} })
  expect(await teams.declare([platform, search])).toHaveLength(2)
  pass(10)
  expect(await teams.declare([platform, search])).toEqual([])
  expect(await teams.declare([{ ...search, models: null }])).toMatchObject([
    { put: 'team', team: { name: 'search', models: null, createdAt: 1_000_000 } },
    { drop: 'team', name: 'platform' },
  ])
  expect((await teams.list()).map(team => team.name).toSorted()).toEqual(['hand', 'search'])
})

test('the controller knows the administrator, a key, and why it refuses', async () => {
  const { identify, keys } = open()
  const { key, secret } = await keys.create(plain)
  expect(await identify(`Bearer ${adminKey}`)).toEqual({ kind: 'admin' })
  expect(await identify(`bearer ${secret}`)).toMatchObject({ kind: 'key', id: key.id })
  expect(await fault(identify(undefined))).toEqual({ kind: 'key-missing' })
  expect(await fault(identify('Basic abc'))).toEqual({ kind: 'key-missing' })
  expect(await fault(identify(`Bearer ${secret.slice(0, -1)}`))).toEqual({ kind: 'key-refused', why: 'mistyped' })
  expect(await fault(identify('Bearer sk-elsewhere'))).toEqual({ kind: 'key-refused', why: 'unknown' })
  await keys.revoke(key.id)
  expect(await fault(identify(`Bearer ${secret}`))).toEqual({ kind: 'key-refused', why: 'revoked' })
})

test('A15 a blocked key is refused until it is unblocked, and then works as before', async () => {
  const { keys, opens, published } = open()
  const { key, secret } = await keys.create({ ...plain, alias: 'slack' })
  expect((await keys.block('slack')).key.blockedAt).toBe(1_000_000)
  expect(await opens(secret)).toEqual({ ok: false, why: 'blocked' })
  await keys.block(key.id)
  expect(published.at(-1)).toEqual([])
  expect((await keys.unblock('slack')).key.blockedAt).toBeNull()
  expect(await opens(secret)).toMatchObject({ ok: true })
})

test('A15 a blocked key may be rotated, and stays blocked', async () => {
  const { keys, opens } = open()
  const { key } = await keys.create(plain)
  await keys.block(key.id)
  const { secret } = await keys.rotate(key.id, { grace: millis(0) })
  expect(await opens(secret)).toEqual({ ok: false, why: 'blocked' })
  await keys.unblock(key.id)
  expect(await opens(secret)).toMatchObject({ ok: true })
})

test('A4 nothing brings a revoked key back', async () => {
  const { keys, opens } = open()
  const { key, secret } = await keys.create({ ...plain, alias: 'slack' })
  await keys.revoke('slack')
  for (const attempt of [
    () => keys.update('slack', { expires: null }),
    () => keys.update(key.id, { alias: 'again' }),
    () => keys.block(key.id),
    () => keys.unblock(key.id),
  ])
    expect(await fault(attempt())).toMatchObject({ kind: 'conflict' })
  expect(await opens(secret)).toEqual({ ok: false, why: 'revoked' })
})

test('A4 a change that runs beside a revocation does not bring the key back', async () => {
  const { keys, opens } = open()
  const { key, secret } = await keys.create(plain)
  await Promise.all([keys.update(key.id, { expires: null }), keys.unblock(key.id), keys.revoke(key.id)])
  expect(await opens(secret)).toEqual({ ok: false, why: 'revoked' })
})

test('A16 an update changes what it names and nothing else', async () => {
  const { keys, teams } = open()
  await teams.create({ name: 'search', models: null, metadata: {} })
  const { key } = await keys.create({ ...plain, alias: 'slack', metadata: { a: 1 }, models: [modelName('coder')] })
  const named = { team: teamName('search'), routes: ['chat' as const, 'models' as const], addresses: ['10.0.0.0/8'] }
  expect((await keys.update('slack', { ...named, alias: undefined })).key).toEqual({ ...key, ...named })
  const { key: last, warnings } = await keys.update(key.id, { alias: 'bot', models: [modelName('soon')], metadata: {} })
  expect(last).toEqual({ ...key, ...named, alias: 'bot', models: ['soon'], metadata: {} })
  expect(warnings).toHaveLength(1)
  expect(await keys.get('bot')).toEqual(last)
})

test('A16 the end of a key can be moved, taken away, and brought back after it has passed', async () => {
  const { keys, opens, pass } = open()
  const { key, secret } = await keys.create({ ...plain, expires: { in: millis(1000) } })
  expect((await keys.update(key.id, { expires: { in: millis(5000) } })).key.expiresAt).toBe(1_005_000)
  pass(5000)
  expect(await opens(secret)).toEqual({ ok: false, why: 'expired' })
  expect(await fault(keys.update(key.id, { expires: { at: instant(1_000_000) } }))).toMatchObject({ param: 'expires' })
  expect((await keys.update(key.id, { expires: null })).key.expiresAt).toBeNull()
  expect(await opens(secret)).toMatchObject({ ok: true })
})

test('A16 a change is refused as it would be at birth', async () => {
  const { keys } = open()
  await keys.create({ ...plain, alias: 'taken' })
  const { key } = await keys.create({ ...plain, alias: 'slack' })
  expect(await fault(keys.update('nobody', {}))).toMatchObject({ kind: 'not-found' })
  expect(await fault(keys.update(key.id, { alias: 'taken' }))).toMatchObject({ kind: 'conflict' })
  expect(await fault(keys.update(key.id, { team: teamName('nobody') }))).toMatchObject({ param: 'team' })
  for (const addresses of [['10.0.0.0/33'], ['example.com'], ['10.0.0.1', '']]) {
    expect(await fault(keys.update(key.id, { addresses }))).toMatchObject({ param: 'addresses' })
    expect(await fault(keys.create({ ...plain, addresses }))).toMatchObject({ param: 'addresses' })
  }
  expect(await fault(keys.update(key.id, { owner: { kind: 'service', name: ' ' } }))).toMatchObject({ param: 'owner' })
  expect(await keys.get(key.id)).toEqual(key)
})

const day = 86_400_000

test('bounds are given, changed one by one and taken away', async () => {
  const { keys, store } = open()
  const budget = { amount: 20, unit: 'money' as const, every: millis(30 * day) }
  const { key } = await keys.create({ ...plain, alias: 'a', limits: { requestsPerMinute: 60, parallel: 4 }, budget })
  expect(key).toMatchObject({ limits: { requestsPerMinute: 60, parallel: 4 }, budget: { ...budget, currency: 'EUR' } })
  const changed = await keys.update('a', { limits: { tokensPerMinute: 1000, parallel: null } })
  expect(changed.key.limits).toEqual({ requestsPerMinute: 60, tokensPerMinute: 1000 })
  expect(changed.key.budget).toEqual(key.budget)
  expect((await keys.update('a', { alias: 'b' })).key.limits).toEqual(changed.key.limits)
  const free = (await keys.update('b', { limits: null, budget: null })).key
  expect('limits' in free || 'budget' in free).toBe(false)
  expect(await store.key(key.id)).toEqual(free)
})

test('a bound that could not be kept is refused by name', async () => {
  const { keys, teams } = open()
  const budget = { amount: 20, unit: 'money' as const, every: millis(30 * day) }
  const refused = async (bounds: object) => fault(keys.create({ ...plain, ...bounds }))
  expect(await refused({ limits: { parallel: 0 } })).toMatchObject({ param: 'limits' })
  expect(await refused({ budget: { ...budget, amount: -1 } })).toMatchObject({ param: 'budget' })
  expect(await refused({ budget: { ...budget, every: millis(90_000) } })).toMatchObject({ param: 'budget' })
  expect(await refused({ budget: { ...budget, currency: 'USD' } })).toMatchObject({
    ...{ kind: 'request-invalid', param: 'budget' },
    problem: expect.stringContaining('in EUR'),
  })
  const wrongTeam = teams.create({ name: 't', models: null, metadata: {}, budget: { ...budget, currency: 'USD' } })
  expect(await fault(wrongTeam)).toMatchObject({ param: 'budget' })
})

test('a team has bounds and a priority too, and what is not named stays', async () => {
  const { teams } = open()
  const limits = { requestsPerMinute: 600 }
  await teams.create({ name: 'dev', models: null, metadata: { a: 1 }, limits, priority: 'high' })
  const budget = { amount: 5000, unit: 'tokens' as const, every: millis(day) }
  const { team } = await teams.update('dev', { budget })
  expect(team).toMatchObject({ limits, priority: 'high', budget: { ...budget, currency: null }, metadata: { a: 1 } })
  const plainTeam = (await teams.update('dev', { limits: null, budget: null, priority: null })).team
  expect(Object.keys(plainTeam).toSorted()).toEqual(['createdAt', 'metadata', 'models', 'name', 'source'])
})

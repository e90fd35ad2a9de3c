import { expect, test } from 'vitest'
import { buildAccessTable } from '../../domain/access/index.ts'
import type { AccessTable, Identity, Key, TokenVerifier } from '../../domain/access/index.ts'
import { instant, keyId, teamName } from '../../domain/units.ts'
import { hashKey, lookUpBy } from './index.ts'

const token = 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln'
const identity: Identity = {
  id: keyId('jwt:ada'),
  issuer: 'https://login.example.com',
  alias: 'ada@example.com',
  groups: ['search'],
  teamClaim: 'groups',
  expiresAt: instant(9_000),
}

const tableOf = (...secrets: string[]): AccessTable =>
  buildAccessTable({
    epoch: 'e',
    seq: 0,
    adminHash: hashKey('admin'),
    keys: secrets.map((secret, at): Key => ({
      id: keyId(`key_${at}`),
      alias: null,
      team: null,
      owner: null,
      models: null,
      routes: ['chat'],
      addresses: null,
      secrets: [{ hash: hashKey(secret), validUntil: null }],
      createdAt: instant(0),
      expiresAt: null,
      blockedAt: null,
      revokedAt: null,
      metadata: {},
    })),
    teams: ['search', 'ops'].map(name => ({
      name: teamName(name),
      models: null,
      metadata: {},
      createdAt: instant(0),
      source: 'api',
    })),
  })

function open(table: AccessTable, answer: Identity | Promise<Identity> = identity) {
  const asked: string[] = []
  const tokens: TokenVerifier = {
    verify(sent, { hash, now }) {
      asked.push(`${sent} ${hash === hashKey(sent)} ${now}`)
      return answer
    },
  }
  return { asked, lookUp: lookUpBy({ table: () => table, tokens }) }
}

test('a key is found at once with its scopes, and nobody is asked', () => {
  const { asked, lookUp } = open(tableOf('sk-brought-from-elsewhere'))
  expect(lookUp('sk-brought-from-elsewhere', 1_000)).toMatchObject({
    ok: true,
    principal: { kind: 'key', id: 'key_0' },
    scopes: { routes: ['chat'], networks: null },
  })
  expect(lookUp('admin', 1_000)).toMatchObject({ ok: true, principal: { kind: 'admin' } })
  expect(lookUp('sk-nobody', 1_000)).toEqual({ ok: false, why: 'unknown' })
  expect(lookUp('sk-hf-mistyped', 1_000)).toEqual({ ok: false, why: 'mistyped' })
  expect(asked).toEqual([])
})

test('a key that was used a moment ago and is revoked, blocked or ended is refused at once', () => {
  const key = tableOf('sk-mine').keys.get(keyId('key_0'))
  if (key === undefined) throw new Error('the table has no such key')
  let table = tableOf('sk-mine')
  const lookUp = lookUpBy({ table: () => table, tokens: { verify: () => identity } })
  expect(lookUp('sk-mine', 1_000)).toMatchObject({ ok: true })
  for (const [change, why] of [
    [{ revokedAt: instant(1) }, 'revoked'],
    [{ blockedAt: instant(1) }, 'blocked'],
    [{ expiresAt: instant(1_500) }, 'expired'],
  ] as const) {
    table = buildAccessTable({ epoch: 'e', seq: 1, adminHash: '', keys: [{ ...key, ...change }], teams: [] })
    expect(lookUp('sk-mine', 2_000)).toEqual({ ok: false, why })
    table = tableOf('sk-mine')
    expect(lookUp('sk-mine', 2_000)).toMatchObject({ ok: true })
  }
  table = tableOf()
  expect(lookUp('sk-mine', 2_000)).toEqual({ ok: false, why: 'unknown' })
})

test('T1 a brought key that looks like a token is a key', () => {
  const { asked, lookUp } = open(tableOf(token))
  expect(lookUp(token, 1_000)).toMatchObject({ ok: true, principal: { kind: 'key' } })
  expect(asked).toEqual([])
})

test('T10 a token known already gets its team at once, and any other by a promise', async () => {
  const principal = { kind: 'token', id: 'jwt:ada', issuer: identity.issuer, alias: 'ada@example.com', team: 'search' }
  const expected = { ok: true, principal, scopes: { routes: null, networks: null } }
  const { asked, lookUp } = open(tableOf())
  expect(lookUp(token, 1_000)).toEqual(expected)
  expect(asked).toEqual([`${token} true 1000`])
  const later = open(tableOf(), Promise.resolve(identity)).lookUp(token, 1_000)
  expect(later).toBeInstanceOf(Promise)
  expect(await later).toEqual(expected)
})

test('T10 a token without exactly one known team is told what it named, cut short', async () => {
  const groups = ['a', 'b', 'c', 'd', 'e', 'f'].map(letter => letter.repeat(100))
  const { lookUp } = open(tableOf(), Promise.resolve({ ...identity, groups }))
  await expect(lookUp(token, 0)).rejects.toMatchObject({
    fault: {
      kind: 'token-without-team',
      claim: 'groups',
      named: groups.slice(0, 5).map(name => name.slice(0, 64)),
      known: [],
    },
  })
  expect(() => open(tableOf(), { ...identity, groups: ['ops', 'search'] }).lookUp(token, 0)).toThrow(
    'several teams known here (search, ops)',
  )
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { instant, keyId, modelName, teamName } from '../units.ts'
import type { TeamName } from '../units.ts'
import { buildAccessTable, grantsOf, mayUse } from './image.ts'
import { isTooLong, looksLikeToken, readIdentity, refuseHeader, teamOfToken, tokenAlgorithms } from './jwt.ts'
import { checkKeyFormat, keyRandomBytes, makeKey } from './key-format.ts'
import type { Principal, Team } from './types.ts'

const issuer = { issuer: 'https://login.example.com/realms/main', audience: 'holdfast', teamClaim: 'groups' }
const nowMs = 1_700_000_000_000
const seconds = nowMs / 1000
const good = { iss: issuer.issuer, aud: 'holdfast', exp: seconds + 300, sub: 'ada', groups: ['search'] }

const header = (change: Record<string, unknown>, claims: Record<string, unknown> = good, issuers = [issuer]) =>
  refuseHeader({ header: { alg: 'RS256', ...change }, claims }, issuers)
const read = (change: Record<string, unknown>, issuers = [issuer]) => {
  const answer = readIdentity({ ...good, ...change }, { issuers, now: instant(nowMs) })
  return answer.ok ? answer.identity : answer.why
}
const table = (...names: string[]) =>
  buildAccessTable({ epoch: 'e', seq: 0, adminHash: '', keys: [], teams: names.map(name => aTeam(name)) })
const aTeam = (name: string): Team => ({
  name: teamName(name),
  models: null,
  metadata: {},
  createdAt: instant(0),
  source: 'api',
})

test('T1 three parts with dots between look like a token, and no key made here does', () => {
  for (const token of ['eyJ.eyJ.sig', 'a.b.', 'A-_.0.9']) expect(looksLikeToken(token)).toBe(true)
  for (const other of ['', 'a.b', 'a..c', '.b.c', 'a.b.c.d', 'a.b.c ', 'a.b.c=', 'a+.b.c', 'ä.b.c'])
    expect(looksLikeToken(other)).toBe(false)
  fc.assert(
    fc.property(fc.uint8Array({ minLength: keyRandomBytes, maxLength: keyRandomBytes, max: 247 }), bytes => {
      expect(looksLikeToken(makeKey(bytes))).toBe(false)
    }),
  )
  expect(checkKeyFormat('eyJ.eyJ.sig')).toBe('foreign')
})

test('T1 a token of more than 8 KiB is not looked at', () => {
  expect([isTooLong('x'.repeat(8192)), isTooLong('x'.repeat(8193))]).toEqual([false, true])
})

test('T2 signatures by public keys are accepted, and no other', () => {
  for (const alg of tokenAlgorithms) expect(header({ alg })).toBeNull()
  for (const alg of [
    'none',
    'None',
    'HS256',
    'HS384',
    'HS512',
    'rs256',
    'RS1',
    'ES256K',
    'A256KW',
    '',
    null,
    1,
    ['RS256'],
  ])
    expect(header({ alg })).toBe('algorithm')
  expect(header({ alg: undefined })).toBe('algorithm')
})

test('T2 a critical extension, and a kid that is no text, are refused', () => {
  expect(header({ crit: ['b64'] })).toBe('malformed')
  expect(header({ crit: [] })).toBe('malformed')
  expect(header({ kid: { $ne: 1 } })).toBe('malformed')
  expect(header({ kid: '../../etc/passwd' })).toBeNull()
})

test('T3 tokens that say they are of another kind are refused', () => {
  for (const typ of [undefined, 'JWT', 'jwt', 'at+jwt', 'application/at+jwt', 'AT+JWT'])
    expect(header({ typ })).toBeNull()
  for (const typ of ['logout+jwt', 'dpop+jwt', 'secevent+jwt', '', 1, null]) expect(header({ typ })).toBe('type')
})

test('T4 the issuer is one of those believed, letter by letter', () => {
  for (const iss of [
    `${issuer.issuer}/`,
    issuer.issuer.toUpperCase(),
    'https://evil.example',
    '',
    undefined,
    [issuer.issuer],
  ]) {
    expect(header({}, { ...good, iss })).toBe('issuer')
    expect(read({ iss })).toBe('issuer')
  }
  expect(header({}, good, [])).toBe('issuer')
})

test('T5 the audience is in the token, alone or in a list', () => {
  for (const aud of ['holdfast', ['holdfast'], ['other', 'holdfast'], ['holdfast', 'holdfast']])
    expect(read({ aud })).toMatchObject({ id: 'jwt:ada' })
  for (const aud of [
    'other',
    'Holdfast',
    'holdfast ',
    'ho\u200bldfast',
    [],
    ['other'],
    undefined,
    null,
    { holdfast: 1 },
    1,
  ])
    expect(read({ aud })).toBe('audience')
})

test('T5 an issuer may be believed for several audiences, each with its claim', () => {
  const second = { ...issuer, audience: 'holdfast-ci', teamClaim: 'team' }
  const identity = read({ aud: 'holdfast-ci', team: 'ops' }, [issuer, second])
  expect(identity).toMatchObject({ teamClaim: 'team', groups: ['ops'] })
  const elsewhere = { ...issuer, issuer: 'https://other.example', audience: 'holdfast-ci' }
  expect(read({ aud: 'holdfast-ci' }, [issuer, elsewhere])).toBe('audience')
})

test('T6 a token ends at its exp, a minute later at most, and must have one', () => {
  expect(read({ exp: seconds - 59 })).toMatchObject({ id: 'jwt:ada' })
  expect(read({ exp: seconds - 60 })).toBe('expired')
  for (const exp of [undefined, null, String(seconds + 300), Number.NaN, Infinity, -1])
    expect(read({ exp })).toBe('malformed')
})

test('T7 a token from the future is not believed, beyond a minute', () => {
  for (const claim of ['nbf', 'iat']) {
    expect(read({ [claim]: seconds + 60 })).toMatchObject({ id: 'jwt:ada' })
    expect(read({ [claim]: seconds + 61 })).toBe('not-yet')
    expect(read({ [claim]: 'soon' })).toBe('malformed')
  }
})

test('T8 the id is made of the subject, safe in paths and logs', () => {
  const id = (sub: unknown) => {
    const identity = read({ sub })
    return typeof identity === 'string' ? identity : identity.id
  }
  expect(id('248289761001')).toBe('jwt:248289761001')
  expect(id('auth0|5f7c')).toBe('jwt:auth0|5f7c')
  expect(id('ada@example.com')).toBe('jwt:ada@example.com')
  expect(id('a/../b\n"')).toBe('jwt:a%2F..%2Fb%0A%22')
  expect(id('Zoë')).toBe('jwt:Zo%C3%AB')
  for (const sub of [undefined, '', 7, null, 'x'.repeat(256), '\ud800']) expect(id(sub)).toBe('malformed')
})

test('T8 different subjects have different ids', () => {
  const text = fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' })
  fc.assert(
    fc.property(text, text, (one, other) => {
      const [a, b] = [read({ sub: one }), read({ sub: other })]
      if (typeof a === 'string' || typeof b === 'string') return
      expect(a.id === b.id).toBe(one === other)
      expect(a.id).toMatch(/^jwt:[A-Za-z0-9._~!*'()@:|%-]+$/)
    }),
  )
})

test('T9 the alias is the email address, else the user name, and nothing that could disturb a list', () => {
  expect(read({ email: 'ada@example.com', preferred_username: 'ada' })).toMatchObject({ alias: 'ada@example.com' })
  expect(read({ preferred_username: 'ada' })).toMatchObject({ alias: 'ada' })
  for (const email of ['a\nb', '\u202eb', '', ' a', 'x'.repeat(200), 5])
    expect(read({ email })).toMatchObject({ alias: null })
})

test.each<{ groups: unknown; teams: string[]; team: string | TeamName[] }>([
  { groups: ['search'], teams: ['search', 'ops'], team: 'search' },
  { groups: 'search', teams: ['search'], team: 'search' },
  { groups: ['/search', 'everyone'], teams: ['search'], team: 'search' },
  { groups: ['search', '/search', 'search'], teams: ['search'], team: 'search' },
  { groups: ['search', 'ops'], teams: ['search', 'ops'], team: [teamName('search'), teamName('ops')] },
  { groups: ['Search'], teams: ['search'], team: [] },
  { groups: ['//search'], teams: ['search'], team: [] },
  { groups: [], teams: ['search'], team: [] },
  { groups: undefined, teams: ['search'], team: [] },
  { groups: { search: true }, teams: ['search'], team: [] },
  { groups: [['search'], 7, null], teams: ['search', '7', 'null'], team: [] },
  { groups: ['__proto__', 'constructor'], teams: ['search'], team: [] },
])('T10 exactly one known team must be named: $groups of $teams', ({ groups, teams, team }) => {
  const identity = read({ groups })
  if (typeof identity === 'string') throw new Error(identity)
  expect(teamOfToken(table(...teams), identity)).toEqual(
    typeof team === 'string'
      ? { ok: true, principal: { kind: 'token', id: 'jwt:ada', issuer: issuer.issuer, alias: null, team } }
      : { ok: false, known: team },
  )
})

test('T11 a token may use what its team may now, and nothing once the team is gone', () => {
  const person = { id: keyId('jwt:ada'), issuer: issuer.issuer, alias: null }
  const principal: Principal = { kind: 'token', ...person, team: teamName('search') }
  expect(grantsOf(table('search'), principal)).toBeNull()
  expect(mayUse(table('search'), principal, modelName('coder'))).toBe(true)
  expect(mayUse(table('ops'), principal, modelName('coder'))).toBe(false)
})

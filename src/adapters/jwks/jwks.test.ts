import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { providerKey, startIdentityProvider, type ProviderKey } from '../../../test/support/identity-provider.ts'
import { tokenAlgorithms, type Identity } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { instant } from '../../domain/units.ts'
import { hashKey } from '../../services/access/index.ts'
import { openTokens, type Tokens } from './index.ts'

type Timer = { ms: number; run: () => void }

let provider: Awaited<ReturnType<typeof startIdentityProvider>>
let key: ProviderKey
let tokens: Tokens
let timers: Set<Timer>
let problems: string[]
/** Milliseconds on the adapter's clock, moved by hand. */
let clock: number

beforeEach(async () => {
  provider = await startIdentityProvider()
  key = await providerKey()
  provider.publish(key)
  timers = new Set()
  problems = []
  clock = 0
  tokens = openTokens({
    elapsed: () => clock,
    later(ms, run) {
      const timer = { ms, run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    onProblem: (_, why) => problems.push(why),
  })
})
afterEach(async () => {
  tokens.close()
  await provider.close()
})

const believed = (...audiences: string[]) =>
  ['holdfast', ...audiences].map(audience => ({ issuer: provider.issuer, audience, teamClaim: 'groups' }))
const use = (): void => tokens.use(believed())
const verify = async (token: string, now = Date.now()): Promise<Identity> =>
  tokens.verify(token, { hash: hashKey(token), now: instant(now) })

/** What became of a token: its id, or why it was refused. */
async function outcome(token: string, now?: number): Promise<string> {
  try {
    return (await verify(token, now)).id
  } catch (error) {
    if (!(error instanceof FaultError)) throw error
    const { fault } = error
    return fault.kind === 'token-refused' ? fault.why : fault.kind
  }
}

/** Runs the refresh that is due next, and waits until it has ended: then it has set the next one. */
async function refreshDue(): Promise<number> {
  const [timer] = timers
  if (timer === undefined) throw new Error('nothing is due')
  timers.delete(timer)
  clock += timer.ms
  timer.run()
  await nextTimer()
  return timer.ms
}
const nextTimer = async (): Promise<Timer> => {
  await expect.poll(() => timers.size).toBe(1)
  const [timer] = timers
  return timer ?? expect.fail('nothing is due')
}
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

test('a token signed by its issuer says who sent it', async () => {
  use()
  const token = await provider.sign(key, { email: 'ada@example.com' })
  expect(await verify(token)).toMatchObject({ id: 'jwt:ada', alias: 'ada@example.com', groups: ['search'] })
})

test.each(tokenAlgorithms)('T2 %s is verified, and with one bit changed refused', async alg => {
  const other = await providerKey(alg)
  provider.publish(key, other)
  use()
  const token = await provider.sign(other)
  expect(await outcome(token)).toBe('jwt:ada')
  const [head = '', claims = '', signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  bytes[10] = (bytes[10] ?? 0) ^ 1
  expect(await outcome([head, claims, bytes.toString('base64url')].join('.'))).toBe('signature')
  expect(
    await outcome(
      [head, encode({ ...JSON.parse(Buffer.from(claims, 'base64url').toString()), sub: 'eve' }), signature].join('.'),
    ),
  ).toBe('signature')
})

test('T2 no algorithm, and the public key taken for a shared secret, are refused', async () => {
  const rsa = await providerKey('RS256')
  provider.publish(rsa)
  use()
  const honest = await provider.sign(rsa)
  const claims = honest.split('.')[1] ?? ''
  expect(await outcome(`${encode({ alg: 'none', kid: rsa.kid })}.${claims}.`)).toBe('algorithm')
  const signed = `${encode({ alg: 'HS256', kid: rsa.kid })}.${claims}`
  const pem = rsa.privateKey.export({ format: 'pem', type: 'pkcs8' })
  for (const secret of [JSON.stringify(rsa.jwk), rsa.jwk.n ?? '', pem])
    expect(await outcome(`${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`)).toBe(
      'algorithm',
    )
  const renamed = `${encode({ alg: 'RS512', kid: rsa.kid })}.${claims}.${honest.split('.')[2]}`
  expect(await outcome(renamed)).toBe('key-unknown')
})

test('T12 keys that a token brings along or points to are not used', async () => {
  use()
  const forged = await providerKey()
  for (const header of [{ jwk: forged.jwk }, { jku: 'http://127.0.0.1:1/keys' }, { x5u: 'http://127.0.0.1:1/cert' }]) {
    expect(await outcome(await provider.sign({ ...forged, kid: key.kid }, {}, header))).toBe('signature')
    expect(await outcome(await provider.sign(forged, {}, header))).toBe('key-unknown')
  }
  expect(await outcome(await provider.sign({ ...key, kid: '../../../etc/passwd' }))).toBe('key-unknown')
})

test('T12 a key is used only for what its issuer published it for', async () => {
  const others = [
    { ...key.jwk, use: 'enc' },
    { ...key.jwk, alg: 'ES384' },
    { ...key.jwk, key_ops: ['sign'] },
    { kty: 'oct', k: 'c2VjcmV0', kid: key.kid, alg: 'HS256' },
  ]
  for (const jwk of others) {
    provider.publish(jwk)
    const other = openTokens({ onProblem: () => {} })
    other.use(believed())
    const token = await provider.sign(key)
    await expect(
      Promise.resolve(other.verify(token, { hash: hashKey(token), now: instant(Date.now()) })),
    ).rejects.toMatchObject({
      fault: { kind: 'token-refused', why: 'key-unknown' },
    })
    other.close()
  }
})

test('T12 without a kid, a token is believed when exactly one key fits', async () => {
  use()
  const token = await provider.sign(key, {}, { kid: undefined })
  expect(await outcome(token)).toBe('jwt:ada')
  provider.publish(key, await providerKey())
  await refreshDue()
  expect(await outcome(token)).toBe('key-unknown')
})

test('the claims are judged too, whatever the signature says', async () => {
  use()
  expect(await outcome(await provider.sign(key, { aud: 'other' }))).toBe('audience')
  expect(await outcome(await provider.sign(key, { exp: 1_000 }))).toBe('expired')
  expect(await outcome(await provider.sign(key, { exp: undefined }))).toBe('malformed')
  expect(await outcome(await provider.sign(key, { nbf: 99_999_999_999 }))).toBe('not-yet')
  expect(await outcome(await provider.sign(key, { iss: 'https://evil.example' }))).toBe('issuer')
  expect(await outcome(await provider.sign(key, {}, { typ: 'logout+jwt' }))).toBe('type')
  expect(await outcome(await provider.sign(key, { pad: 'x'.repeat(9000) }))).toBe('malformed')
})

test('what is no token after all is malformed', async () => {
  use()
  for (const token of ['a.b.c', `${encode({ alg: 'ES256' })}.${encode([])}.x`, `${encode('x')}.${encode({})}.x`])
    expect(await outcome(token)).toBe('malformed')
})

test('T13 a token seen before is known at once, until it ends', async () => {
  use()
  const token = await provider.sign(key)
  await verify(token)
  const seen = { hash: hashKey(token), now: instant(Date.now()) }
  expect(tokens.verify(token, seen)).toMatchObject({ id: 'jwt:ada' })
  expect(await outcome(token, Date.now() + 120_000)).toBe('expired')
  expect(provider.asked).toEqual({ discovery: 1, keys: 1 })
})

test('T13 a token that was good is judged anew by a clock that was put back', async () => {
  use()
  const token = await provider.sign(key, { nbf: Math.trunc(Date.now() / 1000) })
  expect(await outcome(token)).toBe('jwt:ada')
  expect(await outcome(token, Date.now() - 120_000)).toBe('not-yet')
  expect(await outcome(token)).toBe('jwt:ada')
})

test('T14 a new key is fetched once it is seen, and a withdrawn one opens nothing, not even what was seen before', async () => {
  use()
  const old = await provider.sign(key)
  expect(await outcome(old)).toBe('jwt:ada')
  const next = await providerKey('RS256')
  provider.publish(next)
  clock = 30_000
  expect(await outcome(await provider.sign(next))).toBe('jwt:ada')
  expect(await outcome(old)).toBe('key-unknown')
  expect(provider.asked.keys).toBe(2)
})

test('T15 strangers with unknown keys make the issuer hear of us once in 30 s, however many they are', async () => {
  use()
  await verify(await provider.sign(key))
  const stranger = await providerKey()
  const send = (): Promise<string> =>
    provider.sign({ ...stranger, kid: String(Math.random()) }).then(token => outcome(token))
  clock = 29_999
  expect(await Promise.all(Array.from({ length: 20 }, send))).toEqual(Array(20).fill('key-unknown'))
  expect(provider.asked).toEqual({ discovery: 1, keys: 1 })
  clock = 30_000
  expect(new Set(await Promise.all(Array.from({ length: 20 }, send)))).toEqual(new Set(['key-unknown']))
  expect(provider.asked).toEqual({ discovery: 2, keys: 2 })
  clock = 59_999
  await Promise.all(Array.from({ length: 20 }, send))
  expect(provider.asked.keys).toBe(2)
})

test('T15 a request waits two seconds for keys at most, and a hundred requests at once', async () => {
  const held = Promise.withResolvers<void>()
  provider.behave({ keys: () => held.resolve() })
  use()
  await held.promise
  const answers = await Promise.all(Array.from({ length: 101 }, () => provider.sign(key))).then(all =>
    all.map(token => outcome(token)),
  )
  await expect.poll(() => timers.size).toBe(100)
  expect(await answers[100]).toBe('token-unverifiable')
  for (const timer of [...timers]) {
    expect(timer.ms).toBe(2_000)
    timer.run()
  }
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['token-unverifiable']))
})

test.each([
  [null, 3_600_000],
  ['max-age=1', 300_000],
  ['public, max-age=7200', 7_200_000],
  ['max-age=99999999', 86_400_000],
  ['no-store', 300_000],
  ['max-age=soon', 3_600_000],
])('T16 keys with the cache-control %j are fetched again before %i ms have passed', async (header, fresh) => {
  provider.cache(header)
  use()
  await verify(await provider.sign(key))
  expect((await nextTimer()).ms).toBe(fresh * 0.9)
  await refreshDue()
  expect(provider.asked.keys).toBe(2)
})

test('T17 while the issuer is away its keys go on, and it is tried again, ever less often', async () => {
  use()
  const early = await provider.sign(key)
  await verify(await provider.sign(key, { sub: 'bob' }))
  provider.behave({ keys: (_, response) => void response.writeHead(500).end('broken') })
  const waits = [await refreshDue(), await refreshDue(), await refreshDue(), await refreshDue()]
  expect(waits.slice(1)).toEqual([5_000, 10_000, 20_000])
  expect(await outcome(early)).toBe('jwt:ada')
  expect(problems).toHaveLength(4)
  expect(problems[0]).toMatch(/keys answers 500/)
  provider.behave({ keys: null })
  await refreshDue()
  expect((await nextTimer()).ms).toBe(3_240_000)
})

test('T17 an unknown key while the issuer is away is not called wrong', async () => {
  use()
  await verify(await provider.sign(key))
  await provider.close()
  clock = 30_000
  expect(await outcome(await provider.sign(await providerKey()))).toBe('token-unverifiable')
  expect(await outcome(await provider.sign(key))).toBe('jwt:ada')
})

test('T17 an issuer that was away from the start is believed once it is there', async () => {
  provider.behave({ discovery: (_, response) => void response.writeHead(503).end() })
  use()
  await nextTimer()
  expect(await outcome(await provider.sign(key))).toBe('token-unverifiable')
  provider.behave({ discovery: null })
  await refreshDue()
  expect(await outcome(await provider.sign(key))).toBe('jwt:ada')
})

const json = (document: unknown) => (_: unknown, response: { end: (text: string) => unknown }) =>
  void response.end(JSON.stringify(document))

test.each<{
  name: string
  part: 'discovery' | 'keys'
  answer: Parameters<typeof provider.behave>[0]['keys']
  says: RegExp
}>([
  { name: 'no JSON', part: 'keys', answer: (_, response) => void response.end('<html>'), says: /does not answer JSON/ },
  { name: 'no keys', part: 'keys', answer: json({ keys: 'none' }), says: /no set of keys/ },
  { name: 'a list', part: 'keys', answer: json([]), says: /no set of keys/ },
  {
    name: 'a redirect',
    part: 'keys',
    answer: (_, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
    says: /302 and points to .*not followed/,
  },
  {
    name: 'too much',
    part: 'keys',
    answer: (_, response) => void response.end(JSON.stringify({ keys: [], pad: 'x'.repeat(1_100_000) })),
    says: /more than 1048576 bytes/,
  },
  {
    name: 'a cut answer',
    part: 'keys',
    answer: (_, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{')
      response.destroy()
    },
    says: /cannot be read/,
  },
  {
    name: 'another issuer',
    part: 'discovery',
    answer: json({ issuer: 'https://other.example', jwks_uri: 'https://other.example/keys' }),
    says: /is of the issuer 'https:\/\/other.example'/,
  },
  { name: 'no configuration', part: 'discovery', answer: json({}), says: /no OpenID configuration/ },
])('T18 an issuer that answers with $name is told of, and its tokens wait', async ({ part, answer, says }) => {
  provider.behave({ [part]: answer })
  use()
  await nextTimer()
  expect(problems).toEqual([expect.stringMatching(says)])
  expect(await outcome(await provider.sign(key))).toBe('token-unverifiable')
})

test('T18 keys are fetched over https or on this machine only', async () => {
  for (const address of [
    'http://login.example.com/keys',
    'file:///etc/passwd',
    'keys',
    'http://127.0.0.1.example.com/',
  ]) {
    problems = []
    timers.clear()
    provider.behave({ discovery: json({ issuer: provider.issuer, jwks_uri: address }) })
    const strict = openTokens({
      later: (ms, run) => {
        timers.add({ ms, run })
        return () => {}
      },
      onProblem: (_, why) => problems.push(why),
    })
    strict.use(believed())
    await nextTimer()
    expect(problems).toEqual([expect.stringMatching(/neither https nor on this machine/)])
    strict.close()
  }
})

test('an issuer that the spec no longer names is not believed from then on, and the others keep their keys', async () => {
  use()
  const token = await provider.sign(key)
  await verify(token)
  tokens.use([{ issuer: 'http://127.0.0.1:1/gone', audience: 'holdfast', teamClaim: 'groups' }])
  expect(await outcome(token)).toBe('issuer')
  tokens.use(believed('second'))
  await expect.poll(() => outcome(token)).toBe('jwt:ada')
  const before = provider.asked.keys
  use()
  expect(await outcome(token)).toBe('jwt:ada')
  expect(provider.asked.keys).toBe(before)
})

/** Who gets in: tokens of an identity provider, and keys bounded by route, address and time. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { providerKey, startIdentityProvider, type ProviderKey } from '../support/identity-provider.ts'
import { startService, type Service } from '../support/service.ts'

const Made = z.object({ id: z.string(), key: z.string() })
const Refused = z.object({ error: z.object({ code: z.string(), message: z.string() }) })
const Requests = z.object({ requests: z.array(z.looseObject({ status: z.number(), fault: z.string().nullable() })) })

let engine: FakeEngine
let provider: Awaited<ReturnType<typeof startIdentityProvider>>
let signing: ProviderKey
let service: Service

beforeAll(async () => {
  engine = await startFakeEngine({ tokens: 2 })
  provider = await startIdentityProvider()
  signing = await providerKey('RS256')
  provider.publish(signing)
  const by = (id: string): string => `engine: { kind: openai }, replicas: [{ id: ${id}, url: "${engine.url}/v1" }]`
  service = await startService({
    spec: `name: tokens
gateway:
  jwt: [{ issuer: "${provider.issuer}", audience: holdfast }]
versions:
  - { name: dev-v1.0-coder-fp16-p0, ${by('one')} }
  - { name: dev-v1.0-general-fp16-p0, ${by('two')} }
models:
  - { name: coder, live: dev-v1.0-coder-fp16-p0 }
  - { name: general, live: dev-v1.0-general-fp16-p0 }
teams:
  - { name: search, models: [coder] }
  - { name: ops }
`,
  })
})
afterAll(async () => {
  await service?.stop()
  await provider?.close()
  await engine?.close()
})

const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })
const chat = (key: string, model = 'coder'): Promise<Response> =>
  service.call('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'Hello!' }] }, as(key))
const refusal = async (answer: Promise<Response>): Promise<{ status: number; code: string; message: string }> => {
  const { status, json } = await answer.then(async given => ({ status: given.status, json: await given.json() }))
  return { status, ...Refused.parse(json).error }
}
const makeKey = async (...options: string[]) =>
  Made.parse(JSON.parse((await service.cli('key', 'create', ...options, '--json')).stdout))
const inSeconds = (seconds: number): number => Math.trunc(Date.now() / 1000) + seconds

test('a token of the provider answers a chat and lists what its team may use', async () => {
  const token = await provider.sign(signing, { email: 'ada@example.com', groups: ['everyone', 'search'] })
  expect(await (await chat(token)).json()).toMatchObject({ object: 'chat.completion' })
  const listed = await service.call('/v1/models', undefined, as(token))
  expect(await listed.json()).toMatchObject({ data: [{ id: 'coder' }] })
  expect(await refusal(chat(token, 'general'))).toMatchObject({ status: 403, code: 'model_not_permitted' })
  const list = (): Promise<unknown> => service.call('/api/v1/requests?key=jwt:ada').then(answer => answer.json())
  await expect.poll(list, { timeout: 10_000 }).toMatchObject({
    requests: [
      { key: 'jwt:ada', alias: 'ada@example.com', team: 'search', status: 403, fault: 'model-not-permitted' },
      { key: 'jwt:ada', alias: 'ada@example.com', team: 'search', status: 200, model: 'coder' },
    ],
  })
})

test('an expired token, one for another service, one of a stranger and one of no team are refused by what is wrong', async () => {
  const stranger = await providerKey('RS256')
  const cases = [
    [provider.sign(signing, { exp: inSeconds(-3600) }), 401, 'expired'],
    [provider.sign(signing, { aud: 'elsewhere' }), 401, 'another service'],
    [provider.sign({ ...stranger, kid: signing.kid }), 401, 'signature'],
    [provider.sign(signing, { groups: ['nobody'] }), 403, 'names nobody'],
    [provider.sign(signing, { groups: ['search', 'ops'] }), 403, 'several teams'],
  ] as const
  for (const [token, status, says] of cases)
    expect(await refusal(chat(await token))).toMatchObject({ status, message: expect.stringContaining(says) })
  expect(
    await refusal(service.call('/v1/models', undefined, as(await provider.sign(signing, { exp: 1 })))),
  ).toMatchObject({
    status: 401,
    code: 'invalid_token',
  })
})

test('no token is an administrator', async () => {
  const token = await provider.sign(signing, { groups: ['ops'], sub: 'admin' })
  const answer = await service.call('/api/v1/keys', undefined, as(token))
  expect(answer.status).toBe(401)
})

test('while the provider is down its tokens go on', async () => {
  provider.behave({
    discovery: (_, response) => void response.destroy(),
    keys: (_, response) => void response.destroy(),
  })
  const token = await provider.sign(signing, { sub: 'late', groups: ['ops'] })
  expect((await chat(token, 'general')).status).toBe(200)
  provider.behave({ discovery: null, keys: null })
})

test('a key is bounded by route and by address, and the bounds can be moved', async () => {
  const { id, key } = await makeKey('--service', 'ci-bot', '--team', 'ops', '--routes', 'embeddings,models')
  expect(await refusal(chat(key))).toMatchObject({ status: 403, code: 'route_not_permitted' })
  expect((await service.call('/v1/models', undefined, as(key))).status).toBe(200)
  expect(await service.cli('key', 'update', id, '--routes', 'chat', '--addresses', '10.99.0.0/16')).toMatchObject({
    exitCode: 0,
  })
  expect(await refusal(chat(key))).toMatchObject({ status: 403, code: 'address_not_permitted' })
  expect(await refusal(service.call('/v1/models', undefined, as(key)))).toMatchObject({ code: 'address_not_permitted' })
  expect(await service.cli('key', 'update', id, '--addresses', '127.0.0.0/8,::1')).toMatchObject({ exitCode: 0 })
  expect((await chat(key)).status).toBe(200)
  expect(await refusal(service.call('/v1/models', undefined, as(key)))).toMatchObject({ code: 'route_not_permitted' })
  expect((await service.cli('key', 'list', '--service', 'ci-bot')).stdout).toContain('for chat from 127.0.0.0/8, ::1')
})

test('a key can be blocked, unblocked and given another end while it is in use', async () => {
  const { id, key } = await makeKey('--expires', '1h')
  expect(await service.cli('key', 'block', id)).toMatchObject({ exitCode: 0 })
  expect(await refusal(chat(key))).toMatchObject({ status: 401, message: expect.stringContaining('blocked') })
  expect(await service.cli('key', 'unblock', id)).toMatchObject({ exitCode: 0 })
  expect((await chat(key)).status).toBe(200)
  const moved = await service.cli('key', 'update', id, '--expires', 'never')
  expect(moved.stdout).toContain('does not expire')
  expect(await service.cli('key', 'revoke', id)).toMatchObject({ exitCode: 0 })
  expect(await service.cli('key', 'update', id, '--expires', '30d')).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('nothing brings it back'),
  })
  expect((await chat(key)).status).toBe(401)
})

test('what was refused by scope is in the journal under its key', async () => {
  const { id, key } = await makeKey('--routes', 'models')
  await chat(key)
  const list = async () => Requests.parse(await (await service.call(`/api/v1/requests?key=${id}`)).json()).requests
  await expect.poll(list, { timeout: 10_000 }).toMatchObject([{ status: 403, fault: 'route-not-permitted' }])
})

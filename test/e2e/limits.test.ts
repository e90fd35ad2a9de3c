/** Limits and budgets through a whole service: a key's, its team's and the model's, in words that OpenAI's client knows. */
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { startService, type Service } from '../support/service.ts'

const Made = z.object({ key: z.string(), id: z.string() })
const Spent = z.object({
  spend: z.array(z.object({ subject: z.string(), name: z.string(), spent: z.number() }).loose()),
})
const messages = [{ role: 'user' as const, content: 'Hello!' }]

let engine: FakeEngine
let other: FakeEngine
let service: Service

beforeAll(async () => {
  engine = await startFakeEngine({ tokens: 4 })
  other = await startFakeEngine({ tokens: 4 })
  service = await startService({
    spec: `name: limits
versions:
  - name: dev-v1.0-coder-fp16-p0
    engine: { kind: openai }
    replicas: [{ id: one, url: "${engine.url}/v1" }]
  - name: dev-v1.0-general-fp16-p0
    engine: { kind: openai }
    replicas: [{ id: two, url: "${other.url}/v1" }]
models:
  - { name: coder, live: dev-v1.0-coder-fp16-p0, fallbacks: [general] }
  - { name: general, live: dev-v1.0-general-fp16-p0, limits: { requestsPerMinute: 40 } }
teams:
  - name: dev
    limits: { requestsPerMinute: 6 }
    priority: high
`,
  })
})
afterAll(async () => {
  await service?.stop()
  await engine?.close()
  await other?.close()
})

test('a key’s limit and its team’s both hold, and the refusal names the one that was reached', async () => {
  const [anna, bert] = [
    await keyOf('anna', '--team', 'dev', '--requests-per-minute', '4'),
    await keyOf('bert', '--team', 'dev'),
  ]
  const { data, response } = await anna.client.chat.completions.create({ model: 'coder', messages }).withResponse()
  expect(data.choices).toHaveLength(1)
  expect(response.headers.get('x-ratelimit-limit-requests')).toBe('4')
  expect(response.headers.get('x-ratelimit-remaining-requests')).toBe('3')
  expect(response.headers.get('x-holdfast-replica')).toBe('one')
  for (let i = 0; i < 3; i++) await anna.client.chat.completions.create({ model: 'coder', messages })
  const refused = anna.client.chat.completions.create({ model: 'coder', messages })
  await expect(refused).rejects.toBeInstanceOf(OpenAI.RateLimitError)
  await expect(refused).rejects.toThrow(/key 'anna' has reached its limit of 4 requests a minute/)

  for (let i = 0; i < 2; i++) await bert.client.chat.completions.create({ model: 'coder', messages })
  await expect(bert.client.chat.completions.create({ model: 'coder', messages })).rejects.toThrow(/team 'dev'/)
})

test('a raised limit is in force at once', async () => {
  const carl = await keyOf('carl', '--requests-per-minute', '1')
  await carl.client.chat.completions.create({ model: 'coder', messages })
  await expect(carl.client.chat.completions.create({ model: 'coder', messages })).rejects.toThrow(/limit of 1/)
  expect(await service.cli('key', 'update', 'carl', '--requests-per-minute', '5')).toMatchObject({ exitCode: 0 })
  await carl.client.chat.completions.create({ model: 'coder', messages })
})

test('a budget of tokens ends where it says, and a killed gateway does not begin it anew', async () => {
  const dora = await keyOf('dora', '--budget', '40 tokens/1d')
  const spend = () => dora.client.chat.completions.create({ model: 'coder', messages, max_tokens: 4 })
  let answered = 0
  const refusal = await (async () => {
    for (;;) {
      try {
        await spend()
        answered++
      } catch (error) {
        return error
      }
    }
  })()
  expect(answered).toBeGreaterThan(1)
  expect(refusal).toMatchObject({ status: 429, code: 'insufficient_quota' })
  // The controller reads the journal within a second.
  await expect.poll(async () => (await spentBy('dora', dora.id)) > 0, { timeout: 10_000 }).toBe(true)
  const before = await spentBy('dora', dora.id)
  expect(before).toBeLessThanOrEqual(40)

  const gateway = (await service.processes()).find(({ role }) => role === 'gateway')
  if (gateway === undefined) throw new Error('no gateway')
  process.kill(gateway.pid, 'SIGKILL')
  await expect
    .poll(async () => (await service.processes()).find(({ role }) => role === 'gateway')?.pid, {
      timeout: 15_000,
    })
    .not.toBe(gateway.pid)
  await expect(spend()).rejects.toMatchObject({ status: 429, code: 'insufficient_quota' })
})

test('while its own engine is gone another model stands in, and says so', async () => {
  const eva = await keyOf('eva')
  const port = engine.port
  await engine.die()
  const { response } = await eva.client.chat.completions.create({ model: 'coder', messages }).withResponse()
  expect(response.headers.get('x-holdfast-version')).toBe('dev-v1.0-general-fp16-p0')
  engine = await startFakeEngine({ tokens: 4, port })
  await expect
    .poll(async () => {
      const again = await eva.client.chat.completions.create({ model: 'coder', messages }).withResponse()
      return again.response.headers.get('x-holdfast-version')
    })
    .toBe('dev-v1.0-coder-fp16-p0')
})

async function keyOf(alias: string, ...flags: string[]): Promise<{ client: OpenAI; id: string }> {
  const { exitCode, stdout, stderr } = await service.cli('key', 'create', '--alias', alias, ...flags, '--json')
  expect(`${exitCode} ${stderr}`).toBe('0 ')
  const { key, id } = Made.parse(JSON.parse(stdout))
  return { client: new OpenAI({ baseURL: `${service.url}/v1`, apiKey: key, maxRetries: 0 }), id }
}

async function spentBy(alias: string, id: string): Promise<number> {
  const { spend } = Spent.parse(await (await service.call('/api/v1/spend')).json())
  return spend.find(({ subject, name }) => subject === 'key' && (name === alias || name === id))?.spent ?? 0
}

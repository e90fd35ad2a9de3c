/** The gateway's wall clock jumps by an hour: ends of keys and tokens go by it, limits and deadlines by the time that passes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { pidOf } from '../chaos/processes.ts'
import { providerKey, startIdentityProvider, type ProviderKey } from '../support/identity-provider.ts'
import { ask, type Ended } from '../support/load.ts'
import { repository, startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'

const minutes = 60_000
const hour = 60 * minutes

let engine: FakeEngine
let single: FakeEngine
let provider: Awaited<ReturnType<typeof startIdentityProvider>>
let signing: ProviderKey
let service: Service
let folder: string
let clockFile: string

beforeAll(async () => {
  engine = await startFakeEngine({ tokens: 2 })
  single = await startFakeEngine({ tokens: 2 })
  provider = await startIdentityProvider()
  signing = await providerKey()
  provider.publish(signing)
  folder = mkdtempSync(join(tmpdir(), 'holdfast-clock-'))
  clockFile = join(folder, 'clock')
  service = await startService({
    spec: `name: clocks
gateway:
  jwt: [{ issuer: "${provider.issuer}", audience: holdfast }]
  limits: { firstByte: 3s }
versions:
  - name: dev-v1.0-many-fp16-p0
    engine: { kind: openai }
    replicas: [{ id: many, url: "${engine.url}/v1" }]
  - name: dev-v1.0-one-fp16-p0
    engine: { kind: vllm, servedName: fake, flags: { max-num-seqs: 1 } }
    replicas: [{ id: one, url: "${single.url}/v1" }]
models:
  - { name: coder, live: dev-v1.0-many-fp16-p0 }
  - { name: narrow, live: dev-v1.0-one-fp16-p0, queue: { deadline: 1s } }
teams:
  - { name: search }
`,
    env: {
      HOLDFAST_TEST_CLOCK: clockFile,
      NODE_OPTIONS: `--import ${pathToFileURL(join(repository, 'test/chaos/shift-clock.ts')).href}`,
    },
  })
})
afterEach(() => shiftClock(0))
afterAll(async () => {
  await service?.stop()
  await provider?.close()
  await single?.close()
  await engine?.close()
  rmSync(folder, { recursive: true, force: true })
})

test('a token is believed from its beginning to its end, as the clock on the wall has them now', async () => {
  const at = (ms: number): number => Math.trunc((Date.now() + ms) / 1000)
  const valid = await provider.sign(signing, { exp: at(30 * minutes) })
  const over = await provider.sign(signing, { exp: at(-30 * minutes) })
  const early = await provider.sign(signing, { exp: at(3 * hour), nbf: at(30 * minutes) })
  const told = () => Promise.all([valid, over, early].map(async key => (await chat(key)).status))
  expect(await told()).toEqual([200, 401, 401])
  await shiftClock(hour)
  expect(await told()).toEqual([401, 401, 200])
  await shiftClock(-hour)
  expect(await told()).toEqual([200, 200, 401])
  await shiftClock(0)
  expect(await told()).toEqual([200, 401, 401])
})

test('a key that ends in half an hour has ended in an hour, and has not when the clock is back', async () => {
  const { key } = await makeKey({ expiresIn: '30m' })
  const endless = await makeKey({})
  for (const [shift, status] of [
    [0, 200],
    [hour, 401],
    [-hour, 200],
    [0, 200],
  ] as const) {
    await shiftClock(shift)
    expect([shift, (await chat(key)).status]).toEqual([shift, status])
    expect((await chat(endless.key)).status).toBe(200)
  }
})

test('a limit of a minute is neither freed nor longer for a clock that jumps', async () => {
  const { key } = await makeKey({ limits: { requestsPerMinute: 3 } })
  expect(await statuses(4, () => chat(key))).toEqual([200, 200, 200, 429])
  for (const shift of [hour, -hour]) {
    await shiftClock(shift)
    const refused = await fetch(`${service.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(bodyOf('again')),
    })
    await refused.text()
    expect([shift, refused.status]).toEqual([shift, 429])
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(61)
  }
  await shiftClock(0)
  const { key: fresh } = await makeKey({ limits: { requestsPerMinute: 1 } })
  await shiftClock(hour)
  expect(await statuses(2, () => chat(fresh))).toEqual([200, 429])
})

test('an answer that was under way is not too late for a clock that jumped forward', async () => {
  const { key } = await makeKey({})
  const running = chat(key, { content: '[[fake:firstMs=1500]]', stream: true })
  await until('the engine is asked', () => engine.state().running === 1)
  await shiftClock(hour)
  expect(await running).toMatchObject({ end: 'whole', status: 200 })
})

test('whoever waits for an engine that says nothing, or for a place, waits no longer for a clock that jumped back', async () => {
  const { key } = await makeKey({})
  const silent = chat(key, { model: 'narrow', content: '[[fake:hang]]', stream: true })
  await until('the only place is taken', () => single.state().received > 0)
  const queued = chat(key, { model: 'narrow', stream: false })
  await shiftClock(-hour)
  expect((await queued).status).toBeOneOf([429, 503])
  const { end, status, code } = await silent
  expect([end, code], String(status)).toEqual(['whole', null])
  expect(status).toBeOneOf([502, 503, 504])
})

const bodyOf = (content: string, more: object = {}) => ({
  model: 'coder',
  messages: [{ role: 'user', content }],
  ...more,
})

function chat(
  key: string,
  { content = 'hello', ...more }: { content?: string; model?: string; stream?: boolean } = {},
): Promise<Ended> {
  return ask({ url: service.url, key, body: bodyOf(content, more) })
}

async function statuses(count: number, call: () => Promise<Ended>): Promise<(number | null)[]> {
  const told: (number | null)[] = []
  for (let i = 0; i < count; i++) told.push((await call()).status)
  return told
}

async function makeKey(bounds: object): Promise<{ key: string }> {
  const made = await service.call('/api/v1/keys', { team: 'search', ...bounds })
  expect(made.status, await made.clone().text()).toBeLessThan(300)
  // What the route answers, by its own schema.
  return (await made.json()) as { key: string }
}

/** Of the gateway alone. It tells its time in the ids that it makes. */
async function shiftClock(byMs: number): Promise<void> {
  writeFileSync(clockFile, String(byMs))
  const pid = pidOf(service.home, 'gateway')
  if (pid === null) throw new Error('there is no gateway')
  process.kill(pid, 'SIGUSR2')
  await until('the clock has jumped', async () => {
    const { headers } = await service.call('/health')
    const hex = (headers.get('x-request-id') ?? '').replaceAll('-', '').slice(0, 12)
    return Math.abs(Number.parseInt(hex, 16) - Date.now() - byMs) < minutes
  })
}

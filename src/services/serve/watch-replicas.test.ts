import { expect, onTestFinished, test } from 'vitest'
import { ask, testVersion, type GatewayOptions, type TestGateway } from '../../../test/support/in-process-gateway.ts'
import { engine, gateway as newGateway } from '../../../test/support/gateways.ts'
import { answer, floods, says, startRawEngine } from '../../../test/support/hostile-engine.ts'
import { millis } from '../../domain/units.ts'

/** A gateway that probes often. */
const gateway = (options: GatewayOptions) =>
  newGateway({ probeEveryMs: 40, ...options, version: { engine: 'vllm', ...options.version } })

/** Waits until the replica `r0` is as `wanted`; rejects after 10 s. */
async function until(started: TestGateway, wanted: (health: { state: string; why: string | null }) => boolean) {
  const deadline = AbortSignal.timeout(10_000)
  for (;;) {
    const [replica] = started.fleet.replicas()
    if (replica !== undefined && wanted(replica.health)) return replica
    if (deadline.aborted) throw new Error(`r0 is ${JSON.stringify(replica?.health)}`)
    await new Promise(resolve => setImmediate(resolve))
  }
}

test('an engine that hangs while it says it is healthy is found out by its counters, and is back when they move', async () => {
  const fake = await engine({ dialect: 'vllm' })
  const started = await gateway({ replicas: [fake], health: { stall: millis(200) } })
  await until(started, ({ state }) => state === 'up')
  const leave = new AbortController()
  const asked = started.post('/v1/chat/completions', ask('[[fake:hang]] Hi'), { signal: leave.signal })
  const { health } = await until(started, ({ state }) => state === 'down')
  expect(health.why).toMatch(/busy for .* s without taking in or making a token/)
  leave.abort()
  await expect(asked).rejects.toThrow()
  await until(started, ({ state }) => state === 'up')
})

test('an engine that works slowly is not taken for one that hangs', async () => {
  const fake = await engine({ dialect: 'vllm', tokens: 12, gapMs: 40 })
  const started = await gateway({ replicas: [fake], health: { stall: millis(200) } })
  const states = new Set<string>()
  const answer = started.post('/v1/chat/completions', ask('Hi', { stream: true })).then(each => each.text())
  void answer.then(() => states.add('over'))
  while (!states.has('over')) {
    states.add(started.fleet.replicas()[0]?.health.state ?? '')
    await new Promise(resolve => setImmediate(resolve))
  }
  expect(await answer).toContain('[DONE]')
  expect([...states]).not.toContain('down')
})

test('an idle engine is asked for one token, and one that makes none is left out until it does', async () => {
  const fake = await engine({ dialect: 'vllm' })
  const started = await gateway({ replicas: [fake], health: { canary: millis(1) } })
  await fake.until(({ received }) => received >= 2)
  expect(fake.state().lastRequests.at(-1)?.body).toMatchObject({ model: 'coder', max_tokens: 1 })
  fake.behave({ status: 500 })
  const { health } = await until(started, ({ state }) => state === 'down')
  expect(health.why).toContain('HTTP 500 when it is asked for one token')
  fake.behave({ status: null })
  await until(started, ({ state }) => state === 'up')
})

test('H6 an engine whose health route is late while it works stays in use, and one that stays silent is left out', async () => {
  const fake = await engine({ dialect: 'vllm', tokens: 400, gapMs: 10 })
  const started = await gateway({ replicas: [fake], probeTimeoutMs: 60 })
  await until(started, ({ state }) => state === 'up')
  const leave = new AbortController()
  const answer = await started.post('/v1/chat/completions', ask('Hi', { stream: true }), { signal: leave.signal })
  const read = answer.body?.getReader()
  fake.behave({ hangHealth: true })
  const silent = (): number => started.fleet.replicas()[0]?.silentProbes ?? 0
  while (silent() < 5) await read?.read()
  expect(started.fleet.replicas()[0]?.health.state).toBe('up')
  leave.abort()
  const { health } = await until(started, ({ state }) => state === 'down')
  expect(health.why).toContain('does not answer GET')
})

test('with the canary off, probes cost no inference', async () => {
  const fake = await engine({ dialect: 'vllm' })
  const started = await gateway({ replicas: [fake] })
  await until(started, ({ state }) => state === 'up')
  await started.post('/v1/chat/completions', ask('Hi'))
  expect(fake.state().received).toBe(1)
})

test('what an engine says of its load is known under one name each', async () => {
  const fake = await engine({ dialect: 'vllm' })
  const started = await gateway({ replicas: [fake] })
  const leave = new AbortController()
  const asked = started.post('/v1/chat/completions', ask('[[fake:hang]] Hi'), { signal: leave.signal })
  await fake.until(({ running }) => running === 1)
  const deadline = AbortSignal.timeout(10_000)
  while (started.fleet.replicas()[0]?.load?.running !== 1 && !deadline.aborted)
    await new Promise(resolve => setImmediate(resolve))
  expect(started.fleet.replicas()[0]?.load).toMatchObject({
    running: 1,
    waiting: 0,
    kvUse: expect.any(Number) as number,
  })
  leave.abort()
  await expect(asked).rejects.toThrow()
})

test('a model that its engine loads on demand is stopped, can be asked for, and is not loaded by a canary', async () => {
  const fake = await engine({ name: 'coder', dialect: 'ollama', loadingMs: 60_000 })
  const version = { engine: 'ollama' as const }
  const started = await gateway({ replicas: [fake], version, health: { canary: millis(1) } })
  await until(started, ({ state }) => state === 'up')
  expect(started.fleet.status(testVersion)).toBe('stopped')
  expect(fake.state().received).toBe(0)
  fake.behave({ loadingMs: 0 })
  expect((await started.post('/v1/chat/completions', ask('Hi'))).status).toBe(200)
  const deadline = AbortSignal.timeout(10_000)
  while (started.fleet.status(testVersion) !== 'loaded' && !deadline.aborted)
    await new Promise(resolve => setImmediate(resolve))
  expect(started.fleet.status(testVersion)).toBe('loaded')
})

test('an engine that answers the canary without an end is let go after what one token could be', async () => {
  const page = Buffer.alloc(64 * 1024, 'x')
  const endless = await startRawEngine(
    new Map([['flood', floods('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n', page)]]),
  )
  onTestFinished(() => endless.close())
  const started = await gateway({
    replicas: [{ url: `${endless.url}/flood` }],
    version: { engine: 'openai' },
    health: { canary: millis(1) },
  })
  const replica = await until(started, ({ state }) => state === 'up')
  const bornAt = replica.provenAt
  await until(started, () => replica.provenAt > bornAt)
  expect(replica.health).toMatchObject({ state: 'up', why: null })
})

test('an engine that has no route for its task cannot be asked for a token, and is as its probes say', async () => {
  const fake = await engine({ dialect: 'tgi' })
  const started = await gateway({
    replicas: [fake],
    version: { engine: 'tgi', task: 'embed' },
    health: { canary: millis(1) },
  })
  const replica = await until(started, ({ state }) => state === 'up')
  const bornAt = replica.provenAt
  await until(started, () => replica.provenAt > bornAt)
  expect(replica.health.state).toBe('up')
  expect(fake.state().received).toBe(0)
})

test.each([
  ['larger than a page of metrics can be', Buffer.alloc(2 * 1024 * 1024, 'vllm:num_requests_running 7\n')],
  ['binary', Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7) % 256))],
  ['of one endless label', Buffer.from(`vllm:num_requests_running{a="${'\\"'.repeat(400_000)}`)],
  ['of a hundred thousand samples', Buffer.from('vllm:kv_cache_usage_perc 0.5\n'.repeat(30_000))],
])('metrics that are %s do not take a replica out', async (_, page) => {
  const odd = await startRawEngine(new Map([['GET metrics', says(answer('200 OK', { connection: 'close' }, page))]]))
  onTestFinished(() => odd.close())
  const started = await gateway({ replicas: [{ url: odd.url, metrics: `${odd.url}/metrics` }] })
  const { load } = await until(started, ({ state }) => state === 'up')
  expect(load?.running ?? null).toBeNull()
})

test('metrics that never come do not take a replica out', async () => {
  const slow = await startRawEngine(new Map([['GET metrics', () => {}]]))
  onTestFinished(() => slow.close())
  const started = await gateway({ replicas: [{ url: slow.url, metrics: `${slow.url}/metrics` }] })
  expect((await until(started, ({ state }) => state !== 'unknown')).health.state).toBe('up')
})

/** A whole service with its state in PostgreSQL, and what becomes of its requests while that is killed. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { stringify } from 'yaml'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { postgresPassword, startPostgres, withoutPostgres, type Postgres } from '../support/postgres.ts'
import { startService, type Service } from '../support/service.ts'

describe.skipIf(withoutPostgres)('state in PostgreSQL', () => {
  let postgres: Postgres
  let engine: FakeEngine
  let service: Service
  const version = 'dev-v1.0-fake-fp16-p0'
  const spec = stringify({
    store: '${env:DATABASE_URL}',
    versions: [{ name: version, engine: { kind: 'openai' }, replicas: [{ id: 'a', url: 'ENGINE/v1' }] }],
    models: [{ name: 'fake', live: version }],
  })

  beforeAll(async () => {
    postgres = await startPostgres()
    engine = await startFakeEngine({ tokens: 3, gapMs: 1 })
    service = await startService({
      spec: spec.replace('ENGINE', engine.url),
      env: { DATABASE_URL: await postgres.newSchema() },
    })
  }, 180_000)
  afterAll(async () => {
    await service?.stop()
    await engine?.close()
    await postgres?.close()
  }, 120_000)

  const ask = (key: string): Promise<number> =>
    fetch(`${service.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'fake', messages: [{ role: 'user', content: 'hello' }] }),
    }).then(async answer => {
      await answer.arrayBuffer()
      return answer.status
    })
  const pidOf = async (role: string) => (await service.processes()).find(process => process.role === role)?.pid

  test('killed under load it costs no request; administration says what is wrong, and works again by itself', async () => {
    const born = await service.call('/api/v1/keys', { alias: 'load' })
    // As the route's schema says.
    const { key } = (await born.json()) as { key: string }
    const controller = await pidOf('controller')
    const statuses: number[] = []
    let busy = true
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (busy) statuses.push(await ask(key))
      }),
    )
    await vi.waitUntil(() => statuses.length > 20, { timeout: 20_000 })

    await postgres.stop('SIGKILL')
    const answer = await service.call('/api/v1/keys', { alias: 'during' })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2'])
    expect(await answer.json()).toMatchObject({
      error: { code: 'store_unavailable', message: expect.stringContaining('requests for models are not affected') },
    })
    await vi.waitUntil(async () => (await service.cli('status')).stdout.includes('nothing listens there'), {
      timeout: 30_000,
      interval: 100,
    })
    const whileAway = statuses.length
    await vi.waitUntil(() => statuses.length > whileAway + 20, { timeout: 20_000 })

    await postgres.start()
    await vi.waitUntil(async () => (await service.call('/api/v1/keys', { alias: 'after' })).status === 201, {
      timeout: 30_000,
      interval: 100,
    })
    busy = false
    await load
    expect(statuses.filter(status => status !== 200)).toEqual([])
    expect(await pidOf('controller')).toBe(controller)
    // Every one of them is in the journal, and from there in the database, once.
    await vi.waitUntil(
      async () => {
        const { stdout } = await service.cli('status', '--json')
        if (!stdout.includes('"problem":null')) return false
        const usage = await (await service.call('/api/v1/usage?by=key')).json()
        // As the route's schema says.
        const rows = (usage as { usage: { alias: string; requests: number }[] }).usage
        return rows.find(({ alias }) => alias === 'load')?.requests === statuses.length
      },
      { timeout: 40_000, interval: 200 },
    )
    expect(service.said.stderr + service.said.stdout).not.toContain(postgresPassword)
  }, 180_000)

  test('a key that is revoked is refused within a second, as with SQLite', async () => {
    const { key, id } = (await (await service.call('/api/v1/keys', { alias: 'short' })).json()) as Record<
      string,
      string
    >
    expect(await ask(key ?? '')).toBe(200)
    expect((await service.call(`/api/v1/keys/${id}`, undefined, { method: 'DELETE' })).ok).toBe(true)
    expect(await ask(key ?? '')).toBe(401)
  })
})

/**
 * Secrets of a service that has grown: PostgreSQL, Redis, an engine with a key, an identity provider and a gateway elsewhere. Each is
 * used, refused and lost, and then searched for in everything that was kept, said, answered or exported.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { filesIn, findIn } from '../support/canaries.ts'
import { providerKey, startIdentityProvider } from '../support/identity-provider.ts'
import { freePort, startJoinedGateway, type JoinedGateway } from '../support/joined-gateway.ts'
import { postgresPassword, startPostgres, withoutPostgres, type Postgres } from '../support/postgres.ts'
import { rawPost, sendRaw } from '../support/raw-http.ts'
import { startRedis, type Redis } from '../support/redis.ts'
import { adminKey, runCli, startService, type Service } from '../support/service.ts'
import { backMs, until } from '../support/settled.ts'

const redisPassword = 'canary-redis-password-5be0c1d97a'
const engineKey = 'canary-engine-key-of-parts-61d0'

const specOf = (engineUrl: string, { port, issuer }: { port: number; issuer: string }): string => `
name: secrets-of-parts
store: \${env:DATABASE}
controller: { listen: { host: 127.0.0.1, port: ${port} } }
gateway:
  sharedLimits: \${env:LIMITS}
  jwt: [{ issuer: "${issuer}", audience: holdfast }]
versions:
  - name: dev-v1.0-fake-fp16-p0
    engine: { kind: openai }
    replicas: [{ id: fake, url: "${engineUrl}/v1", apiKey: "\${env:ENGINE_KEY}" }]
models:
  - { name: coder, live: dev-v1.0-fake-fp16-p0 }
teams:
  - { name: search, limits: { requestsPerMinute: 1000 } }
`

describe.skipIf(withoutPostgres)('a service with parts of its own', () => {
  let postgres: Postgres
  let database: string
  let redis: Redis | null
  let engine: FakeEngine
  let provider: Awaited<ReturnType<typeof startIdentityProvider>>
  let service: Service
  let elsewhere: JoinedGateway
  const secrets: Record<string, string> = {
    'the admin key': adminKey,
    'the password of PostgreSQL': postgresPassword,
    'the password of Redis': redisPassword,
    'the engine’s key': engineKey,
  }
  /** What was said to somebody who was not being given a secret. */
  const said: Record<string, string> = {}

  beforeAll(async () => {
    postgres = await startPostgres()
    database = await postgres.newDatabase()
    redis = await startRedis(['--requirepass', redisPassword]).catch(() => null)
    engine = await startFakeEngine({ apiKey: engineKey, tokens: 2 })
    provider = await startIdentityProvider()
    const signing = await providerKey()
    provider.publish(signing)
    const spec = specOf(engine.url, { port: await freePort(), issuer: provider.issuer })
    const env = {
      DATABASE: database,
      LIMITS: `redis://:${redisPassword}@127.0.0.1:${redis?.port ?? 1}/0`,
      ENGINE_KEY: engineKey,
      HOLDFAST_LOG_LEVEL: 'trace',
    }
    service = await startService({ spec, env })
    const token = await born('/api/v1/gateways/tokens', {}, 'token')
    elsewhere = await startJoinedGateway({ token, env })
    Object.assign(secrets, {
      'a join token': token,
      'a join token that was not used': await born('/api/v1/gateways/tokens', {}, 'token'),
      'a key': await born('/api/v1/keys', { alias: 'ours', team: 'search' }, 'key'),
      'a key made over LiteLLM’s route': await born('/key/generate', { key_alias: 'theirs' }, 'key'),
      'a token': await provider.sign(signing, { groups: ['search'] }),
      'a token that has ended': await provider.sign(signing, { exp: 1_000_000 }),
    })
  }, 180_000)
  afterAll(async () => {
    await elsewhere?.stop()
    await service?.stop()
    await provider?.close()
    await engine?.close()
    await redis?.stop()
    await postgres?.close()
  }, 120_000)

  /** The answer that gives birth to a secret is the one place where it is shown. */
  async function born(path: string, body: object, field: string): Promise<string> {
    const answer = await service.call(path, body)
    expect(answer.status).toBeLessThan(300)
    // As the route's schema says.
    return ((await answer.json()) as Record<string, string>)[field] ?? expect.fail(`${path} gave no ${field}`)
  }

  type Ask = { url?: string; key?: string; body?: unknown; method?: string }
  async function ask(path: string, { url = service.url, key = adminKey, body, method }: Ask = {}): Promise<number> {
    const answer = await fetch(url + path, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = `${JSON.stringify([...answer.headers])} ${await answer.text()}`
    said[`${Object.keys(said).length} ${method ?? ''} ${path.slice(0, 24)} → ${answer.status} ${text.slice(0, 300)}`] =
      text
    return answer.status
  }

  async function run(args: string[]): Promise<number> {
    const { exitCode, stdout, stderr } = await runCli(args, service.env)
    said[`${Object.keys(said).length} holdfast ${args.slice(0, 2).join(' ')}`] = stdout + stderr
    return exitCode
  }

  const chat = (model = 'coder') => ({ model, messages: [{ role: 'user', content: 'hello' }] })
  const secret = (name: string): string => secrets[name] ?? expect.fail(`no ${name}`)

  test('each is used where it belongs, at both gateways', async () => {
    for (const url of [service.url, elsewhere.url]) {
      for (const name of ['the admin key', 'a key', 'a key made over LiteLLM’s route', 'a token'])
        expect([name, await ask('/v1/chat/completions', { url, key: secret(name), body: chat() })]).toEqual([name, 200])
      expect(await ask('/v1/chat/completions', { url, key: secret('a token that has ended'), body: chat() })).toBe(401)
    }
  })

  test('each is sent where it does not belong', async () => {
    // What has no form of its own, as a password alone, can't be told from a name.
    const misplaced = Object.entries(secrets).flatMap(([name, value]) => (name.startsWith('a ') ? [value] : []))
    for (const value of [...misplaced, database, `redis://:${redisPassword}@127.0.0.1:1/0`]) {
      const sent = encodeURIComponent(value)
      const refused = [
        ask(`/v1/models/${sent}`, { url: elsewhere.url }),
        ask('/v1/chat/completions', { url: elsewhere.url, body: chat(value) }),
        ask('/v1/chat/completions', { key: `${value}x`, body: chat() }),
        ask(`/api/v1/keys/${sent}`, { method: 'DELETE' }),
        ask(`/api/v1/gateways/${sent}`, { method: 'DELETE' }),
        ask('/api/v1/gateways/tokens', { body: { [value]: value } }),
        ask('/api/v1/keys', { body: { team: value } }),
        ask('/key/update', { body: { key: `${value}x` } }),
        ask('/key/generate', { body: { team_id: value } }),
      ]
      for (const status of await Promise.all(refused)) expect(status).toBeOneOf([400, 401, 404, 405, 422])
      const head = { 'authorization': `Bearer ${value}`, 'bad header': value }
      const port = Number(new URL(elsewhere.url).port)
      said[`raw ${Object.keys(said).length}`] = (
        await sendRaw(port, rawPost('/v1/models', '', head), { readMs: 500 })
      ).text
    }
    expect(await ask(`/key/info?key=${secret('a key made over LiteLLM’s route')}`)).toBe(200)
    const join = ['gateway', '--listen', '127.0.0.1:0', '--home', `${service.folder}/nobody`, '--join']
    expect(await run([...join, secret('a join token')])).toBe(1)
    expect(await run([...join, `${secret('a join token that was not used')}x`])).toBe(2)
  })

  test('what they are for is lost', async () => {
    await redis?.kill()
    await postgres.stop('SIGQUIT')
    engine.behave({ apiKey: 'another' })
    expect(await ask('/v1/chat/completions', { key: secret('a key'), body: chat() })).toBeGreaterThanOrEqual(500)
    expect(
      await ask('/v1/chat/completions', { url: elsewhere.url, key: secret('a token'), body: chat() }),
    ).toBeGreaterThanOrEqual(500)
    expect(await ask('/api/v1/keys', { body: { alias: 'late' } })).toBe(503)
    await run(['status'])
    await postgres.start()
    engine.behave({ apiKey: engineKey })
    await until('administration is back', async () => (await ask('/api/v1/keys')) === 200, backMs)
    // As with LiteLLM, the answer repeats what its sender sent: the other place where a key may be shown.
    for (const name of ['a key', 'a key made over LiteLLM’s route'])
      expect((await service.call('/key/delete', { keys: [secret(name)] })).status).toBe(200)
    expect(await ask('/v1/models', { url: elsewhere.url, key: secret('a key') })).toBe(401)
  })

  test('none is in any output, answer, export, metric, file, table or command line', async () => {
    const listed = [
      'keys',
      'teams',
      'requests',
      'usage?by=key',
      'audit',
      'audit/verify',
      'spend',
      'gateways',
      'status',
      'diff',
    ]
    for (const path of listed) expect([path, await ask(`/api/v1/${path}`)]).toEqual([path, 200])
    for (const format of ['jsonl', 'csv']) expect(await ask(`/api/v1/audit/export?format=${format}`)).toBe(200)
    for (const path of ['/key/list', '/spend/logs', '/team/list', '/metrics']) await ask(path)
    await ask('/metrics', { url: elsewhere.url })
    for (const command of ['status', 'logs', 'audit search', 'audit export', 'key list', 'gateway list'])
      expect([command, await run([...command.split(' '), '--json'])]).toEqual([command, 0])
    const processes = [...(await service.processes()).map(({ pid }) => pid), elsewhere.servingPid() ?? -1]
    const places: Record<string, Buffer> = {
      ...Object.fromEntries(Object.entries(said).map(([place, text]) => [place, Buffer.from(text)])),
      'the service’s output': Buffer.from(service.said.stdout + service.said.stderr),
      'the gateway’s output': Buffer.from(elsewhere.said.stdout + elsewhere.said.stderr),
      ...Object.fromEntries(processes.map(pid => [`command line of ${pid}`, readFileSync(`/proc/${pid}/cmdline`)])),
      ...Object.fromEntries([service.folder, elsewhere.home].flatMap(filesIn).map(path => [path, readFileSync(path)])),
      ...(await tablesOf(postgres, database)),
    }
    expect(Object.keys(places).filter(place => place.startsWith('table ')).length).toBeGreaterThan(5)
    expect(Object.keys(places).filter(place => place.startsWith(elsewhere.home)).length).toBeGreaterThan(5)
    // Acts on the keys are there, so the export has what it should be searched for.
    expect(
      Object.entries(said).some(([place, text]) => place.includes('/audit/export') && text.includes('key.create')),
    ).toBe(true)
    expect(findIn(places, secrets)).toEqual([])
  })
})

/** Every row of every table, as text. */
async function tablesOf(postgres: Postgres, database: string): Promise<Record<string, Buffer>> {
  const listed = `select table_name as name from information_schema.tables where table_schema = 'public'`
  const names = (await postgres.ask(database, listed)).map(({ name }) => String(name))
  const read = names.map(async name => {
    const rows = await postgres.ask(database, `select t::text as line from "${name}" t`)
    return [`table ${name}`, Buffer.from(rows.map(({ line }) => String(line)).join('\n'))] as const
  })
  return Object.fromEntries(await Promise.all(read))
}

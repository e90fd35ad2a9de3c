/** Coming from LiteLLM Proxy: its config is imported and served, and its scripts' calls go through the one port. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { runCli, startService, type CliAnswer, type Service } from '../support/service.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-litellm-'))
let engine: FakeEngine
let imported: CliAnswer
let service: Service

beforeAll(async () => {
  engine = await startFakeEngine()
  const config = join(folder, 'config.yaml')
  const spec = join(folder, 'holdfast.yaml')
  writeFileSync(
    config,
    [
      'model_list:',
      '  - model_name: coder',
      `    litellm_params: { model: openai/served-coder, api_base: "${engine.url}/v1", api_key: none }`,
      '  - model_name: cloud',
      '    litellm_params: { model: azure/gpt-4o, api_key: os.environ/AZURE_KEY }',
      'router_settings: { model_group_alias: { gpt-3.5-turbo: coder } }',
    ].join('\n'),
  )
  imported = await runCli(['import', 'litellm', config, '--out', spec], process.env)
  service = await startService({ spec: readFileSync(spec, 'utf8') })
})
afterAll(async () => {
  await service?.stop()
  await engine?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The parsed answer; by the administrator unless a key is given. */
async function call(path: string, body?: object, key?: string) {
  const headers =
    key === undefined ? {} : { headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' } }
  const answer = await service.call(path, body, headers)
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as unknown }
}
const ask = (key: string, model = 'coder') =>
  call('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'Hello' }] }, key)

test('the import tells what stays behind, and what it wrote is served, aliases too', async () => {
  expect(imported.exitCode).toBe(0)
  expect(imported.stderr).toContain('model_list[1]: ')
  const { key } = (await call('/key/generate', {})).body as { key: string }
  for (const model of ['coder', 'gpt-3.5-turbo']) {
    const { status, headers } = await ask(key, model)
    expect([status, headers.get('x-holdfast-version')]).toEqual([200, 'production-v1.0-served-coder-fp16-p0'])
  }
})

test('a key that LiteLLM made goes on working, until it is blocked, and again when it is unblocked', async () => {
  const key = 'sk-brought-from-litellm-123'
  await call('/key/generate', { key, key_alias: 'brought', models: ['coder'], user_id: 'ada' })
  expect((await ask(key)).status).toBe(200)
  expect((await call('/key/block', { key })).body).toMatchObject({ blocked: true })
  expect(await ask(key)).toMatchObject({ status: 401, body: { error: { code: 'invalid_api_key' } } })
  await call('/key/update', { key, metadata: { a: 1 } })
  expect((await ask(key)).status).toBe(401)
  await call('/key/unblock', { key })
  expect((await ask(key)).status).toBe(200)
  const { key: renewed } = (await call('/key/regenerate', { key, grace_period: '48h' })).body as { key: string }
  expect([(await ask(key)).status, (await ask(renewed)).status]).toEqual([200, 200])
})

test('a key bound to embeddings may not chat', async () => {
  const { key } = (await call('/key/generate', { allowed_routes: ['/v1/embeddings'] })).body as { key: string }
  expect((await ask(key)).status).toBe(403)
})

test('what a user asked for is told with tokens and money', async () => {
  const { key } = (await call('/user/new', { user_id: 'bob' })).body as { key: string }
  const id = (await ask(key)).headers.get('x-request-id')
  const { body } = await call('/spend/logs?user_id=bob')
  expect(body).toMatchObject([{ request_id: id, model: 'coder', user: 'bob', status: 'success' }])
  const [told] = body as { total_tokens: number; spend: number }[]
  expect(told?.total_tokens).toBeGreaterThan(0)
  // The engine's time has a price, be it one's own engine.
  expect(told?.spend).toBeGreaterThan(0)
  expect((await call(`/spend/logs?request_id=${id}`)).body).toEqual(body)
})

test('models are told at every address that LiteLLM has for them', async () => {
  const { key } = (await call('/key/generate', { models: ['coder'] })).body as { key: string }
  for (const path of ['/model/info', '/v1/model/info', '/v2/model/info'])
    expect((await call(path, undefined, key)).body).toMatchObject({
      data: [{ model_name: 'coder', model_info: { id: 'production-v1.0-served-coder-fp16-p0', mode: 'chat' } }],
    })
  expect((await call('/model_group/info', undefined, key)).body).toMatchObject({ data: [{ model_group: 'coder' }] })
})

test('what is not here names what is, on the one port too', async () => {
  for (const [path, named] of [
    ['/global/spend/report', '/api/v1/usage'],
    ['/budget/list', '/api/v1/spend'],
    ['/utils/supported_openai_params', 'openapi.json'],
    ['/v2/user/info', 'http.md'],
  ] as const)
    expect(await call(path)).toMatchObject({
      status: 404,
      body: { error: { message: expect.stringContaining(named) as string } },
    })
})

test('health is told as LiteLLM’s scripts read it, without addresses', async () => {
  const health = await (await fetch(`${service.url}/health`)).text()
  expect(JSON.parse(health)).toMatchObject({
    status: 'ok',
    healthy_count: 2,
    unhealthy_count: 0,
    healthy_endpoints: [{ model: 'coder', version: 'production-v1.0-served-coder-fp16-p0', status: 'loaded' }, {}],
    unhealthy_endpoints: [],
  })
  expect(health).not.toContain(new URL(engine.url).port)
  expect(await (await fetch(`${service.url}/health/readiness`)).json()).toMatchObject({
    status: 'ready',
    db: 'connected',
  })
})

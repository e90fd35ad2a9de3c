import { afterEach, expect, test } from 'vitest'
import { openLiteLlm } from '../../../test/support/litellm.ts'
import type { RequestRow } from '../../domain/journal/index.ts'
import type { ModelRoute, ReplicaRoute, VersionRoute } from '../../domain/serving/index.ts'
import { plainModel, unknownCost } from '../../domain/serving/index.ts'
import { keyId, millis, modelName, replicaId, requestId, teamName, versionName } from '../../domain/units.ts'

const toClose: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0)) await close()
})

async function open(world: Parameters<typeof openLiteLlm>[0] = {}) {
  const opened = await openLiteLlm(world)
  toClose.push(opened.close)
  return opened
}

const aReplica = (id: string, address: ReplicaRoute['address']): ReplicaRoute => ({
  id: replicaId(id),
  address,
  metrics: null,
  apiKey: '${env:ENGINE_SECRET}',
  backup: false,
  weight: 1,
  places: null,
  managed: false,
})
const aVersion = (name: string, change: Partial<VersionRoute>): VersionRoute => ({
  name: versionName(name),
  engine: 'vllm',
  servedName: null,
  task: 'chat',
  prompt: { id: 'p0', text: '', mode: 'prepend' },
  sampling: {},
  replicas: [],
  cost: unknownCost,
  ...change,
})
const aModel = (name: string, live: string): ModelRoute => ({
  name: modelName(name),
  live: versionName(live),
  queue: { waiting: 0, deadline: millis(0) },
  ...plainModel,
})
const snapshot = {
  models: [aModel('coder', 'coder-v1'), aModel('embed', 'embed-v1'), aModel('smoke', 'smoke-v1')],
  versions: [
    aVersion('coder-v1', {
      servedName: 'Qwen/Coder',
      replicas: [
        aReplica('a', { url: 'http://user:password@gpu-1:8000/v1' }),
        aReplica('b', { url: 'http://gpu-2:8000/v1' }),
      ],
    }),
    aVersion('embed-v1', { task: 'embed', engine: 'openai', replicas: [aReplica('e', { url: 'http://gpu-3:1/v1' })] }),
    aVersion('smoke-v1', { engine: 'embedded', replicas: [aReplica('s', { socket: '/run/holdfast/s.sock' })] }),
  ],
}

test('models are told by LiteLLM’s fields, and what nobody knows is null', async () => {
  const { get } = await open({ snapshot })
  const { data } = await get('/model/info')
  expect(data[1]).toEqual({
    model_name: 'embed',
    litellm_params: { model: 'openai/embed', api_base: 'http://gpu-3:1/v1' },
    model_info: {
      id: 'embed-v1',
      db_model: false,
      mode: 'embedding',
      litellm_provider: 'openai',
      max_tokens: null,
      max_input_tokens: null,
      max_output_tokens: null,
      input_cost_per_token: null,
      output_cost_per_token: null,
      replicas: [{ id: 'e', api_base: 'http://gpu-3:1/v1' }],
    },
  })
  expect(data[0]).toMatchObject({
    litellm_params: { model: 'vllm/Qwen/Coder', api_base: null },
    model_info: {
      replicas: [
        { id: 'a', api_base: 'http://gpu-1:8000/v1' },
        { id: 'b', api_base: 'http://gpu-2:8000/v1' },
      ],
    },
  })
  expect((await get('/v1/model/info')).data).toEqual(data)
  expect((await get('/model/info?litellm_model_id=embed-v1')).data).toEqual([data[1]])
  expect((await get('/model/info?litellm_model_id=none')).error.code).toBe('not_found')
})

test('neither passwords nor keys nor sockets are told, and addresses only to the administrator', async () => {
  const { send, post, get } = await open({ snapshot })
  const { key } = await post('/key/generate', {})
  for (const url of ['/model/info', '/v2/model/info', '/model_group/info']) {
    expect(JSON.stringify(await get(url))).not.toMatch(/password|ENGINE_SECRET|\.sock/)
    const { status, body } = await send('GET', url, { key })
    expect([status, body.data.length]).toEqual([200, 3])
    expect(JSON.stringify(body)).not.toMatch(/gpu-\d/)
  }
})

test('a key is told of the models it may use', async () => {
  const { send, post } = await open({ snapshot })
  await post('/team/new', { team_id: 'ops', models: ['coder', 'embed'] })
  const { key } = await post('/key/generate', { team_id: 'ops', models: ['embed', 'smoke'] })
  const names = async (url: string) =>
    (await send('GET', url, { key })).body.data.map(
      (each: { model_name?: string; model_group?: string }) => each.model_name ?? each.model_group,
    )
  expect(await names('/model/info')).toEqual(['embed'])
  expect(await names('/v2/model/info')).toEqual(['embed'])
  expect(await names('/model_group/info')).toEqual(['embed'])
})

test('models come in pages and groups', async () => {
  const { get } = await open({ snapshot })
  expect(await get('/v2/model/info?page=2&size=2')).toMatchObject({
    data: [{ model_name: 'smoke', litellm_params: { api_base: null } }],
    total_count: 3,
    current_page: 2,
    total_pages: 2,
    size: 2,
  })
  expect((await get('/v2/model/info?search=COD&model=coder&modelId=coder-v1')).total_count).toBe(1)
  expect(await get('/model_group/info?model_group=coder')).toMatchObject({
    data: [{ model_group: 'coder', providers: ['vllm'], mode: 'chat', tpm: null, input_cost_per_token: null }],
  })
})

const aRow = (id: string, change: Partial<RequestRow> = {}): RequestRow => ({
  id: requestId(id),
  time: '2026-01-05T12:00:00.000Z',
  key: 'admin',
  alias: 'bot',
  team: teamName('ops'),
  model: modelName('coder'),
  version: versionName('coder-v1'),
  replica: 'a',
  route: '/v1/chat/completions',
  stream: true,
  status: 200,
  outcome: 'ok',
  fault: null,
  inputTokens: 10,
  outputTokens: 20,
  ttftMs: 250,
  totalMs: 1500,
  attempts: 1,
  gpuMs: millis(40),
  cost: 0.25,
  currency: 'EUR',
  clientId: null,
  from: '10.0.0.9',
  choice: null,
  ...change,
})

test('requests are told by LiteLLM’s fields, with tokens and with what they cost', async () => {
  const requests = [aRow('r1')]
  const { get, post, store } = await open({ requests })
  const { token } = await post('/key/generate', { user_id: 'ada' })
  const [key] = await store.keys()
  requests.push(
    aRow('r2', { key: key?.id ?? null, outcome: 'open', totalMs: null, inputTokens: null, outputTokens: null }),
  )
  requests.push(aRow('r3', { key: keyId('key_gone'), outcome: 'refused', outputTokens: null }))
  expect(await get('/spend/logs')).toMatchObject([
    {
      request_id: 'r1',
      call_type: '/v1/chat/completions',
      api_key: 'admin',
      spend: 0.25,
      model: 'coder',
      model_id: 'coder-v1',
      prompt_tokens: 10,
      completion_tokens: 20,
      total_tokens: 30,
      startTime: '2026-01-05T12:00:00.000Z',
      completionStartTime: '2026-01-05T12:00:00.250Z',
      endTime: '2026-01-05T12:00:01.500Z',
      status: 'success',
      user: null,
      team_id: 'ops',
      requester_ip_address: '10.0.0.9',
      metadata: { user_api_key_alias: 'bot', http_status: 200, outcome: 'ok' },
    },
    { api_key: token, user: 'ada', status: null, total_tokens: null, endTime: null },
    { api_key: 'key_gone', status: 'failure', total_tokens: 10 },
  ])
})

test('requests are asked for by key, user, id and days, and in bounded pages', async () => {
  const { get, send, post, filters } = await open({ requests: [aRow('r1'), aRow('r2'), aRow('r3')] })
  const a = await post('/key/generate', { user_id: 'ada' })
  const b = await post('/key/generate', { user_id: 'ada' })
  const asked = async (query: string) => {
    await get(`/spend/logs?${query}`)
    return filters.at(-1)
  }
  expect(await asked('')).toEqual({ limit: 1000 })
  for (const ref of [a.key, a.token, a.token_id])
    expect(await asked(`api_key=${ref}`)).toEqual({ limit: 1000, keys: [a.token_id] })
  expect((await asked('user_id=ada'))?.keys).toEqual([a.token_id, b.token_id])
  expect((await asked(`user_id=ada&api_key=${b.key}`))?.keys).toEqual([b.token_id])
  expect((await asked('user_id=nobody'))?.keys).toEqual([])
  expect((await asked(`user_id=nobody&api_key=${b.key}`))?.keys).toEqual([])
  expect((await asked('api_key=sk-unknown-unknown-unknown'))?.keys).toEqual([])
  expect((await asked('request_id=r2'))?.id).toBe('r2')
  expect(await asked('start_date=2026-01-05&end_date=2026-01-05')).toEqual({
    limit: 1000,
    since: Date.UTC(2026, 0, 5),
    until: Date.UTC(2026, 0, 6),
  })
  expect(await asked('start_date=2026-01-05%2010:00:00&end_date=2026-01-05T12:00:00Z')).toMatchObject({
    since: Date.UTC(2026, 0, 5, 10),
    until: Date.UTC(2026, 0, 5, 12),
  })
  const paged = await send('GET', '/spend/logs?limit=2&before=r9')
  expect(filters.at(-1)).toEqual({ limit: 2, before: 'r9' })
  expect([paged.body.length, paged.headers['x-holdfast-next']]).toEqual([2, 'r2'])
  expect((await send('GET', '/spend/logs')).headers['x-holdfast-next']).toBeUndefined()
})

test('sums by LiteLLM’s form, odd days and unknown filters are refused', async () => {
  const { send } = await open()
  for (const query of ['summarize=true', 'start_date=yesterday', 'start_date=2026-13-01', 'limit=0', 'team_id=ops'])
    expect((await send('GET', `/spend/logs?${query}`)).status).toBe(400)
})

const eur = (amount: number) => ({ gpuMs: 5, costs: [{ currency: 'EUR', amount }] })

test('keys are told with the tokens they used and what that cost', async () => {
  const counts = { ok: 1, refused: 0, failed: 0, cancelled: 0, interrupted: 0 }
  const usage = ([id = '']: string[]) => [
    { name: id, alias: null, requests: 3, ...counts, inputTokens: 5, outputTokens: 7, ...eur(0.5) },
    { name: 'admin', alias: null, requests: 1, ...counts, inputTokens: 1, outputTokens: 1, ...eur(2) },
  ]
  const { get, post } = await open({ usage })
  const { token } = await post('/key/generate', { key_alias: 'a', user_id: 'ada' })
  expect(await get('/spend/keys')).toMatchObject([
    { token, key_alias: 'a', spend: 0, api_requests: 3, prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 },
  ])
  expect(await get('/spend/users')).toEqual([{ user_id: 'ada', spend: 0.5 }])
  expect(await get('/spend/users?user_id=bob')).toEqual([])
  expect(await get('/global/spend')).toEqual({ spend: 2.5, max_budget: null })
  expect(await get('/global/spend/keys?limit=5')).toMatchObject([{ api_key: token, key_alias: 'a', total_spend: 0.5 }])
})

test('teams and models are told by what they cost, the dearest first, in the currency of costs', async () => {
  const counts = { requests: 1, ok: 1, refused: 0, failed: 0, cancelled: 0, interrupted: 0, inputTokens: 1 }
  const usage = () => [
    { name: 'a', alias: null, ...counts, outputTokens: 1, ...eur(1) },
    { name: null, alias: null, ...counts, outputTokens: 1, ...eur(9) },
    {
      name: 'b',
      alias: null,
      ...counts,
      outputTokens: 1,
      gpuMs: 5,
      costs: [...eur(3).costs, { currency: 'USD', amount: 7 }],
    },
    { name: 'c', alias: null, ...counts, outputTokens: 1, gpuMs: 0, costs: [] },
  ]
  const { get } = await open({ usage })
  expect((await get('/global/spend/teams')).total_spend_per_team).toEqual([
    { team_id: 'b', total_spend: 3 },
    { team_id: 'a', total_spend: 1 },
    { team_id: 'c', total_spend: 0 },
  ])
  expect(await get('/global/spend/models?limit=1')).toEqual([{ model: 'b', total_spend: 3 }])
})

test.each([
  ['POST', '/model/new', 'holdfast check'],
  ['POST', '/model/delete', 'holdfast check'],
  ['POST', '/model/some-id/update', 'holdfast check'],
  ['POST', '/team/member_add', '/key/generate'],
  ['POST', '/team/block', '/key/block'],
  ['GET', '/global/spend/report?api_key=sk-secret-secret', '/api/v1/usage'],
  ['GET', '/spend/tags', '/api/v1/usage'],
  ['GET', '/spend/logs/v2', '/api/v1/requests'],
  ['POST', '/budget/new', '/api/v1/spend'],
  ['POST', '/customer/new', '/key/generate'],
  ['POST', '/organization/new', '/team/new'],
  ['POST', '/utils/token_counter', '/tokenize'],
  ['GET', '/routes', '/api/v1/openapi.json'],
  ['POST', '/key/sk-secret-secret/reset_spend', 'http.md'],
  ['GET', '/key/nonsense', 'http.md'],
] as const)('%s %s is not here, and the answer names what is', async (method, url, named) => {
  const { send } = await open()
  const { status, body } = await send(method, url, method === 'POST' ? { body: {} } : {})
  expect(status).toBe(404)
  expect(body.error).toMatchObject({ code: 'route_not_found', param: null, message: expect.stringContaining(named) })
  expect(JSON.stringify(body)).not.toContain('secret-secret')
})

test('a known call by another method says which it takes', async () => {
  const { send } = await open()
  expect(await send('GET', '/key/generate')).toMatchObject({
    status: 405,
    body: { error: { message: expect.stringContaining('POST') } },
  })
})

test('what is for the administrator is for nobody else, and strangers learn nothing', async () => {
  const { send, post } = await open()
  const { key } = await post('/key/generate', {})
  const calls = [
    ['POST', '/key/update'],
    ['POST', '/key/block'],
    ['POST', '/key/unblock'],
    ['POST', '/key/regenerate'],
    ['POST', `/key/${key}/regenerate`],
    ['POST', '/key/service-account/generate'],
    ['GET', '/key/list'],
    ['GET', '/key/aliases'],
    ['POST', '/v2/key/info'],
    ['POST', '/team/new'],
    ['POST', '/team/update'],
    ['POST', '/team/delete'],
    ['GET', '/team/list'],
    ['GET', '/v2/team/list'],
    ['GET', '/team/info?team_id=x'],
    ['POST', '/user/new'],
    ['POST', '/user/delete'],
    ['GET', '/user/info?user_id=x'],
    ['GET', '/user/list'],
    ['GET', '/spend/logs'],
    ['GET', '/spend/keys'],
    ['GET', '/spend/users'],
    ['GET', '/global/spend'],
    ['GET', '/global/spend/keys'],
    ['GET', '/global/spend/teams'],
    ['GET', '/global/spend/models'],
  ] as const
  for (const [method, url] of calls) {
    const body = method === 'POST' ? { body: { key, keys: [key] } } : {}
    const refused = await send(method, url, { key, ...body })
    expect([url, refused.status]).toEqual([url, 403])
    expect(JSON.stringify(refused.body)).not.toContain(key)
  }
  for (const url of ['/key/list', '/model/info', '/global/spend', '/key/nonsense'])
    expect((await send('GET', url, { key: 'sk-stranger' })).status).toBe(401)
})

import { randomBytes } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import type { Budget } from '../../domain/access/index.ts'
import { fakeAccessStore } from '../../domain/access/fake.ts'
import type { RequestFilter, RequestRow, UsageBy } from '../../domain/journal/index.ts'
import { actId, instant, keyId, millis, modelName, requestId, teamName, versionName } from '../../domain/units.ts'
import { FaultError } from '../../domain/fault.ts'
import { hashKey, identifyBy, manageAccess } from '../../services/access/index.ts'
import { quietAudit } from '../../../test/support/quiet-audit.ts'
import { quietFlags, quietQuality, quietReleases } from '../../../test/support/quiet-releases.ts'
import { adminRoutes, openAdminServer } from './index.ts'
import type { AdminParts, Status } from './index.ts'

const adminKey = 'sk-admin-'.padEnd(40, 'x')
const at = Date.parse('2026-01-01T00:00:00Z')
const toClose: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0)) await close()
})

const status: Status = {
  name: 'lab',
  version: '0.1.0',
  url: null,
  spec: { path: null, state: 'ok', problems: [] },
  processes: [],
  engines: [],
  fetches: [],
  gateways: [
    {
      gateway: 'gw',
      role: 'gateway',
      local: true,
      pid: 7,
      from: null,
      connected: true,
      presence: 'connected',
      seq: 3,
      snapshot: 's1',
      journalBehind: null,
      problems: [],
    },
  ],
  snapshot: 's1',
  models: [],
  store: { kind: 'sqlite', name: '/state/controller/holdfast.db', problem: null },
  ingest: [],
}
const row: RequestRow = {
  id: requestId('r1'),
  time: '2026-01-01T00:00:00.000Z',
  key: keyId('key_1'),
  alias: null,
  team: null,
  model: modelName('coder'),
  version: null,
  replica: null,
  route: '/v1/chat/completions',
  stream: false,
  status: 200,
  outcome: 'ok',
  fault: null,
  inputTokens: 1,
  outputTokens: 2,
  ttftMs: null,
  totalMs: 5,
  attempts: 1,
  gpuMs: millis(4),
  cost: 0.25,
  currency: 'EUR',
  clientId: null,
  from: null,
  choice: 'least loaded',
}

const budget: Budget = { amount: 10, unit: 'money', currency: 'EUR', every: millis(3_600_000) }

async function open(over: Partial<AdminParts> = {}) {
  const store = fakeAccessStore()
  const now = () => instant(at)
  const adminHash = hashKey(adminKey)
  const access = manageAccess({
    store,
    publisher: { publish: async () => ({ acknowledged: ['gw-a'], waitingFor: ['gw-b'] }) },
    adminHash,
    now,
    randomBytes,
    models: () => [modelName('coder')],
    currency: () => 'EUR',
    whereDeclared: () => 'holdfast.yaml:12',
  })
  const asked: { filters: RequestFilter[]; by: { by: UsageBy }[] } = { filters: [], by: [] }
  const logged: string[] = []
  const app = await openAdminServer({
    version: '0.1.0',
    log: { error: (details, message) => logged.push(`${message} ${JSON.stringify(details)}`) },
  })
  await app.register(
    adminRoutes({
      access,
      identify: identifyBy({ store, adminHash, now }),
      now,
      tallies: {
        now: async () => [
          {
            holder: { subject: 'key', id: 'key_1', name: 'bot', budget },
            ...{ period: { start: instant(0), end: instant(3_600_000) }, spent: 12.5, byEpoch: new Map() },
          },
        ],
      },
      rates: () => [{ name: versionName('v1'), cost: { hourly: 0.5, currency: 'EUR', gpus: 2, estimated: true } }],
      status: async () => status,
      reload: {
        path: '/etc/holdfast.yaml',
        apply: async () => ({ changes: [], snapshot: 's1', inForce: { acknowledged: ['gateway-1'], waitingFor: [] } }),
        diff: async () => [],
      },
      releases: quietReleases,
      flags: quietFlags,
      quality: quietQuality,
      gateways: {
        makeToken: async lifetime => ({
          token: 'hf-join-x',
          expiresAt: instant(at + lifetime),
          addresses: ['10.0.0.1:8443'],
          fingerprint: 'ab',
        }),
        list: async () => status.gateways,
        remove: async id => {
          if (id !== 'gw') throw new FaultError({ kind: 'not-found', what: 'gateway', name: id })
        },
      },
      requests: {
        list: async filter => {
          asked.filters.push(filter)
          return [row]
        },
        usage: async ask => {
          asked.by.push(ask)
          return []
        },
        gaps: async () => [{ epoch: 'e', at: instant(at), until: instant(at + 1000), lost: 2 }],
      },
      verifyAudit: async () => ({
        result: 'broken',
        findings: [{ result: 'broken', epoch: 'e', segment: 1, line: 0, what: 'edited', detail: 'changed' }],
        epochs: [
          {
            ...{ result: 'intact', epoch: 'f', blocks: 3, lines: 9, unsealed: 0, ended: true },
            ...{ head: { n: 3, hash: '' }, removed: null, covers: [] },
            tombstones: [{ act: actId('a'), epoch: 'f', segment: 1, line: 1, lines: 2, digest: '' }],
          },
        ],
      }),
      audit: quietAudit({
        store: {
          ...quietAudit().store,
          removals: async () => [
            { epoch: 'f', segment: 2, n: 1, hash: '', at: instant(at), rule: 'capture.retention 30d', whole: false },
          ],
        },
      }),
      ...over,
    }),
  )
  toClose.push(() => app.close())
  const send = async (
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    url: string,
    options: { body?: object; key?: string | null } = {},
  ) => {
    const { key = adminKey, body } = options
    const answer = await app.inject({
      method,
      url,
      headers: { 'x-request-id': 'req-1', ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
      ...(body === undefined ? {} : { payload: body }),
    })
    return { status: answer.statusCode, body: answer.json(), headers: answer.headers }
  }
  return { app, send, access, asked, logged }
}

test('a key lives: made, seen, rotated, revoked; its secret is told at birth and at rotation only', async () => {
  const { send, access } = await open()
  await access.teams.create({ name: 'platform', models: null, metadata: {} })
  const born = await send('POST', '/api/v1/keys', {
    body: {
      alias: 'slack',
      team: 'platform',
      models: ['coder', 'soon', 'coder'],
      expiresIn: '30d',
      metadata: { owner: 'ada' },
    },
  })
  expect(born).toMatchObject({
    status: 201,
    body: {
      id: expect.stringMatching(/^key_/),
      key: expect.stringMatching(/^sk-hf-/),
      alias: 'slack',
      team: 'platform',
      models: ['coder', 'soon'],
      createdAt: '2026-01-01T00:00:00.000Z',
      expiresAt: '2026-01-31T00:00:00.000Z',
      revokedAt: null,
      status: 'active',
      metadata: { owner: 'ada' },
      inForce: { acknowledged: ['gw-a'], waitingFor: ['gw-b'] },
      warnings: [expect.stringContaining('soon')],
    },
  })
  expect(born.headers).toMatchObject({ 'x-request-id': 'req-1', 'cache-control': 'no-store' })
  const { id, key: secret } = born.body
  const seen = await send('GET', `/api/v1/keys/${id}`)
  expect(seen.body).not.toHaveProperty('key')
  expect((await send('GET', '/api/v1/keys')).body).toEqual({ keys: [seen.body] })
  expect(JSON.stringify(seen.body)).not.toMatch(/[0-9a-f]{64}/)
  const rotated = await send('POST', '/api/v1/keys/slack/rotate', { body: { grace: '1h' } })
  expect(rotated.body).toMatchObject({ id, previousValidUntil: '2026-01-01T01:00:00.000Z' })
  expect(rotated.body.key).not.toBe(secret)
  expect((await send('POST', `/api/v1/keys/${id}/rotate`)).body).toMatchObject({
    previousValidUntil: '2026-01-02T00:00:00.000Z',
  })
  expect(await send('DELETE', `/api/v1/keys/${id}`)).toMatchObject({
    status: 200,
    body: { status: 'revoked', revokedAt: '2026-01-01T00:00:00.000Z' },
  })
})

test('a key is bounded, changed in place, blocked and unblocked', async () => {
  const { send } = await open()
  const scopes = { routes: ['chat', 'models', 'chat'], addresses: ['10.0.0.0/8', 'fd00::1'] }
  const owner = { kind: 'service', name: 'ci-bot' }
  const born = await send('POST', '/api/v1/keys', { body: { alias: 'ci', owner, ...scopes, expiresIn: '1d' } })
  expect(born).toMatchObject({
    status: 201,
    body: {
      owner,
      routes: ['chat', 'models'],
      addresses: scopes.addresses,
      blockedAt: null,
      warnings: [expect.stringContaining('every model')],
    },
  })
  const { id, key: _secret, inForce, warnings: _warnings, ...first } = born.body
  const changed = await send('PATCH', '/api/v1/keys/ci', { body: { models: ['coder'], expiresAt: null, routes: null } })
  expect(changed).toMatchObject({ status: 200, body: { warnings: [expect.stringContaining('never ends')] } })
  expect(changed.body).toMatchObject({ ...first, models: ['coder'], expiresAt: null, routes: null, inForce })
  const later = await send('PATCH', `/api/v1/keys/${id}`, { body: { expiresIn: '30d', owner: null } })
  expect(later.body).toMatchObject({ expiresAt: '2026-01-31T00:00:00.000Z', owner: null, models: ['coder'] })
  expect((await send('POST', '/api/v1/keys/ci/block')).body).toMatchObject({
    status: 'blocked',
    blockedAt: '2026-01-01T00:00:00.000Z',
  })
  expect((await send('POST', '/api/v1/keys/ci/unblock')).body).toMatchObject({ status: 'active', blockedAt: null })
  await send('DELETE', '/api/v1/keys/ci')
  for (const answer of [
    await send('PATCH', '/api/v1/keys/ci', { body: { expiresIn: '30d' } }),
    await send('POST', '/api/v1/keys/ci/unblock'),
  ])
    expect(answer).toMatchObject({ status: 409, body: { error: { message: expect.stringContaining('revoked') } } })
})

test.each([
  [{ routes: ['everything'] }, 'routes'],
  [{ addresses: ['example.com'] }, 'addresses'],
  [{ owner: { kind: 'robot', name: 'x' } }, 'owner'],
  [{ expiresIn: '1d', expiresAt: '2027-01-01T00:00:00Z' }, 'expiresAt'],
  [{ secret: 'sk-other' }, ''],
])('a change to %j is refused', async (body, named) => {
  const { send } = await open()
  await send('POST', '/api/v1/keys', { body: { alias: 'ci' } })
  const answer = await send('PATCH', '/api/v1/keys/ci', { body })
  expect(answer.status).toBe(400)
  expect(JSON.stringify(answer.body)).toContain(named)
})

test('keys are filtered by team, service account and person', async () => {
  const { send, access } = await open()
  await access.teams.create({ name: 'platform', models: null, metadata: {} })
  const make = (alias: string, body: object) => send('POST', '/api/v1/keys', { body: { alias, ...body } })
  await make('a', { team: 'platform', owner: { kind: 'service', name: 'bot' } })
  await make('b', { owner: { kind: 'service', name: 'bot' } })
  await make('c', { owner: { kind: 'person', name: 'bot' } })
  const found = async (query: string) =>
    (await send('GET', `/api/v1/keys?${query}`)).body.keys.map((key: { alias: string }) => key.alias)
  expect(await found('service=bot')).toEqual(['a', 'b'])
  expect(await found('person=bot')).toEqual(['c'])
  expect(await found('team=platform&service=bot')).toEqual(['a'])
  expect(await found('service=nobody')).toEqual([])
  expect((await send('GET', '/api/v1/keys?owner=bot')).status).toBe(400)
})

test.each([
  ['no key', null, 401, 'missing_api_key'],
  ['an unknown key', 'sk-nobody', 401, 'invalid_api_key'],
])('%s opens nothing', async (_what, key, expected, code) => {
  const { send } = await open()
  for (const path of ['keys', 'teams', 'status', 'requests', 'usage', 'audit/verify']) {
    expect(await send('GET', `/api/v1/${path}`, { key })).toMatchObject({ status: expected, body: { error: { code } } })
  }
})

test("a key that is not the administrator's gets 403, and a revoked one 401", async () => {
  const { send, access } = await open()
  const { key, secret } = await access.keys.create({
    alias: null,
    team: null,
    models: null,
    expires: null,
    metadata: {},
    secret: null,
  })
  expect(await send('GET', '/api/v1/keys', { key: secret })).toMatchObject({
    status: 403,
    body: { error: { code: 'admin_required' } },
  })
  await access.keys.revoke(key.id)
  expect(await send('GET', '/api/v1/keys', { key: secret })).toMatchObject({
    status: 401,
    body: { error: { message: expect.stringContaining('revoked') } },
  })
})

test.each([
  [{ aliass: 'x' }, 'aliass'],
  [{ models: 'coder' }, 'models'],
  [{ models: ['a', 1] }, 'models.1'],
  [{ expiresIn: 'soon' }, 'expiresIn'],
  [{ expiresAt: 'tomorrow' }, 'expiresAt'],
  [{ expiresIn: '1d', expiresAt: '2027-01-01T00:00:00Z' }, 'expiresAt'],
  [{ team: 'nobody' }, 'team'],
  [{ metadata: { big: 'x'.repeat(20_000) } }, 'metadata'],
  [{ expiresAt: '2020-01-01T00:00:00Z' }, 'expires'],
])('a bad key is refused and the field named: %o', async (body, param) => {
  const { send } = await open()
  const answer = await send('POST', '/api/v1/keys', { body })
  expect(answer).toMatchObject({
    status: 400,
    body: { error: { type: 'invalid_request_error', code: 'invalid_value', param } },
  })
  expect(Object.keys(answer.body.error)).toEqual(['message', 'type', 'param', 'code'])
})

test('a team lives, and those of the spec are read-only with file and line', async () => {
  const { send, access } = await open()
  expect(await send('POST', '/api/v1/teams', { body: { name: 'search', models: ['coder'] } })).toMatchObject({
    status: 201,
    body: { name: 'search', source: 'api' },
  })
  expect(await send('POST', '/api/v1/teams', { body: { name: 'search' } })).toMatchObject({ status: 409 })
  expect((await send('PATCH', '/api/v1/teams/search', { body: { models: null } })).body).toMatchObject({
    models: null,
    metadata: {},
  })
  expect((await send('GET', '/api/v1/teams/search')).body).toMatchObject({ name: 'search', models: null })
  expect(await send('DELETE', '/api/v1/teams/search')).toMatchObject({ status: 200 })
  expect(await send('GET', '/api/v1/teams/search')).toMatchObject({
    status: 404,
    body: { error: { message: "There is no team 'search'." } },
  })
  await access.teams.declare([{ name: teamName('platform'), models: null, metadata: {} }])
  expect(await send('PATCH', '/api/v1/teams/platform', { body: { models: [] } })).toMatchObject({
    status: 409,
    body: { error: { message: expect.stringContaining('holdfast.yaml:12') } },
  })
  expect((await send('GET', '/api/v1/teams')).body.teams).toMatchObject([{ name: 'platform', source: 'spec' }])
})

test('requests are filtered and paged, usage is grouped', async () => {
  const { send, asked, access } = await open()
  const { key } = await access.keys.create({
    alias: 'slack',
    team: null,
    models: null,
    expires: null,
    metadata: {},
    secret: null,
  })
  const { body } = await send('GET', '/api/v1/requests?limit=1&before=r2&key=slack&team=t&model=coder&outcome=ok')
  expect(body).toEqual({ requests: [row], next: 'r1' })
  expect((await send('GET', '/api/v1/requests')).body.next).toBeNull()
  expect(asked.filters).toEqual([
    { limit: 1, before: 'r2', key: key.id, team: 't', model: 'coder', outcome: 'ok' },
    { limit: 100 },
  ])
  expect(await send('GET', '/api/v1/requests?outcome=bad')).toMatchObject({
    status: 400,
    body: { error: { param: 'outcome' } },
  })
  expect(await send('GET', '/api/v1/requests?limit=0')).toMatchObject({ status: 400 })
  expect((await send('GET', '/api/v1/usage?by=team&since=2026-01-01T00:00:00Z')).body).toEqual({
    by: 'team',
    usage: [],
  })
  expect(asked.by).toEqual([{ by: 'team', since: at }])
})

test('bounds of keys are taken, told, changed one by one and taken away', async () => {
  const { send } = await open()
  const limits = { requestsPerMinute: 60, parallel: 4 }
  const born = await send('POST', '/api/v1/keys', {
    body: { alias: 'bot', limits, budget: { amount: 20, every: '30d' } },
  })
  expect(born).toMatchObject({
    status: 201,
    body: { limits, budget: { amount: 20, unit: 'money', currency: 'EUR', every: '30d' } },
  })
  const change = { limits: { parallel: null }, budget: { amount: 5000, unit: 'tokens' } }
  expect((await send('PATCH', '/api/v1/keys/bot', { body: change })).body).toMatchObject({
    limits: { requestsPerMinute: 60 },
    budget: { amount: 5000, unit: 'tokens', currency: null, every: null },
  })
  const none = { limits: null, budget: null }
  expect((await send('PATCH', '/api/v1/keys/bot', { body: none })).body).toMatchObject(none)
  expect((await send('GET', '/api/v1/keys/bot')).body).toMatchObject(none)
})

test('bounds that could not be kept are refused by name', async () => {
  const { send } = await open()
  const refused = async (body: object) => {
    const answer = await send('POST', '/api/v1/keys', { body })
    return [answer.status, answer.body.error.param]
  }
  expect(await refused({ limits: { parallel: 0 } })).toEqual([400, 'limits.parallel'])
  expect(await refused({ limits: { perDay: 1 } })).toEqual([400, 'limits.perDay'])
  expect(await refused({ budget: { amount: 1, every: '90s' } })).toEqual([400, 'budget'])
  expect(await refused({ budget: { amount: 1, currency: 'USD' } })).toEqual([400, 'budget'])
  expect(await refused({ budget: { amount: 1, unit: 'apples' } })).toEqual([400, 'budget.unit'])
})

test('teams have bounds and a priority', async () => {
  const { send } = await open()
  const budget = { amount: 3600, unit: 'gpu-seconds', every: '12h' }
  expect(await send('POST', '/api/v1/teams', { body: { name: 'dev', budget, priority: 'high' } })).toMatchObject({
    status: 201,
    body: { limits: null, budget: { ...budget, currency: null }, priority: 'high' },
  })
  expect(
    (await send('PATCH', '/api/v1/teams/dev', { body: { limits: { parallel: 2 }, priority: null } })).body,
  ).toMatchObject({ limits: { parallel: 2 }, budget, priority: 'normal' })
  expect((await send('GET', '/api/v1/teams/dev')).body).toMatchObject({ limits: { parallel: 2 }, models: null })
})

test('spending is told with what is left, and what an hour costs with whether that is a guess', async () => {
  expect((await (await open()).send('GET', '/api/v1/spend')).body).toEqual({
    spend: [
      {
        ...{ subject: 'key', id: 'key_1', name: 'bot', spent: 12.5, left: 0 },
        budget: { amount: 10, unit: 'money', currency: 'EUR', every: '1h' },
        period: { start: '1970-01-01T00:00:00.000Z', end: '1970-01-01T01:00:00.000Z' },
      },
    ],
    rates: [{ version: 'v1', hourly: 0.5, currency: 'EUR', gpus: 2, estimated: true }],
  })
})

test('audit verification tells what is broken and what is missing', async () => {
  const { send } = await open()
  expect((await send('GET', '/api/v1/audit/verify')).body).toEqual({
    intact: false,
    epochs: 2,
    blocks: 3,
    lines: 9,
    broken: [{ epoch: 'e', segment: 1, line: null, what: 'edited', detail: 'changed' }],
    gaps: [{ epoch: 'e', at: '2026-01-01T00:00:00.000Z', until: '2026-01-01T00:00:01.000Z', lost: 2 }],
    erased: 2,
    retained: [
      { epoch: 'f', segments: 2, whole: false, rule: 'capture.retention 30d', at: '2026-01-01T00:00:00.000Z' },
    ],
  })
})

test('status is told as it is', async () => {
  expect((await (await open()).send('GET', '/api/v1/status')).body).toEqual(status)
})

test('the API describes itself without a key, every route of it', async () => {
  const { body, status } = await (await open()).send('GET', '/api/v1/openapi.json', { key: null })
  expect(status).toBe(200)
  expect(Object.keys(body.paths).toSorted()).toEqual([
    '/api/v1/apply',
    '/api/v1/audit',
    '/api/v1/audit/erasures',
    '/api/v1/audit/export',
    '/api/v1/audit/person',
    '/api/v1/audit/verify',
    '/api/v1/diff',
    '/api/v1/flags',
    '/api/v1/flags/{name}',
    '/api/v1/gateways',
    '/api/v1/gateways/tokens',
    '/api/v1/gateways/{id}',
    '/api/v1/keys',
    '/api/v1/keys/{id}',
    '/api/v1/keys/{id}/block',
    '/api/v1/keys/{id}/rotate',
    '/api/v1/keys/{id}/unblock',
    '/api/v1/quality',
    '/api/v1/releases',
    '/api/v1/releases/{model}/abort',
    '/api/v1/releases/{model}/promote',
    '/api/v1/releases/{model}/resume',
    '/api/v1/releases/{release}',
    '/api/v1/releases/{release}/decisions',
    '/api/v1/releases/{release}/report',
    '/api/v1/requests',
    '/api/v1/spend',
    '/api/v1/status',
    '/api/v1/teams',
    '/api/v1/teams/{name}',
    '/api/v1/usage',
  ])
  expect(body.paths['/api/v1/keys'].post.requestBody.content['application/json'].schema.properties).toHaveProperty(
    'expiresIn',
  )
  expect(body.paths['/api/v1/keys'].post.responses['201'].content['application/json'].schema.properties).toHaveProperty(
    'key',
  )
})

test('bad bodies, wrong types and unknown paths are told in the same shape', async () => {
  const { app, send } = await open()
  const post = (payload: string, type: string) =>
    app.inject({
      method: 'POST',
      url: '/api/v1/keys',
      payload,
      headers: { 'authorization': `Bearer ${adminKey}`, 'content-type': type },
    })
  expect((await post('{"alias":', 'application/json')).json()).toMatchObject({ error: { code: 'invalid_json' } })
  expect((await post('{"metadata":{"__proto__":{}}}', 'application/json')).json()).toMatchObject({
    error: { code: 'invalid_json' },
  })
  expect((await post('alias=x', 'application/x-www-form-urlencoded')).json()).toMatchObject({
    error: { message: expect.stringContaining('application/json') },
  })
  expect((await post(' '.repeat(1024 * 1024 + 1), 'application/json')).json()).toMatchObject({
    error: { code: 'body_too_large' },
  })
  expect(await send('GET', '/api/v1/nothing?key=sk-secret')).toMatchObject({
    status: 404,
    body: { error: { message: expect.not.stringContaining('sk-secret') } },
  })
  for (const odd of ['%zz', 'x'.repeat(500)]) {
    const url = `/api/v1/keys/${odd}`
    const answer = await app.inject({ method: 'DELETE', url, headers: { authorization: `Bearer ${adminKey}` } })
    expect([answer.statusCode, answer.headers['x-request-id']]).toEqual([400, expect.any(String)])
    expect(answer.json()).toMatchObject({
      error: { code: 'invalid_value', param: null, type: 'invalid_request_error' },
    })
    expect(answer.body).not.toContain(odd)
  }
})

test('an error nobody foresaw is logged whole and told briefly, without the query', async () => {
  const { send, logged } = await open({ status: () => Promise.reject(new Error('the disk is on fire')) })
  const answer = await send('GET', '/api/v1/status?key=sk-secret')
  expect(answer).toMatchObject({ status: 500, body: { error: { code: 'internal_error' } } })
  expect(JSON.stringify(answer.body)).not.toContain('fire')
  expect(logged).toHaveLength(1)
  expect(logged[0]).toContain('req-1')
  expect(logged[0]).not.toContain('sk-secret')
})

test('tokens for gateways last an hour unless told, and a week at most', async () => {
  const { send } = await open()
  expect(await send('POST', '/api/v1/gateways/tokens', { body: {} })).toMatchObject({
    status: 201,
    body: { token: 'hf-join-x', expiresAt: new Date(at + 3_600_000).toISOString(), addresses: ['10.0.0.1:8443'] },
  })
  const long = await send('POST', '/api/v1/gateways/tokens', { body: { expiresIn: '2w' } })
  expect(long).toMatchObject({ status: 400, body: { error: { param: 'expiresIn' } } })
})

test('gateways are listed, and removed by their id', async () => {
  const { send } = await open()
  expect((await send('GET', '/api/v1/gateways')).body).toEqual({ gateways: status.gateways })
  expect(await send('DELETE', '/api/v1/gateways/gw')).toMatchObject({ status: 200, body: { gateway: 'gw' } })
  expect(await send('DELETE', '/api/v1/gateways/other')).toMatchObject({ status: 404 })
})

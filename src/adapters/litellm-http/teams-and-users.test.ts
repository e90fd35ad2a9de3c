import { afterEach, expect, test } from 'vitest'
import { openLiteLlm } from '../../../test/support/litellm.ts'
import { modelName, teamName } from '../../domain/units.ts'

const toClose: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0)) await close()
})

async function open() {
  const opened = await openLiteLlm()
  toClose.push(opened.close)
  return opened
}

/** A team that the spec has. */
async function openWithDeclared() {
  const opened = await open()
  await opened.teams.declare([{ name: teamName('dev'), models: [modelName('coder')], metadata: {} }])
  return opened
}

test("a team is named by its team_id, else by its alias, and both are told in LiteLLM's fields", async () => {
  const { post, teams } = await open()
  expect(await post('/team/new', { team_id: 'ops', team_alias: 'Operations', models: ['coder'] })).toMatchObject({
    team_id: 'ops',
    team_alias: 'Operations',
    models: ['coder'],
    metadata: {},
    blocked: false,
    spend: 0,
    max_budget: null,
    created_at: '2026-01-01T00:00:00.000Z',
  })
  expect(await post('/team/new', { team_alias: 'Research & Ops!', metadata: { a: 1 } })).toMatchObject({
    team_id: 'Research-Ops',
    team_alias: 'Research & Ops!',
    models: [],
    metadata: { a: 1 },
  })
  expect((await teams.list()).map(({ name, models }) => [name, models])).toEqual([
    ['Research-Ops', null],
    ['ops', ['coder']],
  ])
})

test('a team has limits and a budget for all its keys together', async () => {
  const { post, get, teams } = await open()
  await post('/team/new', { team_id: 'ops', rpm_limit: 600, max_budget: 200, budget_duration: '30d' })
  expect(await teams.get('ops')).toMatchObject({
    limits: { requestsPerMinute: 600 },
    budget: { amount: 200, unit: 'money', currency: 'EUR' },
  })
  await post('/team/update', { team_id: 'ops', max_budget: 300 })
  expect((await get('/team/info?team_id=ops')).team_info).toMatchObject({
    ...{
      rpm_limit: 600,
      max_budget: 300,
      budget_duration: '30d',
      budget_reset_at: '2026-01-07T00:00:00.000Z',
      spend: 0,
    },
  })
})

test.each([
  [{}, 'invalid_value'],
  [{ team_alias: '???' }, 'invalid_value'],
  [{ team_id: 'a b' }, 'invalid_value'],
  [{ team_id: 'x', soft_budget: 5 }, 'unsupported'],
  [{ team_id: 'x', team_member_budget: 5 }, 'unsupported'],
  [{ team_id: 'x', tpm_limit: 0 }, 'invalid_value'],
  [{ team_id: 'x', blocked: true }, 'unsupported'],
  [{ team_id: 'x', members_with_roles: [{ role: 'admin', user_id: 'u' }] }, 'unsupported'],
])('a team that can not be as asked is not made: %o', async (fields, code) => {
  const { send, teams } = await open()
  const { status, body } = await send('POST', '/team/new', { body: fields })
  expect([status, body.error.code]).toEqual([400, code])
  expect(await teams.list()).toEqual([])
})

test('a team name that is taken is refused', async () => {
  const { send } = await open()
  await send('POST', '/team/new', { body: { team_id: 'ops' } })
  expect((await send('POST', '/team/new', { body: { team_alias: 'ops' } })).status).toBe(409)
})

test('an update of a team changes what it names', async () => {
  const { post, get } = await open()
  await post('/team/new', { team_id: 'ops', team_alias: 'Operations', metadata: { a: 1 } })
  await post('/team/update', { team_id: 'ops', models: ['no-default-models'] })
  expect((await get('/team/info?team_id=ops')).team_info).toMatchObject({
    models: ['no-default-models'],
    team_alias: 'Operations',
    metadata: { a: 1 },
  })
  expect(await post('/team/update', { team_id: 'ops', team_alias: 'Ops', models: [] })).toMatchObject({
    team_id: 'ops',
    team_alias: 'Ops',
    models: [],
    metadata: { a: 1 },
    data: { team_id: 'ops' },
  })
  expect(await post('/team/update', { team_id: 'ops', metadata: { b: 2 } })).toMatchObject({
    team_alias: 'Ops',
    metadata: { b: 2 },
  })
  expect((await post('/team/update', { team_id: 'none' })).error.code).toBe('not_found')
})

test('a team of the spec is changed there: file and line are told, and none of its keys is touched', async () => {
  const { send, post, opens } = await openWithDeclared()
  await post('/team/new', { team_id: 'ops' })
  const { key } = await post('/key/generate', { team_id: 'dev' })
  for (const [url, body] of [
    ['/team/update', { team_id: 'dev', models: [] }],
    ['/team/delete', { team_ids: ['ops', 'dev'] }],
  ] as const) {
    const { status, body: answer } = await send('POST', url, { body })
    expect([status, answer.error.message]).toEqual([409, expect.stringContaining('holdfast.yaml:12')])
  }
  expect(await opens(key)).toBe('yes')
})

test('with a team its keys end, as LiteLLM has it; with an unknown one nothing happens', async () => {
  const { send, post, opens, teams } = await open()
  await post('/team/new', { team_id: 'ops' })
  const { key } = await post('/key/generate', { team_id: 'ops' })
  const blocked = await post('/key/generate', { team_id: 'ops', blocked: true })
  const other = await post('/key/generate', {})
  expect((await send('POST', '/team/delete', { body: { team_ids: ['ops', 'none'] } })).status).toBe(404)
  expect((await send('POST', '/team/delete', { body: {} })).status).toBe(400)
  expect(await opens(key)).toBe('yes')
  expect(await post('/team/delete', { team_ids: ['ops'] })).toEqual({ deleted_teams: ['ops'] })
  expect(await Promise.all([key, blocked.key, other.key].map(opens))).toEqual([
    expect.stringContaining('revoked'),
    expect.stringContaining('revoked'),
    'yes',
  ])
  expect(await teams.list()).toEqual([])
})

test('teams are told with their keys and the people who have them', async () => {
  const { post, get } = await openWithDeclared()
  await post('/team/new', { team_id: 'ops', team_alias: 'Operations' })
  const a = await post('/key/generate', { team_id: 'ops', user_id: 'ada' })
  await post('/key/generate', { team_id: 'ops', user_id: 'ada' })
  await post('/key/service-account/generate', { team_id: 'ops', key_alias: 'ci' })
  await post('/key/delete', { keys: [(await post('/key/generate', { team_id: 'ops', user_id: 'gone' })).key] })
  const info = await get('/team/info?team_id=ops')
  expect(info).toMatchObject({
    team_id: 'ops',
    team_info: { members_with_roles: [{ role: 'user', user_id: 'ada', user_email: null }] },
    keys: [{ token: a.token }, {}, { key_alias: 'ci' }],
  })
  expect(await get('/team/list')).toMatchObject([
    { team_id: 'dev', keys: [] },
    { team_id: 'ops', keys: [{}, {}, {}] },
  ])
  expect(await get('/team/list?user_id=ada')).toMatchObject([{ team_id: 'ops' }])
  expect(await get('/v2/team/list?page=2&page_size=1')).toMatchObject({
    teams: [{ team_id: 'ops' }],
    total: 2,
    page: 2,
    page_size: 1,
    total_pages: 2,
  })
  expect(await get('/v2/team/list?team_alias=Operations&user_id=ada&team_id=ops')).toMatchObject({ total: 1 })
  expect((await get('/team/info?team_id=none')).error.code).toBe('not_found')
})

test('a new user is a key with that owner', async () => {
  const { send, post, store } = await open()
  await post('/team/new', { team_id: 'ops' })
  const { body, headers } = await send('POST', '/user/new', {
    body: {
      user_id: 'ada',
      user_email: 'ada@example.org',
      user_role: 'internal_user',
      teams: ['ops'],
      models: ['coder'],
    },
  })
  expect(headers['cache-control']).toBe('no-store')
  expect(body).toMatchObject({
    key: expect.stringMatching(/^sk-hf-/),
    user_id: 'ada',
    user_email: 'ada@example.org',
    user_role: 'internal_user',
    teams: ['ops'],
    team_id: 'ops',
    models: ['coder'],
    spend: 0,
  })
  expect(await store.keys()).toMatchObject([{ owner: { kind: 'person', name: 'ada' }, team: 'ops' }])
  const nameless = await post('/user/new', {})
  expect(nameless.user_id).toMatch(/^[0-9a-f-]{36}$/)
})

test.each([
  { user_role: 'proxy_admin' },
  { user_role: 'proxy_admin_viewer' },
  { auto_create_key: false },
  { teams: ['ops', 'dev'] },
  { max_budget: 5 },
  { send_invite_email: true },
])('a user who would be more or less than asked is refused: %o', async fields => {
  const { send, store } = await open()
  const { status, body } = await send('POST', '/user/new', { body: { user_id: 'ada', ...fields } })
  expect([status, body.error.code]).toEqual([400, 'unsupported'])
  expect(await store.keys()).toEqual([])
})

test('a user may be born blocked', async () => {
  const { post, opens } = await open()
  const { key, blocked } = await post('/user/new', { user_id: 'ada', blocked: true })
  expect([blocked, await opens(key)]).toEqual([true, expect.stringContaining('blocked')])
})

test('users are those whom keys name', async () => {
  const { post, get } = await open()
  await post('/team/new', { team_id: 'ops', team_alias: 'Operations' })
  const first = await post('/user/new', { user_id: 'bob', user_email: 'bob@example.org' })
  await post('/key/generate', { user_id: 'bob', team_id: 'ops' })
  await post('/user/new', { user_id: 'ada' })
  await post('/key/service-account/generate', { team_id: 'ops', key_alias: 'ci' })
  expect(await get('/user/info?user_id=bob')).toMatchObject({
    user_id: 'bob',
    user_info: { user_id: 'bob', user_email: 'bob@example.org', teams: ['ops'], key_count: 2, spend: 0 },
    keys: [{ token: first.token }, { team_id: 'ops' }],
    teams: [{ team_id: 'ops', team_alias: 'Operations' }],
  })
  expect(await get('/user/list')).toMatchObject({
    users: [{ user_id: 'ada' }, { user_id: 'bob' }],
    total: 2,
    total_pages: 1,
  })
  expect(await get('/user/list?page=2&page_size=1')).toMatchObject({ users: [{ user_id: 'bob' }], page: 2 })
  expect((await get('/user/list?user_ids=ada,nobody')).users).toMatchObject([{ user_id: 'ada' }])
  expect((await get('/user/list?team=ops&user_email=bob@example.org')).users).toMatchObject([{ user_id: 'bob' }])
  expect((await get('/user/list?role=proxy_admin')).users).toEqual([])
  expect((await get('/user/info?user_id=nobody')).error.code).toBe('not_found')
})

test('with a user all of his keys end', async () => {
  const { send, post, opens, get } = await open()
  const a = await post('/user/new', { user_id: 'ada' })
  const b = await post('/key/generate', { user_id: 'ada' })
  const other = await post('/user/new', { user_id: 'bob' })
  expect((await send('POST', '/user/delete', { body: { user_ids: ['ada', 'nobody'] } })).status).toBe(404)
  expect((await send('POST', '/user/delete', { body: {} })).status).toBe(400)
  expect(await opens(a.key)).toBe('yes')
  expect(await post('/user/delete', { user_ids: ['ada', 'ada'] })).toBe(1)
  expect(await Promise.all([a.key, b.key, other.key].map(opens))).toEqual([
    expect.stringContaining('revoked'),
    expect.stringContaining('revoked'),
    'yes',
  ])
  expect((await get('/user/list')).users).toMatchObject([{ user_id: 'bob' }])
})

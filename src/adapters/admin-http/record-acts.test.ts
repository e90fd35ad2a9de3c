import { randomBytes } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import { fakeAccessStore } from '../../domain/access/fake.ts'
import { FaultError } from '../../domain/fault.ts'
import { actId, instant } from '../../domain/units.ts'
import { hashKey, identifyBy, manageAccess } from '../../services/access/index.ts'
import { noteChanges } from '../../services/audit/index.ts'
import type { Acts, NewAct } from '../../services/audit/index.ts'
import { keyRoutes } from './keys.ts'
import { nameAct, openNotes, recordActs } from './record-acts.ts'
import { openAdminServer } from './server.ts'
import { teamRoutes } from './teams.ts'

const adminKey = 'sk-admin-'.padEnd(40, 'x')
const toClose: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0)) await close()
})

type Trouble = { unwritable?: boolean; failing?: boolean }

/** Administration as the controller has it, with a journal that tests look into. */
async function open(trouble: Trouble = {}) {
  const store = fakeAccessStore()
  const now = () => instant(1_000)
  const adminHash = hashKey(adminKey)
  const notes = openNotes()
  const noted = noteChanges(store, notes)
  const access = manageAccess({
    store: noted,
    publisher: { publish: async () => ({ acknowledged: [], waitingFor: [] }) },
    ...{ adminHash, now, randomBytes },
    models: () => [],
    currency: () => 'EUR',
    whereDeclared: () => 'holdfast.yaml:3',
  })
  const recorded: NewAct[] = []
  const acts: Acts = {
    get writable() {
      return trouble.unwritable !== true
    },
    newId: () => actId('a'),
    async record(act) {
      if (trouble.failing) throw new FaultError({ kind: 'journal-full' })
      recorded.push(act)
    },
  }
  const identify = identifyBy({ store, adminHash, now })
  const app = await openAdminServer({ version: '0', log: { error: () => undefined } })
  recordActs(app, { acts, identify, notes })
  await app.register(
    async guarded => {
      guarded.addHook('onRequest', async request => {
        const principal = await identify(request.headers.authorization)
        if (principal.kind !== 'admin') throw new FaultError({ kind: 'admin-required', what: 'Administration' })
      })
      await guarded.register(keyRoutes({ keys: access.keys, now }))
      await guarded.register(teamRoutes({ teams: access.teams }))
    },
    { prefix: '/api/v1' },
  )
  app.post('/link/v1/acknowledge', async () => ({}))
  app.post('/link/v1/join', async () => ({ id: 'gateway-1a2b3c4d', certificate: 'pem' }))
  toClose.push(() => app.close())
  const send = async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, options: Options = {}) => {
    const { key = adminKey, body, from } = options
    const answer = await app.inject({
      ...{ method, url },
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(from === undefined ? {} : { 'x-holdfast-from': from }),
      },
      ...(body === undefined ? {} : { payload: body }),
    })
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() }
  }
  return { send, recorded, access, app }
}
type Options = { key?: string | null; body?: object; from?: string }

test('each call that may change something leaves one act, and reading leaves none', async () => {
  const { send, recorded } = await open()
  const born = await send('POST', '/api/v1/keys', { body: { alias: 'anna' } })
  const id = String(born.body.id)
  await send('GET', '/api/v1/keys')
  await send('PATCH', `/api/v1/keys/${id}`, { body: { models: ['coder'] } })
  await send('POST', '/api/v1/keys/anna/block')
  await send('POST', '/api/v1/keys/anna/rotate', { body: {} })
  await send('DELETE', '/api/v1/keys/anna')
  await send('POST', '/api/v1/teams', { body: { name: 'ops' } })
  await send('DELETE', '/api/v1/teams/ops')
  expect(recorded.map(act => `${act.what} ${act.target} ${act.decision}`)).toEqual([
    `key.create ${id} done`,
    `key.update ${id} done`,
    `key.block ${id} done`,
    `key.rotate ${id} done`,
    `key.revoke ${id} done`,
    'team.create ops done',
    'team.remove ops done',
  ])
  expect(recorded[1]?.detail).toEqual({ before: { models: null }, after: { models: ['coder'] } })
  expect(recorded[2]?.detail).toEqual({ before: { blockedAt: null }, after: { blockedAt: 1_000 } })
})

test('what was refused leaves its act too, with who and why', async () => {
  const { send, recorded, access } = await open()
  const { key, secret } = await access.keys.create({
    ...{ alias: 'anna', team: null, models: null, expires: null, metadata: {}, secret: null },
  })
  await send('POST', '/api/v1/keys', { key: null, body: {} })
  await send('POST', '/api/v1/keys', { key: 'sk-hf-nonsense', body: {} })
  await send('POST', '/api/v1/keys', { key: secret, body: {} })
  await send('POST', '/api/v1/keys', { body: { alias: 'anna' } })
  await send('DELETE', '/api/v1/keys/nobody')
  await send('POST', '/api/v1/keys', { body: { alias: 7 } })
  expect(recorded.map(({ who, alias, decision, why }) => [who, alias, decision, why?.split(':')[0]])).toEqual([
    [null, null, 'refused', 'missing_api_key'],
    [null, null, 'refused', 'invalid_api_key'],
    [key.id, 'anna', 'refused', 'admin_required'],
    ['admin', null, 'refused', 'conflict'],
    ['admin', null, 'refused', 'not_found'],
    ['admin', null, 'refused', 'invalid_value'],
  ])
})

test('no secret is in an act: not one that was made, brought, sent in the wrong place or in metadata', async () => {
  const { send, recorded } = await open()
  const brought = 'canary-brought-secret-0123456789'
  const made = await send('POST', '/api/v1/keys', { body: { alias: 'a', metadata: { note: 'canary-in-metadata' } } })
  await send('POST', '/api/v1/keys', { body: { alias: 'b', key: brought } })
  await send('DELETE', `/api/v1/keys/${String(made.body.key)}`)
  await send('DELETE', '/api/v1/keys/canary_wrong_place_0123456789')
  expect(recorded).toHaveLength(4)
  expect(JSON.stringify(recorded)).not.toContain('canary')
  expect(JSON.stringify(recorded)).not.toContain(String(made.body.key))
})

test('what can’t be recorded is not begun', async () => {
  const trouble: Trouble = { unwritable: true }
  const { send, access } = await open(trouble)
  expect(await send('POST', '/api/v1/keys', { body: {} })).toMatchObject({
    status: 503,
    body: { error: { code: 'journal_unwritable' } },
  })
  expect(await access.keys.list()).toEqual([])
  expect((await send('GET', '/api/v1/keys')).status).toBe(200)
})

test('what could not be recorded after all is answered 503, whole and well-formed', async () => {
  const { send } = await open({ failing: true })
  const answer = await send('POST', '/api/v1/keys', { body: { alias: 'a' } })
  expect(answer).toMatchObject({ status: 503, body: { error: { code: 'journal_unwritable' } } })
  expect(JSON.stringify(answer.body)).not.toContain('sk-hf-')
})

test('a gateway that joins leaves an act with its name; what the link says otherwise does not', async () => {
  const { send, recorded } = await open()
  await send('POST', '/link/v1/acknowledge', { key: null, body: {} })
  await send('POST', '/link/v1/join', { key: null, body: {} })
  expect(recorded).toMatchObject([{ what: 'gateway.join', target: 'gateway-1a2b3c4d', who: null, decision: 'done' }])
})

test('an address that a caller claims counts on the socket only', async () => {
  const { send, recorded } = await open()
  // As over TCP: the test's calls have a remote address.
  await send('POST', '/api/v1/keys', { body: {}, from: '203.0.113.9' })
  expect(recorded[0]?.from).toBe('127.0.0.1')
})

test.each([
  ['POST', '/api/v1/keys', 'key.create'],
  ['PATCH', '/api/v1/keys/:id', 'key.update'],
  ['DELETE', '/api/v1/keys/:id', 'key.revoke'],
  ['POST', '/api/v1/keys/:id/block', 'key.block'],
  ['POST', '/key/generate', 'key.create'],
  ['POST', '/key/service-account/generate', 'key.create'],
  ['POST', '/key/:key/regenerate', 'key.rotate'],
  ['POST', '/key/delete', 'key.revoke'],
  ['POST', '/team/new', 'team.create'],
  ['POST', '/team/delete', 'team.remove'],
  ['POST', '/user/update', 'user.update'],
  ['POST', '/api/v1/audit/erasures', 'audit.erase'],
  ['POST', '/api/v1/gateways/tokens', 'gateway.invite'],
  ['DELETE', '/api/v1/gateways/:id', 'gateway.remove'],
  ['POST', '/link/v1/join', 'gateway.join'],
])('%s %s is called %s', (method, pattern, name) => {
  expect(nameAct(method, pattern)).toBe(name)
})

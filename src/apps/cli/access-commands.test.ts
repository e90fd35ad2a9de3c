import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterEach, expect, test } from 'vitest'
import { quietAudit } from '../../../test/support/quiet-audit.ts'
import { quietFlags, quietQuality, quietReleases } from '../../../test/support/quiet-releases.ts'
import { adminRoutes, openAdminServer } from '../../adapters/admin-http/index.ts'
import { fakeAccessStore } from '../../domain/access/fake.ts'
import { instant } from '../../domain/units.ts'
import { hashKey, identifyBy, manageAccess } from '../../services/access/index.ts'
import { CliError, openClient } from './client.ts'
import { registerKey } from './key.ts'
import { registerTeam } from './team.ts'

const adminKey = 'sk-admin-'.padEnd(40, 'x')
const toClose: (() => unknown)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close()
})

async function service() {
  const store = fakeAccessStore()
  const now = () => instant(Date.parse('2026-01-01T00:00:00Z'))
  const adminHash = hashKey(adminKey)
  const access = manageAccess({
    store,
    publisher: { publish: async () => ({ acknowledged: ['gw'], waitingFor: [] }) },
    adminHash,
    now,
    randomBytes,
    models: () => [],
    currency: () => 'EUR',
    whereDeclared: () => null,
  })
  const app = await openAdminServer({ version: '0', log: { error: () => undefined } })
  await app.register(
    adminRoutes({
      access,
      identify: identifyBy({ store, adminHash, now }),
      now,
      tallies: { now: async () => [] },
      rates: () => [],
      status: () => Promise.reject(new Error('not asked')),
      reload: {
        path: null,
        apply: () => Promise.reject(new Error('not asked')),
        diff: () => Promise.reject(new Error('not asked')),
      },
      releases: quietReleases,
      flags: quietFlags,
      quality: quietQuality,
      gateways: {
        makeToken: () => Promise.reject(new Error('not asked')),
        list: async () => [],
        remove: async () => undefined,
      },
      requests: { list: async () => [], usage: async () => [], gaps: async () => [] },
      verifyAudit: async () => ({ result: 'intact', epochs: [] }),
      audit: quietAudit(),
    }),
  )
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  toClose.push(() => app.close())
  return { url, access }
}

async function run(line: string, env: NodeJS.ProcessEnv) {
  const said: string[] = []
  const program = new Command()
  const io = {
    env,
    out: (text: string) => {
      said.push(text)
    },
  }
  registerKey(program, io)
  registerTeam(program, io)
  try {
    await program.parseAsync(line.split(' '), { from: 'user' })
    return { code: 0, out: said.join('\n'), err: '' }
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    return { code: error.exitCode, out: said.join('\n'), err: error.message }
  }
}

async function emptyHome(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-cli-'))
  toClose.push(() => rm(folder, { recursive: true }))
  return folder
}

test('a key is made, listed, rotated and revoked from the command line', async () => {
  const { url } = await service()
  const env = { HOLDFAST_URL: url, HOLDFAST_KEY: adminKey }
  const made = await run('key create --alias slack --models coder --expires 30d', env)
  const [, secret = ''] = /(sk-hf-\w{38})/.exec(made.out) ?? []
  expect(made).toMatchObject({ code: 0, err: '', out: expect.stringContaining('not shown again') })
  expect(made.out).toContain(`curl ${url}/v1/models -H 'authorization: Bearer ${secret}'`)
  const list = await run('key list', env)
  expect(list.out).toMatch(/slack +- +- +coder +- +- +active +2026-01-31 +2026-01-01/)
  expect(list.out).not.toContain(secret)
  expect((await run('key rotate slack --grace 1h', env)).out).toContain(
    'The old secret works until 2026-01-01T01:00:00.000Z',
  )
  expect((await run('key revoke slack', env)).out).toContain('In force on 1 gateway.')
  expect((await run('key list', env)).out).toContain('No keys yet')
  expect((await run('key list --all', env)).out).toContain('revoked')
})

test("a service account's key is bounded, changed, blocked and unblocked from the command line", async () => {
  const { url, access } = await service()
  const env = { HOLDFAST_URL: url, HOLDFAST_KEY: adminKey }
  await access.teams.create({ name: 'dev', models: null, metadata: {} })
  const made = await run('key create --service ci-bot --alias ci --team dev --routes chat --addresses 10.8.0.0/24', env)
  expect(made.out).toContain('It may use what the team dev may, only for chat from 10.8.0.0/24. It does not expire.')
  expect(made.out).toMatch(/Note: .*add 'models'/)
  expect(made.out).toMatch(/Note: .*never ends/)
  await run('key create --alias other --person anna', env)
  const list = await run('key list --service ci-bot', env)
  expect(list.out).toMatch(/ci +service ci-bot +dev +the team's +for chat from 10\.8\.0\.0\/24 +- +active +never/)
  expect(list.out).not.toContain('anna')
  expect((await run('key list --person nobody', env)).out).toContain('No such keys')
  const changed = await run('key update ci --expires 30d --all-routes --anywhere --models coder --no-team', env)
  expect(changed.out).toContain('Changed ci (')
  expect(changed.out).toContain('It may use coder. It expires 2026-01-31T00:00:00.000Z.')
  expect((await run('key update ci --expires never --no-owner', env)).out).toContain('It does not expire.')
  expect(await access.keys.get('ci')).toMatchObject({ owner: null, team: null, models: ['coder'], routes: null })
  expect((await run('key block ci', env)).out).toContain('holdfast key unblock ci')
  expect((await run('key list', env)).out).toContain('blocked')
  expect((await run('key unblock ci', env)).out).toContain('Unblocked ci (')
  expect((await access.keys.get('ci')).blockedAt).toBeNull()
})

test('a key is bounded in requests, tokens, places and money, and bounds go one by one', async () => {
  const { url, access } = await service()
  const env = { HOLDFAST_URL: url, HOLDFAST_KEY: adminKey }
  const made = await run('key create --alias a --requests-per-minute 60 --parallel 4 --budget 20EUR/30d', env)
  expect(made.out).toContain('It may use every model, at most 60 requests/min, 4 at once, 20 EUR/30d.')
  expect((await run('key list', env)).out).toContain('60 requests/min, 4 at once, 20 EUR/30d')
  await run('key update a --parallel none --tokens-per-minute 1000', env)
  expect(await access.keys.get('a')).toMatchObject({ limits: { requestsPerMinute: 60, tokensPerMinute: 1000 } })
  const free = await run('key update a --budget none', env)
  expect(free.out).toContain('at most 60 requests/min, 1000 tokens/min.')
  expect('budget' in (await access.keys.get('a'))).toBe(false)
  const gpu = JSON.parse((await run('key update a --budget 3600gpu-seconds --json', env)).out)
  expect(gpu.budget).toEqual({ amount: 3600, unit: 'gpu-seconds', currency: null, every: null })
})

test('a team is bounded and goes first from the command line', async () => {
  const { url, access } = await service()
  const env = { HOLDFAST_URL: url, HOLDFAST_KEY: adminKey }
  const made = await run('team create dev --parallel 16 --budget 5000tokens/1d --priority high', env)
  expect(made.out).toContain('It may use every model, at most 16 at once, 5000 tokens/1d.')
  expect((await run('team list', env)).out).toMatch(/dev +all +16 at once, 5000 tokens\/1d +high +api/)
  await run('team update dev --priority low --parallel none', env)
  const team = await access.teams.get('dev')
  expect(team).toMatchObject({ priority: 'low', budget: { amount: 5000 }, models: null })
  expect(team.limits).toBeUndefined()
})

test('what contradicts itself or says nothing is wrong usage, and what the service refuses is told', async () => {
  const { url } = await service()
  const env = { HOLDFAST_URL: url, HOLDFAST_KEY: adminKey }
  await run('key create --alias ci', env)
  expect(await run('key update ci', env)).toMatchObject({ code: 2, err: expect.stringContaining('--expires 30d') })
  expect(await run('key create --service a --person b', env)).toMatchObject({ code: 2 })
  expect(await run('key update ci --addresses example.com', env)).toMatchObject({
    code: 1,
    err: expect.stringContaining("'example.com' is no IP address"),
  })
  expect(await run('key update ci --routes everything', env)).toMatchObject({ code: 1 })
})

test('--json is the whole answer, and nothing when it is refused', async () => {
  const { url } = await service()
  const env = { HOLDFAST_URL: url, HOLDFAST_KEY: adminKey }
  expect(JSON.parse((await run('key create --alias slack --json', env)).out)).toMatchObject({
    alias: 'slack',
    key: expect.stringMatching(/^sk-hf-/),
  })
  expect(await run('key create --alias slack --json', env)).toEqual({
    code: 1,
    out: '',
    err: "The alias 'slack' belongs to another key.",
  })
})

test('a team is made, changed and deleted from the command line', async () => {
  const { url } = await service()
  const env = { HOLDFAST_URL: url, HOLDFAST_KEY: adminKey }
  expect((await run('team create search --models coder,embed', env)).out).toContain('holdfast key create --team search')
  expect((await run('team list', env)).out).toMatch(/search +coder, embed +- +normal +api/)
  expect((await run('team update search --all-models', env)).out).toContain('every model')
  expect(await run('team update search', env)).toMatchObject({ code: 2, err: expect.stringContaining('--models') })
  expect(await run('team update search --models a --all-models', env)).toMatchObject({ code: 2 })
  expect((await run('team delete search', env)).code).toBe(0)
  expect(await run('team delete search', env)).toMatchObject({ code: 1, err: "There is no team 'search'." })
})

test('address and key come from the state folder of the running service', async () => {
  const { url } = await service()
  const home = await emptyHome()
  await mkdir(join(home, 'run'))
  await writeFile(join(home, 'run', 'service.json'), JSON.stringify({ url, processes: [] }))
  await writeFile(join(home, 'admin.key'), `${adminKey}\n`)
  expect(await run('key list', { HOLDFAST_HOME: home })).toMatchObject({ code: 0, err: '' })
})

test('without a key, with a wrong one, and with nothing running, the message says what to do', async () => {
  const { url } = await service()
  const home = await emptyHome()
  expect(await run('key list', { HOLDFAST_HOME: home, HOLDFAST_URL: url })).toMatchObject({
    code: 1,
    err: expect.stringContaining('HOLDFAST_ADMIN_KEY'),
  })
  expect(await run('key list', { HOLDFAST_URL: url, HOLDFAST_KEY: 'sk-wrong' })).toMatchObject({
    code: 1,
    err: expect.stringContaining('HOLDFAST_KEY'),
  })
  expect(await run('key list', { HOLDFAST_URL: 'nonsense', HOLDFAST_KEY: adminKey })).toMatchObject({ code: 2 })
  const closed = createServer()
  await new Promise<void>(resolve => {
    closed.listen(0, '127.0.0.1', resolve)
  })
  const address = closed.address()
  const port = typeof address === 'object' ? address?.port : null
  await new Promise(resolve => {
    closed.close(resolve)
  })
  expect(await run('key list', { HOLDFAST_URL: `http://127.0.0.1:${port}`, HOLDFAST_KEY: adminKey })).toMatchObject({
    code: 1,
    err: expect.stringMatching(/Nothing answers .*npm start/),
  })
})

test('an address that is not Holdfast is told apart', async () => {
  const other = createServer((_request, response) => {
    response.end('<html>')
  })
  await new Promise<void>(resolve => {
    other.listen(0, '127.0.0.1', resolve)
  })
  toClose.push(() => other.close())
  const address = other.address()
  const port = typeof address === 'object' ? address?.port : null
  expect(await run('key list', { HOLDFAST_URL: `http://127.0.0.1:${port}/v1`, HOLDFAST_KEY: adminKey })).toMatchObject({
    code: 1,
    err: expect.stringContaining('not as Holdfast'),
  })
})

test('a stream is read event by event, however it is cut', async () => {
  const pieces = ['data: {"n"', ':1}\n\n: waiting\n\nda', 'ta: {"n":2}\r\n\r\ndata: [DONE]\n\n', 'data: {"n":3}\n\n']
  const other = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const next = () => {
      const piece = pieces.shift()
      if (piece === undefined) response.end()
      else response.write(piece, () => setImmediate(next))
    }
    next()
  })
  await new Promise<void>(resolve => {
    other.listen(0, '127.0.0.1', resolve)
  })
  toClose.push(() => other.close())
  const address = other.address()
  const port = typeof address === 'object' ? address?.port : null
  const client = openClient({ env: { HOLDFAST_URL: `http://127.0.0.1:${port}`, HOLDFAST_KEY: adminKey } })
  const seen: unknown[] = []
  for await (const data of client.stream('/v1/chat/completions', {})) seen.push(data)
  expect(seen).toEqual([{ n: 1 }, { n: 2 }])
})

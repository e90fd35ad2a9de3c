import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { quietAudit } from '../../../test/support/quiet-audit.ts'
import { quietQuality, quietReleases } from '../../../test/support/quiet-releases.ts'
import { adminRoutes, openAdminServer, type ReleaseAdmin } from '../../adapters/admin-http/index.ts'
import { fakeAccessStore } from '../../domain/access/fake.ts'
import { FaultError } from '../../domain/fault.ts'
import { canaryOf, play, policyOf } from '../../domain/release/fake.ts'
import type { Release } from '../../domain/release/index.ts'
import { instant } from '../../domain/units.ts'
import { hashKey, identifyBy, manageAccess } from '../../services/access/index.ts'
import { openFlags } from '../../services/set-flags.ts'
import { CliError } from './client.ts'
import { registerFlag } from './flag.ts'
import { registerRelease } from './release.ts'

const adminKey = 'sk-admin-'.padEnd(40, 'x')
const now = () => instant(Date.parse('2026-01-01T00:00:00Z'))
const toClose: (() => unknown)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close()
  process.exitCode = undefined
})
beforeEach(() => {
  process.exitCode = undefined
})

/** A release of `coder` in the second of three steps; `releases` that is not told otherwise answers with it. */
function midway(): Release {
  const player = play(policyOf({ canary: canaryOf([0.1, 0.5, 1], { minRequests: 4 }) }))
  player.look()
  player.requests(4, 'candidate').requests(36, 'live')
  player.after(60_000 as never)
  return player.release()
}

async function service(releases: Partial<ReleaseAdmin> = {}) {
  const store = fakeAccessStore()
  const adminHash = hashKey(adminKey)
  const access = manageAccess({
    store,
    publisher: { publish: async () => ({ acknowledged: ['gw'], waitingFor: [] }) },
    ...{ adminHash, now, randomBytes, models: () => [], currency: () => 'EUR', whereDeclared: () => null },
  })
  const flag = { name: 'rag', teams: ['dev'], share: 0.2, answers: { model: 'coder', by: 'coder-rag' } }
  const flags = await openFlags({
    store: { settings: async () => [], set: async () => undefined, reset: async () => true },
    spec: () => ({ flags: [flag], teams: ['dev', 'ops'] }),
    serve: async () => undefined,
    now,
  })
  const app = await openAdminServer({ version: '0', log: { error: () => undefined } })
  const none = () => Promise.reject(new Error('not asked'))
  await app.register(
    adminRoutes({
      access,
      identify: identifyBy({ store, adminHash, now }),
      now,
      tallies: { now: async () => [] },
      rates: () => [],
      status: none,
      reload: { path: null, apply: none, diff: none },
      releases: { ...quietReleases, ...releases },
      flags,
      quality: quietQuality,
      gateways: { makeToken: none, list: async () => [], remove: async () => undefined },
      requests: { list: async () => [], usage: async () => [], gaps: async () => [] },
      verifyAudit: async () => ({ result: 'intact', epochs: [] }),
      audit: quietAudit(),
    }),
  )
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  toClose.push(() => app.close())
  return { HOLDFAST_URL: url, HOLDFAST_KEY: adminKey }
}

async function run(env: NodeJS.ProcessEnv, ...args: string[]) {
  const said: string[] = []
  const program = new Command().exitOverride().configureOutput({ writeErr: () => undefined })
  const io = { env, out: (text: string) => void said.push(text) }
  registerRelease(program, io)
  registerFlag(program, io)
  for (const command of program.commands.flatMap(each => each.commands))
    command.exitOverride().configureOutput({ writeErr: () => undefined })
  try {
    await program.parseAsync(args, { from: 'user' })
    return { code: 0, out: said.join('\n'), err: '' }
  } catch (error) {
    if (error instanceof CliError) return { code: error.exitCode, out: said.join('\n'), err: error.message }
    return { code: 2, out: said.join('\n'), err: String(error) }
  }
}

test('status tells where a release is, of how much, why, and with which gates', async () => {
  const env = await service({ find: async () => midway() })
  const { out } = await run(env, 'release', 'status', 'coder')
  expect(out).toContain('coder: v1\n       → v2')
  expect(out).toMatch(/phase +canary, step 2 of 3 \(10 %, 50 %, 100 %\) since /)
  expect(out).toMatch(/share +█{15}░{15} 50 %/)
  expect(out).toMatch(/policy +careful, by anna: because/)
  expect(out).toMatch(/GATE +VERDICT/)
})

test('status as JSON has the shape that programs read', async () => {
  const env = await service({ find: async () => midway() })
  const { out } = await run(env, 'release', 'status', 'coder', '--json')
  const status = JSON.parse(out)
  expect(status).toMatchObject({
    ...{ model: 'coder', from: 'v1', to: 'v2', phase: 'canary', step: 2, share: 0.5, verdict: 'hold' },
    ...{ why: expect.any(String), steps: [0.1, 0.5, 1], startedAt: '1970-01-01T00:00:00.000Z' },
  })
  expect(status.gates.length).toBeGreaterThan(0)
  for (const gate of status.gates)
    expect(gate).toMatchObject({
      ...{ name: expect.any(String), evidence: expect.any(String) },
      verdict: expect.stringMatching(/^(promote|rollback|hold|void|judge-inadmissible)$/),
    })
})

test('all releases are listed by model, and that there is none is said with the way to begin one', async () => {
  expect((await run(await service(), 'release', 'status')).out).toMatch(/Begin one: holdfast release start/)
  const { out } = await run(await service({ list: async () => [midway()] }), 'release', 'status')
  expect(out).toMatch(/coder +canary +50 % +hold +v2/)
})

test('start hands over the version, the policy and the reason, and says what to do next', async () => {
  const wanted: unknown[] = []
  const env = await service({
    start: async given => {
      wanted.push(given)
      return midway()
    },
  })
  const { out } = await run(env, 'release', 'start', 'coder', 'v2', '--policy', 'careful', '--reason', 'new prompt')
  expect(out).toContain('Next: holdfast release watch coder')
  await run(env, 'release', 'start', 'coder', 'v2')
  const by = { who: 'admin', alias: null }
  expect(wanted).toEqual([
    { model: 'coder', version: 'v2', policy: 'careful', by: { ...by, reason: 'new prompt' } },
    { model: 'coder', version: 'v2', by: { ...by, reason: 'started by hand' } },
  ])
})

test.each(['promote', 'abort', 'resume'] as const)('%s wants a reason, and hands it over', async act => {
  const given: unknown[] = []
  const env = await service({
    [act]: async (model: string, by: unknown) => {
      given.push([model, by])
      return midway()
    },
  })
  expect(await run(env, 'release', act, 'coder')).toMatchObject({ code: 2, err: expect.stringContaining('--reason') })
  expect(given).toEqual([])
  expect((await run(env, 'release', act, 'coder', '--reason', 'checked')).code).toBe(0)
  expect(given).toEqual([['coder', { who: 'admin', alias: null, reason: 'checked' }]])
})

test('what is refused is said as the service says it', async () => {
  const problem = 'The release of v2 is under way (canary). Wait for it, or end it: holdfast release abort coder'
  const env = await service({ start: () => Promise.reject(new FaultError({ kind: 'conflict', problem })) })
  expect(await run(env, 'release', 'start', 'coder', 'v3')).toMatchObject({
    code: 1,
    err: expect.stringContaining(problem),
  })
})

test('the report is written to a file, and where it can’t be written is said', async () => {
  const env = await service({ find: async () => midway(), report: async () => '<!doctype html><p>±</p>' })
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-cli-'))
  toClose.push(() => rm(folder, { recursive: true }))
  const file = join(folder, 'report.html')
  expect((await run(env, 'release', 'report', 'coder', '--out', file)).out).toBe(`Written: ${file}`)
  expect(readFileSync(file, 'utf8')).toBe('<!doctype html><p>±</p>')
  expect(await run(env, 'release', 'report', 'coder', '--out', join(folder, 'no', 'such', 'folder'))).toMatchObject({
    code: 1,
    err: expect.stringContaining("can't be written"),
  })
})

test('a flag is listed, set for a share and teams, and reset', async () => {
  const env = await service()
  expect((await run(env, 'flag', 'list')).out).toMatch(/rag +dev +20 % +coder is answered by coder-rag +-/)
  const set = await run(env, 'flag', 'set', 'rag', '--share', '50%', '--teams', 'dev,ops')
  expect(set.out).toBe('rag: on for 50 % of the keys of dev, ops.')
  expect((await run(env, 'flag', 'list')).out).toMatch(/rag +dev, ops +50 % +.* 2026-01-01/)
  expect((await run(env, 'flag', 'set', 'rag', '--teams', '')).out).toBe('rag: on for 50 % of the keys of all.')
  expect((await run(env, 'flag', 'reset', 'rag')).out).toBe('rag: on for 20 % of the keys of dev, as the spec says.')
})

test.each([
  [['flag', 'set', 'rag'], 2, '--share, --teams, or both'],
  [['flag', 'set', 'rag', '--share', 'half'], 2, "'half' is no share"],
  [['flag', 'set', 'rag', '--share', '120%'], 2, "'120%' is no share"],
  [['flag', 'set', 'nosuch', '--share', '1'], 1, 'nosuch'],
  [['flag', 'set', 'rag', '--teams', 'nobody'], 1, 'nobody'],
])('%j is refused, with why', async (args, code, why) => {
  expect(await run(await service(), ...args)).toMatchObject({ code, err: expect.stringContaining(why) })
})

/** Processes are replaced under load, by fresh ones and by those of another release, forth and back: nothing fails or is cut. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { giveOrder } from '../../src/adapters/processes/index.ts'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { isReset, startLoad, type Ended, type Load } from '../support/load.ts'
import { adminKey, repository, startService, type Service } from '../support/service.ts'

type Status = {
  processes: { role: string; pid: number; release?: string; state?: string }[]
  engines: { pid: number }[]
}

const own = (JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { version: string }).version

let folder: string
let engine: FakeEngine
let service: Service

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-releases-'))
  engine = await startFakeEngine()
  service = await startService({ spec: spec(engine.url) })
}, 60_000)
afterAll(async () => {
  await service?.stop()
  await engine?.close()
  rmSync(folder, { recursive: true, force: true })
})

test('gateway, controller and agent are restarted under load, and the gateway before finishes what it has', async () => {
  const before = await status()
  const load = startMixedLoad()
  try {
    for (const role of ['gateway', 'controller', 'agent', 'gateway']) {
      await load.after(20)
      expect(await order({ do: 'restart', role })).toMatchObject({ ok: true })
    }
    expect((await status()).processes.map(({ state }) => state)).toContain('draining')
    await load.after(20)
  } finally {
    await load.stop()
  }
  await expectNothingCut(load.ended)
  const after = await status()
  for (const role of ['gateway', 'controller', 'agent']) expect(pidOf(after, role), role).not.toBe(pidOf(before, role))
  expect(after.engines).toEqual(before.engines)
  await expect
    .poll(async () => (await status()).processes.filter(({ role }) => role === 'gateway').length, { timeout: 30_000 })
    .toBe(1)
}, 60_000)

test('an upgrade and the way back, under load: each process tells its release, engines are taken over', async () => {
  const next = makeRelease('99.0.0', release => {
    const file = join(release, 'src/adapters/store/migrations.ts')
    const text = readFileSync(file, 'utf8')
    const last = /^\]\n/m.exec(text)!
    const step = "  { n: 9000, name: 'nothing', readableBy: 1, up: async () => {} },\n"
    writeFileSync(file, text.slice(0, last.index) + step + text.slice(last.index))
  })
  const before = await status()
  const load = startMixedLoad()
  try {
    for (const [to, version] of [
      [next, '99.0.0'],
      [repository, own],
    ] as const) {
      await load.after(20)
      const { exitCode, stderr } = await service.cli('upgrade', to)
      expect(exitCode, stderr).toBe(0)
      expect(releases(await status())).toEqual({ controller: version, agent: version, gateway: version })
    }
    await load.after(20)
  } finally {
    await load.stop()
  }
  await expectNothingCut(load.ended)
  expect((await status()).engines).toEqual(before.engines)
}, 90_000)

test('a release that does not come up is taken back by itself, under load, and it is said why', async () => {
  const broken = makeRelease('98.0.0', release =>
    writeFileSync(join(release, 'src/apps/gateway.ts'), "throw new Error('broken on purpose')\n"),
  )
  const load = startMixedLoad()
  try {
    await load.after(10)
    const { exitCode, stderr } = await service.cli('upgrade', broken)
    expect(exitCode).toBe(1)
    expect(stderr).toContain('the new gateway did not become ready')
    expect(releases(await status())).toEqual({ controller: own, agent: own, gateway: own })
    await load.after(10)
  } finally {
    await load.stop()
  }
  await expectNothingCut(load.ended)
  expect(await order({ do: 'upgrade', folder })).toMatchObject({
    ok: false,
    text: expect.stringContaining('There is no Holdfast in') as string,
  })
}, 90_000)

test('kill -9 of a gateway that gets ready beside the one that serves is told, and cuts nothing', async () => {
  const restarting = service.cli('restart')
  await expect.poll(async () => pidsOf(await status(), 'starting').length, { interval: 20, timeout: 20_000 }).toBe(1)
  for (const pid of pidsOf(await status(), 'starting')) process.kill(pid, 'SIGKILL')
  expect((await restarting).exitCode).toBe(1)
  const load = startMixedLoad()
  await load.after(20)
  await load.stop()
  await expectNothingCut(load.ended)
}, 60_000)

const order = (what: object) => giveOrder(join(service.home, 'run', 'orders.sock'), what, () => {})

/** A copy of this tree that says it is another release. Dependencies are the same ones. */
function makeRelease(version: string, change: (release: string) => void): string {
  const release = join(folder, version)
  for (const part of ['src', 'bin', 'weights', 'package.json'])
    cpSync(join(repository, part), join(release, part), { recursive: true })
  symlinkSync(join(repository, 'node_modules'), join(release, 'node_modules'))
  const manifest = JSON.parse(readFileSync(join(release, 'package.json'), 'utf8')) as object
  writeFileSync(join(release, 'package.json'), JSON.stringify({ ...manifest, version }))
  change(release)
  return release
}

const spec = (url: string): string => `name: releases
versions:
  - name: production-v1.0-m-8b-fp16-p0
    engine: { kind: vllm, servedName: fake }
    replicas: [{ id: a, url: "${url}/v1" }]
  - name: dev-v1.0-smoke-2m-q8-0-p0
    artifact: { from: "builtin:smoke" }
    engine: { kind: embedded }
    replicas: [{ id: smoke-a }]
models:
  - { name: m, live: production-v1.0-m-8b-fp16-p0 }
  - { name: smoke, live: dev-v1.0-smoke-2m-q8-0-p0 }
`

/** Short ones, streams of a second, and some that outlive whole restarts. */
function startMixedLoad(): Load {
  return startLoad({
    url: service.url,
    clients: 8,
    most: 20_000,
    make: n => {
      const long = n % 40 === 1 ? '[[fake:tokens=100,gapMs=70]]' : '[[fake:tokens=30,gapMs=30]]'
      const smoke = n % 8 === 6
      const content = n % 2 === 1 ? long : 'hello'
      const body = { model: smoke ? 'smoke' : 'm', stream: n % 2 === 1, max_tokens: smoke ? 8 : 1000 }
      return { key: adminKey, body: { ...body, messages: [{ role: 'user', content }] } }
    },
  })
}

/** A reset of an idle connection, which clients try again by themselves, would not be counted: there is none either. */
async function expectNothingCut(ended: readonly Ended[]): Promise<void> {
  expect(ended.filter(isReset)).toEqual([])
  expect(ended.filter(({ end, status: code }) => end !== 'whole' || code !== 200)).toEqual([])
  expect(ended.filter(({ stream }) => stream).length).toBeGreaterThan(3)
  expect(engine.state().aborted).toBe(0)
  const answer = await service.call('/api/v1/requests?limit=1000')
  const { requests } = (await answer.json()) as { requests: { id: string; outcome: string }[] }
  expect(requests.filter(({ outcome }) => outcome !== 'ok')).toEqual([])
}

async function status(): Promise<Status> {
  return (await (await service.call('/api/v1/status')).json()) as Status
}

const serving = ({ processes }: Status) => processes.filter(({ state = 'running' }) => state === 'running')
const pidOf = (told: Status, role: string) => serving(told).find(process => process.role === role)?.pid
const pidsOf = ({ processes }: Status, wanted: string) =>
  processes.filter(({ state }) => state === wanted).map(({ pid }) => pid)
const releases = (told: Status) =>
  Object.fromEntries(
    serving(told)
      .filter(({ role }) => ['controller', 'agent', 'gateway'].includes(role))
      .map(({ role, release }) => [role, release]),
  )

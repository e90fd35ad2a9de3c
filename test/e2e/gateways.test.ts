/** Several gateways: a service, and two gateways that joined it, as processes of their own with folders of their own. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseJoinToken, renderJoinToken } from '../../src/adapters/identity/index.ts'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { freePort, startCable, startJoinedGateway, type JoinedGateway } from '../support/joined-gateway.ts'
import { ask, startLoad, type Ended } from '../support/load.ts'
import { adminKey, runCli, startService, type Process, type Service } from '../support/service.ts'
import { backMs, processOf, until } from '../support/settled.ts'

type Row = {
  gateway: string
  role: string
  local: boolean
  pid: number | null
  presence: string
  connected: boolean
  seq: number
  snapshot: string | null
  journalBehind: number | null
  problems: string[]
}
type Revoked = { inForce: { acknowledged: string[]; waitingFor: string[] } }

let engine: FakeEngine
let service: Service
let cable: Awaited<ReturnType<typeof startCable>>
/** Dials the controller directly; the other one through a cable. */
let near: JoinedGateway
let far: JoinedGateway
let usedToken: string

beforeAll(async () => {
  engine = await startFakeEngine({ gapMs: 1, tokens: 8 })
  const port = await freePort()
  service = await startService({ spec: specFor(engine, port), env: { ONLY_HERE: 'secret-of-the-controllers-machine' } })
  cable = await startCable(port)
  usedToken = await newToken()
  near = await startJoinedGateway({ join: usedToken })
  far = await startJoinedGateway({ join: cable.address, token: await newToken() })
}, 90_000)
afterAll(async () => {
  await near?.stop()
  await far?.stop()
  await service?.stop()
  await cable?.close()
  await engine?.close()
})

describe('joining', () => {
  test('all are listed, with what they have; only the one beside the controller has a process here', async () => {
    await until('each has said what it has', async () => (await list()).every(row => row.snapshot !== null))
    const rows = await list()
    expect(rows.map(({ gateway }) => gateway)).toEqual(expect.arrayContaining([near.gateway, far.gateway]))
    expect(rows).toHaveLength(3)
    const [snapshot] = rows.map(row => row.snapshot)
    for (const row of rows) expect(row).toMatchObject({ role: 'gateway', connected: true, snapshot })
    const { pid } = await processOf(service, 'gateway')
    expect(rows.map(row => [row.local, row.pid])).toEqual(
      expect.arrayContaining([
        [true, pid],
        [false, null],
      ]),
    )
    const status = JSON.parse((await service.cli('status', '--json')).stdout) as { gateways: Row[] }
    expect(status.gateways.map(({ gateway }) => gateway)).toEqual(rows.map(({ gateway }) => gateway))
    const told = await service.cli('gateway', 'list')
    for (const { gateway } of rows) expect(told.stdout).toContain(gateway)
  })

  test('a token lets one in, once; a mistyped one, and one of another service, say what they are', async () => {
    expect(await tryToJoin(usedToken)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('used before') })
    expect(await tryToJoin(`${usedToken.slice(0, -3)}abc`)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('mistyped'),
    })
    const token = parseJoinToken(usedToken)
    if (token === null) throw new Error('the token that was used can be read')
    const others = renderJoinToken({ ...token, authority: 'ab'.repeat(32) })
    expect(await tryToJoin(others)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('not the service that this token is for'),
    })
    const nobody = renderJoinToken({ ...token, addresses: [`127.0.0.1:${await freePort()}`] })
    expect(await tryToJoin(nobody)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('ECONNREFUSED') })
  })

  test('each serves, and has metrics and administration on its own port', async () => {
    for (const { url } of [near, far, service]) {
      expect(await ask({ url, key: adminKey, body: question() })).toMatchObject({ status: 200, end: 'whole' })
      expect(await (await fetch(`${url}/metrics`)).text()).toContain('holdfast_')
      expect((await call(url, '/api/v1/status')).status).toBe(200)
    }
  })

  test('what a machine lacks is named: secrets, and engines of the controller’s own', async () => {
    await until('the report has come', async () => (await rowOf(near)).problems.length === 2)
    expect((await rowOf(near)).problems.toSorted()).toEqual([
      expect.stringMatching(/^\$\{env:ONLY_HERE\}: .*ONLY_HERE is not set/),
      expect.stringMatching(/^the replica tiny-1 of .* is an embedded engine on the controller's machine/),
    ])
    const answer = await ask({ url: near.url, key: adminKey, body: { ...question(), model: 'tiny' } })
    expect(answer).toMatchObject({ status: 503, error: { code: 'no_replica' } })
  })
})

describe('revoking', () => {
  test('a revoked key is refused everywhere at once', async () => {
    const [id, key] = await makeKey('anna')
    for (const { url } of [near, far, service])
      expect(await ask({ url, key, body: question() })).toMatchObject({ status: 200 })
    const { inForce } = await revoke(id)
    const answers = await Promise.all(
      [near, far, service].map(({ url }) => ask({ url, key, body: question() }).then(({ status }) => status)),
    )
    expect(answers).toEqual([401, 401, 401])
    expect(inForce.waitingFor).toEqual([])
    expect(inForce.acknowledged).toHaveLength(3)
  })

  test('a gateway that is cut off is named, goes on with what it knows, and catches up', async () => {
    const [id, key] = await makeKey('bert')
    cable.cut()
    await until('it is missed', async () => !(await rowOf(far)).connected)
    expect((await revoke(id)).inForce.waitingFor).toEqual([far.gateway])
    expect(await ask({ url: near.url, key, body: question() })).toMatchObject({ status: 401 })
    expect(await ask({ url: far.url, key, body: question() })).toMatchObject({ status: 200 })
    expect(await call(far.url, '/api/v1/keys')).toMatchObject({ status: 503 })
    cable.mend()
    await until('it has caught up', async () => (await ask({ url: far.url, key, body: question() })).status === 401)
  })

  test('one that hangs is named, and a controller that was killed has forgotten nobody', async () => {
    const [id] = await makeKey('carla')
    const pid = near.servingPid() ?? -1
    process.kill(pid, 'SIGSTOP')
    try {
      await killController()
      await until('the others are back', async () => (await list()).filter(row => row.connected).length === 2)
      expect((await revoke(id)).inForce).toEqual({
        acknowledged: expect.arrayContaining([far.gateway]),
        waitingFor: [near.gateway],
      })
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await until('it is back', async () => (await rowOf(near)).connected)
  })
})

describe('journals', () => {
  let ended: Ended[]
  beforeAll(async () => {
    const loads = [near, far].map(({ url }) =>
      startLoad({ url, clients: 3, most: 3_000, make: n => ({ key: adminKey, body: question(n % 2 === 0) }) }),
    )
    const [onNear, onFar] = loads
    try {
      for (let round = 0; round < 3; round++) {
        await onNear?.after(60)
        await killController()
        await onFar?.after(60)
        kill(near)
        await onNear?.after(60)
        kill(far)
        cable.cut()
        await onFar?.after(60)
        cable.mend()
      }
      await onFar?.after(100)
    } finally {
      ended = (await Promise.all(loads.map(load => load.stop()))).flat()
    }
    for (const gateway of [near, far])
      await until(
        'everything has arrived',
        async () => {
          const row = await rowOf(gateway)
          return row.connected && row.journalBehind === 0
        },
        20_000,
      )
  }, 80_000)

  test('every answered request is in the log once, whoever was killed', async () => {
    const rows = await readLog()
    const answered = ended.filter(({ end, status }) => end === 'whole' && status === 200)
    expect(answered.length).toBeGreaterThan(200)
    const logged = answered.map(({ id }) => rows.get(id ?? '')?.map(({ outcome }) => outcome))
    expect(logged).toEqual(answered.map(() => ['ok']))
    expect([...rows.values()].filter(same => same.length > 1)).toEqual([])
  })

  test('usage counts each once, and the journal is intact', async () => {
    const rows = [...(await readLog()).values()].flat()
    const { usage } = (await (await service.call('/api/v1/usage?by=model')).json()) as {
      usage: { name: string; requests: number }[]
    }
    const counted = usage.reduce((sum, { requests }) => sum + requests, 0)
    expect(counted).toBe(rows.filter(({ outcome }) => outcome !== 'open').length)
    expect(await service.cli('audit', 'verify')).toMatchObject({ exitCode: 0 })
  })
})

describe('leaving', () => {
  test('asked to stop, it lets a stream end, sends its last records and says goodbye', async () => {
    const events: number[] = []
    const begun = Promise.withResolvers<void>()
    const stream = ask({
      url: near.url,
      key: adminKey,
      body: { ...question(true), messages: [{ role: 'user', content: 'long [[fake:tokens=60,gapMs=20]]' }] },
      onEvent: () => {
        if (events.push(1) === 3) begun.resolve()
      },
    })
    await begun.promise
    expect(await near.stop({ keep: true })).toBe(0)
    const { id, end } = await stream
    expect(end).toBe('whole')
    expect(await rowOf(near)).toMatchObject({ presence: 'left', connected: false, journalBehind: 0 })
    expect((await readLog()).get(id ?? '')).toMatchObject([{ outcome: 'ok' }])
    // What the controller has of an epoch that ended, is gone here.
    expect(readdirSync(join(near.home, 'journal'))).toEqual([])
    const [other] = await makeKey('dora')
    expect((await revoke(other)).inForce.waitingFor).toEqual([])
  })

  test('started again it needs no token, and is who it was', async () => {
    const before = near.gateway
    near = await startJoinedGateway({ home: near.home })
    expect(near.gateway).toBe(before)
    expect(await ask({ url: near.url, key: adminKey, body: question() })).toMatchObject({ status: 200 })
  })

  test('removed, it is refused at once and serves no more; with a new token it is back as who it was', async () => {
    expect(await service.cli('gateway', 'remove', far.gateway)).toMatchObject({ exitCode: 0 })
    expect((await call(far.url, '/api/v1/status')).status).not.toBe(200)
    await until('it serves no more', async () => {
      const { status } = await ask({ url: far.url, key: adminKey, body: question() })
      return status === 503
    })
    expect(await (await fetch(`${far.url}/health/readiness`)).text()).toContain('removed from this service')
    expect((await list()).map(({ gateway }) => gateway)).not.toContain(far.gateway)
    expect(await service.cli('gateway', 'remove', far.gateway)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('no gateway'),
    })
    const { gateway, home } = far
    await far.stop({ keep: true })
    far = await startJoinedGateway({ join: cable.address, token: await newToken(), home })
    expect(far.gateway).toBe(gateway)
    expect(await ask({ url: far.url, key: adminKey, body: question() })).toMatchObject({ status: 200 })
  })
})

const specFor = (from: FakeEngine, port: number): string => `
controller:
  listen: { host: 127.0.0.1, port: ${port} }
versions:
  - name: dev-v1.0-fake-1b-fp16-p0
    engine: { kind: openai, servedName: fake }
    replicas:
      - { id: fake-1, url: '${from.url}/v1', apiKey: '\${env:ONLY_HERE}' }
  - name: dev-v1.0-smoke-2m-q8-0-p0
    artifact: { from: 'builtin:smoke' }
    engine: { kind: embedded }
    replicas: [{ id: tiny-1 }]
models:
  - { name: fake, live: dev-v1.0-fake-1b-fp16-p0 }
  - { name: tiny, live: dev-v1.0-smoke-2m-q8-0-p0 }
`

const question = (stream = false): Record<string, unknown> => ({
  model: 'fake',
  stream,
  messages: [{ role: 'user', content: 'Hello' }],
})

async function newToken(): Promise<string> {
  const { stdout, stderr } = await service.cli('gateway', 'token', '--json')
  if (stdout === '') throw new Error(stderr)
  return (JSON.parse(stdout) as { token: string }).token
}

function tryToJoin(token: string) {
  const home = join(service.folder, 'nobody')
  return runCli(['gateway', '--join', token, '--listen', '127.0.0.1:0', '--home', home], service.env)
}

const call = (url: string, path: string): Promise<Response> =>
  fetch(`${url}${path}`, { headers: { authorization: `Bearer ${adminKey}` } })

async function list(): Promise<Row[]> {
  const answer = await service.call('/api/v1/gateways')
  // A controller that was just killed is away for a moment.
  return answer.status === 200 ? ((await answer.json()) as { gateways: Row[] }).gateways : []
}

async function rowOf({ gateway }: JoinedGateway): Promise<Row> {
  const missing: Row = {
    gateway,
    role: 'gateway',
    local: false,
    pid: null,
    presence: 'missing',
    connected: false,
    seq: -1,
    snapshot: null,
    journalBehind: null,
    problems: [],
  }
  return (await list()).find(row => row.gateway === gateway) ?? missing
}

async function makeKey(alias: string): Promise<[id: string, key: string]> {
  const made = await service.call('/api/v1/keys', { alias })
  const { id, key } = (await made.json()) as { id: string; key: string }
  return [id, key]
}

async function revoke(id: string): Promise<Revoked> {
  const init = { method: 'DELETE', headers: { authorization: `Bearer ${adminKey}` } }
  return (await (await service.call(`/api/v1/keys/${id}`, undefined, init)).json()) as Revoked
}

/** Resolves when the next one answers. */
async function killController(): Promise<void> {
  const { processes } = (await (await service.call('/api/v1/status')).json()) as { processes: Process[] }
  process.kill(processes.find(({ role }) => role === 'controller')?.pid ?? -1, 'SIGKILL')
  const isBack = async (): Promise<boolean> => (await service.call('/api/v1/keys')).status === 200
  await until('administration is back', isBack, backMs).catch((error: unknown) => {
    throw new Error(`${String(error)}; the service said:\n${service.said.stderr.slice(-2_000)}`)
  })
}

function kill(gateway: JoinedGateway): void {
  const pid = gateway.servingPid()
  if (pid !== undefined) process.kill(pid, 'SIGKILL')
}

async function readLog(): Promise<Map<string, { id: string; outcome: string }[]>> {
  const { stdout, exitCode, stderr } = await service.cli('logs', '--json', '--limit', '100000')
  expect(exitCode, stderr).toBe(0)
  const rows = stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as { id: string; outcome: string })
  return Map.groupBy(rows, ({ id }) => id)
}

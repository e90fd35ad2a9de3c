import { fork } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { openController } from '../../src/apps/controller.ts'
import { openHome } from '../../src/apps/paths.ts'
import type { Home } from '../../src/apps/paths.ts'

const adminKey = 'sk-admin-'.padEnd(40, 'x')

async function newHome(): Promise<Home> {
  const folder = await mkdtemp(join(tmpdir(), 'hf-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return openHome(folder)
}

async function start(home: Home, order: { spec: string | null } = { spec: null }) {
  const env = {
    HOLDFAST_ADMIN_KEY: adminKey,
    HOLDFAST_LOG_LEVEL: 'silent',
    HOLDFAST_UP: JSON.stringify({ ...order, fragment: null }),
  }
  const controller = await openController({ home, env })
  let closed = false
  const close = async () => {
    if (closed) return
    closed = true
    await controller.close()
  }
  onTestFinished(close)
  return { close, send: sender(home) }
}

const sender =
  (home: Home) =>
  async (method: string, path: string, options: { body?: object; key?: string } = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<{
      status: number | undefined
      body: Record<string, unknown>
    }>()
    const text = options.body === undefined ? '' : JSON.stringify(options.body)
    request(
      {
        socketPath: home.controllerSocket,
        method,
        path,
        headers: {
          'authorization': `Bearer ${options.key ?? adminKey}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
        },
      },
      async answer => {
        let body = ''
        for await (const piece of answer.setEncoding('utf8')) body += piece
        resolve({ status: answer.statusCode, body: body === '' ? null : JSON.parse(body) })
      },
    )
      .once('error', reject)
      .end(text)
    return promise
  }

/** The first frames of the link, by type. */
function firstFrames(home: Home, path: string, count: number): Promise<Record<string, Record<string, unknown>>> {
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, Record<string, unknown>>>()
  const call = request({ socketPath: home.controllerSocket, path }, answer => {
    let text = ''
    answer.setEncoding('utf8').on('data', piece => {
      text += piece
      const frames = text
        .split('\n')
        .slice(0, -1)
        .map(line => JSON.parse(line))
        .filter(frame => frame.type !== 'beat')
      if (frames.length < count) return
      call.destroy()
      resolve(Object.fromEntries(frames.map(frame => [frame.type, frame])))
    })
  }).once('error', reject)
  call.end()
  return promise
}

test('with no spec: the default model is told to gateways and agents, and keys are kept over a restart', async () => {
  const home = await newHome()
  const first = await start(home)
  expect(statSync(home.controllerSocket).mode & 0o777).toBe(0o600)
  const { snapshot, access } = await firstFrames(home, '/link/v1/gateway?gateway=gw', 2)
  expect(snapshot).toMatchObject({ snapshot: { models: [{ name: 'smoke', live: 'dev-v1.0-smoke-2m-q8-0-p0' }] } })
  expect(access?.['image']).toMatchObject({ keys: [], adminHash: expect.stringMatching(/^[0-9a-f]{64}$/) })
  const { engines } = await firstFrames(home, '/link/v1/agent', 1)
  expect(engines?.['engines']).toMatchObject([{ replica: 'smoke', gguf: expect.stringMatching(/smoke\.gguf$/) }])

  const born = await first.send('POST', '/api/v1/keys', { body: { alias: 'slack', models: ['smoke'] } })
  expect(born).toMatchObject({ status: 201, body: { warnings: [] } })
  await first.close()

  const second = await start(home)
  expect((await second.send('GET', '/api/v1/keys')).body['keys']).toMatchObject([
    { id: born.body['id'], alias: 'slack' },
  ])
  expect(await second.send('GET', '/key/info', { key: String(born.body['key']) })).toMatchObject({
    status: 200,
    body: { info: { key_alias: 'slack' } },
  })
  expect((await second.send('GET', '/api/v1/status')).body).toMatchObject({
    name: 'holdfast',
    spec: { path: null, state: 'ok', problems: [] },
    models: [{ name: 'smoke', replicas: [{ id: 'smoke' }] }],
  })
  expect((await second.send('GET', '/api/v1/audit/verify')).body).toMatchObject({ intact: true })
  expect((await second.send('GET', '/api/v1/requests')).body).toEqual({ requests: [], next: null })
})

test("the spec's teams come and go with the spec", async () => {
  const home = await newHome()
  const spec = join(home.root, 'holdfast.yaml')
  await writeFile(spec, 'name: lab\nteams:\n  - { name: platform, models: [smoke] }\n')
  const first = await start(home, { spec })
  expect((await first.send('GET', '/api/v1/teams')).body['teams']).toMatchObject([
    { name: 'platform', models: ['smoke'], source: 'spec' },
  ])
  expect(await first.send('DELETE', '/api/v1/teams/platform')).toMatchObject({
    status: 409,
    body: { error: { message: expect.stringContaining('holdfast.yaml:3') } },
  })
  await first.close()
  await writeFile(spec, 'name: lab\n')
  const second = await start(home, { spec })
  expect((await second.send('GET', '/api/v1/teams')).body['teams']).toEqual([])
})

test('a spec that became invalid does not stop a restart: the last good one is served, and said to be', async () => {
  const home = await newHome()
  const spec = join(home.root, 'holdfast.yaml')
  await writeFile(spec, 'name: lab\n')
  await (await start(home, { spec })).close()
  await writeFile(spec, 'name: lab\nmodells: []\n')
  const { send } = await start(home, { spec })
  expect((await send('GET', '/api/v1/status')).body).toMatchObject({
    name: 'lab',
    models: [{ name: 'smoke' }],
    spec: { path: spec, state: 'invalid', problems: [expect.stringContaining('holdfast.yaml:2')] },
  })
})

test('an invalid spec with nothing served before is told and nothing is started', async () => {
  const home = await newHome()
  const spec = join(home.root, 'holdfast.yaml')
  await writeFile(spec, 'modells: []\n')
  await expect(start(home, { spec })).rejects.toThrow(/modells/)
})

test.each(['SIGTERM', 'a parent that is gone'])('the process ends in order upon %s', async how => {
  const home = await newHome()
  const child = fork(fileURLToPath(new URL('../../src/apps/main.ts', import.meta.url)), ['controller'], {
    env: { ...process.env, HOLDFAST_HOME: home.root, HOLDFAST_ADMIN_KEY: adminKey },
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const ended = once(child, 'exit')
  expect(await Promise.race([once(child, 'message'), ended])).toMatchObject([{ type: 'ready' }, undefined])
  expect((await sender(home)('GET', '/api/v1/status')).status).toBe(200)
  if (how === 'SIGTERM') child.kill('SIGTERM')
  else child.disconnect()
  expect(await ended).toEqual([0, null])
})

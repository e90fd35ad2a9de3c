/** Weights from a hub: fetched with progress, gone on with after any end, verified, served, and then needed no more. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { commit, startHub, type Hub } from '../support/hub.ts'
import { adminKey, repository, runCli, startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'

const weights = readFileSync(join(repository, 'weights/smoke/smoke.gguf'))
const source = `hf:holdfast/smoke@${commit}:smoke.gguf`
const version = 'dev-v1.0-smoke-fp16-p0'
const token = 'hf_canary_of_the_test_suite'

let hub: Hub
let home: string
/** Services that nobody could stop yet, for when a test fails. */
const held: number[] = []
beforeAll(async () => {
  hub = await startHub({ 'smoke.gguf': weights, 'page.gguf': Buffer.from('<html>') })
  home = mkdtempSync(join(tmpdir(), 'holdfast-hub-'))
})
afterAll(async () => {
  for (const pid of held) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  await hub.close()
  rmSync(home, { recursive: true, force: true })
})

type More = { spec?: string; env?: Record<string, string>; model?: string; said?: { stdout: string; stderr: string } }

const start = ({ spec, env = {}, model = source, said = { stdout: '', stderr: '' } }: More = {}) => {
  return startService({
    home,
    said,
    env: { HF_ENDPOINT: hub.url, HF_TOKEN: token, ...env },
    ...(spec === undefined ? { flags: ['--model', model] } : { spec }),
  })
}

/** Starts a service whose download stands still after `bytes` more; resolves when they are on the disk and told. */
async function startHeld(bytes: number): Promise<{ ended: Promise<string> }> {
  const from = partBytes()
  hub.behave({ gatedFor: token, holdAfter: bytes })
  const said = { stdout: '', stderr: '' }
  const ended = start({ said }).then(
    () => 'it serves',
    (error: Error) => error.message,
  )
  await until(`${bytes} bytes more`, () => partBytes() >= from + bytes, 30_000)
  const percent = Math.floor((partBytes() / weights.length) * 100)
  await until(`${percent} % is told`, () => said.stderr.includes(`${percent} % of`), 30_000)
  held.push(pidOf('up'))
  return { ended }
}

async function ask(service: Service, model: string): Promise<string> {
  const answer = await service.call('/v1/chat/completions', {
    model,
    temperature: 0,
    messages: [{ role: 'user', content: 'What is the capital of France?' }],
  })
  expect(answer.status).toBe(200)
  expect(answer.headers.get('x-holdfast-version')).toBe(version)
  return JSON.stringify(await answer.json())
}

test('a download goes on after SIGTERM, after kill -9 of the agent and of everything, and its weights are served', async () => {
  // Stopped as a person does it.
  const first = await startHeld(600_000)
  expect(await status()).toMatchObject({
    fetches: [{ version, source, state: 'fetching', doneBytes: 600_000, totalBytes: weights.length }],
  })
  process.kill(pidOf('up'), 'SIGTERM')
  expect(await first.ended).toMatch(/it ended with 0\n[^]*fetching smoke\.gguf: 26 % of 2\.2 MB/)
  expect(partBytes()).toBe(600_000)

  // The agent alone: the next one goes on by itself.
  const second = await startHeld(600_000)
  process.kill(pidOf('agent'), 'SIGKILL')
  await until('the next agent goes on', () => partBytes() >= 1_800_000, 30_000)
  const roles = ['up', 'agent', 'controller', 'gateway'] as const
  for (const pid of roles.map(pidOf)) process.kill(pid, 'SIGKILL')
  await second.ended

  const part = partBytes()
  const sent = hub.sent()
  hub.behave({ gatedFor: token })
  const service = await start()
  try {
    expect(hub.sent() - sent).toBe(weights.length - part)
    await until('it is told', () => service.said.stderr.includes('smoke.gguf is here, whole and verified'))
    expect(await ask(service, 'smoke')).toContain('Paris')
    expect(readdirSync(join(home, 'artifacts', 'parts'))).toEqual([])
  } finally {
    await service.stop()
  }
  expect(hub.seen.some(({ at, authorization }) => at === 'storage' && authorization !== null)).toBe(false)
})

test('what was fetched is served without a network, from a spec too', async () => {
  const asked = hub.seen.length
  const spec = `
apiVersion: holdfast/v1
versions:
  - name: ${version}
    artifact: { from: '${source}' }
    engine: { kind: embedded, flags: { context-size: 512 } }
    replicas: [{ id: one }]
models:
  - { name: far, live: ${version} }
`
  const service = await start({ spec, env: { HF_HUB_OFFLINE: '1' } })
  try {
    expect(await ask(service, 'far')).toContain('Paris')
  } finally {
    await service.stop()
  }
  expect(hub.seen).toHaveLength(asked)
})

test('weights that can’t be had leave the service up, and are told by it and by status', async () => {
  hub.behave({ sends: Buffer.concat([weights.subarray(0, -1), Buffer.from([weights.at(-1)! ^ 1])]) })
  const other = mkdtempSync(join(tmpdir(), 'holdfast-hub-'))
  const service = await startService({ home: other, flags: ['--model', source], env: { HF_ENDPOINT: hub.url } })
  try {
    // Standard error is a pipe of its own.
    await until('why is told', () => /smoke\.gguf can't be fetched: .*twice, with sha256/.test(service.said.stderr))
    expect(JSON.parse(service.said.stdout)).toMatchObject({ models: [{ name: 'smoke', status: 'unavailable' }] })
    expect((await service.cli('status')).stdout).toMatch(/failed: .*twice, with sha256/)
    expect((await service.processes()).map(({ role }) => role)).not.toContain('engine')
    expect(existsSync(join(other, 'artifacts', 'hf'))).toBe(false)
  } finally {
    await service.stop()
    rmSync(other, { recursive: true, force: true })
  }
})

test('a name that can’t work is refused before anything is started, with those that can', async () => {
  hub.behave({ gatedFor: token })
  const up = (model: string, env: Record<string, string> = {}) =>
    runCli(['up', '--port', '0', '--model', model], {
      ...process.env,
      HOLDFAST_HOME: join(home, 'other'),
      HF_ENDPOINT: hub.url,
      ...env,
    })
  const pinned = `--model hf:holdfast/smoke@${commit}:smoke.gguf  (2.2 MB)`
  expect(await up('hf:holdfast/smoke@main:smoke.gguf', { HF_TOKEN: token })).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining(pinned) as string,
  })
  expect(await up(`hf:holdfast/smoke@${commit}`, { HF_TOKEN: token })).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining(pinned) as string,
  })
  expect(await up(`hf:holdfast/smoke@${commit}:smoke.gguf`)).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/is gated: .*HF_TOKEN/) as string,
  })
  expect(await up(`hf:holdfast/smoke@${commit}:none.gguf`, { HF_TOKEN: token })).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/no file none\.gguf; it has smoke\.gguf, page\.gguf/) as string,
  })
})

/** As far as it is noted that it is on the disk; 0: nothing is. */
function partBytes(): number {
  const folder = join(home, 'artifacts', 'parts')
  const names = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.extents')) : []
  return names.reduce((sum, name) => sum + notedIn(join(folder, name)), 0)
}

/** 0: it has just been removed. */
function notedIn(path: string): number {
  try {
    const { extents } = JSON.parse(readFileSync(path, 'utf8')) as { extents: [number, number][] }
    return extents.reduce((sum, [from, to]) => sum + to - from, 0)
  } catch {
    return 0
  }
}

type Facts = { url: string; processes: { role: string; pid: number }[] }
const facts = (): Facts => JSON.parse(readFileSync(join(home, 'run', 'service.json'), 'utf8')) as Facts

function pidOf(role: string): number {
  const pid = facts().processes.find(process => process.role === role)?.pid
  if (pid === undefined) throw new Error(`no ${role} runs`)
  return pid
}

/** Once its controller answers, and the agent has said how far it is. */
async function status(): Promise<unknown> {
  let body: { fetches?: { doneBytes: number }[] } = {}
  await until('status', async () => {
    const headers = { authorization: `Bearer ${adminKey}` }
    const answer = await fetch(`${facts().url}/api/v1/status`, { headers }).catch(() => null)
    if (answer?.ok === true) body = (await answer.json()) as typeof body
    return body.fetches?.some(({ doneBytes }) => doneBytes > 0) === true
  })
  return body
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

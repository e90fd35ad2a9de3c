/** The spec changes under load, again and again: no request fails and no stream is cut; what is refused changes nothing. */
import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { startLoad, type Ended } from '../support/load.ts'
import { adminKey, startService, type Service } from '../support/service.ts'

type Applied = { changes: { what: string; name: string }[]; snapshot: string; inForce: Record<string, string[]> }

const reloads = 24

let engines: FakeEngine[]
let service: Service

beforeAll(async () => {
  engines = await Promise.all([startFakeEngine(), startFakeEngine(), startFakeEngine()])
  service = await startService({ spec: specOf(0) })
}, 60_000)
afterAll(async () => {
  await service?.stop()
  await Promise.all((engines ?? []).map(engine => engine.close()))
})

test('24 reloads of weights, models, replicas, limits, prompts and teams cut nothing', async () => {
  const load = startLoad({ url: service.url, clients: 8, most: 20_000, make: makeAsk })
  const snapshots = new Set<string>()
  try {
    for (let n = 1; n <= reloads; n++) {
      await load.after(15)
      writeFileSync(service.specFile, specOf(n))
      const applied = await apply()
      expect(applied.inForce['waitingFor']).toEqual([])
      expect(applied.inForce['acknowledged']).toHaveLength(1)
      expect(applied.changes.length).toBeGreaterThan(0)
      snapshots.add(applied.snapshot)
    }
    await load.after(30)
  } finally {
    await load.stop()
  }
  expect(snapshots.size).toBe(reloads)
  await expectAllWhole(load.ended)
}, 60_000)

test('streams that began before a version and its replica are gone go on to their end', async () => {
  writeFileSync(service.specFile, specOf(1))
  await apply()
  const load = startLoad({
    url: service.url,
    clients: 4,
    most: 4,
    make: () => ({ key: adminKey, body: toBody('[[fake:tokens=40,gapMs=50]]', true) }),
  })
  await load.after(8)
  writeFileSync(service.specFile, specOf(2))
  expect((await apply()).changes).toContainEqual(expect.objectContaining({ what: 'version', change: 'removed' }))
  await load.stop()
  await expectAllWhole(load.ended)
  expect(load.ended.every(({ events }) => events >= 40)).toBe(true)
}, 30_000)

test('a spec with mistakes is refused with all of them, and everything stays as it was', async () => {
  const before = await status()
  writeFileSync(
    service.specFile,
    specOf(3).replace('live: production-v2', 'live: produktion-v2').replace('weight', 'wait'),
  )
  const { exitCode, stderr } = await service.cli('apply')
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(/holdfast\.yaml:\d+:\d+/)
  expect(stderr).toContain('wait')
  expect(stderr).toContain('live')
  const after = await status()
  expect(after.snapshot).toBe(before.snapshot)
  expect(after.spec.state).toBe('invalid')
})

test('what a served version name means can not change, not even after a restart of the controller', async () => {
  for (const restarted of [false, true]) {
    if (restarted) {
      const { processes } = await status()
      const pid = processes.find(({ role }) => role === 'controller')!.pid
      process.kill(pid, 'SIGKILL')
      await expect
        .poll(
          async () => (await status().catch(() => null))?.processes.find(({ role }) => role === 'controller')?.pid,
          {
            timeout: 20_000,
          },
        )
        .not.toBe(pid)
    }
    const before = await status()
    writeFileSync(service.specFile, specOf(2).replaceAll('Answer in one word.', 'Answer in many words.'))
    const refused = await service.call('/api/v1/apply', {})
    expect(refused.status).toBe(409)
    const text = await refused.text()
    expect(text).toContain('Answer in one word.')
    expect(text).toContain('production-v2.2-m-8b-fp16-p1')
    expect((await status()).snapshot).toBe(before.snapshot)
  }
}, 60_000)

test('what only new processes can take is refused by name', async () => {
  writeFileSync(service.specFile, `${specOf(2)}capture:\n  retention: 3d\n`)
  const refused = await service.call('/api/v1/apply', {})
  expect(refused.status).toBe(409)
  const text = await refused.text()
  expect(text).toContain('capture.retention')
  expect(text).toContain('holdfast restart controller')
})

test('diff tells what apply would change, and SIGHUP applies too', async () => {
  writeFileSync(service.specFile, specOf(2))
  await apply()
  writeFileSync(service.specFile, specOf(3))
  const { exitCode, stdout } = await service.cli('diff')
  expect(exitCode).toBe(1)
  expect(stdout).toContain('~ model m')
  process.kill(service.pid, 'SIGHUP')
  const differences = async () => ((await (await service.call('/api/v1/diff')).json()) as { changes: object[] }).changes
  await expect.poll(differences, { timeout: 20_000 }).toEqual([])
  expect(await service.cli('diff')).toMatchObject({ exitCode: 0 })
}, 40_000)

/** Each differs from the one before in several ways; odd and even ones serve different versions. */
function specOf(n: number): string {
  const [first, second, third] = engines.map(({ url }) => url)
  const version = n % 2 === 0 ? 'production-v2.1-m-8b-fp16-p1' : 'production-v2.2-m-8b-fp16-p2'
  const replicas = n % 2 === 0 ? [first, second] : [third, ...(n % 4 === 1 ? [first] : [])]
  return `name: zero-cut
gateway:
  limits: { request: ${60 + n}s }
prompts:
  p1: { text: Answer in one word. }
  p2: { text: Answer in two words. }
versions:
  - name: ${version}
    engine: { kind: vllm, servedName: fake }
    replicas:
${replicas.map((url, at) => `      - { id: r${n % 2}${at}, url: "${url}/v1", weight: ${1 + ((n + at) % 3)} }`).join('\n')}
models:
  - name: m
    live: ${version}
    queue: { waiting: ${100 + n} }
${n % 3 === 0 ? `  - name: extra-${n}\n    live: ${version}\n` : ''}teams:
  - name: team-${n % 2}
    models: [m]
    limits: { parallel: ${10 + n} }
`
}

function makeAsk(n: number) {
  const long = n % 4 === 0
  return { key: adminKey, body: toBody(long ? '[[fake:tokens=40,gapMs=20]]' : '[[fake:tokens=5]]', n % 2 === 0) }
}

const toBody = (content: string, stream: boolean) => ({ model: 'm', stream, messages: [{ role: 'user', content }] })

async function apply(): Promise<Applied> {
  const answer = await service.call('/api/v1/apply', {})
  expect(answer.status, await answer.clone().text()).toBe(200)
  return (await answer.json()) as Applied
}

type Status = { snapshot: string; spec: { state: string }; processes: { role: string; pid: number }[] }
async function status(): Promise<Status> {
  return (await (await service.call('/api/v1/status')).json()) as Status
}

/** As its client saw it, and as the journal has it. */
async function expectAllWhole(ended: readonly Ended[]): Promise<void> {
  expect(ended.filter(({ end, status: code }) => end !== 'whole' || code !== 200)).toEqual([])
  expect(ended.filter(({ stream }) => stream).length).toBeGreaterThan(3)
  const rows = (await (await service.call('/api/v1/requests?limit=1000')).json()) as {
    requests: { outcome: string }[]
  }
  expect(rows.requests.filter(({ outcome }) => outcome !== 'ok')).toEqual([])
}

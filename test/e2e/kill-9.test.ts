/** kill -9 of everything, under load: what was answered is in the log, and the service comes back by itself. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask, isReset, startLoad, type Ended } from '../support/load.ts'
import { adminKey, startService, type Service } from '../support/service.ts'
import { backMs, until } from '../support/settled.ts'

type Row = {
  id: string
  key: string
  outcome: string
  status: number | null
  inputTokens: number | null
  outputTokens: number | null
}
type Usage = { name: string; requests: number; inputTokens: number; outputTokens: number } & Record<string, unknown>
type Role = (typeof killed)[number]

const killed = ['gateway', 'controller', 'agent', 'engine'] as const
const killsEach = 3
const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? Date.now() % 1_000_000)
const random = seededRandom(seed)
const answersWithinMs = 10_000

describe(`kill -9 under load (HOLDFAST_TEST_SEED=${seed})`, () => {
  let home: string
  let service: Service
  let ended: readonly Ended[]
  let rows: Map<string, Row[]>
  const resumed: { role: Role; answer: Ended }[] = []

  beforeAll(async () => {
    home = makeHome()
    service = await startService({ home })
    const keys = [adminKey, await makeKey(service, 'anna'), await makeKey(service, 'bert')]
    const load = startLoad({
      url: service.url,
      clients: 8,
      most: 20_000,
      make: n => makeAsk(keys[n % keys.length]!, n),
    })
    const order = shuffled(killed.flatMap(role => Array.from({ length: killsEach }, () => role)))
    try {
      for (const role of order) {
        await load.after(1 + Math.floor(random() * 200))
        await killAndAwaitNext(role, home)
        resumed.push({ role, answer: await askUntilWhole(service.url, adminKey) })
      }
      await load.after(100)
    } finally {
      ended = await load.stop()
    }
    await administrationIsBack(service)
    rows = await readLog(service)
  }, 110_000)
  afterAll(async () => {
    await service?.stop()
    rmSync(home, { recursive: true, force: true })
  })

  test('after each kill a new request succeeds within 10 s', () => {
    expect(
      resumed.map(({ role, answer }) => ({
        role,
        end: answer.end,
        status: answer.status,
        inTime: answer.totalMs < answersWithinMs,
      })),
    ).toEqual(resumed.map(({ role }) => ({ role, end: 'whole', status: 200, inTime: true })))
    expect(resumed).toHaveLength(killed.length * killsEach)
  })

  test('no connection was refused: while the gateway is replaced they wait', () => {
    expect(ended.filter(({ code }) => code === 'ECONNREFUSED')).toEqual([])
    expect(
      ended.filter(({ code, id }) => code !== null && id === null && code !== 'ECONNRESET' && code !== 'EPIPE'),
    ).toEqual([])
  })

  test('whatever had an answer begun, had 200; only a gateway’s or an engine’s death cut it', () => {
    expect(ended.filter(({ status }) => status !== null && status !== 200)).toEqual([])
    expect(ended.filter(({ end }) => end === 'silent')).toEqual([])
    // Enough of a load that the sentences below mean something.
    expect(ended.filter(({ end, stream }) => end === 'whole' && stream).length).toBeGreaterThan(20)
    expect(ended.filter(({ end, stream }) => end === 'whole' && !stream).length).toBeGreaterThan(20)
  })

  test('every answered request is in the log once, as answered, with the tokens its client was told', () => {
    const answered = ended.filter(({ end, status }) => end === 'whole' && status === 200)
    const told = answered.map(({ id, usage }) => ({
      id,
      times: 1,
      outcome: 'ok',
      tokens: usage === null ? null : [usage.prompt_tokens, usage.completion_tokens],
    }))
    const logged = answered.map(({ id, usage }) => {
      const found = rows.get(id ?? '') ?? []
      const tokens = usage === null ? null : [found[0]?.inputTokens, found[0]?.outputTokens]
      return { id, times: found.length, outcome: found[0]?.outcome, tokens }
    })
    expect(logged).toEqual(told)
  })

  test('no id is in the log twice, and none is open for ever', () => {
    const all = [...rows.values()]
    expect(all.filter(same => same.length > 1)).toEqual([])
    expect(all.flat().filter(({ outcome }) => outcome === 'open')).toEqual([])
  })

  test('a request that its gateway took along is interrupted in the log, never missing', () => {
    const cut = ended.filter(({ end, id }) => end === 'broken' && id !== null)
    const outcomes = cut.map(({ id }) => rows.get(id ?? '')?.[0]?.outcome ?? 'missing')
    expect(outcomes).not.toContain('missing')
    // The gateway may have finished its part, and died before the last bytes left.
    expect(outcomes.filter(outcome => !['interrupted', 'ok', 'failed'].includes(outcome))).toEqual([])
    expect(outcomes).toContain('interrupted')
  })

  test('a stream whose engine died has failed in the log', () => {
    const cut = ended.filter(({ end }) => end === 'error-event')
    expect(cut.map(({ id }) => rows.get(id ?? '')?.map(({ outcome }) => outcome))).toEqual(cut.map(() => ['failed']))
  })

  test('what each key used is what its requests say', async () => {
    const { usage } = (await (await service.call('/api/v1/usage?by=key')).json()) as { usage: Usage[] }
    const byKey = Map.groupBy([...rows.values()].flat(), ({ key }) => key)
    const sum = (some: Row[], part: 'inputTokens' | 'outputTokens'): number =>
      some.reduce((all, row) => all + (row[part] ?? 0), 0)
    const expected = [...byKey].map(([name, some]) => ({
      name,
      requests: some.length,
      ok: some.filter(({ outcome }) => outcome === 'ok').length,
      interrupted: some.filter(({ outcome }) => outcome === 'interrupted').length,
      inputTokens: sum(some, 'inputTokens'),
      outputTokens: sum(some, 'outputTokens'),
    }))
    const told = usage.map(({ name, requests, ok, interrupted, inputTokens, outputTokens }) => ({
      name,
      requests,
      ok,
      interrupted,
      inputTokens,
      outputTokens,
    }))
    expect(byName(told)).toEqual(byName(expected))
    expect(told).toHaveLength(3)
  })

  test('the journal is intact, and one process of each role is left', async () => {
    expect(await service.cli('audit', 'verify')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('intact') as string,
    })
    expect([...rolesOf(home).keys()].toSorted()).toEqual(['agent', 'controller', 'engine', 'gateway', 'up'])
    for (const pids of rolesOf(home).values()) expect(pids).toHaveLength(1)
  })
})

describe('one process dead, the others at work', () => {
  let home: string
  let service: Service
  beforeAll(async () => {
    home = makeHome()
    service = await startService({ home })
  })
  afterAll(async () => {
    await service?.stop()
    rmSync(home, { recursive: true, force: true })
  })

  test('with the controller dead models are served, and administration says that it is away', async () => {
    const stop = keepKilling('controller', home)
    try {
      const refused = await service.call('/api/v1/keys')
      expect(refused.status).toBe(503)
      expect(await refused.json()).toEqual({
        error: {
          message: expect.any(String) as string,
          type: 'server_error',
          param: null,
          code: 'controller_unavailable',
        },
      })
      for (const stream of [false, true])
        expect(await ask({ url: service.url, key: adminKey, body: story(stream) })).toMatchObject({
          end: 'whole',
          status: 200,
        })
      expect((await service.call('/v1/models')).status).toBe(200)
      expect((await service.call('/api/v1/keys')).status).toBe(503)
    } finally {
      stop()
    }
    await administrationIsBack(service)
  })

  test('a gateway that starts while the controller hangs serves from its disk', async () => {
    const key = await makeKey(service, 'carla')
    await until(
      'the key is in force',
      async () => (await ask({ url: service.url, key, body: story(false, 1) })).status === 200,
    )
    const controller = pidOf('controller', home)
    process.kill(controller, 'SIGSTOP')
    try {
      await killAndAwaitNext('gateway', home)
      expect(await askUntilWhole(service.url, key)).toMatchObject({ end: 'whole', status: 200 })
      expect(pidOf('controller', home)).toBe(controller)
    } finally {
      process.kill(controller, 'SIGCONT')
    }
    await administrationIsBack(service)
  })

  test('the agent’s death leaves its engine at work, and the next agent looks after it', async () => {
    const engine = pidOf('engine', home)
    await killAndAwaitNext('agent', home)
    expect(await ask({ url: service.url, key: adminKey, body: story(false) })).toMatchObject({
      end: 'whole',
      status: 200,
    })
    const agent = pidOf('agent', home)
    expect(await service.processes()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ role: 'engine', pid: engine }),
        expect.objectContaining({ role: 'agent', pid: agent }),
      ]),
    )
    expect(pidOf('engine', home)).toBe(engine)

    await killAndAwaitNext('engine', home)
    expect(await askUntilWhole(service.url, adminKey)).toMatchObject({ end: 'whole', status: 200 })
    expect(pidOf('agent', home)).toBe(agent)
    await until('status has the new engine', async () =>
      (await service.processes()).some(({ role, pid }) => role === 'engine' && pid === pidOf('engine', home)),
    )
  })

  test('the parent’s death ends every process, and a new one goes on with the whole log', async () => {
    const load = startLoad({ url: service.url, clients: 4, most: 2_000, make: n => makeAsk(adminKey, n) })
    await load.after(200)
    const mine = [...rolesOf(home).values()].flat()
    expect(mine).toHaveLength(5)
    process.kill(service.pid, 'SIGKILL')
    const stopped = load.stop()
    await until('every process has ended', () => rolesOf(home).size === 0).catch((error: unknown) => {
      throw new Error(`${String(error)}; found ${JSON.stringify([...rolesOf(home)])}`)
    })
    const ended = await stopped
    await service.stop()

    service = await startService({ home })
    expect(await ask({ url: service.url, key: adminKey, body: story(true) })).toMatchObject({
      end: 'whole',
      status: 200,
    })
    const rows = await readLog(service)
    const answered = ended.filter(({ end, status }) => end === 'whole' && status === 200)
    expect(answered.length).toBeGreaterThan(0)
    expect(answered.map(({ id }) => rows.get(id ?? '')?.map(({ outcome }) => outcome))).toEqual(
      answered.map(() => ['ok']),
    )
    const cut = ended.filter(({ end, id }) => end !== 'whole' && id !== null)
    expect(cut.filter(({ id }) => rows.get(id ?? '')?.length !== 1)).toEqual([])
    expect(await service.cli('audit', 'verify')).toMatchObject({ exitCode: 0, stderr: '' })
  })
})

function story(stream: boolean, maxTokens = 40, s = 1): Record<string, unknown> {
  return {
    model: 'smoke',
    stream,
    max_tokens: maxTokens,
    seed: s,
    messages: [{ role: 'user', content: 'Tell me a story about a cat.' }],
  }
}

const makeHome = (): string => mkdtempSync(join(tmpdir(), 'holdfast-kill-'))

/** Every other one streams; most streams are long enough to be cut. */
function makeAsk(key: string, n: number): { key: string; body: Record<string, unknown> } {
  const stream = Math.floor(n / 3) % 2 === 0
  return { key, body: story(stream, stream ? 100 : 16, n) }
}

const administrationIsBack = (service: Service): Promise<void> =>
  until('administration is back', async () => (await service.call('/api/v1/keys')).status === 200, backMs)

async function makeKey(service: Service, alias: string): Promise<string> {
  const { stdout } = await service.cli('key', 'create', '--alias', alias, '--json')
  return (JSON.parse(stdout) as { key: string }).key
}

async function readLog(service: Service): Promise<Map<string, Row[]>> {
  const { stdout, exitCode, stderr } = await service.cli('logs', '--json', '--limit', '100000')
  expect(exitCode, stderr).toBe(0)
  const rows = stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Row)
  return Map.groupBy(rows, ({ id }) => id)
}

/** As a client with retries: a connection that the dying gateway held is tried again. */
async function askUntilWhole(url: string, key: string): Promise<Ended> {
  const startedMs = performance.now()
  for (;;) {
    const answer = await ask({ url, key, body: story(false, 10) })
    const totalMs = performance.now() - startedMs
    if (!isReset(answer) || totalMs > answersWithinMs) return { ...answer, totalMs }
  }
}

/** Resolves when the role has one process again, another one. */
async function killAndAwaitNext(role: Role, home: string): Promise<void> {
  const old = pidOf(role, home)
  process.kill(old, 'SIGKILL')
  await until(
    `a new ${role}`,
    () => {
      const [pid, ...more] = rolesOf(home).get(role) ?? []
      return pid !== undefined && pid !== old && more.length === 0
    },
    backMs,
  )
}

/** Kills it now, and each successor as soon as it is there. */
function keepKilling(role: Role, home: string): () => void {
  const kill = (): void => {
    for (const pid of rolesOf(home).get(role) ?? []) process.kill(pid, 'SIGKILL')
  }
  kill()
  const timer = setInterval(kill, 20)
  return () => clearInterval(timer)
}

function pidOf(role: string, home: string): number {
  const [pid, ...more] = rolesOf(home).get(role) ?? []
  if (pid === undefined || more.length > 0)
    throw new Error(`there are ${pid === undefined ? 0 : 1 + more.length} processes with the role ${role}`)
  return pid
}

/** The service's processes as the system knows them: its program, with its state folder. */
function rolesOf(home: string): Map<string, number[]> {
  const all = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      try {
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0')
        const role = words[words.findIndex(word => word.endsWith('/src/apps/main.ts')) + 1]
        if (role === undefined || !roles.has(role)) return []
        if (!readFileSync(`/proc/${name}/environ`, 'utf8').split('\0').includes(`HOLDFAST_HOME=${home}`)) return []
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
        return [{ role, pid: Number(name), parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) }]
      } catch {
        // It ended while it was looked at.
        return []
      }
    })
  // Between fork and exec a child looks like its parent.
  const real = all.filter(({ role, parent }) => !all.some(other => other.pid === parent && other.role === role))
  return new Map([...Map.groupBy(real, ({ role }) => role)].map(([role, list]) => [role, list.map(({ pid }) => pid)]))
}
const roles: ReadonlySet<string> = new Set(['up', ...killed])

function byName<T extends { name: string }>(list: T[]): T[] {
  return list.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map(value => ({ value, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ value }) => value)
}

/** mulberry32: small, and the same everywhere. */
function seededRandom(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Chaos: a real service under load, one thing broken after another, and the promises judged at the end. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { ask } from '../support/load.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { repository, startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'
import { startActs } from './acts.ts'
import { startEngineProcess, type EngineProcess } from './engine-process.ts'
import { faults as allFaults, type Fault, type Injected, type World } from './faults.ts'
import type { Finding } from './finding.ts'
import { judge, overlapsGatewayKill } from './invariants.ts'
import { eachRecord } from './journal.ts'
import { startChaosLoad, type Holder, type Seen } from './load.ts'
import { readMetric } from './metrics.ts'
import { openRandom, type Random } from './random.ts'
import { mountJournal } from './small-disk.ts'
import { unlessStopped } from './stopped.ts'
import type { CloseRecord, JournalRecord } from '../../src/domain/journal/index.ts'

export type ChaosOptions = {
  seed: number
  /** Rounds of all faults, in an order of the seed, until this time is over; each fault once at least. */
  minutes: number
  /** Their names; left out: all. */
  faults?: readonly string[]
  onFault?: (line: FaultLine) => void
  signal?: AbortSignal
}
export type FaultLine = {
  fault: string
  struck: string
  requests: number
  retried: number
  failed: number
  /** From its end until what was struck works again; `null`: not within a minute. */
  recoveredMs: number | null
}
export type ChaosReport = {
  seed: number
  seconds: number
  /** Faults that this machine does not allow. */
  skipped: string[]
  lines: FaultLine[]
  findings: Finding[]
}

const restMs = 60_000
const recoverMs = 60_000
const betweenMs = 1_000
const parallel = 4
const requestsPerMinute = 60
const teamRequestsPerMinute = 120
const limits = [
  { of: 'alias', name: 'limited', limit: requestsPerMinute },
  { of: 'team', name: 'shared', limit: teamRequestsPerMinute },
] as const

export const faultNames: readonly string[] = allFaults.map(({ name }) => name)

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const closers: (() => unknown)[] = []
  try {
    const engines = await Promise.all(
      ['a', 'b', 'c', 'd'].map(id => startEngineProcess(id, { tokens: 12, gapMs: 10, firstMs: 20 })),
    )
    closers.push(...engines.map(engine => engine.kill))
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-chaos-'))
    closers.push(() => rmSync(folder, { recursive: true, force: true }))
    const home = join(folder, 'home')
    const wants = (part: string): boolean => options.faults?.some(name => name.startsWith(part)) ?? true
    const disk = wants('disk-') ? mountJournal(home) : null
    closers.push(() => disk?.unmount())
    const clockFile = join(folder, 'clock')
    const redis = wants('redis-') ? await startRedis().catch(() => null) : null
    closers.push(() => redis?.stop())
    const postgres = wants('postgres-') ? await startPostgres().catch(() => null) : null
    closers.push(() => postgres?.close())
    const service = await startService({
      home,
      spec: specFor(engines, { redis: redis !== null, postgres: postgres !== null }),
      env: {
        ...(redis === null ? {} : { HOLDFAST_CHAOS_REDIS: redis.url }),
        ...(postgres === null ? {} : { HOLDFAST_CHAOS_DATABASE: await postgres.newDatabase() }),
        HOLDFAST_TEST_CLOCK: clockFile,
        NODE_OPTIONS: `--import ${pathToFileURL(join(repository, 'test/chaos/shift-clock.ts')).href}`,
      },
    })
    closers.push(service.stop)
    const over = new AbortController()
    closers.push(() => over.abort())
    return await unlessStopped(
      options.signal,
      breakThings(
        { ...options, signal: over.signal },
        { engines, service, world: { home, disk, redis, postgres, clockFile } },
      ),
    )
  } finally {
    for (const close of closers.toReversed()) await close()
  }
}

type Parts = { engines: EngineProcess[]; service: Service }
type Broken = Parts & { world: World }

async function breakThings(options: ChaosOptions, { engines, service, world }: Broken): Promise<ChaosReport> {
  const { seed, minutes, onFault, signal } = options
  const missing = Object.entries({ 'disk-': world.disk, 'redis-': world.redis, 'postgres-': world.postgres })
    .filter(([, part]) => part === null)
    .map(([prefix]) => prefix)
  const skipped = faultNames.filter(name => missing.some(prefix => name.startsWith(prefix)))
  const wanted = (options.faults ?? faultNames).filter(name => !skipped.includes(name))
  const startedMs = performance.now()
  const random = openRandom(seed)
  const holders = await makeHolders(service)
  const load = startChaosLoad({ url: service.url, holders, signal })
  const acts = startActs(service, signal)
  const injected: Injected[] = []
  const recovered: (number | null)[] = []
  await pause(2 * betweenMs)
  for (const fault of rounds({ random, wanted, until: startedMs + minutes * 60_000 })) {
    if (signal?.aborted === true) break
    const one = await strike(fault, random.pick(engines), world)
    injected.push(one)
    const recoveredMs = await recovery(fault, one, { engines, service })
    recovered.push(recoveredMs)
    onFault?.(toLine(one, recoveredMs, { seen: load.seen, closes: new Map() }))
    await pause(betweenMs)
  }
  const seen = await load.stop()
  const kept = await acts.finding()
  const rest = await atRest({ service, engines }, holders)
  const records: JournalRecord[] = []
  await eachRecord(service.home, record => void records.push(record))
  const closes = new Map(
    records.flatMap(record => (record.t === 'close' ? [[String(record.id), record] as const] : [])),
  )
  return {
    seed,
    skipped: (options.faults ?? faultNames).filter(name => skipped.includes(name)),
    seconds: Math.round((performance.now() - startedMs) / 1000),
    lines: injected.map((one, at) => toLine(one, recovered[at] ?? null, { seen, closes })),
    findings: [
      ...judge({ seen, records, injected, limits, limitsAreShared: world.redis !== null }),
      rest,
      kept,
      await chainFinding(service),
    ],
  }
}

/** Each once, then again in another order, until the time is over. */
function* rounds(parts: { random: Random; wanted: readonly string[]; until: number }): Generator<Fault> {
  const chosen = allFaults.filter(({ name }) => parts.wanted.includes(name))
  for (let round = 0; round === 0 || performance.now() < parts.until; round++) {
    for (const fault of parts.random.shuffle(chosen)) {
      if (round > 0 && performance.now() >= parts.until) return
      yield fault
    }
  }
}

async function strike(fault: Fault, engine: EngineProcess, world: World): Promise<Injected> {
  const from = Date.now()
  const givenWhileHung = await fault.inject(world, engine)
  const struck = fault.strikes === 'replica' ? engine.id : fault.strikes
  return { name: fault.name, struck, from, until: Date.now(), givenWhileHung }
}

/** A replica has recovered when it is given work again, a gateway when it answers, a controller when it administers. */
async function recovery(fault: Fault, { struck, until: endedAt }: Injected, parts: Parts): Promise<number | null> {
  const { engines, service } = parts
  const engine = engines.find(({ id }) => id === struck)
  const before = engine === undefined ? 0 : (await engine.state()).firstTokens
  const works = async (): Promise<boolean> => {
    if (engine !== undefined) return (await engine.state()).firstTokens > before
    const path = fault.strikes === 'gateway' ? '/v1/models' : '/api/v1/keys'
    return (await service.call(path).catch(() => null))?.ok === true
  }
  const inTime = await until('recovery', works, recoverMs).then(
    () => true,
    () => false,
  )
  return inTime ? Date.now() - endedAt : null
}

type Told = { seen: readonly Seen[]; closes: ReadonlyMap<string, CloseRecord> }

function toLine(one: Injected, recoveredMs: number | null, { seen, closes }: Told): FaultLine {
  const during = seen.filter(({ from, until: end }) => from < one.until && end > one.from)
  return {
    fault: one.name,
    struck: one.struck,
    requests: during.length,
    retried: during.filter(({ id }) => (closes.get(id ?? '')?.attempts ?? 0) > 1).length,
    failed: during.filter(
      each => isFailed(each) || (overlapsGatewayKill(each, [one]) && each.end === 'broken' && !each.left),
    ).length,
    recoveredMs,
  }
}

const isFailed = ({ end, left, status }: Seen): boolean =>
  !left && (end === 'error-event' || end === 'silent' || (status !== null && status >= 500))

async function makeHolders(service: Service): Promise<Holder[]> {
  const run = async (...args: string[]): Promise<string> => {
    const { stdout, stderr, exitCode } = await service.cli(...args, '--json')
    if (exitCode !== 0) throw new Error(`holdfast ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  const made = async (alias: string, isLimited: boolean, ...flags: string[]): Promise<Holder> => {
    const { key } = JSON.parse(await run('key', 'create', '--alias', alias, ...flags)) as { key: string }
    return { alias, key, isLimited }
  }
  return Promise.all([
    made('free', false),
    made('open', false),
    made('limited', true, '--requests-per-minute', String(requestsPerMinute)),
    made('narrow', true, '--parallel', String(parallel)),
    made('anna', true, '--team', 'shared'),
    made('bert', true, '--team', 'shared'),
  ])
}

function specFor(engines: readonly EngineProcess[], uses: { redis: boolean; postgres: boolean }): string {
  const replicas = (from: number): string =>
    engines
      .slice(from, from + 2)
      .map(({ id, url }) => `{ id: ${id}, url: "${url}/v1" }`)
      .join(', ')
  // A stall is found before the ten seconds that a hung replica may still be given work.
  return `name: chaos
gateway:
  health: { stall: 5s }
  sharedLimits: ${uses.redis ? '${env:HOLDFAST_CHAOS_REDIS}' : 'local'}
store: ${uses.postgres ? '${env:HOLDFAST_CHAOS_DATABASE}' : 'sqlite'}
versions:
  - { name: dev-v1.0-coder-fp16-p0, engine: { kind: vllm, servedName: fake }, replicas: [${replicas(0)}] }
  - { name: dev-v1.0-general-fp16-p0, engine: { kind: vllm, servedName: fake }, replicas: [${replicas(2)}] }
models:
  - { name: coder, live: dev-v1.0-coder-fp16-p0, fallbacks: [general] }
  - { name: general, live: dev-v1.0-general-fp16-p0, fallbacks: [coder] }
teams:
  - { name: shared, limits: { requestsPerMinute: ${teamRequestsPerMinute} } }
`
}

/** 2. No lease leaked. */
async function atRest({ service, engines }: Parts, holders: readonly Holder[]): Promise<Finding> {
  const look = async (): Promise<Record<string, number>> => {
    const states = await Promise.all(engines.map(engine => engine.state()))
    return {
      'requests in flight': (await readMetric(service, 'holdfast_requests_in_flight')) ?? -1,
      'requests waiting': (await readMetric(service, 'holdfast_requests_waiting')) ?? -1,
      'requests on replicas': (await readMetric(service, 'holdfast_replica_requests_in_flight')) ?? -1,
      'running in engines': states.reduce((sum, { running }) => sum + running, 0),
      'waiting in engines': states.reduce((sum, { waiting }) => sum + waiting, 0),
    }
  }
  let seen = await look()
  const isQuiet = (): boolean => Object.values(seen).every(value => value === 0)
  await until('rest', async () => isQuiet() || ((seen = await look()), isQuiet()), restMs).catch(() => undefined)
  const narrow = holders.find(({ alias }) => alias === 'narrow')
  const body = { model: 'coder', messages: [{ role: 'user', content: '[[fake:firstMs=1000]]' }] }
  const all = await Promise.all(
    Array.from({ length: parallel }, () => ask({ url: service.url, key: narrow?.key ?? '', body })),
  )
  return {
    promise: 'no lease leaks: after the load nothing is in flight, nothing waits, and every place can be taken',
    violations: [
      ...Object.entries(seen)
        .filter(([, value]) => value !== 0)
        .map(([name, value]) => `${name}: ${value} instead of 0`),
      ...all
        .filter(({ status }) => status !== 200)
        .map(({ id, status, error }) => `request ${id} of ${parallel} at once: ${status} ${JSON.stringify(error)}`),
    ],
    evidence: `${parallel} of ${parallel} places asked for at once`,
  }
}

async function chainFinding(service: Service): Promise<Finding> {
  const { exitCode, stdout, stderr } = await service.cli('audit', 'verify')
  return {
    promise: 'the journal is intact, whoever was killed while writing it',
    violations: exitCode === 0 ? [] : [`holdfast audit verify: ${stdout}${stderr}`],
    evidence: stdout.split('\n')[0] ?? '',
  }
}

/**
 * Soak: very many requests, and clients who leave, against one gateway in a process of its own. Its memory stays flat, it
 * comes to rest with nothing held, and its journal has each request once.
 */
import { Agent } from 'node:http'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ask, type Ended } from '../support/load.ts'
import { repository, startService, type Service } from '../support/service.ts'
import { processOf, residentMib, until } from '../support/settled.ts'
import { startEngineProcess, type EngineProcess } from './engine-process.ts'
import type { Finding } from './finding.ts'
import { eachRecord } from './journal.ts'
import { readMetric } from './metrics.ts'
import { unlessStopped } from './stopped.ts'
import { slopeOf, type Sample } from './trend.ts'

export type SoakOptions = {
  requests: number
  /** So many more, whose clients leave. */
  aborts: number
  /** Nothing new is begun after this time, and what was done is judged; left out: all of it is done. */
  minutes?: number
  onSample?: (sample: Sample) => void
  signal?: AbortSignal
}
export type SoakReport = { requests: number; aborts: number; seconds: number; samples: Sample[]; findings: Finding[] }

const clients = 32
/** Of the key and of the version: one that leaks is soon missed. */
const places = 64
const sampleCount = 20
/** Before it, caches fill and code is compiled. */
const warmUp = 0.3
/** What the fitted lines may gain over the rest of the run. */
const gains = { heap: 16 * 2 ** 20, resident: 96 * 2 ** 20 }
/** Connections that are kept for a moment, and files that journal and database open in turn. */
const spareFiles = 12
const restMs = 30_000

/** Bits of what is known of each request, by its number. */
const asked = 1
const answered = 2
const left = 4
const begun = 8

export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-soak-'))
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })]
  try {
    const engines = await Promise.all(['a', 'b'].map(id => startEngineProcess(id, { tokens: 4 })))
    closers.push(...engines.map(engine => engine.stop))
    const service = await startService({ spec: specFor(engines), env: insideEnv(folder) })
    closers.push(service.stop)
    const over = new AbortController()
    closers.push(() => over.abort())
    const parts = { folder, engines, service }
    return await unlessStopped(options.signal, soak({ ...options, signal: over.signal }, parts))
  } finally {
    for (const close of closers.toReversed()) await close()
  }
}

type Parts = { folder: string; engines: EngineProcess[]; service: Service }

async function soak(
  { requests, aborts, minutes, onSample, signal }: SoakOptions,
  { folder, engines, service }: Parts,
): Promise<SoakReport> {
  const startedMs = performance.now()
  const { pid } = await processOf(service, 'gateway')
  const key = await makeKey(service)
  const total = requests + aborts
  const known = new Uint8Array(total)
  const unexpected: string[] = []
  const samples: Sample[] = []
  let next = 0
  let done = 0
  const isOver = (): boolean =>
    signal?.aborted === true || (minutes !== undefined && performance.now() - startedMs > minutes * 60_000)

  // A first round, so that what is opened once is open when files are counted.
  await Promise.all(Array.from({ length: clients }, () => ask({ url: service.url, key, body: bodyOf('hello', false) })))
  const filesBefore = filesOf(pid)
  await Promise.all([...Array.from({ length: clients }, run), sample()])
  const rest = await atRest({ service, engines, pid, most: filesBefore + spareFiles })
  samples.push(await measure({ folder, pid, requests: done }))
  const gaveUp = known.reduce((count, bits) => count + ((bits & left) === 0 ? 0 : 1), 0)
  return {
    requests: done - gaveUp,
    aborts: gaveUp,
    seconds: Math.round((performance.now() - startedMs) / 1000),
    samples,
    findings: [
      {
        promise: 'whoever stayed has a whole answer',
        violations: unexpected,
        evidence: `${done - gaveUp} requests, ${gaveUp} more whose clients left`,
      },
      await journalFinding(service, known),
      rest,
      await placesFinding(service, key),
      ...flatFindings(samples, done),
    ],
  }

  async function run(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (next < total && !isOver()) {
      const n = next++
      known[n] = asked
      if (isAbort(n, { requests, aborts })) await leave(n)
      else await stay(n, agent)
      done++
    }
    agent.destroy()
  }

  async function stay(n: number, agent: Agent): Promise<void> {
    const stream = n % 3 === 0
    const ended = await ask({ url: service.url, key, agent, clientId: nameOf(n), body: bodyOf('hello', stream) })
    known[n] = asked | answered
    if (ended.end !== 'whole' || ended.status !== 200) unexpected.push(`request ${n}: ${JSON.stringify(ended)}`)
  }

  /** Half leave in the middle of a stream, half after a moment, wherever the request is by then. */
  async function leave(n: number): Promise<void> {
    const leaving = new AbortController()
    const inTheMiddle = n % 2 === 0
    const timer = inTheMiddle ? null : setTimeout(() => leaving.abort(), (n >> 1) % 8)
    const ended: Ended = await ask({
      url: service.url,
      key,
      clientId: nameOf(n),
      leaves: leaving.signal,
      ...(inTheMiddle ? { onEvent: () => leaving.abort() } : {}),
      body: bodyOf('[[fake:tokens=500,gapMs=20]]', inTheMiddle || n % 3 === 0),
    })
    clearTimeout(timer ?? undefined)
    known[n] = asked | left | (ended.id === null ? 0 : begun)
    if (ended.code !== 'LEFT' && ended.status !== 200) unexpected.push(`request ${n}: ${JSON.stringify(ended)}`)
  }

  async function sample(): Promise<void> {
    for (let at = 1; at <= sampleCount; at++) {
      const due = Math.floor((total * at) / (sampleCount + 1))
      while (done < due && !isOver()) await new Promise(resolve => setTimeout(resolve, 20))
      if (isOver()) return
      const taken = await measure({ folder, pid, requests: done })
      samples.push(taken)
      onSample?.(taken)
    }
  }
}

/** Spread evenly, so that memory's line has both kinds all along. */
const isAbort = (n: number, { requests, aborts }: { requests: number; aborts: number }): boolean => {
  const share = aborts / (requests + aborts)
  return Math.floor((n + 1) * share) > Math.floor(n * share)
}

const nameOf = (n: number): string => `soak-${n}`
const bodyOf = (content: string, stream: boolean): Record<string, unknown> => ({
  model: 'coder',
  stream,
  messages: [{ role: 'user', content }],
})

function specFor(engines: readonly EngineProcess[]): string {
  const replicas = engines.map(({ id, url }) => `{ id: ${id}, url: "${url}/v1" }`).join(', ')
  return `name: soak
versions:
  - name: dev-v1.0-fake-fp16-p0
    engine: { kind: vllm, servedName: fake, flags: { max-num-seqs: ${places / engines.length} } }
    replicas: [${replicas}]
models:
  - { name: coder, live: dev-v1.0-fake-fp16-p0 }
`
}

const insideEnv = (folder: string): Record<string, string> => ({
  HOLDFAST_TEST_HEAP: folder,
  NODE_OPTIONS: `--import ${pathToFileURL(join(repository, 'test/chaos/measure-heap.ts')).href}`,
})

async function makeKey(service: Service): Promise<string> {
  const { stdout, stderr } = await service.cli(
    'key',
    'create',
    '--alias',
    'soak',
    '--parallel',
    String(places),
    '--json',
  )
  if (stdout === '') throw new Error(`no key: ${stderr}`)
  return (JSON.parse(stdout) as { key: string }).key
}

const filesOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

async function measure({ folder, pid, requests }: { folder: string; pid: number; requests: number }): Promise<Sample> {
  const file = join(folder, `${pid}.json`)
  rmSync(file, { force: true })
  process.kill(pid, 'SIGUSR2')
  let told: { heapUsed: number } | null = null
  await until(
    'the gateway tells its heap',
    () => {
      told = readOr(file)
      return told !== null
    },
    restMs,
  )
  return { requests, heap: (told ?? { heapUsed: 0 }).heapUsed, resident: residentMib(pid) * 2 ** 20 }
}

function readOr(file: string): { heapUsed: number } | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as { heapUsed: number }
  } catch {
    return null
  }
}

/** Soon after the last request nothing is held any more, by the gateway's own word, the engines' and the system's. */
async function atRest(parts: {
  service: Service
  engines: EngineProcess[]
  pid: number
  most: number
}): Promise<Finding> {
  const { service, engines, pid, most } = parts
  const look = async (): Promise<Record<string, number>> => ({
    inFlight: (await readMetric(service, 'holdfast_requests_in_flight')) ?? -1,
    waiting: (await readMetric(service, 'holdfast_requests_waiting')) ?? -1,
    onReplicas: (await readMetric(service, 'holdfast_replica_requests_in_flight')) ?? -1,
    running: await sum(engines, state => state.running),
    queued: await sum(engines, state => state.waiting),
    filesBeyond: Math.max(0, filesOf(pid) - most),
  })
  let seen = await look()
  const isQuiet = (): boolean => Object.values(seen).every(value => value === 0)
  await until('rest', async () => isQuiet() || ((seen = await look()), isQuiet()), restMs).catch(() => undefined)
  return {
    promise: 'nothing is held after the last request: places, connections, files, engines',
    violations: Object.entries(seen)
      .filter(([, value]) => value !== 0)
      .map(([name, value]) => `${name} is ${value} instead of 0, ${restMs / 1000} s after the last request`),
    evidence: `${filesOf(pid)} files and sockets open`,
  }
}

async function sum(
  engines: readonly EngineProcess[],
  pick: (state: Awaited<ReturnType<EngineProcess['state']>>) => number,
): Promise<number> {
  const states = await Promise.all(engines.map(engine => engine.state()))
  return states.reduce((all, state) => all + pick(state), 0)
}

/** As many at once as the key and the version have places: one leaked lease, and one of them is refused or waits. */
async function placesFinding(service: Service, key: string): Promise<Finding> {
  const ended = await Promise.all(
    Array.from({ length: places }, () => ask({ url: service.url, key, body: bodyOf('[[fake:firstMs=1500]]', false) })),
  )
  return {
    promise: 'every place of the key can be taken again',
    violations: ended
      .filter(({ status }) => status !== 200)
      .map(({ id, status, error }) => `request ${id} of ${places} at once: ${status} ${JSON.stringify(error)}`),
    evidence: `${places} at once`,
  }
}

async function journalFinding(service: Service, known: Uint8Array): Promise<Finding> {
  const closes = new Uint8Array(known.length)
  const opened = new Set<string>()
  const violations: string[] = []
  let count = 0
  let gaps = 0
  await eachRecord(service.home, record => {
    if (record.t === 'gap') gaps += record.lost
    if (record.t === 'open') opened.add(record.id)
    if (record.t !== 'close') return
    count++
    opened.delete(record.id)
    const n = Number(/^soak-(\d+)$/.exec(record.clientId ?? '')?.[1] ?? -1)
    if (n === -1) return
    closes[n] = (closes[n] ?? 0) + 1
    if ((known[n] ?? 0) & answered && record.outcome !== 'ok')
      violations.push(`request ${record.id} (number ${n}) was answered, and is recorded as ${record.outcome}`)
  })
  if (gaps > 0) violations.push(`${gaps} records were lost in gaps`)
  for (const id of opened) violations.push(`request ${id} was opened and never closed`)
  for (const [n, bits] of known.entries()) {
    const times = closes[n] ?? 0
    const isCertain = (bits & (answered | begun)) !== 0
    if (times > 1) violations.push(`request number ${n} is recorded ${times} times`)
    if (times === 0 && isCertain) violations.push(`request number ${n} got an answer and has no record`)
  }
  violations.push(...(await usageViolations(service, count)))
  const { exitCode, stdout, stderr } = await service.cli('audit', 'verify')
  if (exitCode !== 0) violations.push(`holdfast audit verify: ${stdout}${stderr}`)
  return {
    promise: 'the journal has each request once, as it ended; its chain is intact and usage counts the same',
    violations,
    evidence: `${count} records`,
  }
}

async function usageViolations(service: Service, count: number): Promise<string[]> {
  let told = -1
  const read = async (): Promise<boolean> => {
    const { usage } = (await (await service.call('/api/v1/usage?by=key')).json()) as { usage: { requests: number }[] }
    told = usage.reduce((all, { requests }) => all + requests, 0)
    return told === count
  }
  await until('usage has caught up', read, restMs).catch(() => undefined)
  return told === count ? [] : [`usage tells ${told} requests, the journal ${count}`]
}

function flatFindings(samples: readonly Sample[], total: number): Finding[] {
  const warm = samples.filter(({ requests }) => requests >= total * warmUp)
  return (['heap', 'resident'] as const).map(part => {
    const slope = slopeOf(warm, part)
    const gained = slope * total * (1 - warmUp)
    const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)
    return {
      promise: `${part === 'heap' ? 'the heap after garbage collection' : 'resident memory'} is flat`,
      violations:
        gained > gains[part]
          ? [
              `it gained ${mib(gained)} MiB after the warm-up, ${slope.toFixed(0)} bytes a request; at most ${mib(gains[part])} MiB`,
            ]
          : [],
      evidence: `${slope.toFixed(1)} bytes a request, ${mib(gained)} MiB after the warm-up, now ${mib(warm.at(-1)?.[part] ?? 0)} MiB`,
    }
  })
}

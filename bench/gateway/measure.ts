/** One round of one system: throughput, added latency, streaming; CPU is the scheduler's, over what was served. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LoadReport } from './load.main.ts'
import { cores, cpuMicros, firstLine, residentMegabytes, runToEnd, start } from './proc.ts'
import type { System, SystemName } from './systems.ts'
import { path, renderBody } from './workload.ts'

export type Round = {
  system: SystemName
  round: number
  requests: number
  requestsPerSecond: number
  /** Of the gateway; `all` adds the processes behind it. Null for `direct`. */
  cpuMicrosPerRequest: number | null
  cpuMicrosPerRequestAll: number | null
  /** Share of its core that the gateway used in the throughput part. */
  coreShare: number | null
  latencyP50Ms: number
  streamCpuMicrosPerChunk: number | null
  streamCpuMicrosPerChunkAll: number | null
  /** Of streams five times as long. */
  longStreamCpuMicrosPerChunk: number | null
  streamDelayP50Ms: number
  /** From a stream's request to the first byte of its answer: of streams asked for at once, and one after the other. */
  burstFirstByteP50Ms: number
  spreadFirstByteP50Ms: number
  chunks: number
  residentMegabytes: number | null
  /** Requests and streams that were not answered whole with 200. A round with any is worthless. */
  failed: { latency: number; throughput: number; streaming: number }
}
/** Where load goes. `connections` and `streams` when they are not what most systems get: slow ones would only queue. */
export type Target = Pick<System, 'port' | 'key' | 'headers'> & { connections?: number; streams?: number }
export type Loader = {
  kind: 'wrk' | 'own'
  run: (target: Target, ms: number) => Promise<{ requests: number; failed: number; seconds: number }>
}

const loadProgram = fileURLToPath(new URL('./load.main.ts', import.meta.url))
const connections = 64
const openPerSecond = 200
// A second's worth, so that a moment in which the host does something else is a late answer and not a failure.
const openConnections = openPerSecond

export async function measureRound(
  system: System,
  round: number,
  { loader, ms }: { loader: Loader; ms: number },
): Promise<Round> {
  const { gatewayPids, allPids } = system
  const cpu = (): [number, number] => [cpuMicros(gatewayPids), cpuMicros(allPids)]
  const per = (now: number, before: number, count: number): number | null =>
    gatewayPids.length === 0 || count === 0 ? null : (now - before) / count

  const latency = await load(system, 'open', ms)
  const [gateway0, all0] = cpu()
  const throughput = await loader.run(system, ms)
  const [gateway1, all1] = cpu()
  const streaming = await load(system, 'sse', 10_000)
  const [gateway2, all2] = cpu()
  const long = await load(system, 'long', 20_000)
  const [gateway3] = cpu()
  const spread = await load(system, 'spread', 10_000)

  return {
    system: system.name,
    round,
    requests: throughput.requests,
    requestsPerSecond: throughput.requests / throughput.seconds,
    cpuMicrosPerRequest: per(gateway1, gateway0, throughput.requests),
    cpuMicrosPerRequestAll: per(all1, all0, throughput.requests),
    coreShare: per(gateway1, gateway0, throughput.seconds * 1e6),
    latencyP50Ms: latency.p50Ms,
    streamCpuMicrosPerChunk: per(gateway2, gateway1, streaming.chunks),
    streamCpuMicrosPerChunkAll: per(all2, all1, streaming.chunks),
    longStreamCpuMicrosPerChunk: per(gateway3, gateway2, long.chunks),
    streamDelayP50Ms: streaming.p50Ms,
    burstFirstByteP50Ms: streaming.firstByteP50Ms,
    spreadFirstByteP50Ms: spread.firstByteP50Ms,
    chunks: streaming.chunks,
    residentMegabytes: gatewayPids.length === 0 ? null : residentMegabytes(gatewayPids),
    failed: {
      latency: latency.failed,
      throughput: throughput.failed,
      streaming: streaming.failed + long.failed + spread.failed,
    },
  }
}

/** wrk where there is one: it costs the other core a tenth of what our own client does. */
export async function pickLoader(): Promise<Loader> {
  const wrk = await runToEnd(['sh', '-c', 'command -v wrk'], { core: cores.rest, withinMs: 5000 }).catch(() => null)
  if (wrk !== null) return { kind: 'wrk', run: runWrk }
  return { kind: 'own', run: (target, ms) => load(target, 'closed', ms) }
}

export async function load(target: Target, mode: Exclude<Aim['mode'], 'hold'>, ms: number): Promise<LoadReport> {
  const command = loadCommand(target, { mode, ms })
  return LoadReport.parse(JSON.parse(await runToEnd(command, { core: cores.rest, withinMs: ms + 30_000 })))
}

/** Opens silent streams and measures while they are open. */
export async function whileHolding<Seen>(
  target: Target,
  { streams, ms }: { streams: number; ms: number },
  look: (report: LoadReport) => Seen | Promise<Seen>,
): Promise<Seen> {
  const holder = start(loadCommand(target, { mode: 'hold', ms, streams }), { core: cores.rest, input: true })
  try {
    return await look(LoadReport.parse(JSON.parse(await firstLine(holder, ms + 30_000))))
  } finally {
    await holder.stop()
  }
}

type Aim = { mode: 'open' | 'closed' | 'sse' | 'long' | 'spread' | 'hold'; ms: number; streams?: number }

function loadCommand({ port, key, headers, streams, connections: asked }: Target, aim: Aim): string[] {
  const most = aim.mode === 'open' ? openConnections : (asked ?? connections)
  const job = { streams, ...aim, port, key, headers, connections: most, perSecond: openPerSecond }
  return [process.execPath, '--disable-warning=ExperimentalWarning', loadProgram, JSON.stringify(job)]
}

async function runWrk(target: Target, ms: number) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-wrk-'))
  try {
    const script = join(folder, 'post.lua')
    writeFileSync(script, renderLua(target))
    const seconds = Math.max(1, Math.round(ms / 1000))
    const url = `http://127.0.0.1:${target.port}${path}`
    const command = [
      'wrk',
      '-t1',
      `-c${target.connections ?? connections}`,
      `-d${seconds}s`,
      '--timeout',
      '10s',
      '-s',
      script,
      url,
    ]
    return readWrk(await runToEnd(command, { core: cores.rest, withinMs: ms + 30_000 }))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** JSON strings are Lua strings too, for the characters used here. */
function renderLua({ key, headers = {} }: Target): string {
  return [
    'wrk.method = "POST"',
    `wrk.body = ${JSON.stringify(renderBody(false))}`,
    'wrk.headers["content-type"] = "application/json"',
    `wrk.headers["authorization"] = ${JSON.stringify(`Bearer ${key}`)}`,
    ...Object.entries(headers).map(
      ([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
    ),
    'done = function(summary)',
    '  local errors = summary.errors',
    '  local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout',
    '  io.write(string.format("result %d %d %d\\n", summary.requests, failed, summary.duration))',
    'end',
    '',
  ].join('\n')
}

function readWrk(output: string) {
  const [, requests, failed, micros] = /^result (\d+) (\d+) (\d+)$/m.exec(output) ?? []
  if (micros === undefined) throw new Error(`wrk said: ${output}`)
  return { requests: Number(requests), failed: Number(failed), seconds: Number(micros) / 1e6 }
}

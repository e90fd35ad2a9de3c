/** `npm run bench`: Holdfast's gateway beside nginx, bare sockets and no gateway. Loopback only. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { commaList, readArguments } from '../../scripts/arguments.ts'
import { measureRound, pickLoader } from './measure.ts'
import type { Round } from './measure.ts'
import { canPin, cores, firstLine, runToEnd, start } from './proc.ts'
import { renderDocument, renderTable } from './report.ts'
import { openSystem, systemNames } from './systems.ts'
import type { System } from './systems.ts'

const values = readArguments({
  usage: `npm run bench [-- --quick] [--rounds N] [--ms N] [--systems a,b] [--save]

Holdfast's gateway beside nginx, bare sockets and no gateway, in interleaved rounds: about eight minutes; --quick: three.
--save keeps the table in bench/gateway/last.md. --ms: how long each measurement lasts, to see whether the bench works;
its numbers are then of a cold gateway. --systems: only these, of
${systemNames.join(', ')}`,
  switches: ['quick', 'save'],
  values: {
    rounds: z.coerce.number().int().min(1).max(50).optional(),
    ms: z.coerce.number().int().min(100).optional(),
    systems: commaList(z.enum(systemNames)).default([...systemNames]),
  },
})
const names = values.systems
const rounds = values.rounds ?? (values.quick ? 2 : 5)
const ms = values.ms ?? (values.quick ? 2000 : 4000)
// Node compiles what is hot only after tens of thousands of requests; a cold round measures the compiler.
const warmUpMs = values.quick ? 3000 : 15_000

const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
const stops: (() => Promise<void>)[] = []
let cleaning: Promise<void> | null = null

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void cleanUp().then(() => process.exit(130)))
}
try {
  process.exitCode = await bench()
} finally {
  await cleanUp()
}

/** Exit code: 1 when any request failed, since a gateway that drops work is not fast. */
async function bench(): Promise<number> {
  if (!canPin || availableParallelism() < 2)
    console.log('Without taskset and two cores everything shares: read ratios only.')
  const setting = await describeSetting()
  const mock = start([process.execPath, '--disable-warning=ExperimentalWarning', beside('mock.main.ts')], {
    core: cores.rest,
  })
  stops.push(mock.stop)
  const mockPort = z.object({ port: z.int() }).parse(JSON.parse(await firstLine(mock))).port
  const loader = await pickLoader()

  const systems: System[] = []
  for (const name of names) {
    const system = await openSystem(name, { mockPort, folder: join(folder, name) })
    stops.push(system.stop)
    systems.push(system)
  }
  const count = `${rounds} ${rounds === 1 ? 'round' : 'rounds'}`
  console.log(`${names.join(', ')}: ${count}, load by ${loader.kind}, load average ${setting.load}`)
  if (values.ms === undefined) for (const system of systems) await measureRound(system, 0, { loader, ms: warmUpMs })

  const done: Round[] = []
  for (let round = 1; round <= rounds; round++) {
    for (const system of systems) {
      const result = await measureRound(system, round, { loader, ms })
      done.push(result)
      console.log(renderProgress(result))
    }
  }
  const table = renderTable(done, names)
  console.log(`\n${table}\n`)
  const out = beside('../out')
  mkdirSync(out, { recursive: true })
  const whole = { ...setting, loader: loader.kind, pinned: canPin, rounds }
  writeFileSync(join(out, 'gateway.json'), `${JSON.stringify({ setting: whole, rounds: done }, null, 2)}\n`)
  const failed = done.reduce((sum, round) => sum + countFailed(round), 0)
  if (values.save && failed === 0) writeFileSync(beside('last.md'), renderDocument(table, whole))
  if (failed > 0) console.error(`${failed} requests or streams failed: these numbers mean nothing.`)
  return failed > 0 ? 1 : 0
}

function renderProgress(round: Round): string {
  const micros = (value: number | null): string => (value === null ? '–' : value.toFixed(1))
  return [
    `round ${round.round} ${round.system.padEnd(8)}`,
    `${round.requestsPerSecond.toFixed(0)} rps`,
    `${micros(round.cpuMicrosPerRequest)} µs/request`,
    `${micros(round.streamCpuMicrosPerChunk)} / ${micros(round.longStreamCpuMicrosPerChunk)} µs/chunk`,
    `p50 ${round.latencyP50Ms.toFixed(3)} ms`,
    `first byte ${round.burstFirstByteP50Ms.toFixed(1)} / ${round.spreadFirstByteP50Ms.toFixed(2)} ms`,
    ...(countFailed(round) > 0 ? [`FAILED ${JSON.stringify(round.failed)}`] : []),
  ].join('  ')
}

async function describeSetting() {
  const nginx = await runToEnd(['sh', '-c', 'nginx -v 2>&1'], { core: cores.rest, withinMs: 5000 }).catch(
    () => 'no nginx',
  )
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: `${cpus()[0]?.model.trim() ?? 'unknown processor'} × ${availableParallelism()}`,
    node: process.versions.node,
    nginx: nginx.trim().replace('nginx version: ', ''),
    load: loadavg()
      .map(value => value.toFixed(1))
      .join(' '),
  }
}

function countFailed({ failed }: Round): number {
  return failed.latency + failed.throughput + failed.streaming
}

function beside(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}

function cleanUp(): Promise<void> {
  cleaning ??= (async () => {
    for (const stop of stops.reverse()) await stop().catch((error: unknown) => console.error(String(error)))
    rmSync(folder, { recursive: true, force: true })
  })()
  return cleaning
}

/** `npm run bench:affinity`: what prefix affinity does for the time to the first token, against round robin. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { readArguments } from '../../scripts/arguments.ts'
import { hasLlamaServer, llamaServerPath, startLlamaServer } from '../../test/support/llama-server.ts'
import { stopChildren } from '../gateway/proc.ts'
import { drive, timeOne } from './drive.ts'
import type { Target } from './drive.ts'
import { renderDocument, renderTable } from './report.ts'
import type { Leg } from './report.ts'
import { openService } from './service.ts'
import type { Way } from './service.ts'
import { drawStrangers, drawTalk } from './talk.ts'

const values = readArguments({
  usage: `npm run bench:affinity [-- --quick]

What prefix affinity does for the time to the first token, on four real llama-servers behind Holdfast, against round robin;
interleaved rounds, at most four minutes; --quick: one short round. The smoke model is read for real; a bigger one gains
more. Writes bench/affinity/last.md and bench/out/affinity.json.`,
  switches: ['quick'],
  values: {},
})
const replicas = 4
/** Each has room for three prompts: all eight groups fit into four of them, and not into one. */
const slots = 3
const slotTokens = 4096
const rounds = values.quick ? 1 : 3
const legMs = values.quick ? 8000 : 20_000
const [fewest, most] = [24, 160]
/** No other round begins after this; at the second everything ends, with what there is. In seconds. */
const [lastBegin, endAt] = [150, 230]

const folder = mkdtempSync(join(tmpdir(), 'holdfast-affinity-'))
const running = new Set<() => Promise<void>>()
const legs: Leg[] = []
const begun = performance.now()
let cleaning: Promise<void> | null = null

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)))

try {
  process.exitCode = await bench()
} finally {
  await cleanUp()
}
process.exit()

async function bench(): Promise<number> {
  if (!hasLlamaServer()) {
    console.error(
      `This needs the real llama-server in ${llamaServerPath}: bin/node24 scripts/llama-server.ts builds it.`,
    )
    console.error('The embedded engine empties a sequence after each answer, so it has no prefix to find again.')
    return 1
  }
  const before = describeLoad()
  const cold = await calibrate()
  const everyMs = Math.max(30, cold.wholeMs)
  const count = Math.max(fewest, Math.min(most, Math.floor(legMs / everyMs)))
  console.log(
    `A prompt read whole: ${cold.wholeMs.toFixed(0)} ms, once more: ${cold.againMs.toFixed(0)} ms. ${count} requests a leg, load average ${before}`,
  )
  await Promise.race([measureAll({ count, everyMs }), overtime()])
  const table = renderTable(legs)
  console.log(`\n${table}\n`)
  const setting = {
    date: new Date().toISOString().slice(0, 10),
    processor: `${cpus()[0]?.model.trim() ?? 'unknown processor'} × ${availableParallelism()}`,
    node: process.versions.node,
    loadBefore: before,
    loadAfter: describeLoad(),
    replicas,
    slots,
    count,
    everyMs,
    ...cold,
  }
  const out = beside('../out')
  mkdirSync(out, { recursive: true })
  writeFileSync(join(out, 'affinity.json'), `${JSON.stringify({ setting, legs }, null, 2)}\n`)
  if (!values.quick) writeFileSync(beside('last.md'), renderDocument(table, setting))
  const failed = legs.reduce((sum, leg) => sum + leg.failed, 0)
  if (failed > 0) console.error(`${failed} requests failed.`)
  return failed > 0 || legs.length < 2 ? 1 : 0
}

/** What a prompt costs an engine that has nothing of it, and one that has it all: it says how fast to ask. */
async function calibrate(): Promise<{ wholeMs: number; againMs: number }> {
  const engine = await openEngine()
  const target = { url: engine.url, key: 'none', model: 'smoke' }
  const strangers = drawStrangers(4)
  const wholeMs: number[] = []
  const againMs: number[] = []
  for (const ask of strangers) {
    wholeMs.push((await timeOne(target, ask)).firstTokenMs)
    againMs.push((await timeOne(target, ask)).firstTokenMs)
  }
  await engine.close()
  // The first reads the weights from the disk too.
  return { wholeMs: mean(wholeMs.slice(1)), againMs: mean(againMs.slice(1)) }
}

/** Every leg has engines and a service of its own, so nothing is in a cache; a round's two legs have the same load. */
async function measureAll({ count, everyMs }: { count: number; everyMs: number }): Promise<void> {
  for (let round = 1; round <= rounds && seconds() < lastBegin; round++) {
    const talk = drawTalk({ seed: round, count, everyMs })
    const ways: Way[] = round % 2 === 1 ? ['round-robin', 'prefix-affinity'] : ['prefix-affinity', 'round-robin']
    for (const way of ways) {
      const engines = await Promise.all(Array.from({ length: replicas }, openEngine))
      const service = await openService(way, {
        urls: engines.map(({ url }) => url),
        folder: join(folder, `${round}-${way}`),
      })
      running.add(service.stop)
      await untilAnswering(service)
      const seen = await drive(service, talk)
      const good = seen.filter(one => one !== null)
      const leg = { way, round, seen: good, failed: seen.length - good.length }
      legs.push(leg)
      console.log(
        `${seconds().toFixed(0).padStart(4)} s  round ${round} ${way.padEnd(15)} mean ${mean(good.map(one => one.firstTokenMs)).toFixed(0)} ms  failed ${leg.failed}`,
      )
      await service.stop()
      running.delete(service.stop)
      for (const engine of engines) await engine.close()
    }
  }
}

type Engine = { url: string; close: () => Promise<void> }

/** More context than the weights were trained for: its answers are nonsense, and reading takes as long. No cache beside the slots. */
async function openEngine(): Promise<Engine> {
  const size = ['-c', String(slots * slotTokens), '-np', String(slots)]
  const override = ['--override-kv', `llama.context_length=int:${slotTokens}`]
  const engine = await startLlamaServer(...size, ...override, '--cache-ram', '0')
  const close = engine.close.bind(engine)
  running.add(close)
  return {
    url: engine.url,
    async close() {
      await close()
      running.delete(close)
    },
  }
}

/** A service may listen before it has found its engines well. Models are asked for: no prompt goes into a cache. */
async function untilAnswering({ url, key }: Target): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await pause(100)) {
    const ready = await fetch(`${url}/health/readiness`, { headers: { authorization: `Bearer ${key}` } }).catch(
      () => null,
    )
    await ready?.body?.cancel()
    if (ready?.status === 200) return
  }
  throw new Error('Holdfast was not ready within 30 s.')
}

async function overtime(): Promise<void> {
  await pause(Math.max(0, endAt - seconds()) * 1000, undefined, { ref: false })
  console.error(`Ended after ${seconds().toFixed(0)} s.`)
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0) / Math.max(1, numbers.length)
}

function seconds(): number {
  return (performance.now() - begun) / 1000
}

function describeLoad(): string {
  return loadavg()
    .map(value => value.toFixed(1))
    .join(' ')
}

function beside(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}

function cleanUp(): Promise<void> {
  cleaning ??= (async () => {
    for (const stop of running) await stop().catch((error: unknown) => console.error(String(error)))
    await stopChildren()
    rmSync(folder, { recursive: true, force: true })
  })()
  return cleaning
}

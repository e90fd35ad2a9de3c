/** `npm run bench:peers`: Holdfast with all it does beside nginx, HAProxy, Portkey and LiteLLM. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { commaList, readArguments } from '../../scripts/arguments.ts'
import { pickLoader } from '../gateway/measure.ts'
import type { Loader } from '../gateway/measure.ts'
import { canPin, cores, firstLine, residentMegabytes, runToEnd, start, stopChildren } from '../gateway/proc.ts'
import { measureIdle, measureRequests, measureStreams } from './measure.ts'
import type { Round, Scenario } from './measure.ts'
import { renderDocument, renderTables } from './report.ts'
import type { Entry, Setting } from './report.ts'
import { findPeer, openPeer, peerKinds, peerNames } from './systems.ts'
import type { Peer, PeerName } from './systems.ts'

const values = readArguments({
  usage: `npm run bench:peers [-- --quick] [--rounds N] [--ms N] [--systems a,b] [--save]

Holdfast with all it does beside nginx, HAProxy, Portkey and LiteLLM, in interleaved rounds: at most eight minutes and the
first installation; --quick: three. Writes bench/peers/last.md and bench/out/peers.json; where --systems picks, last.md
stays as it was unless --save. --ms: how long requests are sent at a time, to see whether the bench works; its numbers are
then of cold gateways. --systems: only these, of
${peerNames.join(', ')}`,
  switches: ['quick', 'save'],
  values: {
    rounds: z.coerce.number().int().min(1).max(20).optional(),
    ms: z.coerce.number().int().min(100).optional(),
    systems: commaList(z.enum(peerNames)).optional(),
  },
})
const names = values.systems ?? [...peerNames]
const rounds = values.rounds ?? (values.quick ? 2 : 5)
const ms = values.ms ?? (values.quick ? 1500 : 3000)
/** When no other round of a part begins, in seconds from the start; what is running is let end. */
const until: Readonly<Record<Scenario, number>> = values.quick
  ? { requests: 65, streams: 115, idle: 150 }
  : { requests: 210, streams: 330, idle: 420 }
/** The last word: whatever hangs, the numbers so far are written and everything is stopped. */
const endAt = values.quick ? 175 : 470

const idleRounds = 1
const parts: readonly Scenario[] = ['requests', 'streams', 'idle']

const folder = mkdtempSync(join(tmpdir(), 'holdfast-peers-'))
const running = new Set<{ stop: () => Promise<void> }>()
const done: Round[] = []
const problems = new Map<PeerName, string>()
let cleaning: Promise<void> | null = null
let begun = performance.now()

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)))

try {
  process.exitCode = await bench()
} finally {
  await cleanUp()
}
// A load that hangs is a child of its own with its own limit; nobody waits for it.
process.exit()

/** Exit code: 1 when nginx or Holdfast has no numbers or dropped anything. The others' failures are in the table. */
async function bench(): Promise<number> {
  const programs = new Map<PeerName, string>()
  const versions: string[] = []
  for (const name of names) {
    const found = await findPeer(name)
    if ('problem' in found) problems.set(name, `not reachable: ${found.problem}`)
    else programs.set(name, found.program)
    if ('version' in found && found.version !== '') versions.push(`${name} ${found.version}`)
  }
  // Installing is no part of it.
  begun = performance.now()
  const before = describeLoad()
  const nginx = await runToEnd(['sh', '-c', 'nginx -v 2>&1'], { core: cores.rest, withinMs: 5000 }).catch(() => '')
  const loader = await pickLoader()
  console.log(
    `${[...programs.keys()].join(', ')}: ${rounds} rounds at most, load by ${loader.kind}, load average ${before}`,
  )

  await Promise.race([measureAll(programs, loader), overtime()])

  const entries = names.map((name): Entry => ({
    name,
    does: peerKinds[name].does,
    problem: problems.get(name) ?? null,
  }))
  const tables = renderTables(done, entries)
  const setting: Setting = {
    date: new Date().toISOString().slice(0, 10),
    processor: `${cpus()[0]?.model.trim() ?? 'unknown processor'} × ${availableParallelism()}`,
    node: process.versions.node,
    versions: [nginx.trim().replace('nginx version: ', ''), ...versions].join(' · '),
    loadBefore: before,
    loadAfter: describeLoad(),
    loader: loader.kind,
    pinned: canPin && availableParallelism() > 1,
    seconds: seconds(),
  }
  console.log(`\n${tables}\n`)
  const out = beside('../out')
  mkdirSync(out, { recursive: true })
  const problem = Object.fromEntries(problems)
  writeFileSync(join(out, 'peers.json'), `${JSON.stringify({ setting, problem, rounds: done }, null, 2)}\n`)
  if (values.save || values.systems === undefined)
    writeFileSync(beside('last.md'), renderDocument(tables, { setting, entries }))
  const ours = names.filter(name => name === 'nginx' || name === 'holdfast')
  const bad = ours.filter(
    name =>
      !parts.every(each =>
        done.some(({ peer, scenario, failed }) => peer === name && scenario === each && failed === 0),
      ),
  )
  for (const name of bad) console.error(`${name}: ${problems.get(name) ?? 'requests failed, or were not measured.'}`)
  return bad.length === 0 ? 0 : 1
}

async function measureAll(programs: ReadonlyMap<PeerName, string>, loader: Loader): Promise<void> {
  const fresh = new Map<PeerName, number>()
  await part('requests', programs, {
    async warmUp(peer) {
      fresh.set(peer.name, residentMegabytes(peer.gatewayPids))
      const { warmUpMs } = peerKinds[peer.name]
      await loader.run(peer, values.ms === undefined ? warmUpMs / (values.quick ? 5 : 1) : ms)
    },
    measure: (peer, round) => measureRequests(peer, round, { loader, ms, freshMegabytes: fresh.get(peer.name) ?? 0 }),
  })
  await part('streams', programs, {
    // What is compiled while it runs is not yet as fast as it gets.
    warmUp: async peer => void (await measureStreams(peer, 0)),
    measure: measureStreams,
  })
  await measureSilence(programs)
}

type Part = { warmUp: (peer: Peer) => Promise<void>; measure: (peer: Peer, round: number) => Promise<Round> }

/** All are started and warm before the first round; a round is one turn of each. */
async function part(scenario: Scenario, programs: ReadonlyMap<PeerName, string>, { warmUp, measure }: Part) {
  const mock = await openMock()
  const peers: Peer[] = []
  for (const [name, program] of programs) {
    await attempt(name, async () => {
      const peer = await open(name, program, mock.port)
      peers.push(peer)
      await warmUp(peer)
    })
  }
  // The first round is everybody's, however long it took to start them.
  const isTime = (round: number): boolean => round === 1 || seconds() < until[scenario]
  for (let round = 1; round <= rounds && isTime(round); round++) {
    for (const peer of peers) {
      if (isTime(round)) await attempt(peer.name, async () => keep(await measure(peer, round)))
    }
  }
  for (const one of [...peers, mock]) await close(one)
}

/** Each has just been started, and is alone: nothing that earlier load left behind is counted. */
async function measureSilence(programs: ReadonlyMap<PeerName, string>): Promise<void> {
  for (let round = 1; round <= idleRounds; round++) {
    for (const [name, program] of programs) {
      if (seconds() > until.idle) return
      await attempt(name, async () => {
        const mock = await openMock()
        try {
          const peer = await open(name, program, mock.port)
          keep(await measureIdle(peer, round).finally(() => close(peer)))
        } finally {
          await close(mock)
        }
      })
    }
  }
}

/** One system's failure is that system's: the others go on. */
async function attempt(name: PeerName, act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    const problem = text.replace(/\s+/g, ' ').replaceAll('|', '/').slice(0, 200)
    console.error(`${name}: ${problem}`)
    problems.set(name, problem)
  }
}

function keep(round: Round): void {
  done.push(round)
  const { scenario, peer, failed, ...rest } = round
  const figures = Object.entries(rest).map(
    ([key, value]) => `${key} ${typeof value === 'number' ? Number(value.toFixed(2)) : value}`,
  )
  console.log(
    `${seconds().toFixed(0).padStart(4)} s  ${scenario} ${peer.padEnd(8)} failed ${failed}  ${figures.join('  ')}`,
  )
}

async function openMock() {
  const program = fileURLToPath(new URL('../gateway/mock.main.ts', import.meta.url))
  const mock = start([process.execPath, '--disable-warning=ExperimentalWarning', program], { core: cores.rest })
  running.add(mock)
  const { port } = z.object({ port: z.int() }).parse(JSON.parse(await firstLine(mock)))
  return Object.assign(mock, { port })
}

async function open(name: PeerName, program: string, mockPort: number): Promise<Peer> {
  const peer = await openPeer(name, program, {
    mockPort,
    folder: join(folder, `${name}-${running.size}-${Date.now()}`),
  })
  running.add(peer)
  return peer
}

async function close(one: { stop: () => Promise<void> }): Promise<void> {
  await one.stop()
  running.delete(one)
}

async function overtime(): Promise<void> {
  await pause(Math.max(0, endAt - seconds()) * 1000, undefined, { ref: false })
  console.error(`Ended after ${seconds().toFixed(0)} s: what is missing was not measured.`)
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
    for (const one of running) await one.stop().catch((error: unknown) => console.error(String(error)))
    await stopChildren()
    rmSync(folder, { recursive: true, force: true })
  })()
  return cleaning
}

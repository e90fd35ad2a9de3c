/** The rounds of all peers as three tables: medians with the range, ratios against nginx in the same round. */
import { ratio, show } from '../gateway/report.ts'
import { idleStreams } from './measure.ts'
import type { Idle, Requests, Round, Streams } from './measure.ts'
import type { PeerName } from './systems.ts'

export type Setting = {
  date: string
  processor: string
  node: string
  versions: string
  loadBefore: string
  loadAfter: string
  loader: string
  pinned: boolean
  seconds: number
}
/** One system of the table: `problem` says why it has no numbers, or not all of them. */
export type Entry = { name: PeerName; does: string; problem: string | null }

type Column<Seen> = { title: string; of: (seen: Seen, nginx: Seen | null) => number | null; digits: number }
type Of<Scenario extends Round['scenario']> = Extract<Round, { scenario: Scenario }>

const requestColumns: readonly Column<Requests>[] = [
  { title: 'CPU µs/request', of: seen => seen.cpuMicros, digits: 1 },
  { title: 'requests/s a core pays for', of: seen => ratio(1e6, seen.cpuMicros), digits: 0 },
  { title: 'per core, to nginx', of: (seen, nginx) => ratio(nginx?.cpuMicros ?? null, seen.cpuMicros), digits: 3 },
  { title: 'all processes µs/request', of: seen => seen.cpuMicrosAll, digits: 1 },
  { title: 'requests/s seen', of: seen => seen.requestsPerSecond, digits: 0 },
  { title: 'share of its core', of: seen => seen.coreShare, digits: 2 },
]
const streamColumns: readonly Column<Streams>[] = [
  { title: 'CPU µs/chunk', of: seen => seen.cpuMicrosPerChunk, digits: 1 },
  {
    title: 'to nginx',
    of: (seen, nginx) => ratio(seen.cpuMicrosPerChunk, nginx?.cpuMicrosPerChunk ?? null),
    digits: 2,
  },
  { title: 'all processes µs/chunk', of: seen => seen.cpuMicrosPerChunkAll, digits: 1 },
  { title: 'first byte p50 ms', of: seen => seen.firstByteP50Ms, digits: 1 },
  { title: 'first byte p99 ms', of: seen => seen.firstByteP99Ms, digits: 1 },
  { title: 'chunk delay p50 ms', of: seen => seen.delayP50Ms, digits: 2 },
]
const memoryColumns: readonly Column<Requests>[] = [
  { title: 'MB fresh', of: seen => seen.freshMegabytes, digits: 0 },
  { title: 'MB loaded', of: seen => seen.megabytes, digits: 0 },
  { title: 'MB loaded, all processes', of: seen => seen.megabytesAll, digits: 0 },
]
const idleColumns: readonly Column<Idle>[] = [
  { title: `streams held of ${idleStreams}`, of: seen => seen.held, digits: 0 },
  { title: 'MB for each 1,000', of: seen => seen.megabytesPerThousand, digits: 1 },
]

export function renderTables(rounds: readonly Round[], entries: readonly Entry[]): string {
  const requests = rounds.filter(round => round.scenario === 'requests')
  const streams = rounds.filter(round => round.scenario === 'streams')
  const idle = rounds.filter(round => round.scenario === 'idle')
  return [
    '### Whole answers, 1 KB each way',
    '',
    renderTable(requests, requestColumns, entries),
    '',
    '### 200 streams asked for at once, 50 chunks each, 20 ms apart',
    '',
    renderTable(streams, streamColumns, entries),
    '',
    '### Memory under that load',
    '',
    renderTable(requests, memoryColumns, entries),
    '',
    `### ${idleStreams} streams that have fallen silent`,
    '',
    renderTable(idle, idleColumns, entries),
  ].join('\n')
}

export function renderDocument(tables: string, { setting, entries }: { setting: Setting; entries: readonly Entry[] }) {
  return [
    '# Peers bench: last numbers',
    '',
    'Written by `npm run bench:peers`. Ratios hold between machines far better than the numbers do.',
    '',
    `${setting.date} · ${setting.processor} · Node ${setting.node} · ${setting.versions} · load average ${setting.loadBefore} at the start, ` +
      `${setting.loadAfter} at the end · load by ${setting.loader} · ${setting.pinned ? 'what is measured on its own core, load and mock on another' : 'NOT pinned to cores'} · ` +
      `${setting.seconds.toFixed(0)} s in all.`,
    '',
    tables,
    '',
    'Medians (min–max) of interleaved rounds; everything is started anew for each part. CPU is scheduler time of the system’s',
    'threads, without waiting. «Per core, to nginx»: how many requests a core of it pays for, for each one of nginx in the same round.',
    'A system that falls behind sends several chunks at once, which makes its µs/chunk look lower. Rounds in which a request failed are in',
    'the numbers; «failed» counts them.',
    '',
    'What each does with a request:',
    '',
    ...entries.filter(({ does }) => does !== '').map(({ name, does }) => `- ${name}: ${does}.`),
    '',
  ].join('\n')
}

function renderTable<Seen extends Of<Round['scenario']>>(
  rounds: readonly Seen[],
  columns: readonly Column<NoInfer<Seen>>[],
  entries: readonly Entry[],
): string {
  const titles = ['system', ...columns.map(({ title }) => title), 'rounds', 'failed']
  const rows = entries.map(({ name, problem }) => {
    const mine = rounds.filter(({ peer }) => peer === name)
    if (mine.length === 0)
      return [name, `not measured: ${problem ?? 'no time was left'}`, ...Array(columns.length + 1).fill('–')]
    const cells = columns.map(({ of, digits }) => {
      const values = mine.map(seen =>
        of(seen, rounds.find(one => one.peer === 'nginx' && one.round === seen.round) ?? null),
      )
      return show(values, digits)
    })
    const failed = mine.reduce((sum, round) => sum + round.failed, 0)
    const asked = mine.reduce((sum, round) => sum + round.asked, 0)
    return [name, ...cells, String(mine.length), failed === 0 ? '0' : `${failed} of ${asked}`]
  })
  return [titles, titles.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** The rounds of all systems as one table: medians with the range, and the ratio to nginx of the same round. */
import type { Round } from './measure.ts'
import type { SystemName } from './systems.ts'

export type Setting = {
  date: string
  processor: string
  node: string
  nginx: string
  load: string
  loader: string
  pinned: boolean
  rounds: number
}

const columns = [
  'system',
  'rps (share of core)',
  'CPU µs/request',
  'per core, to nginx',
  'all processes µs/request',
  'added p50 ms',
  'SSE CPU µs/chunk',
  'to nginx',
  'of long answers',
  'to nginx',
  'SSE delay p50 ms',
  'first byte p50 ms, 200 at once',
  'to nginx',
  'first byte p50 ms, one by one',
  'RSS MB',
]

export function renderTable(rounds: readonly Round[], systems: readonly SystemName[]): string {
  const rows = systems.map(name => renderRow(name, rounds))
  return [columns, columns.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

function renderRow(name: SystemName, all: readonly Round[]): string[] {
  const rounds = all.filter(round => round.system === name)
  const beside = (other: SystemName, compare: (mine: Round, theirs: Round) => number | null): (number | null)[] =>
    rounds.map(mine => {
      const theirs = all.find(round => round.system === other && round.round === mine.round)
      return theirs ? compare(mine, theirs) : null
    })
  const share = median(rounds.map(round => round.coreShare))
  return [
    name,
    `${show(
      rounds.map(round => round.requestsPerSecond),
      0,
    )}${share === null ? '' : ` @${Math.round(share * 100)} %`}`,
    show(
      rounds.map(round => round.cpuMicrosPerRequest),
      1,
    ),
    show(
      beside('nginx', (mine, nginx) => ratio(nginx.cpuMicrosPerRequest, mine.cpuMicrosPerRequest)),
      2,
    ),
    show(
      rounds.map(round => round.cpuMicrosPerRequestAll),
      1,
    ),
    show(
      beside('direct', (mine, direct) => (name === 'direct' ? null : mine.latencyP50Ms - direct.latencyP50Ms)),
      3,
    ),
    show(
      rounds.map(round => round.streamCpuMicrosPerChunk),
      1,
    ),
    show(
      beside('nginx', (mine, nginx) => ratio(mine.streamCpuMicrosPerChunk, nginx.streamCpuMicrosPerChunk)),
      2,
    ),
    show(
      rounds.map(round => round.longStreamCpuMicrosPerChunk),
      1,
    ),
    show(
      beside('nginx', (mine, nginx) => ratio(mine.longStreamCpuMicrosPerChunk, nginx.longStreamCpuMicrosPerChunk)),
      2,
    ),
    show(
      rounds.map(round => round.streamDelayP50Ms),
      2,
    ),
    show(
      rounds.map(round => round.burstFirstByteP50Ms),
      1,
    ),
    show(
      beside('nginx', (mine, nginx) => ratio(mine.burstFirstByteP50Ms, nginx.burstFirstByteP50Ms)),
      2,
    ),
    show(
      rounds.map(round => round.spreadFirstByteP50Ms),
      2,
    ),
    show(
      rounds.map(round => round.residentMegabytes),
      0,
    ),
  ]
}

export function renderDocument(table: string, setting: Setting): string {
  return [
    '# Gateway bench: last saved numbers',
    '',
    'Written by `npm run bench -- --save`. Ratios hold between machines far better than the numbers do.',
    '',
    table,
    '',
    `${setting.date} · ${setting.processor} · Node ${setting.node} · ${setting.nginx} · load average at the start ${setting.load} · ` +
      `load by ${setting.loader} · ${setting.pinned ? 'gateway on its own core' : 'NOT pinned to cores'} · ${setting.rounds} interleaved rounds.`,
    '',
    'Medians (min–max). Short chats of 1 KB each way over 64 connections; 200 streams of 50 chunks, 20 ms apart; latency at',
    '200 requests a second, less the same without a gateway. CPU is scheduler time of the gateway’s threads. «Per core, to nginx»:',
    'how many requests a core of it serves for each one of nginx, in the same round; for SSE, CPU per chunk against nginx’s.',
    'Of streams of one second a good part is their beginning and end, new connections among them; long answers have 250 chunks.',
    'First byte: of the same streams, asked for in one moment, and of 200 streams asked for 4 ms apart, all open together.',
    'nginx only forwards, and «sockets» is Node passing on what it does not look at, with no pool of connections. Holdfast',
    'also checks the key, picks an engine, counts tokens, measures and keeps a journal.',
    '',
  ].join('\n')
}

export function ratio(top: number | null, bottom: number | null): number | null {
  return top === null || bottom === null || bottom === 0 ? null : top / bottom
}

export function show(values: readonly (number | null)[], digits: number): string {
  const known = values.filter(value => value !== null)
  const middle = median(known)
  if (middle === null) return '–'
  return `${middle.toFixed(digits)} (${Math.min(...known).toFixed(digits)}–${Math.max(...known).toFixed(digits)})`
}

function median(values: readonly (number | null)[]): number | null {
  const sorted = values.filter(value => value !== null).toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle]
  if (upper === undefined) return null
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
}

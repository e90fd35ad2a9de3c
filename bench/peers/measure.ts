/** What is measured of a peer: whole answers, streams that begin together, and silent streams in memory. */
import { load, whileHolding } from '../gateway/measure.ts'
import type { Loader } from '../gateway/measure.ts'
import { cpuMicros, residentMegabytes } from '../gateway/proc.ts'
import type { Peer, PeerName } from './systems.ts'

export type Requests = {
  scenario: 'requests'
  requestsPerSecond: number
  cpuMicros: number
  cpuMicrosAll: number
  coreShare: number
  freshMegabytes: number
  megabytes: number
  megabytesAll: number
}
export type Streams = {
  scenario: 'streams'
  cpuMicrosPerChunk: number
  cpuMicrosPerChunkAll: number
  firstByteP50Ms: number
  firstByteP99Ms: number
  delayP50Ms: number
}
export type Idle = { scenario: 'idle'; held: number; megabytesPerThousand: number }
export type Round = {
  peer: PeerName
  round: number
  /** Asked for in all, and not answered whole with 200. */
  asked: number
  failed: number
} & (Requests | Streams | Idle)
export type Scenario = Round['scenario']

export const idleStreams = 2000
const idleMs = 20_000
const streamsMs = 15_000

/** `freshMegabytes`: what it held before it was loaded for the first time. */
export async function measureRequests(
  peer: Peer,
  round: number,
  { loader, ms, freshMegabytes }: { loader: Loader; ms: number; freshMegabytes: number },
): Promise<Round> {
  const before = readCpu(peer)
  const { requests, failed, seconds } = await loader.run(peer, ms)
  const after = readCpu(peer)
  if (requests === 0) throw new Error(`It answered nothing (${failed} failed).`)
  return {
    scenario: 'requests',
    peer: peer.name,
    round,
    asked: requests,
    failed,
    requestsPerSecond: requests / seconds,
    cpuMicros: (after.gateway - before.gateway) / requests,
    cpuMicrosAll: (after.all - before.all) / requests,
    coreShare: (after.gateway - before.gateway) / (seconds * 1e6),
    freshMegabytes,
    megabytes: residentMegabytes(peer.gatewayPids),
    megabytesAll: residentMegabytes(peer.allPids),
  }
}

export async function measureStreams(peer: Peer, round: number): Promise<Round> {
  const before = readCpu(peer)
  const report = await load(peer, 'sse', streamsMs)
  const after = readCpu(peer)
  if (report.chunks === 0) throw new Error(`No chunk came of ${report.requests} streams.`)
  return {
    scenario: 'streams',
    peer: peer.name,
    round,
    asked: report.requests,
    failed: report.failed,
    cpuMicrosPerChunk: (after.gateway - before.gateway) / report.chunks,
    cpuMicrosPerChunkAll: (after.all - before.all) / report.chunks,
    firstByteP50Ms: report.firstByteP50Ms,
    firstByteP99Ms: report.firstByteP99Ms,
    delayP50Ms: report.p50Ms,
  }
}

/** The peer has just been started: what earlier load left in memory would be counted otherwise. */
export async function measureIdle(peer: Peer, round: number): Promise<Round> {
  const before = residentMegabytes(peer.gatewayPids)
  return await whileHolding(peer, { streams: idleStreams, ms: idleMs }, ({ requests, failed }) => {
    if (requests === 0) throw new Error(`None of ${idleStreams} streams came up in ${idleMs / 1000} s.`)
    const grown = residentMegabytes(peer.gatewayPids) - before
    const megabytesPerThousand = (grown / requests) * 1000
    return {
      scenario: 'idle',
      peer: peer.name,
      round,
      asked: idleStreams,
      failed,
      held: requests,
      megabytesPerThousand,
    }
  })
}

function readCpu({ gatewayPids, allPids }: Peer): { gateway: number; all: number } {
  return { gateway: cpuMicros(gatewayPids), all: cpuMicros(allPids) }
}

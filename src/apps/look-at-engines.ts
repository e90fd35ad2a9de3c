/** How a release's versions do, as the gateway on this machine sees them. */
import { z } from 'zod'
import type { EngineState, ReleaseStore } from '../domain/release/index.ts'
import { instant, millis, type Instant, type Millis, type ModelName, type VersionName } from '../domain/units.ts'
import type { Engines } from '../services/release/index.ts'
import { fetchAtSocket } from './reach-gateway.ts'

const Versions = z.object({
  versions: z.array(
    z.object({
      version: z.string(),
      status: z.enum(['loaded', 'loading', 'stopped', 'unavailable']),
      inFlight: z.number(),
    }),
  ),
})
type Seen = z.output<typeof Versions>['versions'][number]

/** One that fails for a moment is brought back by its agent, and requests are moved meanwhile. */
const failedAfterMs = 10_000
/** Without a request for so long, the next one may wait for an engine to load. */
const idleAfterMs = 10_000
const answerMs = 2_000

export type LookParts = {
  socket: string
  key: string
  store: Pick<ReleaseStore, 'served'>
  now: () => Instant
}

export function lookAtEngines({ socket, key, store, now }: LookParts): Engines {
  const known = new Map<VersionName, Known>()
  let seenAt: Instant | null = null

  async function read(): Promise<Seen[] | null> {
    try {
      const headers = { authorization: `Bearer ${key}` }
      const answer = await fetchAtSocket(socket, '/health/versions', { headers, signal: AbortSignal.timeout(answerMs) })
      return Versions.parse(await answer.json()).versions
    } catch {
      // A gateway that is being replaced says nothing of its engines.
      return null
    }
  }

  function stateOf(version: VersionName, seen: Seen | undefined): EngineState {
    if (seen === undefined) {
      known.delete(version)
      return { state: 'absent', why: 'the gateway does not have it yet' }
    }
    const before = known.get(version) ?? { since: now(), isReady: false, wasReady: false, loadMs: null }
    const isReady = seen.status === 'loaded' || seen.status === 'stopped'
    const changed = isReady !== before.isReady
    const since = changed ? now() : before.since
    const loadMs = changed && isReady ? millis(since - before.since) : before.loadMs
    known.set(version, { since, isReady, wasReady: before.wasReady || isReady, loadMs })
    if (isReady) return { state: 'ready', why: 'it answers' }
    const isLate = now() - since >= failedAfterMs
    if (isLate && before.wasReady)
      return { state: 'failed', why: `it answered before, and has not for ${failedAfterMs / 1000} s` }
    if (isLate && seen.status === 'unavailable') return { state: 'failed', why: 'nothing answers at its replicas' }
    return { state: 'loading', why: 'its engine loads' }
  }

  return {
    async look({ model, from, to }) {
      const seen = await read()
      const liveLoads = known.get(from)?.loadMs ?? null
      if (seen === null) {
        const unknown: EngineState = { state: 'loading', why: 'the gateway does not answer' }
        return { live: unknown, candidate: unknown, idle: false, liveLoads }
      }
      seenAt ??= now()
      const find = (version: VersionName) => seen.find(each => each.version === version)
      const [live, candidate] = [stateOf(from, find(from)), stateOf(to, find(to))]
      const isBusy = [find(from), find(to)].some(each => (each?.inFlight ?? 0) > 0)
      return { live, candidate, idle: !isBusy && (await wasQuiet(model, [from, to])), liveLoads }
    },
  }

  async function wasQuiet(model: ModelName, versions: readonly VersionName[]): Promise<boolean> {
    const since = instant(now() - idleAfterMs)
    if (seenAt === null || seenAt > since) return false
    for (const version of versions) {
      if ((await store.served({ model, version, since, limit: 1 })).length > 0) return false
    }
    return true
  }
}

type Known = {
  /** When it began or ceased to answer. */
  since: Instant
  isReady: boolean
  wasReady: boolean
  /** From then on until it answered. */
  loadMs: Millis | null
}

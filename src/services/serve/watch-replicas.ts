/** Watches replicas: probes each one, proves that it gets work done, and tells the fleet: a dead one is left out, a healed one used again. */
import { isBusy, stallOf, type HealthLimits, type Sighting } from '../../domain/serving/index.ts'
import { millis } from '../../domain/units.ts'
import { askCanary } from './canary.ts'
import { isLoaded, type Fleet } from './fleet.ts'
import type { Probe, Wire } from './ports.ts'
import type { Replica } from './replica.ts'

export type WatchParts = {
  fleet: Fleet
  wire: Wire
  health: () => HealthLimits
  everyMs: number
  timeoutMs: number
  signal: AbortSignal
}

/** Requests may be waiting for one that is loading or gone, so these are asked so many times as often. */
const hurry = 4
/** Engines with much to do answer their health routes late: seconds late, and go on with their work. */
const silentProbesToFail = 3
/** One token takes an idle engine no longer, even one that swaps its weights in. */
const canaryMs = 30_000
/** One that comes back is asked again, and what it was asked while it still hung must not hold that up. */
const comesBackMs = 8_000

/** Runs until `signal`. A slow probe delays nobody else's. */
export function watchReplicas({ fleet, wire, health, everyMs, timeoutMs, signal }: WatchParts): void {
  const probing = new Set<Replica>()
  let turn = 0
  const round = (): void => {
    const everybody = turn++ % hurry === 0
    for (const replica of fleet.replicas()) if (everybody || replica.health.state !== 'up') void watch(replica)
  }
  const timer = setInterval(round, everyMs / hurry)
  signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  round()

  async function watch(replica: Replica): Promise<void> {
    if (probing.has(replica)) return
    probing.add(replica)
    try {
      const { pieces } = replica
      const until = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
      const probe = await replica.dialect.probe(replica.target, wire, until)
      if (signal.aborted) return
      replica.silentProbes = probe.state === 'failed' && until.aborted ? replica.silentProbes + 1 : 0
      if (replica.silentProbes > 0 && isMerelySlow(replica, pieces)) return
      fleet.probed(replica, probe.state === 'up' ? await prove(replica, probe) : probe)
    } finally {
      probing.delete(replica)
    }
  }

  /** What is known of a replica that says it is up, once it had to show it. */
  async function prove(replica: Replica, probe: Extract<Probe, { state: 'up' }>): Promise<Probe> {
    const { stall, canary } = health()
    const seen: Sighting = { ...fleet.sight(replica), load: probe.load }
    const now = millis(performance.now())
    const progress = fleet.progressed(replica, seen, now)
    const stalled = stallOf(progress, seen, { stall, now })
    if (stalled !== null) return { state: 'failed', why: stalled }
    const idleMs = now - replica.provenAt
    // One that comes back makes its first token for us, not for somebody who waits: the first is the slowest.
    const comesBack = replica.health.state === 'loading' || replica.health.state === 'down'
    const wantsProof = canary !== null && !isBusy(seen) && (idleMs >= canary || replica.unproven || comesBack)
    // One that loads models on demand must not load one for us.
    if (!wantsProof || !isLoaded(replica, probe)) return probe
    const why = await askCanary(replica, {
      wire,
      signal: AbortSignal.any([signal, AbortSignal.timeout(comesBack ? comesBackMs : canaryMs)]),
    })
    if (signal.aborted) return probe
    fleet.proven(replica, why === null)
    return why === null ? probe : { state: 'failed', why }
  }
}

/** One that works is not given up for a probe that came too late: it made pieces of answers meanwhile, or was in time a moment ago. */
function isMerelySlow({ health, pieces, silentProbes }: Replica, piecesBefore: number): boolean {
  return health.state === 'up' && (pieces !== piecesBefore || silentProbes < silentProbesToFail)
}

/** Watches replicas: probes each one, so that a dead one is left out and a healed one is used again. */
import type { Fleet, Replica } from './fleet.ts'
import type { Wire } from './ports.ts'

export type WatchParts = { fleet: Fleet; wire: Wire; everyMs: number; timeoutMs: number; signal: AbortSignal }

/** Requests may be waiting for one that is loading or gone, so these are asked so many times as often. */
const hurry = 4

/** Runs until `signal`. A slow probe delays nobody else's. */
export function watchReplicas({ fleet, wire, everyMs, timeoutMs, signal }: WatchParts): void {
  const probing = new Set<Replica>()
  let turn = 0
  const round = (): void => {
    const everybody = turn++ % hurry === 0
    for (const replica of fleet.replicas()) if (everybody || replica.health.state !== 'up') void probe(replica)
  }
  const timer = setInterval(round, everyMs / hurry)
  signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  round()

  async function probe(replica: Replica): Promise<void> {
    if (probing.has(replica)) return
    probing.add(replica)
    try {
      const result = await replica.dialect.probe(
        replica.target,
        wire,
        AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      )
      if (!signal.aborted) fleet.probed(replica, result)
    } finally {
      probing.delete(replica)
    }
  }
}

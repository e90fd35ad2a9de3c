/** All gateways of a service: what the link knows of each, and the process of the one beside the controller. */
import type { GatewayRow } from '../adapters/admin-http/index.ts'
import type { GatewayState } from '../adapters/link/index.ts'
import type { KnownGateway } from '../domain/serving/index.ts'
import type { ServiceFacts } from './service-file.ts'

export function listGateways({
  linked,
  stored,
  facts,
}: {
  linked: readonly GatewayState[]
  stored: readonly KnownGateway[]
  facts: ServiceFacts | null
}): GatewayRow[] {
  const pid =
    facts?.processes.find(({ role, state = 'running' }) => role === 'gateway' && state === 'running')?.pid ?? null
  const rows = linked.map((state): GatewayRow => {
    const { gateway, connected, presence, joined, from, seq, snapshot, report } = state
    return {
      gateway,
      role: 'gateway',
      local: !joined,
      pid: joined || !connected ? null : pid,
      from,
      connected,
      presence,
      // What it had before this controller started, it says when it comes.
      seq: seq < 0 ? null : seq,
      snapshot,
      journalBehind: report?.journalBehind ?? null,
      problems: report?.problems ?? [],
    }
  })
  const known = new Set(rows.map(({ gateway }) => gateway))
  const neverCame = stored
    .filter(({ id, keyHash, removedAt }) => keyHash !== null && removedAt === null && !known.has(id))
    .map(({ id, from, presence }): GatewayRow => ({
      gateway: id,
      role: 'gateway',
      local: false,
      pid: null,
      from,
      connected: false,
      presence,
      seq: null,
      snapshot: null,
      journalBehind: null,
      problems: [],
    }))
  return [...rows, ...neverCame]
}

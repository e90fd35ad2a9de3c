/** `/api/v1/status`, put together from what the parent, the agent, the link and the store each know. */
import type { GatewayRow, Status } from '../adapters/admin-http/index.ts'
import { startTimeOf } from '../adapters/processes/index.ts'
import type { RequestStore } from '../domain/journal/index.ts'
import type { ReplicaRoute, Snapshot } from '../domain/serving/index.ts'
import { readEngines, type EngineProcess } from './engines-file.ts'
import { readFetches } from './fetches.ts'
import type { SpecState } from './last-good.ts'
import type { Home } from './paths.ts'
import { readServiceFacts } from './service-file.ts'
import type { StorePlace } from './store.ts'
import { productVersion } from './version.ts'

export async function readStatus({
  home,
  snapshot,
  spec,
  gateways,
  requests,
  store,
  diverged,
}: {
  home: Home
  snapshot: Snapshot
  spec: SpecState
  gateways: GatewayRow[]
  requests: Pick<RequestStore, 'epochs'>
  store: { place: StorePlace; problem: string | null }
  diverged: readonly { model: string; why: string }[]
}): Promise<Status> {
  const facts = readServiceFacts(home.service)
  const engines = readEngines(home.engines).processes
  const replicasOf = new Map(snapshot.versions.map(version => [version.name, version.replicas]))
  return {
    name: snapshot.service,
    version: productVersion(),
    url: facts?.url ?? null,
    spec,
    processes: [
      ...(facts?.processes ?? []),
      ...engines.map(({ pid, startedAt, restarts }) => ({ role: 'engine', pid, startedAt, restarts })),
    ],
    engines: engines.map(engine => ({
      replica: engine.replica,
      version: engine.version,
      pid: engine.pid,
      socket: engine.socket,
      startedAt: engine.startedAt,
      state: stateOf(engine),
    })),
    fetches: readFetches(home.fetches),
    gateways,
    snapshot: snapshot.id,
    models: snapshot.models.map(({ name, live }) => ({
      name,
      version: live,
      diverged: diverged.find(each => each.model === name)?.why ?? null,
      replicas: (replicasOf.get(live) ?? []).map(({ id, address }) => ({ id, address: toText(address) })),
    })),
    store: {
      kind: store.place.kind,
      name: store.place.kind === 'sqlite' ? store.place.path : store.place.name,
      problem: store.problem,
    },
    // What runs is told without the store, too.
    ingest: (store.problem === null ? await requests.epochs() : []).map(({ epoch, position, ended }) => ({
      epoch,
      ...position,
      ended,
    })),
  }
}

/** A process id may belong to another process by now: the start time tells. Whether it answers, the gateway knows. */
function stateOf({ pid, startTime }: EngineProcess): string {
  return startTime !== null && startTimeOf(pid) === startTime ? 'running' : 'ended'
}

function toText(address: ReplicaRoute['address']): string {
  if ('socket' in address) return address.socket
  const url = new URL(address.url)
  url.username = ''
  url.password = ''
  return url.href
}

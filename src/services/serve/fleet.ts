/** The fleet: the snapshot's replicas as this gateway knows them now: in flight, healthy, and what they could take. */
import { learnPlaces, placesHere } from '../../domain/admission/index.ts'
import type { Fault } from '../../domain/fault.ts'
import {
  openRetryBudget,
  openRouting,
  type Caller,
  type Candidate,
  type RetryBudget,
  type Routing,
} from '../../domain/routing/index.ts'
import {
  isUsable,
  noPace,
  slowerThanPeers,
  standingOf,
  stepHealth,
  stepProgress,
  usableFor,
  type FlagRoute,
  type HealthEvent,
  type ModelRoute,
  type ModelStatus,
  type Progress,
  type RoutingStrategy,
  type Sighting,
  type Snapshot,
  type Standing,
  type ReplicaRoute,
  type VersionRoute,
} from '../../domain/serving/index.ts'
import {
  instant,
  millis,
  tokens,
  type Instant,
  type Millis,
  type ModelName,
  type ReplicaId,
  type VersionName,
} from '../../domain/units.ts'
import type { EngineDialect, Probe } from './ports.ts'
import type { Capacity } from './queue.ts'
import { newReplica, proven, ReplicaLease, type Lease, type Replica } from './replica.ts'

export type Fleet = ReturnType<typeof openFleet>

export type FleetParts = {
  dialectOf(version: VersionRoute): EngineDialect
  /** Resolves a reference to a secret. Throws with a message that names the reference. */
  secret(reference: string): string
  now(): number
}

export type Asked = { strategy: RoutingStrategy; caller: Caller; tried: readonly ReplicaId[] }

type FleetCandidate = Candidate & { replica: Replica }

/** What a version has beside its replicas. */
type Group = { route: VersionRoute; replicas: Replica[]; routing: Routing; retries: RetryBudget }

/** Empty until it is given a snapshot. Everything here is synchronous. */
export function openFleet({ dialectOf, secret, now }: FleetParts) {
  let models = new Map<string, ModelRoute>()
  let flags: readonly FlagRoute[] = []
  let groups = new Map<VersionName, Group>()
  let replicas = new Map<ReplicaId, Replica>()
  let gateways = 1
  const watchers = new Set<(version: VersionName) => void>()

  /** Replaces the routing table in one step. Replicas at the same address keep their counts and health. */
  function use(next: Snapshot): void {
    models = new Map(next.models.map(model => [model.name, model]))
    flags = next.flags
    const gone = [...groups.keys()]
    const kept = new Map<ReplicaId, Replica>()
    const nextGroups = new Map<VersionName, Group>()
    for (const version of next.versions) {
      const list = version.replicas.map(route => carryOn(replicas.get(route.id), toReplica(version, route)))
      for (const replica of list) kept.set(replica.id, replica)
      const { routing, retries } = groups.get(version.name) ?? { routing: openRouting(), retries: openRetryBudget() }
      nextGroups.set(version.name, { route: version, replicas: list, routing, retries })
    }
    groups = nextGroups
    replicas = kept
    // Also those who wait for a version that is gone: nothing will come for them.
    for (const version of new Set([...gone, ...groups.keys()])) changed(version)
  }

  function toReplica(version: VersionRoute, route: ReplicaRoute): Replica {
    return newReplica({
      version: version.name,
      route,
      dialect: dialectOf(version),
      target: {
        address: route.address,
        metrics: route.metrics,
        apiKey: route.apiKey === null ? null : secret(route.apiKey),
        served: version.servedName ?? modelOf(version.name)?.name ?? null,
      },
      task: version.task,
    })
  }

  /** The model that a version answers for, or may come to answer for. */
  function modelOf(version: VersionName): ModelRoute | null {
    const all = [...models.values()]
    return all.find(({ live }) => live === version) ?? all.find(({ release }) => release?.candidate === version) ?? null
  }

  /** The replica for a request, and why it. `null`: none may be asked. */
  function choose(
    version: VersionRoute,
    { strategy, caller, tried }: Asked,
  ): { replica: Replica; reason: string } | null {
    const group = groups.get(version.name)
    if (group === undefined) return null
    const at = instant(now())
    const candidates: FleetCandidate[] = []
    for (const replica of group.replicas) if (!tried.includes(replica.id)) candidates.push(toCandidate(replica, at))
    const choice = group.routing.choose(strategy, candidates, caller)
    if (choice === null) return null
    group.routing.given(choice.candidate, caller)
    return { replica: choice.candidate.replica, reason: choice.reason }
  }

  function toCandidate(replica: Replica, at: Instant): FleetCandidate {
    const { id, inFlight, load, health, route } = replica
    const places = placesOf(replica)
    return {
      replica,
      id,
      inFlight,
      load,
      weight: route.weight,
      backup: route.backup,
      standing: standingOf(health, at),
      usableFor: health.state === 'unknown' ? millis(Infinity) : usableFor(health, at),
      places: places === Infinity ? null : places,
    }
  }

  const placesOf = ({ route, learned }: Replica): number => placesHere(route.places, learned, gateways)

  /** What a version can run at once now, as far as this gateway may use it. */
  function capacity(version: VersionName): Capacity {
    const group = groups.get(version)
    if (group === undefined) return { places: 0, mayGrow: false }
    const at = instant(now())
    let usable: number | null = null
    let ofBackups: number | null = null
    let others = 0
    for (const replica of group.replicas) {
      const standing = standingOf(replica.health, at)
      if (standing !== 'usable') others += standing === 'out' ? 0 : 1
      else if (replica.route.backup) ofBackups = (ofBackups ?? 0) + placesOf(replica)
      else usable = (usable ?? 0) + placesOf(replica)
    }
    // Who is tried out, or asked because nobody else is there, is given one at a time.
    return { places: usable ?? ofBackups ?? others, mayGrow: group.replicas.some(mayComeBack) }
  }

  const leasing = { standing: (replica: Replica): Standing => standingOf(replica.health, instant(now())), note }

  function lease(replica: Replica): Lease {
    return new ReplicaLease(replica, groups.get(replica.version)?.route.cost.gpus ?? 1, leasing)
  }

  function note(replica: Replica, event: HealthEvent): void {
    const before = replica.health
    const at = instant(now())
    replica.health = stepHealth(before, event, at)
    if (replica.health === before) return
    const until = replica.health.ejection?.until
    // An ejection ends by itself, and nobody would tell those who wait.
    if (until !== undefined && until !== before.ejection?.until)
      setTimeout(() => changed(replica.version), Math.max(0, until - at)).unref()
    if (!isUsable(replica.health, at)) leave(replica)
    changed(replica.version)
  }

  /** It is used no more: what it had in its cache may be gone, and who has no byte from it yet goes elsewhere, if there is an elsewhere. */
  function leave(replica: Replica): void {
    const group = groups.get(replica.version)
    group?.routing.forget(replica.id)
    if (replica.health.state !== 'down' || replica.unanswered.size === 0) return
    const at = instant(now())
    const instead = [...(group?.replicas ?? []), ...liveFor(replica.version)]
    if (!instead.some(other => other !== replica && isUsable(other.health, at))) return
    for (const giveUp of replica.unanswered.items()) giveUp()
  }

  /** Those that answer where a candidate can't. */
  function liveFor(version: VersionName): Replica[] {
    const live = [...models.values()].filter(({ release }) => release?.candidate === version).map(model => model.live)
    return live.flatMap(name => groups.get(name)?.replicas ?? [])
  }

  function changed(version: VersionName): void {
    for (const tell of watchers) tell(version)
  }

  /** What there is to see of it from here, but for its own load. */
  function sight({ inFlight, pieces, waitingPrompts }: Replica): Omit<Sighting, 'load'> {
    let longest = 0
    for (const prompt of waitingPrompts.items()) longest = Math.max(longest, prompt)
    return { inFlight, pieces, waitingPrompt: tokens(longest) }
  }

  function progressed(replica: Replica, seen: Sighting, at: Millis): Progress {
    replica.progress = stepProgress(replica.progress, seen, at)
    return replica.progress
  }

  function probed(replica: Replica, probe: Probe): void {
    replica.load = probe.state === 'up' ? probe.load : null
    if (probe.state === 'up') {
      replica.loaded = isLoaded(replica, probe)
      learn(replica)
      note(replica, { kind: 'probe-up' })
      holdAgainstPeers(replica)
    } else if (probe.state === 'loading') note(replica, { kind: 'probe-loading' })
    else note(replica, { kind: 'probe-failed', why: probe.why })
  }

  /** Said once: what it did before is forgotten with it. */
  function holdAgainstPeers(replica: Replica): void {
    const paced = ({ pace, route }: Replica) => ({ pace, weight: route.weight })
    const peers = groups.get(replica.version)?.replicas.filter(other => other !== replica) ?? []
    const why = slowerThanPeers(paced(replica), peers.map(paced))
    if (why === null) return
    replica.pace = noPace
    note(replica, { kind: 'outlier', why })
  }

  function learn(replica: Replica): void {
    const before = replica.learned
    const { load, inFlight } = replica
    replica.learned = learnPlaces(before, { load, inFlight, at: millis(performance.now()) })
    if (replica.learned.count !== before.count) changed(replica.version)
  }

  function noReplica(model: ModelRoute, version: Pick<VersionRoute, 'name'>): Fault {
    const states = (groups.get(version.name)?.replicas ?? []).map(
      ({ id, health }) => `${id}: ${health.why ?? health.state}`,
    )
    return {
      kind: 'no-replica',
      model: model.name,
      retryAfter: millis(1_000),
      state: states.length === 0 ? `${version.name} has no replica` : states.join('; '),
    }
  }

  function status(version: VersionName): ModelStatus {
    const at = instant(now())
    const list = groups.get(version)?.replicas ?? []
    const ready = list.filter(({ health }) => health.state === 'up' && isUsable(health, at))
    if (ready.length > 0) return ready.some(({ loaded }) => loaded) ? 'loaded' : 'stopped'
    if (list.some(({ health, route }) => health.state === 'loading' || health.state === 'unknown' || route.managed))
      return 'loading'
    return 'unavailable'
  }

  return {
    use,
    choose,
    capacity,
    lease,
    sight,
    progressed,
    proven,
    probed,
    noReplica,
    status,
    /** Every version of the snapshot, candidates among them, and how many requests it has in hand. */
    versions: (): { version: VersionName; status: ModelStatus; inFlight: number }[] =>
      [...groups.entries()].map(([version, group]) => ({
        version,
        status: status(version),
        inFlight: group.replicas.reduce((sum, { inFlight }) => sum + inFlight, 0),
      })),
    /** Told whenever what a version can run may have changed. */
    watch: (tell: (version: VersionName) => void) => void watchers.add(tell),
    /** How many gateways share the replicas. */
    sharedBy(count: number): void {
      gateways = Math.max(1, count)
      for (const version of groups.keys()) changed(version)
    },
    retries: (version: VersionName): RetryBudget => groups.get(version)?.retries ?? openRetryBudget(),
    model: (name: string): ModelRoute | null => models.get(name) ?? null,
    modelOf,
    models: (): ModelName[] => [...models.values()].map(({ name }) => name),
    flags: (): readonly FlagRoute[] => flags,
    routes: (): ModelRoute[] => [...models.values()],
    version: (name: VersionName): VersionRoute | null => groups.get(name)?.route ?? null,
    replicas: (): Replica[] => [...replicas.values()],
  }
}

/** Loading, started again by Holdfast, or only ejected for a while: worth a wait. */
const mayComeBack = ({ health, route }: Replica): boolean =>
  health.state === 'loading' || route.managed || (health.state === 'up' && health.ejection !== null)

/** Requests in flight hold the old object: it stays the same one while the address does. */
function carryOn(known: Replica | undefined, next: Replica): Replica {
  if (known === undefined || JSON.stringify(known.route.address) !== JSON.stringify(next.route.address)) return next
  const { version, route, dialect, target, task } = next
  return Object.assign(known, { version, route, dialect, target, task })
}

/** Only engines that load on demand can be asked for a model that they have not loaded. */
export function isLoaded({ dialect, target }: Replica, { models }: Extract<Probe, { state: 'up' }>): boolean {
  return dialect.loadsOnDemand !== true || models === null || target.served === null || models.includes(target.served)
}

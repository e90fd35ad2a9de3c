/** The fleet: the snapshot's replicas as this gateway knows them now: in flight, healthy, waited for. */
import type { Fault } from '../../domain/fault.ts'
import {
  isUsable,
  learnPrefill,
  noProgress,
  pickReplica,
  stepHealth,
  stepProgress,
  unknownHealth,
  type EngineLoad,
  type Health,
  type HealthEvent,
  type ModelRoute,
  type ModelStatus,
  type Progress,
  type ReplicaRoute,
  type Sighting,
  type Snapshot,
  type Task,
  type VersionRoute,
} from '../../domain/serving/index.ts'
import {
  instant,
  millis,
  tokens,
  type Millis,
  type ModelName,
  type ReplicaId,
  type Tokens,
  type VersionName,
} from '../../domain/units.ts'
import type { EngineDialect, Probe, Target } from './ports.ts'

export type Replica = {
  readonly id: ReplicaId
  readonly version: VersionName
  readonly route: ReplicaRoute
  readonly dialect: EngineDialect
  readonly target: Target
  readonly task: Task
  inFlight: number
  health: Health
  /** The model is in its memory, as far as it says. */
  loaded: boolean
  /** What its last probe said of how busy it is; `null`: it does not say. */
  load: EngineLoad | null
  progress: Progress
  /** Pieces of answers that came from it. */
  pieces: number
  /** Prompts that it was given and has not begun to answer, about so many tokens each. */
  readonly waitingPrompts: Set<{ tokens: Tokens }>
  /** Probes in a row that had no answer in time. */
  silentProbes: number
  /** When it last showed that it works, on a clock that never goes back. */
  provenAt: Millis
  /** Its last canary failed, and it has not answered since. */
  unproven: boolean
}

/** One request on one replica. However it ends, `release` gives its place back, once. */
export type Lease = {
  /** It has the request, with a prompt of about so many tokens. */
  asked(prompt: Tokens): void
  /** Its answer has begun. */
  began(): void
  /** It answered whole. Where known, `prompt` tokens were taken in before the first piece, `waited` after it was asked. */
  answered(prompt: Tokens | null, waited: Millis | null): void
  failed(fault: Fault): void
  release(): void
}

export type Fleet = ReturnType<typeof openFleet>

export type FleetParts = {
  dialectOf(version: VersionRoute): EngineDialect
  /** Resolves a reference to a secret. Throws with a message that names the reference. */
  secret(reference: string): string
  now(): number
}

/** Empty until it is given a snapshot. Everything here is synchronous but waiting. */
export function openFleet({ dialectOf, secret, now }: FleetParts) {
  let models = new Map<string, ModelRoute>()
  let versions = new Map<VersionName, VersionRoute>()
  let replicas = new Map<ReplicaId, Replica>()
  let byVersion = new Map<VersionName, Replica[]>()
  let turn = 0
  const waiting = new Map<VersionName, Set<() => void>>()

  /** Replaces the routing table in one step. Replicas at the same address keep their counts and health. */
  function use(next: Snapshot): void {
    models = new Map(next.models.map(model => [model.name, model]))
    const kept = new Map<ReplicaId, Replica>()
    const nextByVersion = new Map<VersionName, Replica[]>()
    for (const version of next.versions) {
      const list = version.replicas.map(route => carryOn(replicas.get(route.id), toReplica(version, route)))
      for (const replica of list) kept.set(replica.id, replica)
      nextByVersion.set(version.name, list)
    }
    versions = new Map(next.versions.map(version => [version.name, version]))
    replicas = kept
    byVersion = nextByVersion
    // Also those who wait for a version that is gone: nothing will come for them.
    for (const version of waiting.keys()) wake(version)
  }

  function toReplica(version: VersionRoute, route: ReplicaRoute): Replica {
    const at = millis(performance.now())
    const publicName = [...models.values()].find(({ live }) => live === version.name)?.name
    return {
      id: route.id,
      version: version.name,
      route,
      dialect: dialectOf(version),
      target: {
        address: route.address,
        metrics: route.metrics,
        apiKey: route.apiKey === null ? null : secret(route.apiKey),
        served: version.servedName ?? publicName ?? null,
      },
      task: version.task,
      inFlight: 0,
      health: unknownHealth,
      loaded: true,
      load: null,
      progress: noProgress(at),
      pieces: 0,
      waitingPrompts: new Set(),
      silentProbes: 0,
      provenAt: at,
      unproven: false,
    }
  }

  function pick(version: VersionRoute, tried: ReadonlySet<ReplicaId>): Replica | null {
    const at = instant(now())
    const candidates = (byVersion.get(version.name) ?? []).map(replica => ({
      replica,
      inFlight: replica.inFlight,
      weight: replica.route.weight,
      backup: replica.route.backup,
      usable: isUsable(replica.health, at) && !tried.has(replica.id),
    }))
    return pickReplica(candidates, turn++)?.replica ?? null
  }

  function lease(replica: Replica): Lease {
    let held = true
    let waiting: { tokens: Tokens } | null = null
    replica.inFlight++
    const began = (): void => {
      if (waiting !== null) replica.waitingPrompts.delete(waiting)
    }
    return {
      asked: prompt => {
        waiting = { tokens: prompt }
        replica.waitingPrompts.add(waiting)
      },
      began,
      answered: (prompt, waited) => {
        if (prompt !== null && waited !== null) replica.progress = learnPrefill(replica.progress, prompt, waited)
        proven(replica, true)
        note(replica, { kind: 'call-answered' })
      },
      failed: fault => {
        const event = eventOf(fault)
        if (event !== null) note(replica, event)
      },
      release: () => {
        if (held) replica.inFlight--
        held = false
        began()
      },
    }
  }

  function note(replica: Replica, event: HealthEvent): void {
    const before = replica.health
    replica.health = stepHealth(before, event, instant(now()))
    if (replica.health === before) return
    for (const [version, list] of byVersion) if (list.includes(replica)) wake(version)
  }

  /** What there is to see of it from here, but for its own load. */
  function sight({ inFlight, pieces, waitingPrompts }: Replica): Omit<Sighting, 'load'> {
    let longest = 0
    for (const prompt of waitingPrompts) longest = Math.max(longest, prompt.tokens)
    return { inFlight, pieces, waitingPrompt: tokens(longest) }
  }

  function progressed(replica: Replica, seen: Sighting, at: Millis): Progress {
    replica.progress = stepProgress(replica.progress, seen, at)
    return replica.progress
  }

  /** It showed that it works, or failed to. */
  function proven(replica: Replica, works: boolean): void {
    replica.provenAt = millis(performance.now())
    replica.unproven = !works
  }

  function probed(replica: Replica, probe: Probe): void {
    replica.load = probe.state === 'up' ? probe.load : null
    if (probe.state === 'up') replica.loaded = isLoaded(replica, probe)
    if (probe.state === 'up') note(replica, { kind: 'probe-up' })
    else if (probe.state === 'loading') note(replica, { kind: 'probe-loading' })
    else note(replica, { kind: 'probe-failed', why: probe.why })
  }

  /** A replica that is loading, or that Holdfast will start again, is worth a wait. */
  function mayComeBack(version: VersionRoute): boolean {
    return (byVersion.get(version.name) ?? []).some(
      replica => replica.health.state === 'loading' || replica.route.managed,
    )
  }

  /**
   * Resolves `true` as soon as a replica may be asked, `false` when the model's queue is full, its deadline passes,
   * or nothing that could come back is left.
   */
  function whenUsable(version: VersionRoute, model: ModelRoute): { promise: Promise<boolean>; cancel: () => void } {
    const queue = waiting.get(version.name) ?? new Set()
    waiting.set(version.name, queue)
    if (!mayComeBack(version) || queue.size >= model.queue.waiting)
      return { promise: Promise.resolve(false), cancel: () => {} }
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const settle = (usable: boolean): void => {
      clearTimeout(timer)
      queue.delete(look)
      resolve(usable)
    }
    const look = (): void => {
      if (pick(version, nobody) !== null) settle(true)
      else if (!mayComeBack(version)) settle(false)
    }
    const timer = setTimeout(() => settle(false), model.queue.deadline)
    queue.add(look)
    return { promise, cancel: () => settle(false) }
  }

  function wake(version: VersionName): void {
    for (const look of [...(waiting.get(version) ?? [])]) look()
  }

  function noReplica(model: ModelRoute, version: VersionRoute): Fault {
    const states = (byVersion.get(version.name) ?? []).map(({ id, health }) => `${id}: ${health.why ?? health.state}`)
    return {
      kind: 'no-replica',
      model: model.name,
      retryAfter: millis(1_000),
      state: states.length === 0 ? `${version.name} has no replica` : states.join('; '),
    }
  }

  function status(version: VersionName): ModelStatus {
    const at = instant(now())
    const list = byVersion.get(version) ?? []
    const ready = list.filter(({ health }) => health.state === 'up' && isUsable(health, at))
    if (ready.length > 0) return ready.some(({ loaded }) => loaded) ? 'loaded' : 'stopped'
    if (list.some(({ health, route }) => health.state === 'loading' || health.state === 'unknown' || route.managed))
      return 'loading'
    return 'unavailable'
  }

  return {
    use,
    pick,
    lease,
    sight,
    progressed,
    proven,
    probed,
    whenUsable,
    noReplica,
    status,
    model: (name: string): ModelRoute | null => models.get(name) ?? null,
    models: (): ModelName[] => [...models.values()].map(({ name }) => name),
    version: (name: VersionName): VersionRoute | null => versions.get(name) ?? null,
    replicas: (): Replica[] => [...replicas.values()],
    queued: (): number => [...waiting.values()].reduce((sum, queue) => sum + queue.size, 0),
  }
}

const nobody: ReadonlySet<ReplicaId> = new Set()

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

/**
 * What a failed call says of its replica; a client's mistake says that the engine works. The engine's own words stay
 * out of it: they may hold the request that failed, and what is known of a replica is told to every client.
 */
function eventOf(fault: Fault): HealthEvent | null {
  switch (fault.kind) {
    case 'engine-lost':
      return { kind: 'call-lost', why: 'the connection broke' }
    case 'engine-failed':
      return { kind: 'call-failed', why: fault.status === null ? 'it failed' : `it failed (HTTP ${fault.status})` }
    case 'engine-silent':
      return { kind: 'call-failed', why: `it sent no ${fault.what} in time` }
    case 'not-ready':
      return { kind: 'probe-loading' }
    case 'engine-refused':
    case 'context-exceeded':
      return { kind: 'call-answered' }
    default:
      return null
  }
}

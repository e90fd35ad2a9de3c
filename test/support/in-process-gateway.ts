/** A gateway's data plane in this process: the real front, pipeline, wire and dialects over engines of the test's choice. */
import type { AddressInfo } from 'node:net'
import { dialectOf, openWire } from '../../src/adapters/engine/index.ts'
import { openHttp } from '../../src/adapters/openai-http/index.ts'
import { unbounded } from '../../src/domain/access/index.ts'
import type { CloseRecord, OpenRecord } from '../../src/domain/journal/index.ts'
import type { Holder } from '../../src/domain/access/index.ts'
import type { ModelRoute, ReplicaRoute, Snapshot, VersionRoute } from '../../src/domain/serving/index.ts'
import { openEdge, plainModel, unknownCost } from '../../src/domain/serving/index.ts'
import { bytes, keyId, millis, modelName, replicaId, teamName, versionName } from '../../src/domain/units.ts'
import { openBudgets, openEstimates } from '../../src/services/budgets/index.ts'
import { openLimiter, openTokenEstimates } from '../../src/services/limits/index.ts'
import {
  openAdmission,
  openConversations,
  openFleet,
  openSamples,
  openServe,
  openShadow,
  watchReplicas,
  openGate,
  type Authenticate,
  type CopiedPair,
  type SampledAnswer,
  type ShadowOutcome,
} from '../../src/services/serve/index.ts'

export const testKey = 'sk-test-key-of-the-suite'
export const testAdminKey = 'sk-test-admin-of-the-suite'
export const testVersion = versionName('dev-v1.0-fake-fp16-p1')

export type GatewayOptions = {
  replicas: (Partial<ReplicaRoute> & { url: string })[]
  version?: Partial<VersionRoute>
  limits?: Partial<Snapshot['limits']>
  health?: Partial<Snapshot['health']>
  queue?: { waiting: number; deadlineMs: number }
  mayUse?: boolean | ((model: { name: string }) => boolean)
  /** Of whoever has the test's key. */
  team?: string
  /** Further models, after `coder`; their versions are the test's to bring. */
  model?: Partial<ModelRoute>
  also?: { models: ModelRoute[]; versions: VersionRoute[] }
  holders?: Holder[]
  shed?: () => boolean
  /** Left out: replicas are probed once at the start, and then by calls alone. */
  probeEveryMs?: number
  probeTimeoutMs?: number
  /** What the journal answers to each record. */
  journalError?: () => Error | undefined
}

export type TestGateway = Awaited<ReturnType<typeof startGateway>>

/** Serves the model `coder` from `replicas`. `records` has what the journal was told. */
export async function startGateway(options: GatewayOptions) {
  const records: (OpenRecord | CloseRecord)[] = []
  const unexpected: unknown[] = []
  const watchers = new Set<() => void>()
  const gate = openGate()
  const wire = openWire()
  const fleet = openFleet({
    dialectOf: version => dialectOf(version.engine),
    secret: reference => `secret of ${reference}`,
    now: Date.now,
  })
  let snapshot = toSnapshot(options)
  fleet.use(snapshot)
  const admission = openAdmission({
    capacityOf: fleet.capacity,
    now: () => millis(performance.now()),
    setTimer: (after, fire) => {
      const timer = setTimeout(fire, after)
      return () => clearTimeout(timer)
    },
  })
  fleet.watch(admission.changed)
  const limiter = openLimiter({ shared: null, onMode: () => {} })
  const budgets = openBudgets()
  const shadowed: [model: string, outcome: ShadowOutcome][] = []
  const pairs: CopiedPair[] = []
  const shadow = openShadow({
    fleet,
    admission,
    mustShed: () => options.shed?.() ?? false,
    onPair: pair => pairs.push(pair),
    count: (model, outcome) => shadowed.push([model, outcome]),
    report: error => unexpected.push(error),
  })
  const sampled: SampledAnswer[] = []
  const samples = openSamples({
    mustShed: () => options.shed?.() ?? false,
    onSample: sample => sampled.push(sample),
  })
  const serve = openServe({
    shadow,
    samples,
    gate,
    fleet,
    wire,
    limits: () => snapshot.limits,
    stale: () => null,
    lookUp,
    permissions: {
      model: fleet.model,
      version: fleet.version,
      modelOf: fleet.modelOf,
      flags: fleet.flags,
      mayUse: (_principal, name) =>
        typeof options.mayUse === 'function' ? options.mayUse({ name }) : (options.mayUse ?? true),
      permitted: () => fleet.models(),
      holders: () => ({ holders: options.holders ?? [], priority: 'normal' }),
    },
    limiter,
    usual: openTokenEstimates(),
    budgets,
    estimates: openEstimates(),
    admission,
    mustShed: () => options.shed?.() ?? false,
    conversations: openConversations({ mostBytes: 1024 * 1024, keptForMs: 60_000, now: Date.now }),
    recorder: {
      append(record, onWritten) {
        records.push(record)
        // As the journal does: at the end of the turn.
        setImmediate(() => {
          onWritten?.(options.journalError?.())
          for (const look of watchers) look()
        })
      },
      mustRefuse: false,
    },
    meter: { finished: () => {} },
    report: error => unexpected.push(error),
    now: Date.now,
  })
  function lookUp(key: string): ReturnType<Authenticate> {
    const team = options.team === undefined ? null : teamName(options.team)
    if (key === testKey)
      return { ok: true, principal: { kind: 'key', id: keyId('key_test'), alias: 'test', team }, scopes: unbounded }
    if (key === testAdminKey) return { ok: true, principal: { kind: 'admin' }, scopes: unbounded }
    return { ok: false, why: 'unknown' }
  }
  const { server } = openHttp({
    edge: () => snapshot.edge,
    warn: problem => unexpected.push(problem),
    serve,
    plain: {},
    relayed: [],
    relay: () => {},
    draining: () => false,
    report: error => unexpected.push(error),
  })
  const stop = new AbortController()
  if (options.probeEveryMs !== undefined)
    watchReplicas({
      fleet,
      wire,
      health: () => snapshot.health,
      everyMs: options.probeEveryMs,
      timeoutMs: options.probeTimeoutMs ?? 1_000,
      signal: stop.signal,
    })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`

  return {
    url,
    port,
    records,
    unexpected,
    gate,
    fleet,
    admission,
    limiter,
    budgets,
    /** Replaces parts of the snapshot, as the controller does. */
    use(change: Partial<Snapshot>): void {
      snapshot = { ...snapshot, ...change }
      fleet.use(snapshot)
    },
    snapshot: (): Snapshot => snapshot,
    closed: (): CloseRecord[] => records.filter(record => record.t === 'close'),
    /** Waits until the journal has so many finished requests; rejects after 10 s. */
    untilClosed(count: number): Promise<CloseRecord[]> {
      const { promise, resolve, reject } = Promise.withResolvers<CloseRecord[]>()
      const deadline = setTimeout(
        () => reject(new Error(`${closedNow().length} of ${count} requests have ended`)),
        10_000,
      )
      const closedNow = (): CloseRecord[] => records.filter(record => record.t === 'close')
      const look = (): void => {
        if (closedNow().length < count) return
        clearTimeout(deadline)
        watchers.delete(look)
        resolve(closedNow())
      }
      watchers.add(look)
      look()
      return promise
    },
    post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
      return fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'authorization': `Bearer ${testKey}`, 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        ...init,
      })
    },
    /** Copies that both versions answered, and what became of all others. */
    pairs,
    shadowed,
    /** Answers that a judge is to be shown. */
    sampled,
    async close(): Promise<void> {
      shadow.close()
      stop.abort()
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
      await wire.close()
      await limiter.close()
    },
  }
}

/** A chat request of one message. */
export const ask = (content: string, more: Record<string, unknown> = {}) => ({
  model: 'coder',
  messages: [{ role: 'user', content }],
  ...more,
})

/** Serves nothing. */
export const emptySnapshot: Snapshot = {
  id: 'empty',
  service: 'test',
  models: [],
  flags: [],
  versions: [],
  limits: {
    body: bytes(1024 * 1024),
    inFlight: 500,
    firstByte: millis(5_000),
    idle: millis(2_000),
    request: millis(20_000),
  },
  health: { stall: millis(30_000), canary: null },
  maxStale: millis(60_000),
  jwt: [],
  edge: openEdge,
  sharedLimits: 'local',
  whenUnwritable: 'serve',
}

function toSnapshot({ replicas, version, limits, health, queue, model, also }: GatewayOptions): Snapshot {
  return {
    ...emptySnapshot,
    id: 'test',
    models: [
      {
        name: modelName('coder'),
        live: testVersion,
        queue: { waiting: queue?.waiting ?? 10, deadline: millis(queue?.deadlineMs ?? 2_000) },
        ...plainModel,
        ...model,
      },
      ...(also?.models ?? []),
    ],
    versions: [
      {
        name: testVersion,
        engine: 'openai',
        servedName: null,
        task: 'chat',
        sampling: {},
        prompt: { id: 'p1', text: '', mode: 'prepend' },
        replicas: replicas.map(({ url, ...part }, i) => ({
          id: replicaId(`r${i}`),
          address: { url: `${url}/v1` },
          metrics: null,
          apiKey: null,
          backup: false,
          weight: 1,
          places: null,
          managed: false,
          ...part,
        })),
        cost: unknownCost,
        ...version,
      },
      ...(also?.versions ?? []),
    ],
    limits: { ...emptySnapshot.limits, ...limits },
    health: { ...emptySnapshot.health, ...health },
  }
}

/** A store in memory, engines and trials that do as they are told, and a controller over them that can be killed and started again. */
import { canaryOf, policyOf } from '../../src/domain/release/fake.ts'
import type {
  Actor,
  Decision,
  EngineState,
  EvidenceEvent,
  GoldenResult,
  KeptResult,
  Policy,
  RealLive,
  Release,
  ReleaseStore,
} from '../../src/domain/release/index.ts'
import {
  instant,
  millis,
  modelName,
  releaseId,
  versionName,
  type Instant,
  type ReleaseId,
} from '../../src/domain/units.ts'
import type { Trials, Wishes } from '../../src/services/release/ports.ts'
import { openReleases } from '../../src/services/release/run-releases.ts'

export const coder = modelName('coder')
export const [oldOne, newOne, thirdOne] = [versionName('v1'), versionName('v2'), versionName('v3')]
export const anna: Actor = { who: 'admin', alias: 'anna', reason: 'it is better' }

/** All traffic at once, and no waiting for anything but a second of bake. */
export const blueGreen = policyOf({
  canary: canaryOf([1], { minTime: millis(1), minRequests: 1, bake: millis(1_000) }),
})

/** `log`: what was written, in order, and what was done beside it. `failNext`: this write fails, as a full disk makes it. */
export type FakeReleaseStore = ReleaseStore & {
  log: string[]
  failNext: (write: 'save' | 'setReal' | 'keep') => void
  push: (id: ReleaseId, event: Omit<Extract<EvidenceEvent, { kind: 'request' }>, 'seq' | 'at' | 'kind'>) => void
}

export function fakeReleaseStore(log: string[] = []): FakeReleaseStore {
  const releases = new Map<ReleaseId, Release>()
  const decisions: Decision[] = []
  const events = new Map<ReleaseId, EvidenceEvent[]>()
  const kept: { id: ReleaseId; result: KeptResult }[] = []
  const real = new Map<string, RealLive>()
  let failing: string | null = null
  let seq = 0
  const mayFail = (write: string): void => {
    if (failing !== write) return
    failing = null
    throw new Error('the disk is full')
  }
  const eventsOf = (id: ReleaseId): EvidenceEvent[] => {
    const known = events.get(id) ?? []
    events.set(id, known)
    return known
  }
  // As a database does: what is changed afterwards by whoever wrote or read it is not changed here.
  const copy = <T>(value: T): T => structuredClone(value)
  return {
    log,
    failNext: write => {
      failing = write
    },
    push: (id, event) => void eventsOf(id).push({ kind: 'request', seq: ++seq, at: instant(0), ...event }),
    async save(release, decision) {
      mayFail('save')
      releases.set(release.id, copy(release))
      if (decision !== null) decisions.push(copy(decision))
      log.push(`stored ${release.phase}`)
    },
    find: async id => copy(releases.get(id) ?? null),
    list: async ({ model, limit }) =>
      copy([...releases.values()].toReversed().filter(each => model === undefined || each.model === model)).slice(
        0,
        limit,
      ),
    decisions: async id => copy(decisions.filter(({ release }) => release === id)),
    events: async (id, { after, limit }) =>
      copy(
        eventsOf(id)
          .filter(event => event.seq > after)
          .slice(0, limit),
      ),
    async addPairs(id, pairs) {
      for (const { at, pair } of pairs) eventsOf(id).push(copy({ kind: 'pair', seq: ++seq, at, pair }))
    },
    async keep(id, result) {
      mayFail('keep')
      kept.push(copy({ id, result }))
      log.push(`kept ${result.kind}`)
    },
    kept: async id => copy(kept.filter(each => each.id === id).map(({ result }) => result)),
    served: async () => [],
    real: async () => copy([...real.values()]),
    async setReal(changes) {
      mayFail('setReal')
      for (const change of changes) {
        real.set(change.model, copy(change))
        log.push(`real ${change.live}`)
      }
    },
  }
}

export function wishesOf(live = oldOne, more: Partial<Wishes> & { policy?: Policy | null } = {}): Wishes {
  const { policy = blueGreen, ...rest } = more
  return {
    models: [{ name: coder, live, policy, digest: `${live} ${policy?.name ?? 'unguarded'}` }],
    versions: new Set([oldOne, newOne, thirdOne]),
    policies: new Map(policy === null ? [] : [['careful', policy]]),
    identityOf: version => `digest of ${version}`,
    followsGit: false,
    ...rest,
  }
}

export type FakeController = Awaited<ReturnType<typeof startController>>

/** A controller that serves v1. `store`: of an earlier one, which was killed. */
export async function startController(store: FakeReleaseStore = fakeReleaseStore()) {
  const { log } = store
  const problems: string[] = []
  const world = {
    now: instant(1_000),
    live: { state: 'ready', why: '' } as EngineState,
    candidate: { state: 'ready', why: '' } as EngineState,
    idle: true,
  }
  /** What a trial waits for; each is answered by whoever holds the test. */
  const asked: { [Kind in 'smoke' | 'golden' | 'confirm']: Asked<Kind>[] } = { smoke: [], golden: [], confirm: [] }
  const wait = <Kind extends keyof Answers>(
    kind: Kind,
    release: Release,
    signal: AbortSignal,
  ): Promise<Answers[Kind]> => {
    log.push(`asked for ${kind}`)
    const { promise, resolve, reject } = Promise.withResolvers<Answers[Kind]>()
    signal.addEventListener('abort', () => reject(new Error('the release is over')))
    // The list is of this kind's waits: TypeScript can't follow a key through a mapped type.
    ;(asked[kind] as Asked<Kind>[]).push({ release, signal, resolve, reject })
    return promise
  }
  const releases = await openReleases({
    store,
    engines: { look: async () => ({ ...world, liveLoads: null }) },
    trials: {
      smoke: (release, signal) => wait('smoke', release, signal),
      golden: (release, signal) => wait('golden', release, signal),
      confirm: (_, release, signal) => wait('confirm', release, signal),
    },
    serve: () => void log.push('served'),
    notify: (_, { why }) => void log.push(`told: ${why}`),
    fresh: async () => undefined,
    baselineOf: async () => null,
    now: (): Instant => world.now,
    newId: () => releaseId(`release-${++born}`),
    newSalt: () => 'salt',
    onProblem: (problem, cause) => void problems.push(`${problem}: ${cause instanceof Error ? cause.message : ''}`),
  })
  const underway = (): Release | null => releases.all().find(({ model }) => model === coder) ?? null
  return {
    ...{ releases, store, world, asked, problems, underway },
    async look(afterMs = 0) {
      world.now = instant(world.now + afterMs)
      await releases.look()
      return underway()?.phase ?? 'over'
    },
    /** Lets work that was answered be fed. */
    async settle() {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve()
      await releases.look()
    },
    /** Nothing of it lives on but what was stored. */
    kill: () => startController(store),
  }
}

let born = 0

type Answers = {
  smoke: Awaited<ReturnType<Trials['smoke']>>
  golden: { result: GoldenResult; whole: unknown }
  confirm: { ok: boolean; detail: string }
}
type Asked<Kind extends keyof Answers> = {
  release: Release
  signal: AbortSignal
  resolve: (answer: Answers[Kind]) => void
  reject: (error: Error) => void
}

/** Releases in the controller: what they are run with, and what the spec and administration have to do with them. */
import { randomBytes } from 'node:crypto'
import { makeUuid7 } from '../adapters/journal/index.ts'
import type { ReleaseAdmin } from '../adapters/admin-http/index.ts'
import type { Log } from '../adapters/log/index.ts'
import { FaultError } from '../domain/fault.ts'
import { warnOfKinship } from '../domain/evaluation/index.ts'
import {
  baselineFrom,
  renderReport,
  type Baseline,
  type Decision,
  type EvidenceEvent,
  type Release,
  type ReleaseStore,
} from '../domain/release/index.ts'
import type { Reality, ShadowPair } from '../domain/serving/index.ts'
import { instant, modelName, releaseId, type Instant, type ModelName, type ReleaseId } from '../domain/units.ts'
import type { Judge } from '../services/evaluate/index.ts'
import { byController, type Acts } from '../services/audit/index.ts'
import { openPairJudge, openReleases } from '../services/release/index.ts'
import { newSealKeys, openTexts, type SealKeys } from '../services/shadow/index.ts'
import type { DesiredSpec } from './desired.ts'
import { lookAtEngines } from './look-at-engines.ts'
import type { Home } from './paths.ts'
import { tellHook } from './release-hooks.ts'
import { openTrials } from './release-trials.ts'
import { toReality, toWishes } from './release-wishes.ts'
import type { FollowedBy } from './reload.ts'

export type ReleaseWork = FollowedBy & {
  admin: ReleaseAdmin
  /** A model as a judge, as its live version now is. */
  judgeOf(model: ModelName): Judge
  /** Pairs of answers from gateways; returns at once. */
  takePairs(release: ReleaseId, pairs: readonly ShadowPair[]): void
  /** Models that are served by another version than the spec's. */
  diverged(): { model: string; why: string }[]
  /** From now on releases move, and `serve` is called whenever they want something else. */
  begin(serve: () => Promise<void>): Promise<void>
  close(): Promise<void>
}

export type ReleaseWorkParts = {
  home: Pick<Home, 'gatewaySocket'>
  env: NodeJS.ProcessEnv
  adminKey: string
  store: ReleaseStore
  /** The spec that is served. */
  desired: () => DesiredSpec | null
  acts: Acts
  fresh: () => Promise<void>
  /** Public key that gateways seal samples for. */
  samplesFor: string
  now: () => Instant
  log: Log
}

const lookEveryMs = 500
const dayMs = 86_400_000
/** Enough for the 95th percentile of each kind of request. */
const baselineRequests = 5_000
const reportPage = 5_000

export async function openReleaseWork(parts: ReleaseWorkParts): Promise<ReleaseWork> {
  const { home, env, adminKey, store, now, log } = parts
  const stop = new AbortController()
  let serve = async (): Promise<void> => {}
  const at = { socket: home.gatewaySocket, key: adminKey }
  const trials = openTrials({
    ...at,
    ...{ env, now },
    folder: () => parts.desired()?.folder ?? process.cwd(),
    identityOf: version => releases.identityOf(version),
    liveOf: model => releases.states().get(model)?.live ?? null,
  })
  const releases = await openReleases({
    store,
    engines: lookAtEngines({ ...at, store, now }),
    trials,
    serve: () =>
      void serve().catch(error => log.error({ err: error }, 'what a release wants could not be put in force')),
    notify,
    fresh: parts.fresh,
    baselineOf,
    now,
    newId: () => releaseId(makeUuid7(now())),
    newSalt: () => randomBytes(8).toString('hex'),
    onProblem: (problem, cause) => log.error({ err: cause }, problem),
  })
  // They are nowhere but here, and only as long as texts are judged: with them goes whatever was sealed for them.
  const keys = new Map<ReleaseId, SealKeys>()
  const keysOf = (id: ReleaseId): SealKeys => {
    const known = keys.get(id) ?? newSealKeys()
    keys.set(id, known)
    return known
  }
  const pairs = openPairJudge({
    store,
    find: id => releases.all().find(release => release.id === id) ?? null,
    open: (release, pair) => openTexts(keysOf(release).privateKey, { release, pair }),
    judgeOf: trials.judgeOf,
    recordOf: releases.judgeRecordOf,
    keepsTexts: () => parts.desired()?.spec.capture.prompts ?? false,
    now,
    onProblem: (problem, cause) => log.error({ err: cause }, problem),
  })
  let looking: Promise<void> | null = null
  let timer: NodeJS.Timeout | null = null

  function notify(release: Release, decision: Decision): void {
    log.info({ release: release.id, model: release.model, phase: release.phase, why: decision.why }, 'a release moved')
    if (release.phase !== 'shadow') keys.delete(release.id)
    recordMove(release, decision)
    for (const hook of release.policy.hooks.filter(({ kind }) => kind === 'event')) {
      void tellHook(hook, { release, decision }, { env, signal: stop.signal }).then(problem => {
        if (problem !== null) log.error({ release: release.id }, `A hook was not told of a release: ${problem}`)
      })
    }
  }

  /** What people did is on the record already, with who they were. */
  function recordMove({ id, model, to: candidate }: Release, { n, from, to, share, verdict, why, by }: Decision): void {
    if (by.who !== 'controller') return
    const detail = { release: id, n, candidate, from, to, share, verdict }
    parts.acts
      .record({ ...byController, what: `release.${to.phase}`, target: model, decision: 'done', why, detail })
      .catch((error: unknown) => log.error({ err: error }, 'that a release moved could not be recorded'))
  }

  async function baselineOf({ model, from }: Release, at: Instant): Promise<Baseline | null> {
    const since = instant(at - dayMs)
    return baselineFrom(await store.served({ model, version: from, since, limit: baselineRequests }), at)
  }

  function lookAgain(): void {
    timer = setTimeout(() => {
      looking = releases.look().finally(() => {
        if (!stop.signal.aborted) lookAgain()
      })
    }, lookEveryMs)
  }

  const realityOf = (states: ReturnType<typeof releases.states>, { spec }: DesiredSpec): Reality =>
    toReality({ states, spec, sealKeyOf: id => keysOf(id).publicKey, samplesFor: parts.samplesFor })

  async function find(modelOrId: string): Promise<Release> {
    const [newest] = await store.list({ model: modelName(modelOrId), limit: 1 })
    const found = newest ?? (await store.find(releaseId(modelOrId)))
    if (found === null) throw new FaultError({ kind: 'not-found', what: 'release', name: modelOrId })
    return found
  }

  /** Of the judge, by what its name tells. */
  function warningsOf({ policy, from, to }: Release): string[] {
    const judge = policy.shadow?.judge ?? null
    const name = judge === null ? null : (releases.states().get(judge)?.live ?? null)
    return name === null ? [] : warnOfKinship({ name }, [{ name: from }, { name: to }])
  }

  return {
    problems: ({ spec }) => releases.problems(toWishes(spec)),
    preview(desired) {
      const { states, changes } = releases.preview(toWishes(desired.spec))
      return {
        reality: realityOf(states, desired),
        changes: changes.map(({ model, what }) => ({ what: 'model', name: model, change: 'changed', details: [what] })),
      }
    },
    follow: ({ spec }) => releases.follow(toWishes(spec)),
    reality: desired => realityOf(releases.states(), desired),
    diverged: releases.diverged,

    takePairs: pairs.take,
    judgeOf: trials.judgeOf,

    admin: {
      list: async ask => (await store.list(ask)).map(releases.asItStands),
      find: async modelOrId => releases.asItStands(await find(modelOrId)),
      decisions: ({ id }) => store.decisions(id),
      async report(release) {
        const events: EvidenceEvent[] = []
        for (let after = 0; ;) {
          const some = await store.events(release.id, { after, limit: reportPage })
          events.push(...some)
          const last = some.at(-1)
          if (last === undefined || some.length < reportPage) break
          after = last.seq
        }
        const [decisions, kept] = [await store.decisions(release.id), await store.kept(release.id)]
        const timeOf = (moment: Instant): string => new Date(moment).toISOString()
        return renderReport({ release, decisions, events, kept, warnings: warningsOf(release), now: now(), timeOf })
      },
      start: wanted => releases.start(wanted),
      promote: releases.promote,
      abort: releases.abort,
      resume: releases.resume,
    },

    async begin(serveReality) {
      serve = serveReality
      await releases.resumeAll()
      lookAgain()
    },

    async close() {
      stop.abort()
      if (timer !== null) clearTimeout(timer)
      await looking
      await pairs.close()
      await releases.close()
    },
  }
}

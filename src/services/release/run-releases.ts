/** Runs releases: feeds what happens to `step`, stores what it decides, and then carries that out. */
import { FaultError } from '../../domain/fault.ts'
import {
  beginRelease,
  followSpec,
  isOverFor,
  openEvidence,
  outlook,
  step,
  takeIn,
  type Actor,
  type Baseline,
  type Decision,
  type Effect,
  type Evidence,
  type Look,
  type Policy,
  type RealLive,
  type Release,
  type ReleaseEvent,
} from '../../domain/release/index.ts'
import type { JudgeRecord } from '../../domain/evaluation/index.ts'
import type { Instant, ModelName, ReleaseId, VersionName } from '../../domain/units.ts'
import { inTurn } from '../access/index.ts'
import type { ReleaseParts, Wishes } from './ports.ts'

export type Releases = Awaited<ReturnType<typeof openReleases>>

/** What gateways and agents are to do for one model, beside what the spec says. */
export type ModelState = { live: VersionName; release: Release | null }

export type NewRelease = { model: ModelName; version: VersionName; policy?: string; by: Actor }

type Job = 'smoke' | 'golden' | 'confirm'
type Tracked = {
  release: Release
  evidence: Evidence
  decisions: number
  jobs: Map<Job, AbortController>
  /** What was seen of it last; `null`: nothing yet. */
  seen: Look | null
  /** How the live version did, as it was read last. */
  baseline: { readAt: Instant; value: Baseline | null } | null
}

/** Events that are read at once. */
const page = 5_000
const lastReleases = 1_000
const baselineEveryMs = 10_000

/** Takes up what was under way. Nothing happens until `look` is called, or somebody wants something. */
export async function openReleases(parts: ReleaseParts) {
  const { store, now } = parts
  const turn = inTurn()
  const underway = new Map<ModelName, Tracked>()
  const real = new Map<ModelName, RealLive>((await store.real()).map(each => [each.model, each]))
  let wishes: Wishes | null = null
  let closed = false
  await takeUp()

  async function takeUp(): Promise<void> {
    const newest = new Map<ModelName, Release>()
    for (const release of await store.list({ limit: lastReleases }))
      if (!newest.has(release.model)) newest.set(release.model, release)
    for (const release of newest.values()) {
      if (isOverFor(release)) await settle(release)
      else underway.set(release.model, await track(release))
    }
  }

  async function track(release: Release): Promise<Tracked> {
    const decisions = (await store.decisions(release.id)).length
    return { release, evidence: openEvidence(release.policy), decisions, jobs: new Map(), seen: null, baseline: null }
  }

  /** Which version is live is told by how its release ended; also where the end was stored, and nothing after it. */
  async function settle(release: Release): Promise<void> {
    const { model, from, to, phase, origin, settled = false } = release
    const known = real.get(model)
    if (phase !== 'live' || settled || known === undefined) return
    const asked = origin.kind === 'spec' ? known.asked : { live: known.asked.live, digest: null }
    if (known.live === from) await setReal([{ model, live: to, asked }])
    await store.save({ ...release, settled: true }, null)
  }

  async function setReal(changes: readonly RealLive[]): Promise<void> {
    if (changes.length === 0) return
    await store.setReal(changes)
    for (const change of changes) real.set(change.model, change)
  }

  /** Stored first; from then on it is so, whatever happens to this process. */
  async function feed(tracked: Tracked, event: ReleaseEvent): Promise<void> {
    const outcome = step(tracked.release, event)
    if (outcome.refused !== null) throw new FaultError({ kind: 'conflict', problem: outcome.refused })
    const { next, effects } = outcome
    const decision: Decision | null =
      outcome.decision === null ? null : { ...outcome.decision, n: tracked.decisions + 1 }
    if (decision !== null || JSON.stringify(next) !== JSON.stringify(tracked.release)) {
      await store.save(next, decision)
      tracked.release = next
      if (decision !== null) tracked.decisions = decision.n
    }
    if (isOverFor(next)) {
      stopJobs(tracked)
      underway.delete(next.model)
      await settle(next)
    }
    for (const effect of effects) carryOut(tracked, effect, decision)
  }

  function carryOut(tracked: Tracked, effect: Effect, decision: Decision | null): void {
    const { release } = tracked
    switch (effect.do) {
      case 'serve':
        return parts.serve()
      case 'notify':
        return decision === null ? undefined : parts.notify(release, decision)
      case 'smoke':
        return work(tracked, 'smoke', async signal => ({
          kind: 'smoke-done',
          now: now(),
          result: await parts.trials.smoke(release, signal),
        }))
      case 'golden':
        return work(tracked, 'golden', async signal => {
          const { result, whole } = await parts.trials.golden(release, signal)
          await store.keep(release.id, { kind: 'golden', at: now(), content: whole })
          return { kind: 'golden-done', now: now(), result }
        })
      case 'confirm':
        return work(tracked, 'confirm', async signal => {
          for (const hook of release.policy.hooks.filter(({ kind }) => kind === 'confirm')) {
            const answer = await parts.trials.confirm(hook, release, signal)
            if (!answer.ok) return { kind: 'confirm-answered', now: now(), ...answer }
          }
          return { kind: 'confirm-answered', now: now(), ok: true, detail: 'every hook agreed' }
        })
      default:
        return effect satisfies never
    }
  }

  /** One of a kind at a time. What it brings is fed when its turn comes, unless the release is over by then. */
  function work(tracked: Tracked, kind: Job, run: (signal: AbortSignal) => Promise<ReleaseEvent>): void {
    if (tracked.jobs.has(kind) || closed) return
    const stop = new AbortController()
    tracked.jobs.set(kind, stop)
    void run(stop.signal)
      .then(
        event => turn(async () => (stop.signal.aborted ? undefined : feed(tracked, event))),
        // It is asked for again at the next look.
        error => {
          if (!stop.signal.aborted) parts.onProblem(`The ${kind} of ${tracked.release.to} could not be done`, error)
        },
      )
      .catch(error => parts.onProblem(`What the ${kind} of ${tracked.release.to} brought could not be stored`, error))
      .finally(() => tracked.jobs.delete(kind))
  }

  function stopJobs({ jobs }: Tracked): void {
    for (const stop of jobs.values()) stop.abort(new Error('the release is over'))
  }

  async function lookAt(tracked: Tracked): Promise<void> {
    const { release } = tracked
    for (;;) {
      const events = await store.events(release.id, { after: tracked.evidence.seq, limit: page })
      for (const event of events) takeIn(tracked.evidence, event, release.baseline)
      if (events.length < page) break
    }
    const { live, candidate, idle, liveLoads } = await parts.engines.look(release)
    const at = now()
    const seen: Look = {
      kind: 'look',
      now: at,
      evidence: tracked.evidence,
      ...{ live, candidate, idle, liveLoads },
      baseline: release.baseline === null ? await baselineAt(tracked, at) : null,
    }
    tracked.seen = seen
    await feed(tracked, seen)
  }

  /** Thousands of requests are read for it, and in ten seconds it is hardly another one. */
  async function baselineAt(tracked: Tracked, at: Instant): Promise<Baseline | null> {
    const known = tracked.baseline
    if (known !== null && at - known.readAt < baselineEveryMs) return known.value
    const value = await parts.baselineOf(tracked.release, at)
    tracked.baseline = { readAt: at, value }
    return value
  }

  async function begin(
    { model, version, policy, by }: Omit<NewRelease, 'policy'> & { policy: Policy },
    digest: string | null,
  ) {
    const known = real.get(model)
    if (known === undefined) throw new TypeError(`nothing is known of ${model}`)
    const release = beginRelease({
      ...{ id: parts.newId(), model, from: known.live, to: version, policy, by, now: now(), salt: parts.newSalt() },
      origin: digest === null ? { kind: 'command' } : { kind: 'spec', digest },
      same: wishes?.identityOf(known.live) === wishes?.identityOf(version),
    })
    await store.save(release, null)
    const tracked = await track(release)
    underway.set(model, tracked)
    await feed(tracked, { kind: 'started-again', now: now() })
    return release
  }

  function trackedOf(model: ModelName): Tracked {
    const tracked = underway.get(model)
    if (tracked === undefined)
      throw new FaultError({
        kind: 'conflict',
        problem: `No release of ${model} is under way. Begin one: holdfast release start ${model} <version>`,
      })
    return tracked
  }

  const refuseUnderGit = (model: ModelName, what: string): void => {
    if (wishes?.followsGit === true)
      throw new FaultError({
        kind: 'conflict',
        problem: `This service follows Git: ${what} Releases can be aborted from here at any time: holdfast release abort ${model}`,
      })
  }

  /** What the spec asks for now, decided for every model, and nothing changed. */
  function consider(next: Wishes) {
    return next.models.map(({ name, live, policy, digest }) => {
      const tracked = underway.get(name)
      const known = { real: real.get(name) ?? null, underway: tracked?.release ?? null }
      const wish = { model: name, live, guarded: policy !== null, digest }
      return { wish, policy, answer: followSpec(wish, { ...known, has: version => next.versions.has(version) }) }
    })
  }

  const statesNow = (): Map<ModelName, ModelState> =>
    new Map(
      [...real.values()].map(({ model, live }) => [model, { live, release: underway.get(model)?.release ?? null }]),
    )

  return {
    /** What `follow` would make of the models, and what would begin or end, in words. */
    preview(next: Wishes): { states: Map<ModelName, ModelState>; changes: { model: ModelName; what: string }[] } {
      const states = statesNow()
      const changes: { model: ModelName; what: string }[] = []
      for (const { wish, answer } of consider(next)) {
        const { model } = wish
        const ending = underway.get(model)?.release
        if (answer.do === 'serve') states.set(model, { live: answer.real.live, release: null })
        if (answer.do === 'end' || (answer.do === 'start' && answer.endFirst !== null))
          changes.push({ model, what: `the release of ${ending?.to ?? ''} ends` })
        if (answer.do === 'start') changes.push({ model, what: `a release begins: ${answer.from} → ${answer.to}` })
      }
      return { states, changes }
    },

    /** What the spec can't ask for, in words; none: `follow` will do it. */
    problems: (next: Wishes): string[] =>
      consider(next).flatMap(({ answer }) => (answer.do === 'refuse' ? [answer.problem] : [])),

    /** The spec is in force: begins and ends what follows from it. */
    follow: (next: Wishes): Promise<void> =>
      turn(async () => {
        const answers = consider(next)
        wishes = next
        const served: RealLive[] = []
        for (const { wish, policy, answer } of answers) {
          const { model, live, digest } = wish
          const by: Actor = { who: 'controller', alias: null, reason: 'the spec' }
          const tracked = underway.get(model)
          switch (answer.do) {
            case 'serve':
              served.push(answer.real)
              break
            case 'end':
              if (tracked !== undefined)
                await feed(tracked, { kind: 'abort', now: now(), by: { ...by, reason: answer.why } })
              break
            case 'start': {
              if (tracked !== undefined && answer.endFirst !== null)
                await feed(tracked, { kind: 'abort', now: now(), by: { ...by, reason: answer.endFirst } })
              // First: a wish that counts as dealt with, and began nothing, would be lost.
              if (policy !== null) await begin({ model, version: answer.to, policy, by }, digest)
              await setReal([{ model, live: answer.from, asked: { live, digest } }])
              break
            }
            case 'nothing':
              break
            case 'refuse':
              throw new TypeError(`follow what can't be followed: ${answer.problem}`)
            default:
              answer satisfies never
          }
        }
        await setReal(served)
      }),

    /** Throws FaultError: not known, or another release is under way. */
    start: ({ model, version, policy: name, by }: NewRelease): Promise<Release> =>
      turn(async () => {
        const wish = wishes?.models.find(each => each.name === model)
        if (wishes === null || wish === undefined)
          throw new FaultError({ kind: 'not-found', what: 'model', name: model })
        if (!wishes.versions.has(version)) throw new FaultError({ kind: 'not-found', what: 'version', name: version })
        refuseUnderGit(model, `set the live of ${model} to ${version} there.`)
        const tracked = underway.get(model)
        if (tracked !== undefined)
          throw new FaultError({
            kind: 'conflict',
            problem: `The release of ${tracked.release.to} is under way (${tracked.release.phase}). Wait for it, or end it: holdfast release abort ${model}`,
          })
        if (real.get(model)?.live === version)
          throw new FaultError({ kind: 'conflict', problem: `${version} is what answers for ${model} already.` })
        const policy = name === undefined ? wish.policy : wishes.policies.get(name)
        if (policy === undefined) throw new FaultError({ kind: 'not-found', what: 'release policy', name: name ?? '' })
        if (policy === null)
          throw new FaultError({
            kind: 'conflict',
            problem: `${model} has no release policy: name one (--policy), of ${[...wishes.policies.keys()].join(', ') || 'none that the spec has yet'}`,
          })
        return begin({ model, version, policy, by }, null)
      }),

    promote: (model: ModelName, by: Actor): Promise<Release> =>
      turn(async () => {
        const tracked = trackedOf(model)
        refuseUnderGit(model, 'what is promoted is decided by evidence.')
        await feed(tracked, { kind: 'promote', now: now(), by, evidence: tracked.evidence })
        return tracked.release
      }),
    abort: (model: ModelName, by: Actor): Promise<Release> =>
      turn(async () => {
        const tracked = trackedOf(model)
        await feed(tracked, { kind: 'abort', now: now(), by, evidence: tracked.evidence })
        return tracked.release
      }),
    resume: (model: ModelName, by: Actor): Promise<Release> =>
      turn(async () => {
        const tracked = trackedOf(model)
        await feed(tracked, { kind: 'resume', now: now(), by, evidence: tracked.evidence })
        return tracked.release
      }),

    /** One look at every release that is under way; never rejects. */
    async look(): Promise<void> {
      if (underway.size === 0) return
      await parts.fresh().catch(() => undefined)
      for (const tracked of [...underway.values()]) {
        await turn(async () => (underway.get(tracked.release.model) === tracked ? lookAt(tracked) : undefined)).catch(
          error => parts.onProblem(`The release of ${tracked.release.to} could not be looked at`, error),
        )
      }
    },

    /** What this process does again after a restart. */
    resumeAll: (): Promise<void> =>
      turn(async () => {
        for (const tracked of [...underway.values()]) await feed(tracked, { kind: 'started-again', now: now() })
      }),

    /** With its verdict, reason and gates as they are now: those that it was stored with are as old as its last decision. */
    asItStands(release: Release): Release {
      const tracked = underway.get(release.model)
      if (tracked === undefined || tracked.release.id !== release.id) return release
      const { seen } = tracked
      return seen === null ? tracked.release : { ...tracked.release, ...outlook(tracked.release, seen) }
    },
    identityOf: (version: VersionName): string | null => wishes?.identityOf(version) ?? null,
    /** What its judge has shown of itself, as far as the evidence was read; `null`: it is not under way. */
    judgeRecordOf: (id: ReleaseId): JudgeRecord | null =>
      [...underway.values()].find(({ release }) => release.id === id)?.evidence.judged.record ?? null,
    all: (): Release[] => [...underway.values()].map(({ release }) => release),
    /** By model; a model that is not here is as the spec says. */
    states: statesNow,
    /** Where a model is served by another version than the spec's: why, and what mends it. */
    diverged(): { model: ModelName; why: string }[] {
      return (wishes === null ? [] : consider(wishes)).flatMap(({ wish: { model }, answer }) =>
        answer.do === 'nothing' && answer.diverged !== null ? [{ model, why: answer.diverged }] : [],
      )
    },

    async close(): Promise<void> {
      closed = true
      for (const tracked of underway.values()) stopJobs(tracked)
      await turn(async () => undefined)
    },
  }
}

/** A replica as this gateway knows it, and the leases by which requests hold it. */
import { learnFromRefusal, unknownPlaces, type LearnedPlaces } from '../../domain/admission/index.ts'
import { openWorkClock, type WorkClock } from '../../domain/budgets/index.ts'
import type { Fault } from '../../domain/fault.ts'
import { openRoster, type Roster, type Seat } from '../../domain/roster.ts'
import { retryOf, type Retry } from '../../domain/routing/index.ts'
import {
  learnPace,
  learnPrefill,
  noPace,
  noProgress,
  piecesPerStretch,
  unknownHealth,
  type EngineLoad,
  type Health,
  type HealthEvent,
  type Pace,
  type Progress,
  type ReplicaRoute,
  type Standing,
  type Task,
} from '../../domain/serving/index.ts'
import { millis, type Millis, type ReplicaId, type Tokens, type VersionName } from '../../domain/units.ts'
import type { EngineDialect, Target } from './ports.ts'

export type Replica = {
  readonly id: ReplicaId
  readonly version: VersionName
  readonly route: ReplicaRoute
  readonly dialect: EngineDialect
  readonly target: Target
  readonly task: Task
  inFlight: number
  health: Health
  /** What its engine runs at once, as learned; its flags, where they say it, come before this. */
  learned: LearnedPlaces
  /** The model is in its memory, as far as it says. */
  loaded: boolean
  /** What its last probe said of how busy it is; `null`: it does not say. */
  load: EngineLoad | null
  progress: Progress
  /** How fast its streams come. */
  pace: Pace
  /** Pieces of answers that came from it. */
  pieces: number
  /** Prompts that it was given and has not begun to answer, about so many tokens each. */
  readonly waitingPrompts: Roster<Tokens>
  /** Requests without a byte of an answer yet: told when it is given up, so that another replica takes them. */
  readonly unanswered: Roster<() => void>
  /** Its time, shared among the requests that it works on at once. */
  readonly clock: WorkClock
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
  /** A piece of its answer has come. */
  piece(): void
  /** The client reads slowly, so what comes next says nothing of the engine. */
  paused(): void
  /** Told once, if the replica is given up before its answer begins. */
  onGivenUp(listener: () => void): void
  /** It answered whole. Where known, `prompt` tokens were taken in before the first piece, `waited` after it was asked. */
  answered(prompt: Tokens | null, waited: Millis | null): void
  failed(fault: Fault): void
  /** What sending the request to another one would be, after this one failed. */
  retryIs(): Retry
  /** Answers the engine's time that the request took, times its GPUs. */
  release(): Millis
}

export type LeaseParts = {
  gpus: number
  /** What the replica is at this moment. */
  standing: () => Standing
  note: (event: HealthEvent) => void
}

export function leaseOf(replica: Replica, { gpus, standing, note }: LeaseParts): Lease {
  const as = standing()
  const of = replica.health.ejections
  let held = true
  let waiting: Seat<Tokens> | null = null
  let giveUp: Seat<() => void> | null = null
  let begun = false
  let stretch: { pieces: number; since: Millis; prefilling: boolean } | null = null
  replica.inFlight++
  const work = replica.clock.begin(clock())
  if (as === 'trial') note({ kind: 'trial-began' })
  const answering = (): void => {
    if (waiting !== null) replica.waitingPrompts.leave(waiting)
    if (giveUp !== null) replica.unanswered.leave(giveUp)
  }
  const begin = (): void => {
    begun = true
    answering()
    // Others need not wait for the end of a long answer to ask it again.
    if (as === 'trial') note({ kind: 'call-answered', as })
  }
  return {
    asked(prompt) {
      waiting = replica.waitingPrompts.enter(prompt)
    },
    piece() {
      replica.pieces++
      if (!begun) begin()
      const prefilling = replica.waitingPrompts.size > 0
      if (stretch === null) {
        stretch = { pieces: 0, since: clock(), prefilling }
        return
      }
      stretch.pieces++
      stretch.prefilling ||= prefilling
      if (stretch.pieces < piecesPerStretch) return
      const { pieces, since } = stretch
      replica.pace = learnPace(replica.pace, { pieces, took: millis(clock() - since), prefilling: stretch.prefilling })
      stretch = null
    },
    paused() {
      stretch = null
    },
    onGivenUp(listener) {
      giveUp = replica.unanswered.enter(listener)
    },
    answered(prompt, waited) {
      if (prompt !== null && waited !== null) replica.progress = learnPrefill(replica.progress, prompt, waited)
      proven(replica, true)
      note({ kind: 'call-answered', as })
    },
    failed(fault) {
      if (isRefusal(fault))
        replica.learned = learnFromRefusal(replica.learned, { inFlight: replica.inFlight, at: clock() })
      const event = eventOf(fault, as)
      if (event !== null) note(event)
    },
    retryIs: () => retryOf(as, standing()),
    release() {
      answering()
      if (!held) return millis(0)
      held = false
      replica.inFlight--
      if (as === 'trial') note({ kind: 'trial-ended', of })
      return millis(work.end(clock()) * gpus)
    },
  }
}

/** It showed that it works, or failed to. */
export function proven(replica: Replica, works: boolean): void {
  replica.provenAt = clock()
  replica.unproven = !works
}

export type ReplicaParts = Pick<Replica, 'version' | 'route' | 'dialect' | 'target' | 'task'>

export function newReplica(parts: ReplicaParts): Replica {
  const at = clock()
  return {
    ...parts,
    id: parts.route.id,
    inFlight: 0,
    health: unknownHealth,
    learned: unknownPlaces,
    loaded: true,
    load: null,
    progress: noProgress(at),
    pace: noPace,
    pieces: 0,
    waitingPrompts: openRoster(),
    unanswered: openRoster(),
    clock: openWorkClock(),
    silentProbes: 0,
    provenAt: at,
    unproven: false,
  }
}

const clock = (): Millis => millis(performance.now())

/**
 * What a failed call says of its replica; a client's mistake says that the engine works. The engine's own words stay
 * out of it: they may hold the request that failed, and what is known of a replica is told to every client.
 */
function eventOf(fault: Fault, as: Standing): HealthEvent | null {
  switch (fault.kind) {
    case 'engine-lost':
      return { kind: 'call-lost', why: 'the connection broke', as }
    case 'engine-failed':
      return { kind: 'call-failed', why: fault.status === null ? 'it failed' : `it failed (HTTP ${fault.status})`, as }
    case 'engine-silent':
      return { kind: 'call-failed', why: `it sent no ${fault.what} in time`, as }
    case 'not-ready':
      return { kind: 'probe-loading' }
    case 'engine-refused':
    case 'context-exceeded':
      return { kind: 'call-answered', as }
    default:
      return null
  }
}

/** It has too much to do, says the engine. */
const isRefusal = (fault: Fault): boolean => fault.kind === 'engine-refused' && fault.status === 429

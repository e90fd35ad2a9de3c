/** A replica as this gateway knows it, and the leases by which requests hold it. */
import { learnFromRefusal, unknownPlaces, type LearnedPlaces } from '../../domain/admission/index.ts'
import { openWorkClock, type Work, type WorkClock } from '../../domain/budgets/index.ts'
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

/** What a lease tells the fleet, and asks of it. */
export type LeaseParts = {
  standing(replica: Replica): Standing
  note(replica: Replica, event: HealthEvent): void
}

/** Of a stream: its pieces since then, until there are enough to tell how fast they come. */
type CountedStretch = { pieces: number; since: Millis; prefilling: boolean }

/** A class: there is one for each request, and a closure for each of its verbs costs more than all that they do. */
export class ReplicaLease implements Lease {
  readonly #replica: Replica
  readonly #parts: LeaseParts
  readonly #as: Standing
  /** Of the replica's ejections, when it began. */
  readonly #of: number
  readonly #work: Work
  readonly #gpus: number
  #isHeld = true
  #waiting: Seat<Tokens> | null = null
  #unanswered: Seat<() => void> | null = null
  #begun = false
  #stretch: CountedStretch | null = null

  constructor(replica: Replica, gpus: number, parts: LeaseParts) {
    this.#replica = replica
    this.#parts = parts
    this.#as = parts.standing(replica)
    this.#of = replica.health.ejections
    this.#gpus = gpus
    replica.inFlight++
    this.#work = replica.clock.begin(clock())
    if (this.#as === 'trial') parts.note(replica, { kind: 'trial-began' })
  }

  asked(prompt: Tokens): void {
    this.#waiting = this.#replica.waitingPrompts.enter(prompt)
  }

  piece(): void {
    const replica = this.#replica
    replica.pieces++
    if (!this.#begun) this.#begin()
    const prefilling = replica.waitingPrompts.size > 0
    const stretch = this.#stretch
    if (stretch === null) {
      this.#stretch = { pieces: 0, since: clock(), prefilling }
      return
    }
    stretch.pieces++
    stretch.prefilling ||= prefilling
    if (stretch.pieces < piecesPerStretch) return
    const { pieces, since } = stretch
    replica.pace = learnPace(replica.pace, { pieces, took: millis(clock() - since), prefilling: stretch.prefilling })
    this.#stretch = null
  }

  paused(): void {
    this.#stretch = null
  }

  onGivenUp(listener: () => void): void {
    this.#unanswered = this.#replica.unanswered.enter(listener)
  }

  answered(prompt: Tokens | null, waited: Millis | null): void {
    const replica = this.#replica
    if (prompt !== null && waited !== null) replica.progress = learnPrefill(replica.progress, prompt, waited)
    proven(replica, true)
    this.#parts.note(replica, { kind: 'call-answered', as: this.#as })
  }

  failed(fault: Fault): void {
    const replica = this.#replica
    if (isRefusal(fault))
      replica.learned = learnFromRefusal(replica.learned, { inFlight: replica.inFlight, at: clock() })
    const event = eventOf(fault, this.#as)
    if (event !== null) this.#parts.note(replica, event)
  }

  retryIs(): Retry {
    return retryOf(this.#as, this.#parts.standing(this.#replica))
  }

  release(): Millis {
    this.#leaveWaiting()
    if (!this.#isHeld) return millis(0)
    this.#isHeld = false
    this.#replica.inFlight--
    if (this.#as === 'trial') this.#parts.note(this.#replica, { kind: 'trial-ended', of: this.#of })
    return millis(this.#work.end(clock()) * this.#gpus)
  }

  #begin(): void {
    this.#begun = true
    this.#leaveWaiting()
    // Others need not wait for the end of a long answer to ask it again.
    if (this.#as === 'trial') this.#parts.note(this.#replica, { kind: 'call-answered', as: this.#as })
  }

  #leaveWaiting(): void {
    if (this.#waiting !== null) this.#replica.waitingPrompts.leave(this.#waiting)
    if (this.#unanswered !== null) this.#replica.unanswered.leave(this.#unanswered)
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

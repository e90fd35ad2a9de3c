/**
 * Route: the version that answers, the model's live one or the candidate of its release, and a place on it; when it can't
 * answer, those that stand in for it: the live version for a candidate, then other models.
 */
import { FaultError, type Fault } from '../../domain/fault.ts'
import type { ModelRoute, ReleaseRoute, VersionRoute } from '../../domain/serving/index.ts'
import { millis, type ModelName, type VersionName } from '../../domain/units.ts'
import type { Permissions } from './admit.ts'
import { assignArm, isSameRefusal, liveStandsIn } from './arm.ts'
import { ClientGone, ownerOf, type Exchange, type Serve, type Stage } from './exchange.ts'
import type { Fleet } from './fleet.ts'
import type { Admission, Place, PlaceAsk, Waiting } from './queue.ts'
import { queueComments, type QueueComments } from './queue-comments.ts'
import type { Samples } from './samples.ts'
import type { Shadow } from './shadow.ts'

/** Replicas asked for one request, at most: a request that kills engines must not kill them all. */
export const mostAttempts = 3

export type RouteParts = {
  fleet: Fleet
  admission: Admission
  permissions: Pick<Permissions, 'model' | 'mayUse'>
  shadow: Pick<Shadow, 'watch'>
  samples: Samples
}

/** `ask`: asks an engine for the version that the exchange has. */
export const route = (ask: Serve, { fleet, admission, permissions, shadow, samples }: RouteParts): Stage => {
  return exchange => {
    const { model } = exchange
    if (model === null) throw new TypeError('route comes after admit')
    const { release, quality } = model
    if (quality !== null) samples.watch(exchange, quality)
    return release === null ? answerByModels(exchange, model) : answerInRelease(exchange, model, release)
  }

  async function answerInRelease(exchange: Exchange, asked: ModelRoute, inForce: ReleaseRoute): Promise<void> {
    exchange.mark = assignArm(exchange, asked, inForce)
    if (exchange.mark.arm === 'live') {
      if (inForce.shadow !== null) shadow.watch(exchange, { release: inForce, shadow: inForce.shadow, ask })
      return answerByModels(exchange, asked)
    }
    let fault: Fault
    try {
      return await answerByCandidate(exchange, asked, { inForce, waits: mayStandAlone(inForce) && isAway(asked.live) })
    } catch (error) {
      if (!liveStandsIn(exchange, error)) throw error
      fault = error.fault
    }
    const { version, replica } = exchange
    const waits = mayStandAlone(inForce)
    try {
      await answerByModels(exchange, asked, why => mayComeBack(why) && !(waits && isAway(asked.live)))
    } catch (error) {
      if (waits && liveStandsIn(exchange, error)) return answerByCandidate(exchange, asked, { inForce, waits: true })
      // What its client has to mend is no failure of the candidate's, which said so first.
      if (isSameRefusal(fault, error)) Object.assign(exchange, { version, replica })
      throw error
    }
  }

  /** Nobody waits for one that is away while the live version is there. */
  async function answerByCandidate(
    exchange: Exchange,
    asked: ModelRoute,
    { inForce, waits }: { inForce: ReleaseRoute; waits: boolean },
  ): Promise<void> {
    const name = inForce.candidate
    const version = fleet.version(name)
    if (version === null || (isAway(name) && !waits)) throw new FaultError(fleet.noReplica(asked, version ?? { name }))
    await answerBy(exchange, { answering: asked, version, isWorthWaiting: fault => waits && mayComeBack(fault) })
  }

  function isAway(version: VersionName): boolean {
    return fleet.capacity(version).places <= 0
  }

  /** With room for one the live version rests, or is about to, from when all requests are the candidate's: that one will come. */
  function mayStandAlone({ share, candidate }: ReleaseRoute): boolean {
    return share >= 1 && fleet.capacity(candidate).mayGrow
  }

  async function answerByModels(
    exchange: Exchange,
    asked: ModelRoute,
    isWorthWaiting: WorthWaiting = mayComeBack,
  ): Promise<void> {
    const tried: ModelName[] = []
    let first: unknown = null
    for (let answering: ModelRoute | null = exchange.answering ?? asked; answering !== null;) {
      tried.push(answering.name)
      const version = fleet.version(answering.live)
      if (version === null) throw new TypeError(`the snapshot has no version ${answering.live}`)
      try {
        return await answerBy(exchange, { answering, version, isWorthWaiting })
      } catch (error) {
        // What is wrong with the model that was asked for is what its client can act on.
        first ??= error
        if (!(error instanceof FaultError) || exchange.gone || exchange.firstByteMs !== null) throw error
        answering = standIn(exchange, tried, standInsOf(asked, error.fault))
      }
    }
    throw first
  }

  function standIn(
    { principal }: Exchange,
    tried: readonly ModelName[],
    names: readonly ModelName[],
  ): ModelRoute | null {
    const name = names.find(each => !tried.includes(each) && principal !== null && permissions.mayUse(principal, each))
    return name === undefined ? null : permissions.model(name)
  }

  /** Once more while an engine that was lost or loads may come back, within the queue's deadline. */
  async function answerBy(exchange: Exchange, { answering, version, isWorthWaiting }: Answering): Promise<void> {
    exchange.answering = answering
    const mostHere = exchange.attempts + mostAttempts
    const since = performance.now()
    let { queue } = answering
    let lost: FaultError | null = null
    for (;;) {
      const taken = takePlace(admission, exchange, { model: answering.name, version: version.name, queue })
      const place = taken instanceof Promise ? await taken : taken
      if (place === null) throw lost ?? new FaultError(fleet.noReplica(answering, version))
      exchange.version = version
      if (place.waitedMs > 0) exchange.waitedMs = millis((exchange.waitedMs ?? 0) + place.waitedMs)
      try {
        return await ask(exchange)
      } catch (error) {
        if (!(error instanceof FaultError) || exchange.gone || exchange.firstByteMs !== null) throw error
        if (!isWorthWaiting(error.fault) || exchange.attempts >= mostHere) throw error
        lost = error
        const leftMs = answering.queue.deadline - (performance.now() - since)
        queue = { waiting: queue.waiting, deadline: millis(Math.max(1, leftMs)) }
      } finally {
        place.release()
      }
    }
  }
}

type WorthWaiting = (fault: Fault) => boolean

/** Which version is to answer, for which model, and what is worth another try of it. */
type Answering = { answering: ModelRoute; version: VersionRoute; isWorthWaiting: WorthWaiting }

/** At once where one is free. `null`: nothing can serve, and nothing may come back. The queue's own refusals are thrown. */
function takePlace(
  admission: Admission,
  exchange: Exchange,
  { model, version, queue }: Pick<PlaceAsk, 'model' | 'version' | 'queue'>,
): Place | null | Promise<Place | null> {
  const { principal } = exchange
  if (principal === null) throw new TypeError('route comes after authenticate')
  let comments: QueueComments | null = null
  const entered = admission.enter({
    version,
    model,
    queue,
    owner: ownerOf(principal),
    priority: exchange.priority,
    onPlace: (place, expected) => (comments ??= queueComments(exchange)).tell(place, expected),
  })
  if (entered === 'none') return null
  if ('release' in entered) return entered
  exchange.interrupt = entered.cancel
  return untilPlaced(exchange, entered, () => comments?.stop())
}

async function untilPlaced(exchange: Exchange, waiting: Waiting, onEnd: () => void): Promise<Place | null> {
  try {
    const place = await waiting.promise
    if (place === 'none') return null
    if (!exchange.gone) return place
    // It left in the very turn in which its place came.
    place.release()
    throw new ClientGone()
  } finally {
    onEnd()
    exchange.interrupt = null
  }
}

/** A request that is too long goes to models that take more; one that nobody here can answer to the others. */
function standInsOf({ fallbacks, contextFallbacks }: ModelRoute, { kind }: Fault): readonly ModelName[] {
  switch (kind) {
    case 'context-exceeded':
      return contextFallbacks
    case 'no-replica':
    case 'queue-full':
    case 'queue-late':
    case 'engine-lost':
    case 'engine-failed':
    case 'not-ready':
      return fallbacks
    default:
      return []
  }
}

/** One that died or loads may be back before the client gives up; one that fails is no better in a moment. */
const mayComeBack = ({ kind }: Fault): boolean => kind === 'engine-lost' || kind === 'not-ready'

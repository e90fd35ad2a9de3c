/**
 * Route: the version that answers, the model's live one or the candidate of its release, and a place on it; when it can't
 * answer, those that stand in for it: the live version for a candidate, then other models.
 */
import { FaultError, type Fault } from '../../domain/fault.ts'
import type { ModelRoute, ReleaseRoute, VersionRoute } from '../../domain/serving/index.ts'
import { millis, type Millis, type ModelName, type VersionName } from '../../domain/units.ts'
import type { Permissions } from './admit.ts'
import { assignArm, isSameRefusal, liveStandsIn } from './arm.ts'
import { ClientGone, ownerOf, type Exchange, type Stage } from './exchange.ts'
import type { Fleet } from './fleet.ts'
import type { Admission, Place } from './queue.ts'
import { queueComments } from './queue-comments.ts'
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

export const route =
  ({ fleet, admission, permissions, shadow, samples }: RouteParts): Stage =>
  next =>
  exchange => {
    const { principal, model } = exchange
    if (principal === null || model === null) throw new TypeError('route comes after admit')
    const asker = principal
    const asked = model
    const { release, quality } = asked
    if (quality !== null) samples.watch(exchange, quality)
    return release === null ? answerByModels() : answerInRelease(release)

    async function answerInRelease(inForce: ReleaseRoute): Promise<void> {
      exchange.mark = assignArm(exchange, asked, inForce)
      if (exchange.mark.arm === 'live') {
        if (inForce.shadow !== null) shadow.watch(exchange, { release: inForce, shadow: inForce.shadow, ask: next })
        return answerByModels()
      }
      let fault: Fault
      try {
        return await answerByCandidate(inForce)
      } catch (error) {
        if (!liveStandsIn(exchange, error)) throw error
        fault = error.fault
      }
      const { version, replica } = exchange
      const waits = mayStandAlone(inForce)
      try {
        await answerByModels(why => mayComeBack(why) && !(waits && isAway(asked.live)))
      } catch (error) {
        if (waits && liveStandsIn(exchange, error)) return answerByCandidate(inForce, true)
        // What its client has to mend is no failure of the candidate's, which said so first.
        if (isSameRefusal(fault, error)) Object.assign(exchange, { version, replica })
        throw error
      }
    }

    /** Nobody waits for one that is away while the live version is there. */
    async function answerByCandidate(
      inForce: ReleaseRoute,
      waits = mayStandAlone(inForce) && isAway(asked.live),
    ): Promise<void> {
      const name = inForce.candidate
      const version = fleet.version(name)
      if (version === null || (isAway(name) && !waits))
        throw new FaultError(fleet.noReplica(asked, version ?? { name }))
      exchange.answering = asked
      await answerBy(asked, version, fault => waits && mayComeBack(fault))
    }

    function isAway(version: VersionName): boolean {
      return fleet.capacity(version).places <= 0
    }

    /** With room for one the live version rests, or is about to, from when all requests are the candidate's: that one will come. */
    function mayStandAlone({ share, candidate }: ReleaseRoute): boolean {
      return share >= 1 && fleet.capacity(candidate).mayGrow
    }

    async function answerByModels(isWorthWaiting: (fault: Fault) => boolean = mayComeBack): Promise<void> {
      const tried = new Set<ModelName>()
      let first: unknown = null
      for (let answering: ModelRoute | null = exchange.answering ?? asked; answering !== null;) {
        tried.add(answering.name)
        exchange.answering = answering
        const version = fleet.version(answering.live)
        if (version === null) throw new TypeError(`the snapshot has no version ${answering.live}`)
        try {
          await answerBy(answering, version, isWorthWaiting)
          return
        } catch (error) {
          // What is wrong with the model that was asked for is what its client can act on.
          first ??= error
          if (!(error instanceof FaultError) || exchange.gone || exchange.firstByteMs !== null) throw error
          answering = standIn(tried, standInsOf(asked, error.fault))
        }
      }
      throw first
    }

    function standIn(tried: ReadonlySet<ModelName>, names: readonly ModelName[]): ModelRoute | null {
      const name = names.find(candidate => !tried.has(candidate) && permissions.mayUse(asker, candidate))
      return name === undefined ? null : permissions.model(name)
    }

    /** Once more while an engine that was lost or loads may come back, within the queue's deadline. */
    async function answerBy(
      answering: ModelRoute,
      version: VersionRoute,
      isWorthWaiting: (fault: Fault) => boolean,
    ): Promise<void> {
      const mostHere = exchange.attempts + mostAttempts
      const until = performance.now() + answering.queue.deadline
      let lost: FaultError | null = null
      for (;;) {
        const place = await takePlace(admission, exchange, {
          answering,
          version: version.name,
          deadline: millis(Math.max(1, until - performance.now())),
        })
        if (place === null) throw lost ?? new FaultError(fleet.noReplica(answering, version))
        exchange.version = version
        exchange.waitedMs = place.waitedMs === 0 ? exchange.waitedMs : millis((exchange.waitedMs ?? 0) + place.waitedMs)
        try {
          await next(exchange)
          return
        } catch (error) {
          if (!(error instanceof FaultError) || exchange.gone || exchange.firstByteMs !== null) throw error
          if (!isWorthWaiting(error.fault) || exchange.attempts >= mostHere) throw error
          lost = error
        } finally {
          place.release()
        }
      }
    }
  }

/** `null`: nothing can serve, and nothing may come back. The queue's own refusals are thrown. */
async function takePlace(
  admission: Admission,
  exchange: Exchange,
  { answering, version, deadline }: { answering: ModelRoute; version: VersionName; deadline: Millis },
): Promise<Place | null> {
  const { principal } = exchange
  if (principal === null) throw new TypeError('route comes after authenticate')
  const comments = queueComments(exchange)
  const entered = admission.enter({
    version,
    model: answering.name,
    queue: { waiting: answering.queue.waiting, deadline },
    owner: ownerOf(principal),
    priority: exchange.priority,
    onPlace: comments.tell,
  })
  if (entered === 'none') return null
  if ('release' in entered) return entered
  exchange.interrupt = entered.cancel
  try {
    const place = await entered.promise
    if (place === 'none') return null
    if (!exchange.gone) return place
    // It left in the very turn in which its place came.
    place.release()
    throw new ClientGone()
  } finally {
    comments.stop()
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

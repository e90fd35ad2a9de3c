/** Queue: gives out the places of each version, at once or in fair order, and tells those who wait where they stand. */
import type { Priority } from '../../domain/access/index.ts'
import {
  expectWait,
  isHopeless,
  noPace,
  openFairQueue,
  openOrder,
  stepPace,
  weightOf,
  type Claim,
  type Expectation,
  type FairQueue,
  type Pace,
} from '../../domain/admission/index.ts'
import { FaultError, type Fault } from '../../domain/fault.ts'
import { millis, type Millis, type ModelName, type VersionName } from '../../domain/units.ts'

/**
 * What a version can run now. `places` Infinity: unbounded. `mayGrow`: a replica is loading or will be started again, so waiting
 * makes sense though there is no place.
 */
export type Capacity = { places: number; mayGrow: boolean }

export type PlaceAsk = {
  version: VersionName
  model: ModelName
  queue: { waiting: number; deadline: Millis }
  /** Who is to have a fair part. */
  owner: string
  priority: Priority
  /** How much work it is, in any unit, the same for all; left out: requests are counted. */
  cost?: number
  /** Called when it begins to wait, and about once a second while its place changes. It must not throw. */
  onPlace?: (place: number, expected: Millis) => void
}

/** A place on an engine. Giving it back twice does nothing. */
export type Place = { waitedMs: Millis; release(): void }

export type Waiting = {
  /** `'none'`: nothing can serve any more, and nothing will come back. Rejects with FaultError `queue-late` or `queue-full`. */
  promise: Promise<Place | 'none'>
  /** The client left: the promise rejects with `why`, and its turn goes to the next. After its end this does nothing: a place that was given is released by whoever awaits it. */
  cancel(why: Error): void
}

export type Admission = {
  /**
   * A place at once when one is free and nobody waits before; else a wait for one. `'none'`: nothing can serve, and nothing will come
   * back. Throws FaultError `queue-full` or `queue-late` where a wait would be in vain.
   */
  enter(ask: PlaceAsk): Place | 'none' | Waiting
  /** A replica came, went or changed its places. */
  changed(version: VersionName): void
  /** Requests that wait now, of all versions. */
  waiting(): number
  /** For metrics: the versions that something is known of. */
  counts(): { version: VersionName; waiting: number; running: number }[]
}

export type AdmissionParts = {
  capacityOf(version: VersionName): Capacity
  /** A clock that never goes back. */
  now(): Millis
  /** Calls once, and gives what cancels it. */
  setTimer(after: Millis, fire: () => void): () => void
}

type Waiter = {
  ask: PlaceAsk
  line: Line
  since: Millis
  until: Millis
  seq: number
  /** What it was told last. */
  told: number
  resolve(place: Place | 'none'): void
  reject(why: Error): void
}
/** Those who want one version. */
type Line = { version: VersionName; queue: FairQueue<Waiter>; running: number; pace: Pace; listeners: number }
/** Where one stands, 1 is next, and how long it will still take. */
type Standing = { place: number; expected: Expectation }

const tellEveryMs = 1_000
/** Timers of more than 24 days go off at once. */
const longestAlarmMs = 3_600_000
const shortestRetryMs = 1_000
const longestRetryMs = 60_000

export function openAdmission({ capacityOf, now, setTimer }: AdmissionParts): Admission {
  const lines = new Map<VersionName, Line>()
  /** Everybody who waits, the nearest deadline first. */
  const deadlines = openOrder<Waiter>((a, b) => a.until - b.until || a.seq - b.seq)
  let alarm: { at: number; cancel: () => void } | null = null
  /** When places are told next; `null`: nobody listens. */
  let tellAt: number | null = null
  let seq = 0

  function enter(ask: PlaceAsk): Place | 'none' | Waiting {
    const line = lines.get(ask.version) ?? openLine(ask.version)
    // Those before it first, should nobody have said that there is more room.
    serve(line)
    const { places, mayGrow } = capacityOf(ask.version)
    if (places <= 0 && !mayGrow) {
      tidy(line)
      return 'none'
    }
    if (line.queue.size() === 0 && line.running < places) {
      line.queue.pass(claimOf(ask))
      return take(line, millis(0))
    }
    return wait(line, ask)
  }

  function openLine(version: VersionName): Line {
    const line = { version, queue: openFairQueue<Waiter>(), running: 0, pace: noPace(now()), listeners: 0 }
    lines.set(version, line)
    return line
  }

  function wait(line: Line, ask: PlaceAsk): Waiting {
    const { promise, resolve, reject } = Promise.withResolvers<Place | 'none'>()
    const since = now()
    const until = millis(since + ask.queue.deadline)
    const waiter: Waiter = { ask, line, since, until, seq: seq++, told: 0, resolve, reject }
    line.queue.push(waiter, claimOf(ask))
    const outdone = line.queue.size() > ask.queue.waiting ? whoYields(line, waiter) : null
    const at = standing(waiter)
    const refusal = outdone === waiter ? full(waiter) : lateAtOnce(waiter, at)
    if (refusal !== null) {
      line.queue.remove(waiter)
      tidy(line)
      throw new FaultError(refusal)
    }
    deadlines.add(waiter)
    if (ask.onPlace !== undefined) line.listeners++
    if (outdone !== null) {
      leave(outdone)
      outdone.reject(new FaultError(full(outdone)))
    }
    tell(waiter, at)
    setAlarm()
    return { promise, cancel: why => cancel(waiter, why) }
  }

  /** The queue is too long by one: the last in fair order goes, unless its own model lets more wait. */
  function whoYields(line: Line, newcomer: Waiter): Waiter {
    const last = line.queue.last()
    return last !== null && line.queue.size() > last.ask.queue.waiting ? last : newcomer
  }

  function cancel(waiter: Waiter, why: Error): void {
    if (!leave(waiter)) return
    waiter.reject(why)
    tidy(waiter.line)
    setAlarm()
  }

  /** `false`: it did not wait any more. */
  function leave(waiter: Waiter): boolean {
    const waited = waiter.line.queue.remove(waiter)
    if (waited) forget(waiter)
    return waited
  }

  function forget(waiter: Waiter): void {
    deadlines.delete(waiter)
    if (waiter.ask.onPlace !== undefined) waiter.line.listeners--
  }

  /** Gives out what is free, in fair order. Work that runs is never cut, even where there is less room than it takes. */
  function serve(line: Line): void {
    if (line.queue.size() === 0) return
    const { places, mayGrow } = capacityOf(line.version)
    const isHope = places > 0 || mayGrow
    while (line.queue.size() > 0 && (!isHope || line.running < places)) {
      const waiter = line.queue.takeNext()
      if (waiter === null) return
      forget(waiter)
      waiter.resolve(isHope ? take(line, millis(now() - waiter.since)) : 'none')
    }
  }

  function take(line: Line, waitedMs: Millis): Place {
    advance(line, 0)
    line.running++
    let held = true
    const release = (): void => {
      if (!held) return
      held = false
      advance(line, 1)
      line.running--
      serve(line)
      tidy(line)
      setAlarm()
    }
    return { waitedMs, release }
  }

  function advance(line: Line, freed: number): void {
    line.pace = stepPace(line.pace, { at: now(), running: line.running, freed })
  }

  /** An idle line keeps its pace, as long as something can serve. */
  function tidy(line: Line): void {
    if (line.running > 0 || line.queue.size() > 0) return
    line.queue.rest()
    const { places, mayGrow } = capacityOf(line.version)
    if (places <= 0 && !mayGrow) lines.delete(line.version)
  }

  function standing(waiter: Waiter): Standing {
    const { line } = waiter
    advance(line, 0)
    const place = line.queue.placeOf(waiter) ?? line.queue.size() + 1
    return { place, expected: expectWait(line.pace, { place, places: capacityOf(line.version).places }) }
  }

  function tell(waiter: Waiter, { place, expected }: Standing): void {
    if (waiter.told === place) return
    waiter.told = place
    waiter.ask.onPlace?.(place, expected.wait)
  }

  function full({ line, ask }: Waiter): Fault {
    const { places } = capacityOf(line.version)
    const { wait } = expectWait(line.pace, { place: ask.queue.waiting + 1, places })
    const retryAfter = millis(Math.min(longestRetryMs, Math.max(shortestRetryMs, wait)))
    return { kind: 'queue-full', model: ask.model, waiting: ask.queue.waiting, retryAfter }
  }

  /** One timer for everybody: the nearest deadline, or the next round of telling places. */
  function setAlarm(): void {
    const nearest = deadlines.at(0)
    if (nearest === undefined) {
      alarm?.cancel()
      alarm = null
      return
    }
    const isHeard = [...lines.values()].some(({ listeners }) => listeners > 0)
    tellAt = isHeard ? (tellAt ?? now() + tellEveryMs) : null
    const at = Math.min(nearest.until, tellAt ?? Infinity, now() + longestAlarmMs)
    // One that goes off too early finds nothing to do and sets itself again.
    if (alarm !== null && alarm.at <= at) return
    alarm?.cancel()
    alarm = { at, cancel: setTimer(millis(Math.max(0, at - now())), ring) }
  }

  function ring(): void {
    alarm = null
    for (let first = deadlines.at(0); first !== undefined && first.until <= now(); first = deadlines.at(0)) {
      const fault = late(first, standing(first))
      leave(first)
      first.reject(new FaultError(fault))
      tidy(first.line)
    }
    if (tellAt !== null && tellAt <= now()) {
      for (const line of lines.values()) if (line.listeners > 0) tellAll(line)
      tellAt = null
    }
    setAlarm()
  }

  function tellAll(line: Line): void {
    advance(line, 0)
    const { places } = capacityOf(line.version)
    for (const [index, waiter] of line.queue.inOrder().entries()) {
      const place = index + 1
      tell(waiter, { place, expected: expectWait(line.pace, { place, places }) })
    }
  }

  return {
    enter,
    changed: version => {
      const line = lines.get(version)
      if (line === undefined) return
      serve(line)
      tidy(line)
      setAlarm()
    },
    waiting: () => deadlines.size(),
    counts: () =>
      [...lines.values()].map(({ version, queue, running }) => ({ version, waiting: queue.size(), running })),
  }
}

const claimOf = ({ owner, priority, cost }: PlaceAsk): Claim => ({ owner, weight: weightOf(priority), cost: cost ?? 1 })

function lateAtOnce(waiter: Waiter, at: Standing): Fault | null {
  return isHopeless(at.expected, waiter.ask.queue.deadline) ? late(waiter, at) : null
}

function late({ ask }: Waiter, { place, expected }: Standing): Fault {
  return { kind: 'queue-late', model: ask.model, place, expected: expected.wait, deadline: ask.queue.deadline }
}

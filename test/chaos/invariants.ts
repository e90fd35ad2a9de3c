/** The promises, each judged from what clients saw, what the journal says and what was broken when. */
import type { CloseRecord, JournalRecord, OpenRecord } from '../../src/domain/journal/index.ts'
import type { Injected } from './faults.ts'
import type { Finding } from './finding.ts'
import type { Seen } from './load.ts'

export type Evidence = {
  seen: readonly Seen[]
  records: readonly JournalRecord[]
  injected: readonly Injected[]
  /** Requests in any 60 seconds. */
  limits: readonly { of: 'alias' | 'team'; name: string; limit: number }[]
  /** They outlive a gateway. */
  limitsAreShared: boolean
}

const windowMs = 60_000
/** More than this part over its limit is a violation. */
const tolerance = 0.01
/** By then a hung replica must be known. */
const knownMs = 10_000
/** Connections of a gateway that was killed are told at once; a busy machine is late. */
const afterKillMs = 5_000
/** Until the journal is written again. */
const afterFullMs = 10_000

export function judge(evidence: Evidence): Finding[] {
  return [everyRequestOnce, limitsHold, nothingFailsBeforeItsFirstByte, hungIsLeftAlone, brokenStreamsSaySo].map(
    invariant => invariant(evidence),
  )
}

/** 1. No record is lost or doubled. */
function everyRequestOnce({ seen, records, injected }: Evidence): Finding {
  const violations: string[] = []
  let missing = 0
  const closes = Map.groupBy(records.filter(isClose), ({ id }) => String(id))
  const opens = new Set(records.filter(isOpen).map(({ id }) => String(id)))
  for (const [id, all] of closes)
    if (all.length > 1) violations.push(`request ${id} has ${all.length} closes in the journal`)
  for (const one of seen) {
    const { id } = one
    const times = id === null ? null : (closes.get(id)?.length ?? 0)
    const mayBeCut = overlapsGatewayKill(one, injected)
    if (id === null && !one.left && !mayBeCut)
      violations.push(`request ${describe(one)} got no answer, and no gateway was killed under it`)
    if (times === 0 && overlapsFullDisk(one, injected)) missing++
    else if (times === 0 && !(mayBeCut && opens.has(id ?? '')))
      violations.push(`request ${describe(one)} was answered, and has no close in the journal`)
    const close = closes.get(id ?? '')?.[0]
    if (one.end === 'whole' && one.status === 200 && close !== undefined && close.outcome !== 'ok')
      violations.push(`request ${describe(one)} was answered whole, and is recorded as ${close.outcome}`)
  }
  // A full disk loses records, and says how many.
  const gaps = records.filter(record => record.t === 'gap')
  const lost = gaps.reduce((sum, gap) => sum + gap.lost, 0)
  if (missing > lost) violations.push(`${missing} requests have no record, and the journal's gaps tell of ${lost}`)
  if (lost > 0 && !injected.some(({ struck }) => struck === 'disk'))
    violations.push(`the journal has gaps, and the disk was never full: ${JSON.stringify(gaps)}`)
  return {
    promise: 'no record is lost or doubled',
    violations,
    evidence: `${seen.length} requests sent, ${closes.size} recorded, ${missing} lost to a full disk`,
  }
}

/**
 * 3. No 60 seconds hold more than a limit and 1 %. Counts kept in a gateway alone die with it: then each life counts anew. Of
 * shared ones what a dead gateway had used stands in Redis alone, so they die with both within the same minute.
 */
function limitsHold({ records, injected, limits, limitsAreShared }: Evidence): Finding {
  const violations: string[] = []
  let fullest = 0
  const timesOf = (fault: string): number[] => injected.filter(({ name }) => name === fault).map(({ from }) => from)
  const emptied = timesOf('redis-killed')
  const kills = timesOf('gateway-killed').filter(
    kill => !limitsAreShared || emptied.some(at => Math.abs(at - kill) < windowMs),
  )
  const closed = new Set(records.filter(isClose).map(({ id }) => id))
  for (const { of, name, limit } of limits) {
    const used = records
      .filter(record => (isClose(record) && record.replica !== null) || (isOpen(record) && !closed.has(record.id)))
      .filter((record): record is CloseRecord | OpenRecord => isClose(record) || isOpen(record))
      .filter(record => record[of] === name)
      .map(({ at, id }) => ({ at: Number(at), id }))
      .toSorted((a, b) => a.at - b.at)
    let first = 0
    for (const [last, { at, id }] of used.entries()) {
      while (at - (used[first]?.at ?? at) >= windowMs) first++
      const lives = 1 + kills.filter(kill => kill > at - windowMs - afterKillMs && kill < at + afterKillMs).length
      const count = last - first + 1
      fullest = Math.max(fullest, count / (limit * lives))
      if (count > Math.ceil(limit * lives * (1 + tolerance)))
        violations.push(`${of} ${name}: request ${id} is number ${count} in 60 s, and ${limit * lives} are allowed`)
    }
  }
  return {
    promise: `no limit is exceeded by more than 1 % in any 60 seconds${limitsAreShared ? '' : ' of a gateway’s life'}`,
    violations,
    evidence: `${limits.length} limits, the fullest minute ${(fullest * 100).toFixed(0)} %`,
  }
}

/** 4. One thing is broken at a time, so a healthy replica always exists: of this model, or of the one that stands in. */
function nothingFailsBeforeItsFirstByte({ seen, records, injected }: Evidence): Finding {
  const closes = new Map(records.filter(isClose).map(record => [String(record.id), record]))
  const violations = seen
    .filter(one => !one.left && one.events === 0 && !overlapsGatewayKill(one, injected))
    .filter(one => one.end !== 'whole' || one.status !== 200)
    .filter(one => !(one.status === 429 && one.holder.isLimited))
    .map(one => {
      const { fault = null, replica = null, attempts = 0 } = closes.get(one.id ?? '') ?? {}
      const under = injected.filter(({ from, until }) => one.from < until && one.until > from).map(nameOf)
      return `request ${describe(one)} failed with ${fault}, ${attempts} asked, last ${replica}, during ${under.join(', ') || 'nothing'}`
    })
  return {
    promise: 'no request without a first byte fails while a healthy replica exists',
    violations,
    evidence: `${seen.filter(({ end, status }) => end === 'whole' && status === 200).length} whole answers`,
  }
}

/** 5. A hung engine is given nothing more after ten seconds; one that takes in a long prompt goes on. */
function hungIsLeftAlone({ records, injected }: Evidence): Finding {
  const hung = injected.filter(({ givenWhileHung }) => givenWhileHung !== null)
  const long = injected.filter(({ name }) => name === 'long-prefill')
  const closes = records.filter(isClose)
  const late = hung.flatMap(fault => [
    ...(fault.givenWhileHung ?? []).map(id => `request ${id} was given to ${nameOf(fault)}`),
    ...closes
      .filter(
        ({ replica, at }) => replica === fault.struck && Number(at) > fault.from + knownMs && Number(at) < fault.until,
      )
      .map(({ id, at }) => `request ${id} went to ${nameOf(fault)} ${Number(at) - fault.from} ms after it hung`),
  ])
  const dropped = long.flatMap(fault => {
    const own = closes.filter(
      ({ replica, at }) => replica === fault.struck && Number(at) >= fault.from && Number(at) < fault.until,
    )
    const taken = own.filter(({ ttftMs, outcome }) => outcome === 'ok' && Number(ttftMs ?? 0) > 20_000)
    return taken.length > 0 ? [] : [`${nameOf(fault)}: none of its ${own.length} long prompts was waited for`]
  })
  return {
    promise: 'a hung engine is given nothing more after 10 s, and one that takes in a long prompt is not ejected',
    violations: [...late, ...dropped],
    evidence: `${hung.length} hung, ${long.length} with long prompts`,
  }
}

/** 6. A stream that breaks after its first byte ends with an error event. */
function brokenStreamsSaySo({ seen, injected }: Evidence): Finding {
  const broken = seen.filter(one => one.stream && one.events > 0 && !one.left && one.end !== 'whole')
  return {
    promise: 'a stream that breaks after its first byte ends with an error event',
    violations: broken
      .filter(one => one.end !== 'error-event' && !overlapsGatewayKill(one, injected))
      .map(one => `request ${describe(one)} ended ${one.end} after ${one.events} events`),
    evidence: `${broken.length} broken streams`,
  }
}

const isClose = (record: JournalRecord): record is CloseRecord => record.t === 'close'
const isOpen = (record: JournalRecord): record is OpenRecord => record.t === 'open'
const nameOf = ({ name, struck }: Injected): string => `${name} (${struck})`

const overlapsFullDisk = (one: Pick<Seen, 'from' | 'until'>, injected: readonly Injected[]): boolean =>
  injected.some(({ struck, from, until }) => struck === 'disk' && one.until >= from && one.from <= until + afterFullMs)

export const overlapsGatewayKill = (one: Pick<Seen, 'from' | 'until'>, injected: readonly Injected[]): boolean =>
  injected.some(
    ({ name, from, until }) => name === 'gateway-killed' && one.until >= from && one.from <= until + afterKillMs,
  )

const describe = ({ n, id, status, end, code, events, error }: Seen): string =>
  `${id ?? `chaos-${n}`} (status ${status}, ${end}${code === null ? '' : ` ${code}`}, ${events} events${error === null ? '' : `, ${JSON.stringify(error)}`})`

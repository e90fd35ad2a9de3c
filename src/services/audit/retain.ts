/** Retention: what is older than the spec keeps goes from the journal and the store, and the chain says where it begins now. */
import { retainedAct } from '../../domain/journal/index.ts'
import type { AuditStore, JournalKeeper, JournalReader, Removal, RequestStore } from '../../domain/journal/index.ts'
import type { Instant } from '../../domain/units.ts'
import { byController } from './acts.ts'
import type { Acts } from './acts.ts'
import { beganAt, checkSegment, isClosed } from './closed-segments.ts'
import type { CheckedSegment } from './closed-segments.ts'

export type RetainParts = {
  journal: JournalReader
  keeper: JournalKeeper
  store: Pick<AuditStore, 'removals' | 'putRemovals' | 'deleteBefore'>
  requests: Pick<RequestStore, 'epochs' | 'anchors'>
  acts: Acts
  now: () => Instant
  onProblem: (problem: string) => void
  /** Nobody verifies meanwhile: it would take what goes for missing. */
  alone: <T>(task: () => Promise<T>) => Promise<T>
}

export type Retain = (
  ask: { olderThan: Instant; rule: string },
  signal: AbortSignal,
) => Promise<{ segments: number; rows: number }>

/** Segments that one act tells of, and rows that one transaction deletes. */
const segmentsAtOnce = 16
const rowsAtOnce = 1_000

/**
 * Segments go from the front of their epoch, whole, once their newest record is too old. One that was tampered with stays:
 * it is evidence. Killed anywhere, the next pass finishes: an act is written, then the store knows, then the files go.
 */
export function openRetain(parts: RetainParts): Retain {
  const { journal, keeper, store, acts, now, onProblem, alone } = parts
  /** What was found of segments that are too young yet, so that they are read once. */
  const young = new Map<string, number>()
  const told = new Set<string>()

  return async ({ olderThan, rule }, signal) => {
    await finishRemovals()
    let segments = 0
    for (;;) {
      signal.throwIfAborted()
      const due = await findDue({ olderThan, rule }, signal)
      if (due.length === 0) break
      await alone(async () => {
        const removed = due.map(({ epoch, segment, n, hash, whole }) => ({ epoch, segment, n, hash, whole }))
        await acts.record({
          ...byController,
          what: retainedAct,
          target: null,
          decision: 'done',
          why: rule,
          detail: { rule, removed },
        })
        await store.putRemovals(due)
        for (const removal of due) await keeper.remove(removal)
      })
      segments += due.length
    }
    let rows = 0
    for (let gone = rowsAtOnce; gone > 0 && !signal.aborted; rows += gone)
      gone = await store.deleteBefore(olderThan, rowsAtOnce)
    return { segments, rows }
  }

  /** Files of what is known to be gone: whoever removed them died meanwhile. */
  async function finishRemovals(): Promise<void> {
    const present = new Set(await journal.epochs())
    for (const removal of await store.removals()) {
      if (!present.has(removal.epoch)) continue
      const left = (await keeper.segments(removal.epoch)).some(segment => segment <= removal.segment)
      if (left || removal.whole) await keeper.remove(removal)
    }
  }

  async function findDue({ olderThan, rule }: { olderThan: Instant; rule: string }, signal: AbortSignal) {
    const removals = new Map((await store.removals()).map(removal => [removal.epoch, removal]))
    const anchors = Map.groupBy(await parts.requests.anchors(), anchor => anchor.epoch)
    const due: Removal[] = []
    for (const row of await parts.requests.epochs()) {
      const { epoch } = row
      if (beganAt(epoch) >= olderThan || removals.get(epoch)?.whole === true) continue
      for (;;) {
        signal.throwIfAborted()
        if (due.length >= segmentsAtOnce) return due
        const before = removals.get(epoch) ?? null
        const segment = (before?.segment ?? 0) + 1
        const key = `${epoch}/${segment}`
        if (!isClosed(row, segment) || (young.get(key) ?? 0) >= olderThan) break
        const anchor = anchors.get(epoch)?.find(each => each.segment === segment) ?? null
        const checked = await checkSegment(journal, { epoch, segment, before, anchor })
        if (!mayGo(checked, { key, olderThan, removals })) break
        young.delete(key)
        const whole = row.ended && segment === row.position.segment
        const removal: Removal = { epoch, segment, ...checked.head, at: now(), rule, whole }
        removals.set(epoch, removal)
        due.push(removal)
      }
    }
    return due
  }

  function mayGo(
    checked: CheckedSegment,
    { key, olderThan, removals }: { key: string; olderThan: Instant; removals: ReadonlyMap<string, Removal> },
  ): checked is Extract<CheckedSegment, { ok: true }> {
    if (!checked.ok) {
      const { epoch, segment, what } = checked.broken
      if (!told.has(key))
        onProblem(
          `Segment ${segment} of the journal's epoch ${epoch} is old enough to go and is kept as evidence: ${what}. See holdfast audit verify.`,
        )
      told.add(key)
      return false
    }
    if (checked.newest !== null && checked.newest >= olderThan) {
      young.set(key, checked.newest)
      return false
    }
    // An act that vouches for tombstones stays as long as they do.
    return checked.covers.every(cover => {
      const removal = removals.get(cover.epoch)
      return removal !== undefined && (removal.whole || removal.segment >= cover.segment)
    })
  }
}

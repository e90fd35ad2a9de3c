/** Erasure: what records say of somebody goes from the store and from the journal, and the chain still verifies. */
import { erasedAct, isAbout, toCoverDetail } from '../../domain/journal/index.ts'
import type {
  AuditStore,
  EpochRow,
  Erasure,
  JournalKeeper,
  JournalReader,
  RequestStore,
  Subject,
} from '../../domain/journal/index.ts'
import type { Instant } from '../../domain/units.ts'
import { byController } from './acts.ts'
import type { Acts } from './acts.ts'
import { beganAt, isClosed, timeOf } from './closed-segments.ts'

export type EraseParts = {
  journal: JournalReader
  keeper: JournalKeeper
  store: AuditStore
  /** Positions as ingestion has them, once it has caught up. */
  requests: Pick<RequestStore, 'epochs'>
  acts: Acts
  /** Takes names and notes out of those of these keys that are revoked; answers which. */
  forgetKeys: (ids: readonly string[]) => Promise<string[]>
  now: () => Instant
  /** Nobody verifies meanwhile: an act without its tombstones would look like lines put back. */
  alone: <T>(task: () => Promise<T>) => Promise<T>
}

export interface Erasing {
  begin(subject: Subject): Promise<Erasure>
  /** Finishes or takes back what somebody who died had prepared. Before anything else touches the segments. */
  recover(): Promise<void>
  /** Goes on with every unfinished erasure. Answers how many are left. */
  pass(signal: AbortSignal): Promise<number>
}

/** A request is recorded when it ends, under the time it arrived: so much later it has, or the store knows it as open. */
const slackMs = 3_600_000
const rowsAtOnce = 500

export function openErasing(parts: EraseParts): Erasing {
  const { journal, keeper, store, requests, acts, forgetKeys, now, alone } = parts

  return {
    async begin(subject) {
      const erasure: Erasure = {
        id: acts.newId(),
        at: now(),
        subject,
        progress: {},
        finished: [],
        ...{ rows: 0, lines: 0, older: 0, waiting: 0 },
        doneAt: null,
        passedAt: null,
      }
      await store.putErasure(erasure)
      return erasure
    },

    async recover() {
      for (const place of await keeper.prepared()) {
        if (await store.hasAct(place.act)) await keeper.replace(place)
        else await keeper.discard(place)
      }
    },

    async pass(signal) {
      let left = 0
      for (const erasure of await store.erasures()) {
        if (erasure.subject === null) continue
        const gone = await goOn({ ...erasure, subject: erasure.subject }, signal)
        if (gone.doneAt === null) left++
      }
      return left
    },
  }

  async function goOn(erasure: Erasure & { subject: Subject }, signal: AbortSignal): Promise<Erasure> {
    const { subject } = erasure
    let state: Erasure = { ...erasure, waiting: 0 }
    const keep = async (change: Partial<Erasure>): Promise<void> => {
      state = { ...state, ...change }
      await store.putErasure(state)
    }
    await store.eraseKeyChanges(await forgetKeys(subject.ids))
    // The store's own view first: what is asked of it from now on names nobody.
    await eraseRows()
    const removed = new Map((await store.removals()).map(removal => [removal.epoch, removal.segment]))
    let everywhere = true
    for (const row of await requests.epochs()) {
      const { epoch } = row
      if (state.finished.includes(epoch) || beganAt(epoch) > subject.until + slackMs) continue
      let late = false
      let segment = Math.max(state.progress[epoch] ?? 0, removed.get(epoch) ?? 0) + 1
      for (; isClosed(row, segment); segment++) {
        signal.throwIfAborted()
        const { lines, older, newest } = await eraseSegment({ epoch, segment, subject, id: erasure.id })
        late ||= newest > subject.until + slackMs
        await keep({
          progress: { ...state.progress, [epoch]: segment },
          lines: state.lines + lines,
          older: state.older + older,
        })
      }
      const over =
        (row.ended && segment > row.position.segment) || (late && !(await store.hasOpen(epoch, subject.until)))
      if (over) await keep({ finished: [...state.finished, epoch] })
      else {
        everywhere = false
        state = { ...state, waiting: state.waiting + (await countIn(row, subject)) }
      }
    }
    // What ingestion brought meanwhile.
    await eraseRows()
    await keep({
      passedAt: now(),
      ...(everywhere ? { doneAt: now(), subject: null, progress: {}, finished: [], waiting: 0 } : {}),
    })
    return state

    async function eraseRows(): Promise<void> {
      for (let rows = 1; rows > 0;) {
        signal.throwIfAborted()
        rows = await store.eraseAbout(subject, rowsAtOnce)
        if (rows > 0) await keep({ rows: state.rows + rows })
      }
    }
  }

  async function eraseSegment({
    epoch,
    segment,
    subject,
    id,
  }: {
    epoch: string
    segment: number
    subject: Subject
    id: string
  }): Promise<{ lines: number; older: number; newest: number }> {
    const picking = openPicking(subject)
    const place = { epoch, segment, act: acts.newId() }
    const { cover, older } = await keeper.prepare(place, picking.pick)
    if (cover === null) return { lines: 0, older, newest: picking.newest() }
    await alone(async () => {
      try {
        const said = { what: erasedAct, target: id, decision: 'done', why: null, detail: toCoverDetail(cover) } as const
        await acts.record({ ...byController, ...said }, place.act)
      } catch (error) {
        await keeper.discard(place)
        throw error
      }
      await keeper.replace(place)
    })
    return { lines: cover.lines, older, newest: picking.newest() }
  }

  /** Lines about them in segments that are still written. */
  async function countIn({ epoch, position }: EpochRow, subject: Subject): Promise<number> {
    const open = (await keeper.segments(epoch)).filter(segment => segment >= position.segment)
    let count = 0
    for (const segment of open) count += await keeper.count(epoch, segment, openPicking(subject).pick)
    return count
  }

  /** Which lines are about them. Most are told apart without parsing: no name of theirs stands in them. */
  function openPicking(subject: Subject) {
    const names = [...subject.ids, ...subject.names].map(name => JSON.stringify(name).slice(1, -1))
    let newest = 0
    return {
      newest: () => newest,
      pick(text: string): boolean {
        newest = Math.max(newest, timeOf(text) ?? 0)
        if (!names.some(name => text.includes(name))) return false
        const record = journal.parse(text)
        return record !== null && isAbout(record, subject)
      },
    }
  }
}

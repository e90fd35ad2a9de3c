/** Audit in the controller: its own journal, and the work that goes on behind it: retention and erasure. */
import {
  makeUuid7,
  openJournal,
  openJournalKeeper,
  openJournalReader,
  type Journal,
} from '../adapters/journal/index.ts'
import type { Store } from '../adapters/store/sqlite/index.ts'
import type { Log } from '../adapters/log/index.ts'
import type { AccessPublisher } from '../domain/access/index.ts'
import { epochStart, type JournalReader } from '../domain/journal/index.ts'
import { instant, type Instant, type Millis } from '../domain/units.ts'
import { inTurn } from '../services/access/index.ts'
import {
  byController,
  findPersonBy,
  forgetKeysBy,
  openActs,
  openAuditSearch,
  openErasing,
  openRetain,
  type Acts,
  type Notes,
} from '../services/audit/index.ts'
import { verifyAudit, type Audit } from '../services/verify-audit.ts'
import { aborted } from './aborted.ts'
import type { Serving, SpecState } from './last-good.ts'
import type { Home } from './paths.ts'

const retainEveryMs = 3_600_000
/** While somebody's last lines wait for their segment to be closed. */
const eraseEveryMs = 30_000
const dayMs = 86_400_000

/** The controller's own journal, and how acts come into it. */
export type Recording = { journal: Journal; acts: Acts }

export type ActJournalParts = { home: Pick<Home, 'journal'>; store: Store; log: Log; now: () => Instant }

/** Before ingestion starts: acts count only in epochs that the store knows to be a controller's. */
export async function openActJournal({ home, store, log, now }: ActJournalParts): Promise<Recording> {
  if ((await store.requests.epochs()).length === 0)
    await adoptEpochs(openJournalReader({ folder: home.journal }), store)
  const journal = openJournal({
    folder: home.journal,
    role: 'controller',
    now,
    whenUnwritable: 'refuse',
    onProblem: (problem, cause) => log.error({ err: cause }, problem),
  })
  try {
    await store.audit.beginActs(journal.epoch)
  } catch (error) {
    await journal.close()
    throw error
  }
  return { journal, acts: openActs({ journal, now, uuid7: makeUuid7 }) }
}

/** A database that was lost is told anew by the journal; whose epochs those are it has to believe, as it does the rest. */
async function adoptEpochs(reader: JournalReader, store: Store): Promise<void> {
  for (const epoch of await reader.epochs()) {
    const reading = await reader.read(epoch, epochStart)
    if (reading.kind === 'lines' && reader.parse(reading.lines[0]?.text ?? '')?.t === 'act')
      await store.audit.beginActs(epoch)
  }
}

export type AuditParts = ActJournalParts &
  Recording & {
    notes: Notes
    publisher: AccessPublisher
    retention: Millis
    /** Resolves once the database has what is in the journal now, or soon after when that takes too long. */
    fresh: () => Promise<void>
    caughtUp: () => Promise<void>
  }

/** Begins with the work at once: what a controller that died left is finished first. */
export function openAudit(parts: AuditParts) {
  const { home, store, acts, log, now, fresh, caughtUp } = parts
  const reader = openJournalReader({ folder: home.journal })
  const keeper = openJournalKeeper({ folder: home.journal, reader })
  const alone = inTurn()
  const shared = { journal: reader, keeper, store: store.audit, requests: store.requests, acts, now, alone }
  const erasing = openErasing({
    ...shared,
    forgetKeys: forgetKeysBy({ store: store.access, publisher: parts.publisher }),
  })
  const retain = openRetain({ ...shared, onProblem: problem => log.error(problem) })
  const stop = new AbortController()
  let wakeNow: (() => void) | null = null
  let woken = false
  const ended = workOn()

  async function workOn(): Promise<void> {
    let retainedAt = 0
    for (; !stop.signal.aborted;) {
      let left = 0
      try {
        left = await erase()
        if (now() - retainedAt >= retainEveryMs) {
          await retainOnce()
          retainedAt = now()
        }
      } catch (error) {
        if (stop.signal.aborted) return
        log.error({ err: error }, 'retention or erasure failed; it is tried again')
        left = 1
      }
      await pause(left > 0 ? eraseEveryMs : retainEveryMs)
    }
  }

  async function erase(): Promise<number> {
    // Acts that the last controller wrote tell whether what it prepared counts.
    await upToDate()
    await erasing.recover()
    const pending = (await store.audit.erasures()).some(erasure => erasure.subject !== null)
    if (!pending) return 0
    // What this controller wrote of them need not wait.
    await parts.journal.rotate()
    await upToDate()
    return erasing.pass(stop.signal)
  }

  /** A long way behind, ingestion must not hold up the end of the process. */
  async function upToDate(): Promise<void> {
    await Promise.race([caughtUp(), aborted(stop.signal)])
    stop.signal.throwIfAborted()
  }

  async function retainOnce(): Promise<void> {
    const { retention } = parts
    const rule = `capture.retention ${retention % dayMs === 0 ? `${retention / dayMs}d` : `${retention / 1000}s`}`
    const gone = await retain({ olderThan: instant(now() - retention), rule }, stop.signal)
    if (gone.segments + gone.rows > 0) log.info({ ...gone, rule }, 'what is older than the spec keeps is gone')
  }

  function pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      if (woken || stop.signal.aborted) {
        woken = false
        return resolve()
      }
      const timer = setTimeout(done, ms).unref()
      wakeNow = done
      function done(): void {
        clearTimeout(timer)
        wakeNow = null
        woken = false
        resolve()
      }
    })
  }

  function wake(): void {
    woken = true
    wakeNow?.()
  }

  return {
    routes: {
      search: openAuditSearch({
        store: {
          search: async filter => {
            await fresh()
            return store.audit.search(filter)
          },
        },
        keys: store.access,
      }),
      find: findPersonBy({ keys: store.access, store: store.audit, now }),
      erasing,
      wake,
      store: store.audit,
      notes: parts.notes,
    },
    verify: (): Promise<Audit> =>
      alone(async () => {
        await fresh()
        // The anchors first: none may be newer than the files.
        const anchors = await store.requests.anchors()
        const [removals, epochsOfActs] = [await store.audit.removals(), await store.audit.epochsOfActs()]
        return verifyAudit({ journal: reader, anchors, removals, epochsOfActs })
      }),
    /** After whatever else writes acts; before the journal and the store are closed. */
    async close(): Promise<void> {
      stop.abort()
      wake()
      await ended
    },
  }
}

/** What is served now, unless it was served before this start too. Told in the log when it can't be recorded. */
export async function recordSpec(
  { serving, spec }: { serving: Serving; spec: SpecState },
  { acts, store, log, fresh }: { acts: Acts; store: Store; log: Log; fresh: () => Promise<void> },
): Promise<void> {
  try {
    await fresh()
    const applied = { kinds: ['act'], what: 'spec.applied', limit: 1 } as const
    const [last] = await store.audit.search(applied)
    const { id, models, versions } = serving.snapshot
    if (spec.state === 'invalid') {
      const why = spec.problems.join('; ').slice(0, 400)
      const detail = { spec: spec.path, served: id }
      await acts.record({ ...byController, what: 'spec.applied', target: id, decision: 'refused', why, detail })
    } else if (last?.kind !== 'act' || last.act.target !== id || last.act.decision !== 'done') {
      const detail = {
        spec: spec.path,
        models: models.map(({ name, live }) => ({ name, live })),
        versions: versions.length,
        teams: serving.teams.map(team => team.name),
        retention: serving.retention,
      }
      await acts.record({ ...byController, what: 'spec.applied', target: id, decision: 'done', why: null, detail })
    }
  } catch (error) {
    log.error({ err: error }, 'that the spec is served could not be recorded')
  }
}

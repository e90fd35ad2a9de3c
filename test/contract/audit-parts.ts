/** A journal of a gateway and of a controller, a database, and audit over them, as the controller wires it. */
import { join } from 'node:path'
import { makeUuid7, openJournal, openJournalKeeper, openJournalReader } from '../../src/adapters/journal/index.ts'
import { openSqliteStoreHere } from '../../src/adapters/store/sqlite/index.ts'
import type { JournalKeeper, Subject } from '../../src/domain/journal/index.ts'
import { instant } from '../../src/domain/units.ts'
import { inTurn } from '../../src/services/access/index.ts'
import { openActs, openErasing, openRetain } from '../../src/services/audit/index.ts'
import { ingestJournal } from '../../src/services/ingest-journal.ts'
import { verifyAudit } from '../../src/services/verify-audit.ts'

export type AuditOptions = {
  root: string
  now: () => number
  onProblem?: (problem: string) => void
  /** Stands between audit and the files, to fail where a test wants. */
  around?: (keeper: JournalKeeper) => JournalKeeper
}

export async function openAuditParts({ root, now, onProblem = () => {}, around = keeper => keeper }: AuditOptions) {
  const folder = join(root, 'journal')
  const clock = () => instant(now())
  const problem = (text: string, cause?: unknown): void =>
    onProblem(`${text} ${cause instanceof Error ? cause.message : ''}`)
  const store = await openSqliteStoreHere({ path: join(root, 'holdfast.db') })
  const options = { folder, now: clock, whenUnwritable: 'refuse', onProblem: problem, sealAfterMs: 1 } as const
  const journal = openJournal({ ...options, role: 'controller' })
  await store.audit.beginActs(journal.epoch)
  const reader = openJournalReader({ folder })
  const keeper = around(openJournalKeeper({ folder, reader }))
  const acts = openActs({ journal, now: clock, uuid7: makeUuid7 })
  const shared = {
    ...{ journal: reader, keeper, store: store.audit, requests: store.requests, acts, now: clock },
    alone: inTurn(),
  }
  const erasing = openErasing({ ...shared, forgetKeys: async () => [] })
  const retain = openRetain({ ...shared, onProblem })
  const { signal } = new AbortController()

  /** One pass over the whole journal. */
  async function takeIn(): Promise<void> {
    const stop = new AbortController()
    const wake = async (): Promise<void> => stop.abort()
    await ingestJournal({ journal: reader, store: store.requests, onProblem, signal: stop.signal, wake })
  }

  return {
    ...{ folder, store, journal, reader, keeper, acts, erasing, retain, takeIn },
    /** A gateway's journal beside the controller's. */
    openGateway: (segmentBytes = 3_000) => openJournal({ ...options, segmentBytes }),
    async verify() {
      await takeIn()
      return verifyAudit({
        journal: reader,
        anchors: await store.requests.anchors(),
        removals: await store.audit.removals(),
        epochsOfActs: await store.audit.epochsOfActs(),
      })
    },
    /** As the controller goes about it: what it wrote itself need not wait. */
    async eraseOnce(): Promise<number> {
      await takeIn()
      await erasing.recover()
      await journal.rotate()
      await takeIn()
      return erasing.pass(signal)
    },
    retainFrom: (olderThan: number) => retain({ olderThan: instant(olderThan), rule: 'capture.retention 30d' }, signal),
    async close() {
      await journal.close()
      await store.close()
    },
  }
}

export const anna = (until: number): Subject => ({
  ids: ['key_anna'],
  names: ['anna', 'Anna "A" Müller'],
  until: instant(until),
})

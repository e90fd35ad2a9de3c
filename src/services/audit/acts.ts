/** Acts: what was administered, written to the controller's own journal before anybody hears that it is done. */
import type { ActJournal, ActRecord } from '../../domain/journal/index.ts'
import { actId } from '../../domain/units.ts'
import type { ActId, Instant } from '../../domain/units.ts'

export type NewAct = Omit<ActRecord, 't' | 'id' | 'at'>

export interface Acts {
  /** Whether an act could be recorded now. What can't be recorded must not be done. */
  readonly writable: boolean
  /**
   * Resolves once the act would survive a power cut; one that was refused, a crash. Throws FaultError `journal-full`.
   * `id`: made beforehand by `newId`.
   */
  record(act: NewAct, id?: ActId): Promise<void>
  newId(): ActId
}

/** What the controller does by itself. */
export const byController = { who: 'controller', alias: null, from: null } as const

export function openActs({
  journal,
  now,
  uuid7,
}: {
  journal: ActJournal
  now: () => Instant
  uuid7: (at: Instant) => string
}): Acts {
  const newId = (): ActId => actId(uuid7(now()))
  return {
    get writable() {
      return journal.healthy
    },
    newId,
    async record(act, id = newId()) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      journal.append({ t: 'act', id, at: now(), ...act }, error => (error ? reject(error) : resolve()))
      await promise
      // Strangers may be refused as often as they ask: the disk is not made to wait for each of them.
      if (act.decision !== 'refused') await journal.settle()
    },
  }
}

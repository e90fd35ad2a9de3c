/** What audit asks of the store and of the journal's files. */
import type { ActId, Instant, ModelName, TeamName } from '../units.ts'
import type { Cover, Subject } from './erasure.ts'
import type { Anchor, RequestRow } from './ports.ts'
import type { ActRecord } from './record.ts'

/** What retention took from an epoch's front: up to and with `segment`, whose last block was `n`. Verification begins behind it. */
export type Removal = Anchor & {
  at: Instant
  /** By which rule: `capture.retention 30d`. */
  rule: string
  /** The epoch had ended, and nothing of it is left. */
  whole: boolean
}

/** An act as the store keeps it. */
export type ActRow = Omit<ActRecord, 't' | 'at'> & { time: string }

export type AuditEntry = { kind: 'request'; request: RequestRow } | { kind: 'act'; act: ActRow }

/** What is left out does not bound. `before` is the id of the last entry of the page before: both kinds have UUIDv7s. */
export type AuditFilter = {
  limit: number
  kinds: readonly AuditEntry['kind'][]
  before?: string
  since?: Instant
  until?: Instant
  /** Whose: any of these ids, or one with such an alias. Acts also by whom they were about. */
  who?: { ids: readonly string[]; alias: string }
  team?: TeamName
  model?: ModelName
  from?: string
  /** Acts of that name; `key.*`: all of that noun. */
  what?: string
  decision?: ActRecord['decision'] | 'cancelled' | 'interrupted' | 'open'
  /** Stands somewhere in an entry's words, in any case. */
  text?: string
}

/** Somebody who is being erased. `progress`: of each epoch, the last segment that was gone through. */
export type Erasure = {
  id: string
  at: Instant
  /** `null` once it is done: then nothing need know any more whom it was about. */
  subject: Subject | null
  progress: Readonly<Record<string, number>>
  /** Epochs in which nothing about them can turn up any more. */
  finished: readonly string[]
  /** Rows of the store, and lines of the journal. */
  rows: number
  lines: number
  /** Lines in blocks of the first form, which can't be taken out singly: they go with retention. */
  older: number
  /** Lines in segments that are still written. */
  waiting: number
  /** When everything there was had been gone through for the last time; `null`: not once yet. */
  passedAt: Instant | null
  doneAt: Instant | null
}

export interface AuditStore {
  /** Newest first, by id. */
  search(filter: AuditFilter): Promise<AuditEntry[]>
  hasAct(id: ActId): Promise<boolean>

  /** Makes an epoch one in which acts may stand. Before its first line is written. */
  beginActs(epoch: string): Promise<void>
  epochsOfActs(): Promise<string[]>

  removals(): Promise<Removal[]>
  /** Notes what goes, and forgets its anchors, in one transaction. */
  putRemovals(removals: readonly Removal[]): Promise<void>
  /** Deletes rows of what arrived before, at most so many; answers how many. Open requests stay. Sums stay. */
  deleteBefore(at: Instant, limit: number): Promise<number>

  /** Unfinished ones, and those that were finished lately. */
  erasures(): Promise<Erasure[]>
  putErasure(erasure: Erasure): Promise<void>
  /** How many rows are about them. */
  countAbout(subject: Subject): Promise<{ requests: number; acts: number }>
  /** Takes them out of at most so many rows, and their sums; answers how many rows. 0: none is left. */
  eraseAbout(subject: Subject, limit: number): Promise<number>
  /** Takes names and notes of keys out of the kept changes of access. */
  eraseKeyChanges(ids: readonly string[]): Promise<void>
  /** Keys of requests that had this alias: tokens, which have no record of their own. */
  idsByAlias(alias: string): Promise<string[]>
  /** Aliases that requests of these keys had. */
  aliasesOf(ids: readonly string[]): Promise<string[]>
  /** Whether a request that arrived by then is open in this epoch. */
  hasOpen(epoch: string, until: Instant): Promise<boolean>
}

/** Segments that nobody writes any more. Every step is safe to be killed in. */
export interface JournalKeeper {
  /** The numbers of an epoch's segments, in order. */
  segments(epoch: string): Promise<number[]>
  /** Counts lines; changes nothing. */
  count(epoch: string, segment: number, pick: (text: string) => boolean): Promise<number>
  /**
   * Writes the segment anew beside itself, synced, with tombstones by `act` for the lines that `pick` takes.
   * `cover` is `null` when there are none, and then nothing was written. `older`: picked lines in blocks of the first form.
   */
  prepare(
    place: { epoch: string; segment: number; act: ActId },
    pick: (text: string) => boolean,
  ): Promise<{ cover: Cover | null; older: number }>
  /** Puts in place what was prepared. */
  replace(place: { epoch: string; segment: number; act: ActId }): Promise<void>
  /** What was prepared by somebody who then died. */
  prepared(): Promise<{ epoch: string; segment: number; act: ActId }[]>
  discard(place: { epoch: string; segment: number; act: ActId }): Promise<void>
  /** Removes an epoch's segments up to and with this one; `whole`: the epoch. Fine with what is gone already. */
  remove(removal: Pick<Removal, 'epoch' | 'segment' | 'whole'>): Promise<void>
}

/** The journal that acts are written to. */
export interface ActJournal {
  readonly healthy: boolean
  append(record: ActRecord, onWritten?: (error?: Error) => void): void
  /** Resolves once what was appended is sealed and would survive a power cut. Throws FaultError `journal-full`. */
  settle(): Promise<void>
  /** Goes on in a new segment, so that the one before is not written any more. */
  rotate(): Promise<void>
}

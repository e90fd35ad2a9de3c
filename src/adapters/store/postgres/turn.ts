/**
 * Which of several controllers on one database is the active one: whoever holds an advisory lock of a session of its own.
 * The lock decides who may begin a term; that an old term writes nothing any more is the dialect's to see to.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { Kysely, sql } from 'kysely'
import { FaultError } from '../../../domain/fault.ts'
import type { Fault } from '../../../domain/fault.ts'
import { migrateIn, refuseNewer } from '../migrations.ts'
import type { Tables } from '../schema.ts'
import { beginTerm, findActive, readActive, standby } from './active-controller.ts'
import { parseAddress } from './address.ts'
import type { Address } from './address.ts'
import { openConnection } from './connect.ts'
import { postgresDialect } from './dialect.ts'
import { isUnavailable, needsPerson } from './problems.ts'

export type TurnOptions = {
  /** `postgres://user:password@host:5432/database` */
  url: string
  /** Who this controller is, for people who look at the other one. */
  holder: string
  signal: AbortSignal
  /** What stands in the way now, whenever that changes; `null`: nothing. */
  onState: (fault: Fault | null) => void
}

export interface Turn {
  /** Writes of this term are taken until a later one begins. */
  readonly term: number
  /** Resolves with the fault that others get from now on, once another controller has taken over. Never rejects. */
  readonly ended: Promise<Fault>
  /** Lets the next one in. */
  release(): Promise<void>
}

/** How soon a controller that ended is followed. */
const pollMs = 500
const beatMs = 1_000
/** Quicker than those who wait: a database that was restarted should not change hands. */
const againMs = 150
/** An active controller that says nothing for so long loses its session. Many beats, so that a busy minute costs nothing. */
const idleMs = 15_000
const answerMs = 5_000

/**
 * Waits until this controller is the active one; by then the database has this program's schema. Waits for a server that is
 * away, too. `null`: `signal` came first. Throws when a person must mend something: the user, the database, the schema.
 */
export async function takeTurn({ url, holder, signal, onState }: TurnOptions): Promise<Turn | null> {
  const address = parseAddress(url)
  const tell = onlyChanges(onState)
  let line: Line | null = null
  let isKnown = false
  while (!signal.aborted) {
    try {
      line ??= await openLine(address)
      isKnown = true
      const outcome = await tryTurn(line, holder)
      if ('term' in outcome) {
        tell(null)
        return hold(line, { term: outcome.term, address, tell })
      }
      tell(outcome.waitsFor)
    } catch (error) {
      await line?.close()
      line = null
      // Later, the same words may pass by themselves: a server that starts lets nobody in.
      if (!isUnavailable(error) || (!isKnown && needsPerson(error))) throw error
      tell(error.fault)
    }
    await pause(pollMs, undefined, { signal }).catch(() => undefined)
  }
  await line?.close()
  return null
}

async function tryTurn({ db, ask }: Line, holder: string): Promise<{ term: number } | { waitsFor: Fault }> {
  if (!(await ask(tryLock(db)))) {
    const active = await ask(findActive(db))
    if (active.term > 0) await ask(refuseNewer(db))
    return { waitsFor: standby(active) }
  }
  const now = Date.now()
  // Not bounded in time: a migration takes what it takes.
  const term = await db.transaction().execute(async trx => {
    // Beside the lock of the session: one whose session broke unseen may still be here.
    await sql`select pg_advisory_xact_lock(${sql.lit(lockClass + 1)}, hashtext(current_schema()))`.execute(trx)
    const next = await beginTerm(trx, { holder, now })
    await migrateIn(trx, { epoch: randomUUID(), now })
    return next
  })
  return { term }
}

/** Keeps the session alive, and the lock: when the line breaks it is taken again, if nobody else was active meanwhile. */
function hold(
  first: Line,
  { term, address, tell }: { term: number; address: Address; tell: TurnOptions['onState'] },
): Turn {
  const stop = new AbortController()
  const over = Promise.withResolvers<Fault>()
  let line: Line | null = first

  async function beat(): Promise<void> {
    const isNew = line === null
    line ??= await openLine(address)
    const { db, ask } = line
    // Not free: a session of ours that the server thinks alive, or somebody who is about to begin a term.
    const isHeld = !isNew || (await ask(tryLock(db)))
    const active = await ask(readActive(db, { lock: false }))
    if (active.term !== term) {
      over.resolve(standby(active))
      stop.abort()
    } else if (isHeld) {
      tell(null)
    } else {
      await line.close()
      line = null
    }
  }

  const beating = (async () => {
    while (!stop.signal.aborted) {
      await pause(line === null ? againMs : beatMs, undefined, { signal: stop.signal }).catch(() => undefined)
      if (stop.signal.aborted) break
      try {
        await beat()
      } catch (error) {
        await line?.close()
        line = null
        if (error instanceof FaultError) tell(error.fault)
      }
    }
    await line?.close()
  })()

  return {
    term,
    ended: over.promise,
    async release() {
      stop.abort()
      await beating
    },
  }
}

/** Another service in another schema of the same database has a lock of its own. */
const lockClass = 1_215_261_796

async function tryLock(db: Kysely<Tables>): Promise<boolean> {
  const { rows } = await sql<{ got: boolean }>`
    select pg_try_advisory_lock(${sql.lit(lockClass)}, hashtext(current_schema())) as got`.execute(db)
  return rows[0]?.got === true
}

/** A session with what is asked of it bounded in time: a line can be dead without a word. */
type Line = {
  db: Kysely<Tables>
  ask: <T>(answer: Promise<T>) => Promise<T>
  close: () => Promise<void>
}

async function openLine(address: Address): Promise<Line> {
  const connection = await openConnection(address, idleMs)
  const db = new Kysely<Tables>({ dialect: postgresDialect(connection, { term: null }) })
  const silent = {
    kind: 'store-unavailable',
    store: address.name,
    problem: 'it does not answer',
    inDoubt: false,
  } as const
  return {
    db,
    async ask(answer) {
      const { promise: late, reject } = Promise.withResolvers<never>()
      const timer = setTimeout(() => reject(new FaultError(silent)), answerMs)
      try {
        return await Promise.race([answer, late])
      } finally {
        clearTimeout(timer)
      }
    },
    // Not through Kysely, which would wait for a query that is never answered.
    close: () => connection.end(),
  }
}

function onlyChanges(tell: TurnOptions['onState']): TurnOptions['onState'] {
  let last = 'null'
  return fault => {
    const text = JSON.stringify(fault)
    if (text === last) return
    last = text
    tell(fault)
  }
}

/** Acts as the controller while it is this one's turn: always with a file of its own, one at a time with a shared database. */
import { hostname } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import type { Log } from '../adapters/log/index.ts'
import { FaultError } from '../domain/fault.ts'
import type { Fault } from '../domain/fault.ts'
import { aborted } from './aborted.ts'
import { openStandby } from './standby.ts'
import type { StoreAccess, StorePlace } from './store.ts'

export type Acting = {
  /** The store was away and is back: what was committed as it went may not have been told to anybody. */
  storeIsBack(): void
  close(): Promise<void>
}
/** `problem`: why the store can't be used now. */
export type Act = (parts: { access: StoreAccess; problem: () => string | null }) => Promise<Acting>

export type InTurn = {
  /** Rejects when this can't go on and a person must mend something. */
  readonly ended: Promise<void>
  close(): Promise<void>
}

type Parts = { place: StorePlace; socket: string; log: Log; act: Act }

/** So soon it is tried again when the database went away just as the turn was taken. */
const againMs = 500

/** Resolves once `act` has opened what it opens, or once it is known that this has to wait: then `socket` tells why. */
export async function serveInTurn({ place, ...parts }: Parts): Promise<InTurn> {
  if (place.kind === 'sqlite') {
    const acting = await parts.act({ access: place, problem: () => null })
    const closed = Promise.withResolvers<void>()
    return { ended: closed.promise, close: () => acting.close().then(closed.resolve) }
  }
  const stop = new AbortController()
  const settled = Promise.withResolvers<void>()
  const ended = takeTurns({ ...parts, place, signal: stop.signal, onSettled: settled.resolve })
  ended.catch(settled.reject)
  await settled.promise
  return {
    ended,
    async close() {
      stop.abort()
      await ended
    },
  }
}

type Turns = Omit<Parts, 'place'> & {
  place: Extract<StorePlace, { kind: 'postgresql' }>
  signal: AbortSignal
  onSettled: () => void
}

async function takeTurns({ place, socket, log, act, signal, onSettled }: Turns): Promise<void> {
  const { takeTurn } = await import('../adapters/store/postgres/index.ts')
  const holder = `${hostname()} (process ${process.pid})`
  let why: Fault | null = null
  let onState: (fault: Fault | null) => void = () => undefined
  const hear = (fault: Fault | null): void => {
    tellLog(log, { before: why, now: fault, store: place.name })
    why = fault
    onState(fault)
  }

  while (!signal.aborted) {
    const standby = await openStandby({ socket, log })
    onState = fault => {
      if (fault === null) return
      standby.say(fault)
      onSettled()
    }
    const turn = await takeTurn({ url: place.url, holder, signal, onState: hear }).finally(() => standby.close())
    onState = () => undefined
    if (turn === null) return
    try {
      const acting = await act({
        access: { kind: 'postgresql', url: place.url, term: turn.term },
        problem: () => (why?.kind === 'store-unavailable' ? why.problem : null),
      })
      onState = fault => {
        if (fault === null) acting.storeIsBack()
      }
      onSettled()
      await Promise.race([turn.ended, aborted(signal)])
      await acting.close()
    } catch (error) {
      // The database went away, or to another controller, while this one began.
      if (!(error instanceof FaultError) || !passes.has(error.fault.kind)) throw error
      hear(error.fault)
      await pause(againMs, undefined, { signal }).catch(() => undefined)
    } finally {
      await turn.release()
    }
  }
}

const passes: ReadonlySet<string> = new Set(['store-unavailable', 'standby'] satisfies Fault['kind'][])

function tellLog(log: Log, { before, now, store }: { before: Fault | null; now: Fault | null; store: string }): void {
  if (now === null) {
    if (before?.kind === 'store-unavailable') log.warn(`${store} can be used again`)
    if (before?.kind === 'standby') log.warn('active: the other controller has ended')
  } else if (now.kind === 'standby') {
    log.warn(`standby: ${now.active} is active${now.since === null ? '' : ` since ${now.since}`}`)
  } else {
    log.error(new FaultError(now).message)
  }
}

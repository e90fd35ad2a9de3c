/** Accept: a place in the gateway for the request, and its body's declared size. Nothing of the body is read yet. */
import { FaultError } from '../../domain/fault.ts'
import { openRoster, type Seat } from '../../domain/roster.ts'
import { millis } from '../../domain/units.ts'
import type { GatewayLimits } from '../../domain/serving/index.ts'
import type { Recorder } from './ports.ts'
import type { Exchange, Stage } from './exchange.ts'

/** What is being served now: for the limit, for `/metrics`, and for a drain that has to end. */
export type Gate = ReturnType<typeof openGate>

export function openGate() {
  const running = openRoster<Exchange>()
  let onIdle: (() => void)[] = []
  return {
    get inFlight(): number {
      return running.size
    },
    enter: (exchange: Exchange): Seat<Exchange> => running.enter(exchange),
    leave(seat: Seat<Exchange>): void {
      running.leave(seat)
      if (running.size > 0) return
      for (const tell of onIdle) tell()
      onIdle = []
    },
    /** Resolves when nothing is being served. */
    idle: (): Promise<void> => (running.size === 0 ? Promise.resolve() : new Promise(resolve => onIdle.push(resolve))),
    /** Ends every exchange with `draining`: streams with an error event, the others with a 503. */
    cut(): void {
      for (const exchange of running.items()) exchange.interrupt?.(new FaultError({ kind: 'draining' }))
    },
  }
}

export type AcceptParts = {
  limits: () => GatewayLimits
  recorder: Recorder
  /** Why what this gateway knows is too old to serve from; `null`: it is not. */
  stale: () => string | null
  /** Memory is short: nothing new is taken in. */
  mustShed: () => boolean
}

const retryAfter = millis(1_000)

export const accept =
  (gate: Gate, { limits, recorder, stale, mustShed }: AcceptParts): Stage =>
  (exchange, held) => {
    const tooOld = stale()
    if (tooOld !== null) throw new FaultError({ kind: 'not-ready', why: tooOld })
    if (recorder.mustRefuse) throw new FaultError({ kind: 'journal-full' })
    if (mustShed()) throw new FaultError({ kind: 'memory-short', retryAfter })
    const { inFlight, body } = limits()
    if (gate.inFlight >= inFlight) throw new FaultError({ kind: 'overloaded', retryAfter, inFlight })
    if ((exchange.head.declaredBytes ?? 0) > body) throw new FaultError({ kind: 'body-too-large', limit: body })
    const seat = gate.enter(exchange)
    held.push(() => gate.leave(seat))
  }

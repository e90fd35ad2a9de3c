/** Relay: one attempt at one replica. Its bytes go to the client; the client's leaving goes to it. */
import { FaultError, type Fault } from '../../domain/fault.ts'
import type { GatewayLimits } from '../../domain/serving/index.ts'
import { millis } from '../../domain/units.ts'
import type { Answer } from './answer.ts'
import type { Exchange } from './exchange.ts'
import type { Repair, Wire, WireCall, WireRequest } from './ports.ts'
import { rawAnswer } from './raw-answer.ts'
import type { Lease, Replica } from './replica.ts'
import { streamAnswer } from './stream-answer.ts'
import { wholeAnswer } from './whole-answer.ts'

export type RelayParts = {
  exchange: Exchange
  replica: Replica
  wire: Wire
  limits: GatewayLimits
  request: WireRequest
  repair: Repair | null
  lease: Lease
}

/** What of an engine's error is read. */
const errorBytes = 64 * 1024
/** How long an engine may take to end a connection whose answer is complete, before it is dropped. */
const lingerMs = 5_000

/** Resolves when the answer is complete but for `lastBytes`. Rejects with FaultError or ClientGone; the engine's work has stopped then. */
export function relay({ exchange, replica, wire, limits, request, repair, lease }: RelayParts): Promise<void> {
  const raw = exchange.ask?.path === 'audio/speech'
  const stream = raw || exchange.ask?.stream === true
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const answer = openAnswer()
  const errorBody: Buffer[] = []
  let errorLength = 0
  let status = 0
  let settled = false
  let ended = false
  let linger: NodeJS.Timeout | null = null
  let silence: Extract<Fault, { kind: 'engine-silent' }> = {
    kind: 'engine-silent',
    what: stream ? 'first byte' : 'whole answer',
    waited: stream ? limits.firstByte : limits.request,
  }
  const leftMs = Math.max(1, limits.request - (performance.now() - exchange.startedMs))
  const total = setTimeout(
    () => stop(new FaultError({ kind: 'engine-silent', what: 'whole answer', waited: limits.request })),
    leftMs,
  )
  let quiet = stream ? setTimeout(onQuiet, limits.firstByte) : null

  const call: WireCall = wire.post(replica.target, request, {
    head(code, contentType) {
      if (settled) return
      status = code
      if (code === 200) guard(() => answer.head(contentType))
    },
    data(chunk) {
      if (settled) return true
      if (status !== 200) return collectError(chunk)
      return guard(() => onData(chunk)) ?? true
    },
    end() {
      ended = true
      if (linger !== null) clearTimeout(linger)
      if (settled) return
      if (status === 200)
        guard(() => {
          answer.end()
          finish()
        })
      else refuse()
    },
    failed(error) {
      if (linger !== null) clearTimeout(linger)
      stop(new FaultError({ kind: 'engine-lost', sentBytes: exchange.reply.sentBytes }, { cause: error }))
    },
  })
  exchange.interrupt = stop
  exchange.reply.onDrain(onDrain)
  return promise

  function openAnswer(): Answer {
    if (raw) return rawAnswer(exchange)
    return stream ? streamAnswer(exchange, repair) : wholeAnswer(exchange, repair)
  }

  function onData(chunk: Buffer): boolean {
    lease.piece()
    const state = answer.data(chunk)
    if (state === 'complete') finish()
    if (state === 'wait') {
      // A slow reader is not a silent engine, nor a slow one.
      lease.paused()
      if (quiet !== null) clearTimeout(quiet)
      quiet = null
      return false
    }
    if (stream) expectMore()
    return true
  }

  function expectMore(): void {
    if (silence.what === 'next byte') {
      quiet?.refresh()
      return
    }
    silence = { kind: 'engine-silent', what: 'next byte', waited: limits.idle }
    if (quiet !== null) clearTimeout(quiet)
    quiet = settled ? null : setTimeout(onQuiet, limits.idle)
  }

  function onDrain(): void {
    if (settled) return
    if (stream && quiet === null) quiet = setTimeout(onQuiet, limits.idle)
    call.resume()
  }

  function onQuiet(): void {
    stop(new FaultError({ ...silence, waited: millis(silence.waited) }))
  }

  function collectError(chunk: Buffer): boolean {
    errorBody.push(chunk.subarray(0, errorBytes - errorLength))
    errorLength += chunk.length
    // More than anybody reads, and perhaps without end.
    if (errorLength >= errorBytes) refuse()
    return true
  }

  function refuse(): void {
    stop(new FaultError(replica.dialect.toFault(status, Buffer.concat(errorBody).toString('utf8'))))
  }

  /** Runs a step of the answer; what it throws ends the attempt. */
  function guard<T>(step: () => T): T | undefined {
    try {
      return step()
    } catch (error) {
      stop(error)
      return undefined
    }
  }

  function settle(): boolean {
    if (settled) return false
    settled = true
    clearTimeout(total)
    if (quiet !== null) clearTimeout(quiet)
    exchange.interrupt = null
    return true
  }

  function stop(error: unknown): void {
    if (!settle()) return
    call.abort()
    reject(error)
  }

  function finish(): void {
    if (!settle()) return
    // The engine's own end of the answer follows in a moment, and its connection is kept for the next request.
    if (!ended) linger = setTimeout(() => call.abort(), lingerMs)
    resolve()
  }
}

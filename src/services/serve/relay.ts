/** Relay: one attempt at one replica. Its bytes go to the client; the client's leaving goes to it. */
import { FaultError, type Fault } from '../../domain/fault.ts'
import type { Seat } from '../../domain/roster.ts'
import type { GatewayLimits } from '../../domain/serving/index.ts'
import type { Millis } from '../../domain/units.ts'
import type { Answer } from './answer.ts'
import { openDeadlines, type Deadline } from './deadlines.ts'
import type { Exchange } from './exchange.ts'
import type { Repair, Wire, WireCall, WireListener, WireRequest } from './ports.ts'
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

/** Resolves when the answer is complete but for `lastBytes`. Rejects with FaultError or ClientGone; the engine's work has stopped then. */
export function relay(parts: RelayParts): Promise<void> {
  return new Promise((resolve, reject) => new Attempt(parts, resolve, reject).begin(parts.wire, parts.request))
}

/** What of an engine's error is read. */
const errorBytes = 64 * 1024
/** How long an engine may take to end a connection whose answer is complete, before it is dropped. */
const lingerMs = 5_000
const deadlines = openDeadlines()

/** A class: it owns the attempt's life, one is made for each request, and its fields change with each piece. */
class Attempt implements WireListener, Deadline {
  readonly #exchange: Exchange
  readonly #replica: Replica
  readonly #limits: GatewayLimits
  readonly #lease: Lease
  readonly #resolve: () => void
  readonly #reject: (error: unknown) => void
  readonly #stream: boolean
  readonly #answer: Answer
  /** When the whole answer is due. */
  readonly #endMs: number
  #seat: Seat<Deadline> | null = null
  #call: WireCall | null = null
  #status = 0
  readonly #errorBody: Buffer[] = []
  #errorLength = 0
  #begun = false
  #settled = false
  #ended = false
  dueMs: number

  constructor(
    { exchange, replica, limits, repair, lease }: RelayParts,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    const raw = exchange.ask?.path === 'audio/speech'
    this.#exchange = exchange
    this.#replica = replica
    this.#limits = limits
    this.#lease = lease
    this.#resolve = resolve
    this.#reject = reject
    this.#stream = raw || exchange.ask?.stream === true
    if (raw) this.#answer = rawAnswer(exchange)
    else this.#answer = this.#stream ? streamAnswer(exchange, repair) : wholeAnswer(exchange, repair)
    this.#endMs = Math.max(performance.now(), exchange.startedMs + limits.request)
    this.dueMs = this.#endMs
  }

  begin(wire: Wire, request: WireRequest): void {
    const { reply } = this.#exchange
    if (this.#stream) this.#expectWithin(this.#limits.firstByte)
    this.#call = wire.post(this.#replica.target, request, this)
    this.#seat = deadlines.add(this)
    // V8 makes a function old when it is written straight into a property, and what it holds with it: all of the request.
    const stop = (why: Error): void => this.#stop(why)
    this.#exchange.interrupt = stop
    reply.onDrain(() => this.#onDrain())
  }

  head(status: number, contentType: string): void {
    if (this.#settled) return
    this.#status = status
    if (status !== 200) return
    try {
      this.#answer.head(contentType)
    } catch (error) {
      this.#stop(error)
    }
  }

  data(chunk: Buffer): boolean {
    if (this.#settled) return true
    if (this.#status !== 200) return this.#collectError(chunk)
    try {
      return this.#pass(chunk)
    } catch (error) {
      this.#stop(error)
      return true
    }
  }

  end(): void {
    this.#ended = true
    if (this.#settled) this.#leave()
    else if (this.#status === 200) this.#endAnswer()
    else this.#refuse()
  }

  failed(error: Error): void {
    this.#ended = true
    if (this.#settled) this.#leave()
    else
      this.#stop(new FaultError({ kind: 'engine-lost', sentBytes: this.#exchange.reply.sentBytes }, { cause: error }))
  }

  onDue(): void {
    if (this.#settled) {
      this.#leave()
      this.#call?.abort()
    } else if (this.dueMs >= this.#endMs) this.#silent('whole answer', this.#limits.request)
    else if (this.#begun) this.#silent('next byte', this.#limits.idle)
    else this.#silent('first byte', this.#limits.firstByte)
  }

  #pass(chunk: Buffer): boolean {
    this.#lease.piece()
    const state = this.#answer.data(chunk)
    if (state === 'complete') {
      this.#finish()
      return true
    }
    this.#begun = true
    if (state === 'wait') {
      // A slow reader is not a silent engine, nor a slow one.
      this.#lease.paused()
      this.dueMs = this.#endMs
      return false
    }
    if (this.#stream) this.#expectWithin(this.#limits.idle)
    return true
  }

  #endAnswer(): void {
    try {
      this.#answer.end()
      this.#finish()
    } catch (error) {
      this.#stop(error)
    }
  }

  #expectWithin(ms: number): void {
    this.dueMs = Math.min(this.#endMs, performance.now() + ms)
  }

  #onDrain(): void {
    if (this.#settled) return
    if (this.#stream) this.#expectWithin(this.#limits.idle)
    this.#call?.resume()
  }

  #collectError(chunk: Buffer): boolean {
    this.#errorBody.push(chunk.subarray(0, errorBytes - this.#errorLength))
    this.#errorLength += chunk.length
    // More than anybody reads, and perhaps without end.
    if (this.#errorLength >= errorBytes) this.#refuse()
    return true
  }

  #refuse(): void {
    const text = Buffer.concat(this.#errorBody).toString('utf8')
    this.#stop(new FaultError(this.#replica.dialect.toFault(this.#status, text)))
  }

  #silent(what: Silence['what'], waited: Millis): void {
    this.#stop(new FaultError({ kind: 'engine-silent', what, waited }))
  }

  #stop(error: unknown): void {
    if (!this.#settle()) return
    this.#leave()
    this.#call?.abort()
    this.#reject(error)
  }

  #finish(): void {
    if (!this.#settle()) return
    // The engine's own end of the answer follows in a moment, and its connection is kept for the next request.
    if (this.#ended) this.#leave()
    else this.dueMs = performance.now() + lingerMs
    this.#resolve()
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#exchange.interrupt = null
    return true
  }

  #leave(): void {
    if (this.#seat !== null) deadlines.drop(this.#seat)
  }
}

type Silence = Extract<Fault, { kind: 'engine-silent' }>

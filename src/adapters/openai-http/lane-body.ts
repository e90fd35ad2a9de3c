/** The body of a plain request: so many bytes, which most often come with the head. */
import { FaultError } from '../../domain/fault.ts'
import { bytes, millis } from '../../domain/units.ts'
import { bodyMs } from './body.ts'

type Reading = {
  into: Buffer
  resolve: (body: Uint8Array) => void
  reject: (why: Error) => void
  timer: NodeJS.Timeout
}

/** A class: one is made for each request, and what comes of a body is its own. */
export class LaneBody {
  readonly #length: number
  /** Asks the connection to be read from, where that was stopped. */
  readonly #readOn: () => void
  /** Of its bytes: how many have come. */
  #come = 0
  /** What came before anybody asked for it. */
  #early: Buffer | null = null
  #reading: Reading | null = null
  /** `null`: somebody may yet want it. */
  #onDiscarded: (() => void) | null = null

  constructor(length: number, readOn: () => void) {
    this.#length = length
    this.#readOn = readOn
  }

  get isWhole(): boolean {
    return this.#come === this.#length
  }

  /** Bytes that are held for somebody to ask for. */
  get earlyBytes(): number {
    return this.#early?.length ?? 0
  }

  /** Takes what is the body's from the front of `chunk`; answers the rest. */
  take(chunk: Buffer): Buffer {
    const missing = this.#length - this.#come
    if (missing === 0) return chunk
    const piece = chunk.length <= missing ? chunk : chunk.subarray(0, missing)
    if (this.#reading !== null) piece.copy(this.#reading.into, this.#come)
    else if (this.#onDiscarded === null)
      this.#early = this.#early === null ? piece : Buffer.concat([this.#early, piece])
    this.#come += piece.length
    if (this.isWhole) this.#settle()
    return chunk.subarray(piece.length)
  }

  /** Once. Throws FaultError `body-too-large`, `body-too-slow`; ClientGone when the client leaves meanwhile. */
  read(limitBytes: number): Promise<Uint8Array> {
    if (this.#length > limitBytes) throw new FaultError({ kind: 'body-too-large', limit: bytes(limitBytes) })
    const early = this.#early
    this.#early = null
    if (this.isWhole) return Promise.resolve(early ?? new Uint8Array(0))
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    const late = (): void => this.fail(new FaultError({ kind: 'body-too-slow', after: millis(bodyMs) }))
    // The kernel gives its memory as it is filled: who says much and sends little costs little.
    const into = Buffer.allocUnsafe(this.#length)
    early?.copy(into)
    this.#reading = { into, resolve, reject, timer: setTimeout(late, bodyMs) }
    this.#readOn()
    return promise
  }

  /** Nobody wants it any more. `then` runs once all of it has come. */
  discard(then: () => void): void {
    this.#early = null
    this.#onDiscarded = then
    if (this.isWhole) this.#settle()
    else this.#readOn()
  }

  /** Whoever waits for it need not any more. */
  fail(why: Error): void {
    const reading = this.#reading
    this.#reading = null
    if (reading === null) return
    clearTimeout(reading.timer)
    reading.reject(why)
  }

  #settle(): void {
    const reading = this.#reading
    this.#reading = null
    if (reading !== null) {
      clearTimeout(reading.timer)
      reading.resolve(reading.into)
    }
    this.#onDiscarded?.()
  }
}

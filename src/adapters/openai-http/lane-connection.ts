/** A connection of the lane: plain requests, one after another, until one that is not. */
import type { Socket } from 'node:net'
import { FaultError, type Fault } from '../../domain/fault.ts'
import type { ModelPath } from '../../domain/serving/index.ts'
import type { RequestId } from '../../domain/units.ts'
import { ClientGone, type Exchange, type Serve } from '../../services/serve/index.ts'
import { answerOf } from './answer-of.ts'
import { discardMs, mostDiscardedBytes, unreadMs } from './body.ts'
import type { Knock } from './door.ts'
import { LaneBody } from './lane-body.ts'
import { keepAliveMs, LaneReply } from './lane-reply.ts'
import { modelPaths, surfaceOf } from './model-paths.ts'
import { mostHeadBytes, readPlainHead, type PlainHead } from './plain-head.ts'
import { makeRequestId } from './request-id.ts'
import { toExchange } from './to-exchange.ts'

export type LaneConnectionParts = {
  serve: Serve
  clientOf: (knock: Knock) => string
  refusal: (knock: Knock, from: string) => Fault | null
  draining: () => boolean
  report: (error: unknown, id: RequestId) => void
  /** Takes a connection that has been read from: what was read is in front of it again. */
  toNode: (socket: Socket) => void
  /** Tells a client that its request did not come in time or whole, in Node's words, and ends its connection. */
  refuse: (code: string, socket: Socket) => void
  /** The connection is closed, or node:http's. */
  onLeft: () => void
}

/** From a connection to its first byte. */
export const firstByteMs = 10_000
/** What a client may send ahead of its turn before it is no longer read from. */
const mostHeldBytes = 64 * 1024

/** The request under way. `exchange` is null for one that never came to the pipeline. */
type Call = { readonly body: LaneBody; readonly reply: LaneReply; exchange: Exchange | null }

type Begun = { id: RequestId; head: PlainHead; modelPath: ModelPath }

/** A class: it owns a connection's life, and a request needs no closures of its own. */
export class LaneConnection {
  readonly #socket: Socket
  readonly #parts: LaneConnectionParts
  #call: Call | null = null
  /** What came before its turn. */
  #held: Buffer | null = null
  /** While what is left of a body that nobody wanted is read away. */
  #discard: { body: LaneBody; timer: NodeJS.Timeout } | null = null
  /** Nothing has come yet. */
  #isFresh = true
  #idleSinceMs = performance.now()
  #isPumping = false
  #waitsForDrain = false

  constructor(socket: Socket, parts: LaneConnectionParts) {
    this.#socket = socket
    this.#parts = parts
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', ignore)
  }

  closeIfIdle(): void {
    // What of its last answer is not sent yet goes out first.
    if (this.#isIdle() && !this.#isFresh) this.#socket.destroySoon()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  dropIfLate(nowMs: number): void {
    if (!this.#isIdle()) return
    // The last answer is still on its way: `#dropUnread` looks after that.
    if (this.#socket.writableLength > 0) {
      this.#idleSinceMs = nowMs
      return
    }
    const idleMs = nowMs - this.#idleSinceMs
    if (!this.#socket.writable || idleMs > keepAliveMs) this.#socket.destroy()
    else if (this.#isFresh && idleMs > firstByteMs) this.#parts.refuse('ERR_HTTP_REQUEST_TIMEOUT', this.#socket)
  }

  #isIdle(): boolean {
    return this.#call === null && this.#discard === null && this.#held === null
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#isFresh = false
    const rest = this.#bodyUnderWay()?.take(chunk) ?? chunk
    if (rest.length > 0) this.#held = this.#held === null ? rest : Buffer.concat([this.#held, rest])
    if (this.#heldBytes() > mostHeldBytes) this.#socket.pause()
    this.#pump()
  }

  /** The client sends nothing more, and node:http takes that for the end of the connection. */
  readonly #onEnd = (): void => {
    const call = this.#call
    if (call === null || call.body.isWhole) this.#socket.end()
    else if (call.reply.headSent) this.#socket.destroy()
    else this.#parts.refuse('HPE_INVALID_EOF_STATE', this.#socket)
  }

  readonly #onClose = (): void => {
    this.#leave()
    const call = this.#call
    if (call === null) return
    this.#call = null
    const gone = new ClientGone()
    call.body.fail(gone)
    if (call.exchange === null) return
    call.exchange.gone = true
    call.exchange.interrupt?.(gone)
  }

  #leave(): void {
    if (this.#discard !== null) clearTimeout(this.#discard.timer)
    this.#parts.onLeft()
  }

  #heldBytes(): number {
    return (this.#held?.length ?? 0) + (this.#call?.body.earlyBytes ?? 0)
  }

  #bodyUnderWay(): LaneBody | null {
    return this.#discard?.body ?? this.#call?.body ?? null
  }

  /** Begins what is held, one request after another, as far as it goes without waiting. */
  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    while (this.#held !== null && this.#call === null && this.#discard === null && this.#socket.writable) {
      // Answers that are not read are not added to.
      if (this.#socket.writableNeedDrain) {
        if (!this.#waitsForDrain) this.#socket.once('drain', this.#onDrain)
        this.#waitsForDrain = true
        break
      }
      const held = this.#held
      const head = readPlainHead(held.toString('latin1', 0, Math.min(held.length, mostHeadBytes)))
      const modelPath = head === null ? undefined : modelPaths.get(head.path)
      // What declares more may have to be thrown away in part: node:http's way of that is the one there is.
      if (head === null || modelPath === undefined || head.contentLength > mostDiscardedBytes) {
        this.#handOver(held)
        break
      }
      this.#held = null
      this.#begin({ head, modelPath, after: held.subarray(head.bytes) })
    }
    this.#isPumping = false
  }

  readonly #onDrain = (): void => {
    this.#waitsForDrain = false
    this.#pump()
  }

  #handOver(unread: Buffer): void {
    const socket = this.#socket
    this.#held = null
    socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', ignore)
    this.#leave()
    socket.pause()
    socket.unshift(unread)
    this.#parts.toNode(socket)
    process.nextTick(() => socket.resume())
  }

  #begin({ head, modelPath, after }: { head: PlainHead; modelPath: ModelPath; after: Buffer }): void {
    const id = makeRequestId(Date.now())
    const body = new LaneBody(head.contentLength, () => this.#readOn())
    const rest = body.take(after)
    if (rest.length > 0) this.#held = rest
    const reply = new LaneReply({ socket: this.#socket, isLast: this.#parts.draining, onEnd: this.#onAnswered })
    const call: Call = { body, reply, exchange: null }
    this.#call = call
    try {
      this.#serve(call, { id, head, modelPath })
    } catch (error) {
      this.#refuse(call, error, { id, head })
    }
  }

  #serve(call: Call, { id, head, modelPath }: Begun): void {
    const { path, headers, contentLength } = head
    const knock = { socket: this.#socket, headers, url: path }
    const from = this.#parts.clientOf(knock)
    const refusal = this.#parts.refusal(knock, from)
    if (refusal !== null) throw new FaultError(refusal)
    const { body, reply } = call
    const readBody = (limit: number): Promise<Uint8Array> => body.read(limit)
    const exchange = toExchange({ id, path, modelPath, from, headers, declaredBytes: contentLength, reply, readBody })
    call.exchange = exchange
    // It answers every fault itself: what comes here would else end the process.
    this.#parts.serve(exchange).catch(error => this.#refuse(call, error, { id, head }))
  }

  #refuse({ reply }: Call, error: unknown, { id, head }: { id: RequestId; head: PlainHead }): void {
    if (error instanceof ClientGone) return
    if (!(error instanceof FaultError)) this.#parts.report(error, id)
    if (reply.headSent) {
      reply.cut()
      return
    }
    const fault: Fault = error instanceof FaultError ? error.fault : { kind: 'internal' }
    const answer = answerOf(fault, surfaceOf(head.path, head.headers), id)
    reply.head(answer.status, answer.headers)
    reply.end(answer.bytes)
  }

  readonly #onAnswered = (isLast: boolean): void => {
    const body = this.#call?.body
    this.#call = null
    this.#dropUnread()
    if (body === undefined || body.isWhole) this.#goOn(isLast)
    else {
      // To close on unread bytes would reset the connection and the answer with it; and the next request stands behind them.
      const timer = setTimeout(() => this.#socket.destroy(), discardMs)
      this.#discard = { body, timer }
      body.discard(() => {
        clearTimeout(timer)
        this.#discard = null
        this.#goOn(isLast)
      })
    }
  }

  #goOn(isLast: boolean): void {
    if (isLast) {
      this.#socket.destroySoon()
      return
    }
    this.#idleSinceMs = performance.now()
    this.#readOn()
    this.#pump()
  }

  #readOn(): void {
    if (this.#socket.isPaused()) this.#socket.resume()
  }

  /** What the kernel has not taken by now, its client may never read. The time starts again with any progress. */
  #dropUnread(): void {
    const socket = this.#socket
    if (socket.writableLength === 0) return
    const drop = (): void => void socket.destroy()
    socket.setTimeout(unreadMs, drop)
    // Nothing, behind all that waits.
    socket.write('', () => {
      socket.off('timeout', drop)
      if (socket.timeout === unreadMs) socket.setTimeout(0)
    })
  }
}

const ignore = (): void => {}

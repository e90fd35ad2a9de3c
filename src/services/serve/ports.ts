/** What serving asks of the world. */
import type { Fault } from '../../domain/fault.ts'
import type { CloseRecord, OpenRecord } from '../../domain/journal/index.ts'
import type { EngineKind, ModelPath, ReplicaRoute } from '../../domain/serving/index.ts'
import type { Exchange } from './exchange.ts'

/**
 * An engine's dialect: what differs between programs that run weights. Pure but for `probe`.
 * One folder each under `adapters/engine/`.
 */
export interface EngineDialect {
  readonly kind: EngineKind
  /** Path below the replica's base and the body to send there. */
  toRequest(path: ModelPath, body: Record<string, unknown>): { path: string; body: string }
  /** What an answer other than 2xx means. `text` is at most 64 KiB of its body. */
  toFault(status: number, text: string): Fault
  /** Asks whether the replica could serve, without costing it an inference. Never throws. */
  probe(target: Target, wire: Wire, signal: AbortSignal): Promise<Probe>
}

export type Probe = { state: 'up' } | { state: 'loading' } | { state: 'failed'; why: string }

/** A replica and the secret it wants. */
export type Target = { address: ReplicaRoute['address']; apiKey: string | null }

/** HTTP towards engines. */
export interface Wire {
  /** Posts JSON; the listener hears of the answer. Nothing is retried here. Returns at once. */
  post(target: Target, request: { path: string; body: string; requestId: string }, listener: WireListener): WireCall
  /** A small GET, whole: at most 1 MiB. Rejects when there is no answer. */
  get(target: Target, path: string, signal: AbortSignal): Promise<{ status: number; text: string }>
  close(): Promise<void>
}

/** Called in this order: `head` once, `data` any number of times, then `end` or `failed` once. After `abort`: nothing. */
export interface WireListener {
  head(status: number, contentType: string): void
  /** `false`: no more until `resume`. */
  data(chunk: Buffer): boolean
  end(): void
  failed(error: Error): void
}

export interface WireCall {
  /** Drops the connection, which every engine takes as a cancel. */
  abort(): void
  resume(): void
}

/** The journal as serving sees it. */
export interface Recorder {
  /** `onWritten` runs once the kernel has the record, or with the error that kept it from it. */
  append(record: OpenRecord | CloseRecord, onWritten?: (error?: Error) => void): void
  /** Whether requests must be refused because nothing can be recorded (`capture.whenUnwritable: refuse`). */
  readonly mustRefuse: boolean
}

/** Counts what happened; called once a request and cheap. */
export interface Meter {
  finished(record: CloseRecord): void
}

/** Told of errors nobody foresaw, whole; clients only hear `internal`. */
export type ReportUnexpected = (error: unknown, exchange: Exchange) => void

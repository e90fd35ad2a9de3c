/** What serving asks of the world. */
import type { Fault } from '../../domain/fault.ts'
import type { CloseRecord, OpenRecord } from '../../domain/journal/index.ts'
import type {
  BodyChanges,
  EngineKind,
  EngineLoad,
  EnginePath,
  PlainFields,
  ReplicaRoute,
} from '../../domain/serving/index.ts'
import type { VersionName } from '../../domain/units.ts'
import type { Exchange } from './exchange.ts'

/**
 * An engine's dialect: what differs between programs that run weights. Pure but for `probe`.
 * One folder each under `adapters/engine/`.
 */
export interface EngineDialect {
  readonly kind: EngineKind
  /** It loads a model when it is asked for, and drops it when nobody asks: one that is not loaded can serve all the same. */
  readonly loadsOnDemand?: true
  /**
   * How this engine is asked. Bodies come in OpenAI's shape (`rerank`: Cohere's v2; `tokenize`: vLLM's `messages` or
   * `prompt`). Throws FaultError `unsupported`, naming the engine, for what it cannot do.
   */
  toRequest(path: EnginePath, body: Record<string, unknown>, version: VersionName): EngineRequest
  /**
   * The same where the body goes as it came but for `fields`, without parsing it; `null`: it has to be looked at. Absent:
   * always.
   */
  relay?(path: EnginePath, body: PlainFields): EngineRelay | null
  /** What an answer other than 2xx means, so that it tells the cause. `text` is at most 64 KiB of its body. */
  toFault(status: number, text: string): Fault
  /** Asks whether the replica could serve and how busy it is, without costing it an inference. Never throws. */
  probe(target: Target, wire: Wire, signal: AbortSignal): Promise<Probe>
}

export type EngineRequest = {
  path: EngineAddress
  /** Sent as JSON, or as a form when the client sent one. */
  body: Record<string, unknown>
  /** What has to be mended in its answer; `null`: it is as OpenAI's. */
  repair: Repair | null
}

export type EngineRelay = Pick<EngineRequest, 'path' | 'repair'> & { fields?: BodyChanges['fields'] }

/** `/path` is below the replica's base (`http://host:8000/v1`), `~/path` below the same without its `/v1`. */
export type EngineAddress = `/${string}` | `~/${string}`

/** Mends one answer, so that clients get OpenAI's shape whatever the engine sent. Made anew for each attempt. */
export interface Repair {
  /** A chunk of a stream that holds none of these texts passes unparsed. Empty: every chunk is looked at. */
  readonly marks: readonly string[]
  /** One parsed chunk; the same object: it is as it should be. `null`: the client does not get it. */
  chunk(chunk: Record<string, unknown>): Record<string, unknown> | null
  /** A whole answer, parsed: an object or, from some engines, an array. The same object: nothing is wrong in it. */
  whole(answer: unknown): Record<string, unknown>
  /** Whether a stream that ends now is all of it, from routes that send no `[DONE]`. Absent: they do. */
  isComplete?(): boolean
}

/** `models`: what it has loaded, by its own names; `null`: it does not say. */
export type Probe =
  | { state: 'up'; load: EngineLoad | null; models: readonly string[] | null }
  | { state: 'loading' }
  | { state: 'failed'; why: string }

/** A replica and the secret it wants. */
export type Target = {
  address: ReplicaRoute['address']
  /** Where its metrics are, a whole address; `null`: where its kind has them. */
  metrics: string | null
  apiKey: string | null
  /** What it calls the model; `null`: nobody knows. */
  served: string | null
}

/** HTTP towards engines. */
export interface Wire {
  /** Posts; the listener hears of the answer. Nothing is retried here. Returns at once. */
  post(target: Target, request: WireRequest, listener: WireListener): WireCall
  /** A small GET, whole: at most 1 MiB. A whole address (`http://…`) goes there, without the key. Rejects when there is no answer. */
  get(
    target: Target,
    path: EngineAddress | `http${string}`,
    signal: AbortSignal,
  ): Promise<{ status: number; text: string }>
  close(): Promise<void>
}

export type WireRequest = {
  path: EngineAddress
  body: string | Uint8Array
  contentType: string
  requestId: string
  /** Names of the flags that are on for it. */
  flags?: readonly string[]
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

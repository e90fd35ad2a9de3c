/** An exchange: one request on its way through the pipeline, its answer, and what is known of it so far. */
import type { Principal, Priority } from '../../domain/access/index.ts'
import type { CloseRecord, ReleaseMark } from '../../domain/journal/index.ts'
import type { AnswerTranslator, StreamTranslator, Surface } from '../../domain/dialect/index.ts'
import type { Ask, ModelPath, ModelRoute, VersionRoute } from '../../domain/serving/index.ts'
import type { Tee } from './tee.ts'
import type { Instant, KeyId, Millis, ReplicaId, RequestId, Tokens } from '../../domain/units.ts'

/** What the transport knows of a request before its body is read. */
export type RequestHead = {
  path: ModelPath
  /** Whose errors the client understands. */
  surface: Surface
  /** The whole path as sent, for the journal. */
  route: string
  /** The key from `Authorization: Bearer` (or `x-api-key`); `null`: none was sent. */
  key: string | null
  clientId: string | null
  from: string
  /** `content-length`; `null`: not declared. */
  declaredBytes: number | null
  /** `content-type`, as sent; '' when there is none. */
  contentType: string
  /** What the client says its conversation is; `null`: nothing. */
  conversation: string | null
  /** Whom the client's program says it asks for; `null`: it does not say. */
  user: string | null
}

/** The client's end of the line. Only `record` ends a reply. */
export interface Reply {
  readonly headSent: boolean
  /** Bytes of the body that were handed to the socket. */
  readonly sentBytes: number
  head(status: number, headers: Record<string, string>): void
  /** Sends the head at once, without waiting for a body. */
  flush(): void
  /** `false`: the client reads slower than this; wait for `onDrain`. */
  write(bytes: Uint8Array): boolean
  end(bytes: Uint8Array | null): void
  /** Drops the connection: the one way to tell that what was sent is not all. */
  cut(): void
  onDrain(listener: () => void): void
}

/** Reads the whole body once. Throws FaultError `body-too-large`, `body-too-slow`, or ends when the client leaves. */
export type ReadBody = (limitBytes: number) => Promise<Uint8Array>

export type Exchange = {
  readonly id: RequestId
  readonly head: RequestHead
  readonly reply: Reply
  readonly readBody: ReadBody
  readonly arrivedAt: Instant
  /** A clock that never goes back, in milliseconds; for durations only. */
  readonly startedMs: number

  /** The client left before its answer ended. */
  gone: boolean
  /** Stops what is under way, for the reason given (ClientGone, a fault); set by whoever has something to stop. */
  interrupt: ((why: Error) => void) | null

  principal: Principal | null
  /** How soon its turn comes when requests wait. */
  priority: Priority
  ask: Ask | null
  /** The files and fields of a form, when the body is one. */
  form: FormData | null
  /** Turns the engine's answer into the client's dialect; `null`: they speak the same. */
  translator: AnswerTranslator | null
  /** That of the stream under way. */
  stream: StreamTranslator | null
  /** Names of the flags that are on for it. */
  flags: readonly string[]
  /** The model that was asked for, or that a flag lets answer instead. */
  model: ModelRoute | null
  /** The model that answers: the one asked for, or one that stands in for it. */
  answering: ModelRoute | null
  version: VersionRoute | null
  /** What it is to the release that its model is in; `null`: in none. */
  mark: ReleaseMark | null
  replica: ReplicaId | null
  attempts: number
  /** The journal knows that it is under way. */
  opened: boolean
  /** Why that replica was chosen. */
  choice: string | null
  /** In the model's queue. */
  waitedMs: Millis | null
  gpuMs: Millis | null
  /** What the client is told of its limits, in each answer. */
  limitHeaders: Record<string, string>
  /** From arrival to the first piece of the answer that went to the client; comments of a stream don't count. */
  firstByteMs: Millis | null
  inputTokens: Tokens | null
  outputTokens: Tokens | null
  /** What counts against limits and budgets where the engine told no usage; `null`: it told, or nothing bounds the caller. */
  estimatedTokens: Tokens | null
  /** Pieces of a stream that went to the client: about its tokens, for one that ends before its usage is told. */
  pieces: number
  /** Head of an answer that goes out whole, with its last bytes; `null`: it has gone out already, before a stream. */
  lastHead: { status: number; headers: Record<string, string> } | null
  /** The last bytes of the answer, held back until the journal has the record. */
  lastBytes: Uint8Array | null
  /** Whoever reads the answer's text too; `null`: nobody. */
  tee: Tee | null
  /** Told once the answer is out, and the journal has it. It must not throw. */
  onEnded: ((outcome: CloseRecord['outcome']) => void) | null
}

/** Serves one exchange. Throws FaultError; nothing between its birth and `record` catches it but to release something. */
export type Serve = (exchange: Exchange) => Promise<void>

/** Gives back what a stage took. It must not throw. */
export type GiveBack = () => void

/**
 * One concern of the data plane. It answers a promise only where it has to wait. What it takes for as long as the request
 * lasts, it tells `held` how to give back.
 */
export type Stage = (exchange: Exchange, held: GiveBack[]) => void | Promise<void>

/** Each stage once the one before it is done. However it ends, all that was taken is given back, the last first. */
export function pipeline(...stages: readonly Stage[]): Serve {
  return async exchange => {
    const held: GiveBack[] = []
    try {
      for (const stage of stages) {
        const waiting = stage(exchange, held)
        if (waiting !== undefined) await waiting
      }
    } finally {
      for (let at = held.length - 1; at >= 0; at--) held[at]?.()
    }
  }
}

/** The client left: not a fault, since nobody is there to be told. */
export class ClientGone extends Error {
  constructor() {
    super('the client left')
    this.name = 'ClientGone'
  }
}

/** Whose kept answers are whose. Two issuers may call two people the same. */
export const ownerOf = (principal: Principal): string =>
  principal.kind === 'token' ? JSON.stringify([principal.issuer, principal.id]) : principalId(principal)

/** Who it is in the journal. */
export const principalId = (principal: Principal): KeyId | 'admin' =>
  principal.kind === 'admin' ? 'admin' : principal.id

/**
 * Record: the edge. Every end of a request is told to the journal, and only then are the last bytes sent, so that no
 * answered request is ever missing from usage. The one place where a fault becomes an answer.
 */
import { renderFault } from '../../domain/dialect/index.ts'
import { FaultError, toHttp, type Fault, type HttpFault } from '../../domain/fault.ts'
import type { CloseRecord } from '../../domain/journal/index.ts'
import { millis } from '../../domain/units.ts'
import { routeHeaders } from './answer.ts'
import { ClientGone, describe, type Exchange, type Stage } from './exchange.ts'
import type { Meter, Recorder, ReportUnexpected } from './ports.ts'

/** nginx's status for a client that left; nobody receives it. */
const clientLeft = 499

/** How a request ended. */
type End = Pick<CloseRecord, 'outcome' | 'status' | 'fault'>

export type RecordParts = { recorder: Recorder; meter: Meter; report: ReportUnexpected }

export const record =
  ({ recorder, meter, report }: RecordParts): Stage =>
  next =>
  async exchange => {
    await close(await run())

    /** Serves the exchange, prepares the answer to a fault, and tells how it ended. */
    async function run(): Promise<End> {
      try {
        await next(exchange)
        return { outcome: 'ok', status: 200, fault: null }
      } catch (error) {
        if (error instanceof ClientGone || exchange.gone)
          return { outcome: 'cancelled', status: clientLeft, fault: null }
        if (!(error instanceof FaultError)) report(error, exchange)
        const fault: Fault = error instanceof FaultError ? error.fault : { kind: 'internal' }
        const { status } = answerFault(exchange, fault)
        return { outcome: status < 500 ? 'refused' : 'failed', status, fault: fault.kind }
      }
    }

    async function close(end: End): Promise<void> {
      const entry = toRecord(exchange, end)
      meter.finished(entry)
      const { promise, resolve } = Promise.withResolvers<Error | undefined>()
      recorder.append(entry, resolve)
      const unwritten = await promise
      if (unwritten !== undefined && !exchange.reply.headSent) answerFault(exchange, { kind: 'journal-full' })
      if (exchange.gone) return
      if (exchange.lastHead !== null && !exchange.reply.headSent)
        exchange.reply.head(exchange.lastHead.status, exchange.lastHead.headers)
      // An end without last words would make what was sent look whole.
      if (end.fault !== null && exchange.lastBytes === null) exchange.reply.cut()
      else exchange.reply.end(exchange.lastBytes)
      exchange.onEnded?.(end.outcome)
    }
  }

/** Prepares a fault's answer: a whole one, or, when a stream is under way, the event that ends it without `[DONE]`. */
function answerFault(exchange: Exchange, fault: Fault): { status: number } {
  const http = toHttp(fault)
  const { status, retryAfterSeconds } = http
  if (exchange.reply.headSent) {
    exchange.lastHead = null
    exchange.lastBytes = lastWords(exchange, http)
    return { status }
  }
  const bytes = Buffer.from(JSON.stringify(renderFault(exchange.head.surface, http, exchange.id)))
  exchange.lastBytes = bytes
  exchange.lastHead = {
    status,
    headers: {
      'content-type': 'application/json',
      'content-length': String(bytes.length),
      'x-request-id': exchange.id,
      ...routeHeaders(exchange),
      ...exchange.limitHeaders,
      ...http.headers,
      ...(retryAfterSeconds === null ? {} : { 'retry-after': String(retryAfterSeconds) }),
    },
  }
  return { status }
}

/** How a stream that broke ends in the client's dialect; speech has no words for it. */
function lastWords({ ask, stream, translator }: Exchange, http: HttpFault): Buffer | null {
  // One that waited for its place has a head already, and no stream of an engine yet.
  const words = stream ?? (ask?.stream === true ? translator?.stream() : null) ?? null
  if (words !== null) return Buffer.from(words.fail(http))
  return ask?.stream === true ? Buffer.from(`data: ${JSON.stringify(http.body)}\n\n`) : null
}

function toRecord(exchange: Exchange, end: End): CloseRecord {
  return {
    t: 'close',
    ...describe(exchange),
    model: exchange.model?.name ?? null,
    version: exchange.version?.name ?? null,
    replica: exchange.replica,
    ...end,
    inputTokens: exchange.inputTokens,
    outputTokens: exchange.outputTokens,
    ...(exchange.estimatedTokens === null ? {} : { estimatedTokens: exchange.estimatedTokens }),
    ttftMs: exchange.firstByteMs === null ? null : millis(round(exchange.firstByteMs)),
    totalMs: millis(round(performance.now() - exchange.startedMs)),
    attempts: exchange.attempts,
    clientId: exchange.head.clientId,
    from: exchange.head.from,
    choice: exchange.choice,
    waitedMs: exchange.waitedMs === null ? null : millis(round(exchange.waitedMs)),
    gpuMs: exchange.gpuMs === null ? null : millis(round(exchange.gpuMs)),
    ...costOf(exchange),
    ...(exchange.mark === null ? {} : { release: exchange.mark }),
    ...(exchange.flags.length === 0 ? {} : { flags: exchange.flags }),
  }
}

/** An hour of the replica, by the part of it that the request took. */
function costOf({ gpuMs, version }: Exchange): Pick<CloseRecord, 'cost' | 'currency'> {
  if (gpuMs === null || version === null) return { cost: null, currency: null }
  const { hourly, gpus, currency } = version.cost
  return { cost: (gpuMs / gpus / 3_600_000) * hourly, currency }
}

/** Tenths of a millisecond are as fine as anybody reads. */
const round = (value: number): number => Math.round(value * 10) / 10

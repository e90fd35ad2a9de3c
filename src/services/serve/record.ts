/**
 * Record: the edge. Every end of a request is told to the journal, and only then are the last bytes sent, so that no
 * answered request is ever missing from usage. The one place where a fault becomes an answer.
 */
import { costOf } from '../../domain/budgets/index.ts'
import { renderFault } from '../../domain/dialect/index.ts'
import { FaultError, toHttp, type Fault, type HttpFault } from '../../domain/fault.ts'
import type { CloseRecord } from '../../domain/journal/index.ts'
import { millis } from '../../domain/units.ts'
import { routeHeaders } from './answer.ts'
import { ClientGone, principalId, type Exchange, type Serve } from './exchange.ts'
import type { Meter, Recorder, ReportUnexpected } from './ports.ts'

/** nginx's status for a client that left; nobody receives it. */
const clientLeft = 499

/** How a request ended. */
type End = Pick<CloseRecord, 'outcome' | 'status' | 'fault'>

export type RecordParts = { recorder: Recorder; meter: Meter; report: ReportUnexpected }

export const record = (serve: Serve, { recorder, meter, report }: RecordParts): Serve => {
  return async exchange => {
    let end = ok
    try {
      await serve(exchange)
    } catch (error) {
      end = endOf(exchange, error)
    }
    const entry = toRecord(exchange, end)
    meter.finished(entry)
    const unwritten = await new Promise<Error | undefined>(resolve => recorder.append(entry, resolve))
    if (unwritten !== undefined && !exchange.reply.headSent) answerFault(exchange, { kind: 'journal-full' })
    if (!exchange.gone) sendLast(exchange, end)
  }

  /** Prepares the answer to a fault, and tells how the request ended. */
  function endOf(exchange: Exchange, error: unknown): End {
    if (error instanceof ClientGone || exchange.gone) return { outcome: 'cancelled', status: clientLeft, fault: null }
    if (!(error instanceof FaultError)) report(error, exchange)
    const fault: Fault = error instanceof FaultError ? error.fault : { kind: 'internal' }
    const { status } = answerFault(exchange, fault)
    return { outcome: status < 500 ? 'refused' : 'failed', status, fault: fault.kind }
  }
}

const ok: End = { outcome: 'ok', status: 200, fault: null }

function sendLast({ reply, lastHead, lastBytes, onEnded }: Exchange, { outcome, fault }: End): void {
  if (lastHead !== null && !reply.headSent) reply.head(lastHead.status, lastHead.headers)
  // An end without last words would make what was sent look whole.
  if (fault !== null && lastBytes === null) reply.cut()
  else reply.end(lastBytes)
  onEnded?.(outcome)
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
  const { head, principal, version, gpuMs, firstByteMs, waitedMs, estimatedTokens, mark, flags } = exchange
  const named = principal === null || principal.kind === 'admin' ? null : principal
  const entry: CloseRecord = {
    t: 'close',
    id: exchange.id,
    at: exchange.arrivedAt,
    key: principal === null ? null : principalId(principal),
    alias: named === null ? null : named.alias,
    team: named === null ? null : named.team,
    route: head.route,
    stream: exchange.ask?.stream ?? false,
    model: exchange.model?.name ?? null,
    version: version?.name ?? null,
    replica: exchange.replica,
    outcome: end.outcome,
    status: end.status,
    fault: end.fault,
    inputTokens: exchange.inputTokens,
    outputTokens: exchange.outputTokens,
    ttftMs: firstByteMs === null ? null : millis(round(firstByteMs)),
    totalMs: millis(round(performance.now() - exchange.startedMs)),
    attempts: exchange.attempts,
    clientId: head.clientId,
    from: head.from,
    choice: exchange.choice,
    waitedMs: waitedMs === null ? null : millis(round(waitedMs)),
    gpuMs: gpuMs === null ? null : millis(round(gpuMs)),
    cost: gpuMs === null || version === null ? null : costOf(gpuMs, version.cost),
    currency: gpuMs === null || version === null ? null : version.cost.currency,
  }
  if (estimatedTokens !== null) entry.estimatedTokens = estimatedTokens
  if (mark !== null) entry.release = mark
  if (flags.length > 0) entry.flags = flags
  return entry
}

/** Tenths of a millisecond are as fine as anybody reads. */
const round = (value: number): number => Math.round(value * 10) / 10

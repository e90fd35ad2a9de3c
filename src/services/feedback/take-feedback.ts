/** Feedback: what somebody thinks of an answer, taken into the journal with what is known of the request. */
import { hash } from 'node:crypto'
import { FaultError } from '../../domain/fault.ts'
import type { FeedbackRecord } from '../../domain/journal/index.ts'
import { instant, requestId, type KeyId, type RequestId } from '../../domain/units.ts'
import type { RecentRequests } from './recent-requests.ts'

export type FeedbackParts = {
  recent: Pick<RecentRequests, 'find'>
  /** Resolves once the journal has it; rejects with FaultError when it can't. */
  append: (record: FeedbackRecord) => Promise<void>
  /** Milliseconds since 1970. */
  now: () => number
}

export type FeedbackAsk = {
  /** Of the call that brings it. */
  id: RequestId
  key: KeyId | 'admin'
  /** The body as it came. */
  body: Uint8Array
}

/** What its sender is told. `checked`: false when another gateway or an earlier one answered that request. */
export type FeedbackAnswer = { object: 'feedback'; request_id: RequestId; score: 1 | -1; checked: boolean }

export type TakeFeedback = (ask: FeedbackAsk) => Promise<FeedbackAnswer>

/** Evidence does not wait longer for anybody. */
const oldestMs = 7 * 24 * 3_600_000
/** Clocks of several gateways differ. */
const aheadMs = 60_000
const longestComment = 4_000
const digestDigits = 16

/** Throws FaultError `request-invalid`, or `not-found` also for a request of somebody else's: who asks must not learn of it. */
export function openFeedback({ recent, append, now }: FeedbackParts): TakeFeedback {
  return async ({ id, key, body }) => {
    const { request, score, comment } = parseFeedback(body, now())
    const known = recent.find(request)
    if (known !== null && key !== 'admin' && known.key !== key)
      throw new FaultError({ kind: 'not-found', what: 'request', name: request })
    await append({
      t: 'feedback',
      id,
      at: instant(now()),
      key,
      request,
      score,
      comment: comment === null ? null : hash('sha256', `${request}\n${comment}`).slice(0, digestDigits),
      checked: known !== null,
      ...(known === null || known.release === null ? {} : { release: known.release }),
    })
    return { object: 'feedback', request_id: request, score, checked: known !== null }
  }
}

type Feedback = { request: RequestId; score: 1 | -1; comment: string | null }

function parseFeedback(bytes: Uint8Array, now: number): Feedback {
  const body = parseObject(bytes)
  const { request_id: request, score, comment = null } = body
  if (typeof request !== 'string' || !uuid7.test(request))
    throw invalid('request_id', "'request_id' must be the x-request-id of an answer of this service, a UUIDv7.")
  const askedAt = Number.parseInt(request.replace('-', '').slice(0, 12), 16)
  if (askedAt > now + aheadMs || askedAt < now - oldestMs)
    throw new FaultError({ kind: 'not-found', what: 'request of the last 7 days', name: request })
  if (score !== 1 && score !== -1) throw invalid('score', "'score' must be 1 (good) or -1 (bad).")
  if (comment !== null && (typeof comment !== 'string' || comment.length > longestComment))
    throw invalid('comment', `'comment' must be a string of at most ${longestComment} characters.`)
  return { request: requestId(request.toLowerCase()), score, comment: comment === '' ? null : comment }
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let parsed: unknown = null
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    // Told below: what is no JSON is no object either.
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw invalid(null, 'The request body must be a JSON object: {"request_id", "score": 1 or -1, "comment"?}.')
  // A record after the check; its fields stay unknown.
  return parsed as Record<string, unknown>
}

const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

const invalid = (param: string | null, problem: string): FaultError =>
  new FaultError({ kind: 'request-invalid', param, problem })

/** Faults: everything that can go wrong on purpose, and the one place that turns each into HTTP. */
import { millis } from './units.ts'
import type { Bytes, Millis, ModelName, TeamName, Tokens } from './units.ts'

/** Closed: a new kind fails to compile until the table below says what a client sees. */
export type Fault =
  // what the client sent
  | { kind: 'body-not-json'; detail: string }
  | { kind: 'body-too-large'; limit: Bytes }
  | { kind: 'body-not-utf8' }
  | { kind: 'body-encoding-unsupported'; encoding: string }
  | { kind: 'body-too-slow'; after: Millis }
  | { kind: 'request-invalid'; param: string | null; problem: string }
  | { kind: 'previous-response-unknown'; id: string }
  | { kind: 'context-exceeded'; asked: Tokens; limit: Tokens }
  | { kind: 'route-unknown'; method: string; path: string; instead?: string }
  | { kind: 'method-not-allowed'; method: string; path: string; allowed: readonly string[] }
  // who the client is
  | { kind: 'key-missing' }
  | { kind: 'key-refused'; why: 'mistyped' | 'unknown' | 'revoked' | 'blocked' | 'expired' }
  | { kind: 'token-refused'; why: keyof typeof tokenRefusals }
  | { kind: 'token-without-team'; claim: string; named: readonly string[]; known: readonly TeamName[] }
  | { kind: 'token-unverifiable'; issuer: string }
  | { kind: 'route-not-permitted'; route: string; permitted: readonly string[] }
  | { kind: 'address-not-permitted'; from: string }
  | { kind: 'client-certificate-required' }
  | { kind: 'admin-required'; what: string }
  | { kind: 'model-unknown'; model: string; available: readonly ModelName[] }
  | { kind: 'model-not-permitted'; model: ModelName }
  // administration
  | { kind: 'not-found'; what: string; name: string }
  | { kind: 'conflict'; problem: string }
  | { kind: 'spec-refused'; problems: readonly string[] }
  // gateways elsewhere
  | { kind: 'join-refused'; why: keyof typeof joinRefusals }
  | { kind: 'gateway-refused'; why: keyof typeof gatewayRefusals }
  // the service
  | { kind: 'overloaded'; retryAfter: Millis; inFlight: number }
  | { kind: 'rate-limited'; by: LimitedBy; what: LimitedWhat; limit: number; retryAfter: Millis }
  | { kind: 'budget-spent'; by: LimitedBy; spent: string; amount: string; retryAfter: Millis }
  | { kind: 'budget-currency'; by: LimitedBy; currency: string; costs: string }
  | { kind: 'queue-full'; model: ModelName; waiting: number; retryAfter: Millis }
  | { kind: 'queue-late'; model: ModelName; place: number; expected: Millis; deadline: Millis }
  | { kind: 'memory-short'; retryAfter: Millis }
  | { kind: 'draining' }
  | { kind: 'no-replica'; model: ModelName; state: string; retryAfter: Millis }
  | { kind: 'journal-full' }
  | { kind: 'controller-unavailable' }
  | { kind: 'standby'; active: string; since: string | null }
  | { kind: 'store-unavailable'; store: string; problem: string; inDoubt: boolean }
  | { kind: 'not-ready'; why: string }
  // the engine
  | { kind: 'engine-refused'; status: number; message: string; param: string | null; code: string | null }
  | { kind: 'engine-failed'; status: number | null; detail: string }
  | { kind: 'engine-lost'; sentBytes: number }
  | { kind: 'engine-silent'; what: 'first byte' | 'next byte' | 'whole answer'; waited: Millis }
  | { kind: 'unsupported'; what: string; instead: string }
  // us
  | { kind: 'internal' }

/** Whose bound it is. `name`: a key's alias or id, a team, a model, an address. */
export type LimitedBy = { subject: 'key' | 'team' | 'model' | 'address'; name: string }
export type LimitedWhat = 'requests' | 'tokens' | 'parallel'

type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'overloaded_error'
  | 'rate_limit_error'
  | 'insufficient_quota'
  | 'server_error'

type Row<F> = {
  /** HTTP status; a function where the engine decided it. */
  status: number | ((fault: F) => number)
  type: ErrorType
  /** Machine-readable, stable: clients branch on it. */
  code: string | ((fault: F) => string | null)
  param?: (fault: F) => string | null
  /** What happened and what would make it work. */
  say: (fault: F) => string
  retryAfter?: (fault: F) => Millis
  headers?: (fault: F) => Record<string, string>
}
type Table = { readonly [K in Fault['kind']]: Row<Extract<Fault, { kind: K }>> }

const keyRefusals = {
  mistyped: 'This API key is mistyped (its checksum does not match). Copy the whole key again.',
  unknown: 'This API key is not known here. Ask your administrator for a key (holdfast key create).',
  revoked: 'This API key was revoked. Ask your administrator for a new one.',
  blocked: 'This API key is blocked. Ask your administrator to unblock it (holdfast key unblock).',
  expired: 'This API key has expired. Ask your administrator for a new one (holdfast key create or rotate).',
} as const

const askProvider = 'Ask your identity provider for a new one.'
const tokenRefusals = {
  'malformed':
    'This token (JWT) cannot be read: a part of it is missing or of the wrong kind, or it is longer than 8 KiB.',
  'algorithm':
    'This token (JWT) is signed in a way that is not accepted here. Accepted: RS, PS and ES with 256, 384 or 512, and EdDSA.',
  'type': 'This token (JWT) is of another kind than an access or id token. Send the access token.',
  'issuer':
    'This token (JWT) comes from an issuer that is not believed here. Your administrator sets which are: gateway.jwt in the spec.',
  'audience':
    'This token (JWT) is meant for another service (its aud). Ask your identity provider for one with the audience that your administrator set: gateway.jwt in the spec.',
  'expired': `This token (JWT) has expired. ${askProvider}`,
  'not-yet': 'This token (JWT) is not valid yet (nbf or iat is to come). Are the clocks right?',
  'signature': `This token's (JWT's) signature does not match its issuer's key. ${askProvider}`,
  'key-unknown': `This token (JWT) is signed with a key that its issuer does not publish. ${askProvider}`,
} as const

const newToken = "Make a new one where the controller is: 'holdfast gateway token'."
const joinRefusals = {
  'token-unknown': `This join token is not known to this service. ${newToken}`,
  'token-used': `This join token was used before: each lets one gateway in, once. ${newToken}`,
  'token-expired': `This join token has expired. ${newToken}`,
  'key-unproven':
    "The gateway did not prove that it has the key that it wants a certificate for. Remove the folder 'gateway/identity' of its state folder and join again.",
} as const

const joinAgain =
  "To let it in again: 'holdfast gateway token' where the controller is, then 'holdfast gateway --join'."
const gatewayRefusals = {
  'no-certificate': 'Gateways elsewhere need a certificate of this service to ask for this: join first.',
  'another-authority': 'This certificate is from another service. Join this one with a token of its own.',
  'certificate-expired': `This gateway's certificate has expired: it was away for too long to renew it. ${joinAgain}`,
  'unknown': `This gateway is not known to this service any more. ${joinAgain}`,
  'removed': `This gateway was removed from this service. ${joinAgain}`,
  'another': 'A gateway may speak for itself only.',
  'not-for-gateways': 'This is not for gateways.',
} as const

const limitedWhats = {
  requests: 'requests a minute',
  tokens: 'tokens a minute',
  parallel: 'requests at once',
} as const satisfies Record<LimitedWhat, string>

const seconds = (value: Millis): number => Math.max(1, Math.ceil(value / 1000))

const table: Table = {
  'body-not-json': {
    status: 400,
    type: 'invalid_request_error',
    code: 'invalid_json',
    say: f => `The request body is not valid JSON: ${f.detail}`,
  },
  'body-too-large': {
    status: 413,
    type: 'invalid_request_error',
    code: 'body_too_large',
    say: f =>
      `The request body is larger than the ${f.limit} bytes allowed here. Send less, or raise gateway.limits.body.`,
  },
  'body-not-utf8': {
    status: 400,
    type: 'invalid_request_error',
    code: 'invalid_utf8',
    say: () => 'The request body is not valid UTF-8.',
  },
  'body-encoding-unsupported': {
    status: 415,
    type: 'invalid_request_error',
    code: 'unsupported_encoding',
    say: f => `Content-Encoding ${f.encoding} is not supported. Send the body uncompressed.`,
  },
  'body-too-slow': {
    status: 408,
    type: 'invalid_request_error',
    code: 'request_timeout',
    say: f => `The request body did not arrive within ${seconds(f.after)} s.`,
  },
  'request-invalid': {
    status: 400,
    type: 'invalid_request_error',
    code: 'invalid_value',
    param: f => f.param,
    say: f => f.problem,
  },
  'previous-response-unknown': {
    status: 400,
    type: 'invalid_request_error',
    code: 'previous_response_not_found',
    param: () => 'previous_response_id',
    say: f =>
      `The response '${f.id}' is not kept here: answers stay in the gateway's memory for a while, for the key that asked, unless 'store' is false. Send the whole conversation as 'input', without 'previous_response_id'.`,
  },
  'context-exceeded': {
    status: 400,
    type: 'invalid_request_error',
    code: 'context_length_exceeded',
    param: () => 'messages',
    // Clients know it by «maximum context length» or by «prompt is too long».
    say: f =>
      `This request needs ${f.asked} tokens, and this model's maximum context length is ${f.limit} tokens: the prompt is too long, or max_tokens too high. Shorten the input or lower max_tokens.`,
  },
  'route-unknown': {
    status: 404,
    type: 'not_found_error',
    code: 'route_not_found',
    say: f =>
      `There is no ${f.method} ${f.path} here. ${f.instead ?? 'The reference of routes is in docs/reference/http.md.'}`,
  },
  'method-not-allowed': {
    status: 405,
    type: 'invalid_request_error',
    code: 'method_not_allowed',
    say: f => `${f.path.slice(0, 200)} does not take ${f.method}. Use ${f.allowed.join(' or ')}.`,
  },
  'key-missing': {
    status: 401,
    type: 'authentication_error',
    code: 'missing_api_key',
    say: () => "No API key was sent. Send 'Authorization: Bearer <key>'.",
  },
  'key-refused': {
    status: 401,
    type: 'authentication_error',
    code: 'invalid_api_key',
    say: f => keyRefusals[f.why],
  },
  'token-refused': {
    status: 401,
    type: 'authentication_error',
    code: 'invalid_token',
    say: f => tokenRefusals[f.why],
  },
  'token-without-team': {
    status: 403,
    type: 'permission_error',
    code: 'token_without_team',
    say: f =>
      f.known.length > 1
        ? `This token's claim '${f.claim}' names several teams known here (${f.known.join(', ')}), and exactly one must be named: what you use counts for it. Have your identity provider send one, in a claim of its own (gateway.jwt[].teamClaim).`
        : `This token has no team known here: its claim '${f.claim}' ${f.named.length === 0 ? 'names none' : `names ${f.named.join(', ')}`}. Ask your administrator for a team of one of these names (holdfast team create).`,
  },
  'token-unverifiable': {
    status: 503,
    type: 'server_error',
    code: 'token_unverifiable',
    retryAfter: () => millis(5_000),
    say: f =>
      `The keys of the issuer ${f.issuer} can't be fetched now, so this token can't be checked. Try again in a moment; API keys work meanwhile.`,
  },
  'route-not-permitted': {
    status: 403,
    type: 'permission_error',
    code: 'route_not_permitted',
    say: f =>
      `This key may not be used for '${f.route}'${f.permitted.length > 0 ? `, only for ${f.permitted.join(', ')}` : ''}. Ask your administrator to add it (holdfast key update --routes).`,
  },
  'address-not-permitted': {
    status: 403,
    type: 'permission_error',
    code: 'address_not_permitted',
    say: f =>
      `This key may not be used from ${f.from || 'this address'}. Ask your administrator to add the address (holdfast key update --addresses).`,
  },
  'client-certificate-required': {
    status: 401,
    type: 'authentication_error',
    code: 'client_certificate_required',
    say: () =>
      'This service wants a client certificate of the authority in its spec (gateway.tls.clientCa), and this connection showed none that is good. Ask your administrator for one.',
  },
  'admin-required': {
    status: 403,
    type: 'permission_error',
    code: 'admin_required',
    say: f => `${f.what} needs the admin key.`,
  },
  'model-unknown': {
    status: 404,
    type: 'not_found_error',
    code: 'model_not_found',
    param: () => 'model',
    say: f =>
      `No model is named '${f.model}'. ${f.available.length > 0 ? `This key may use: ${f.available.join(', ')}.` : 'This key may use no model.'}`,
  },
  'model-not-permitted': {
    status: 403,
    type: 'permission_error',
    code: 'model_not_permitted',
    param: () => 'model',
    say: f => `This key may not use the model '${f.model}'. Ask your administrator to add it to the key or its team.`,
  },
  'not-found': {
    status: 404,
    type: 'not_found_error',
    code: 'not_found',
    say: f => `There is no ${f.what} '${f.name}'.`,
  },
  'conflict': {
    status: 409,
    type: 'invalid_request_error',
    code: 'conflict',
    say: f => f.problem,
  },
  'spec-refused': {
    status: 409,
    type: 'invalid_request_error',
    code: 'spec_refused',
    say: f => `The spec is not applied; what was served goes on.\n\n${f.problems.join('\n')}`,
  },
  'join-refused': {
    status: 403,
    type: 'permission_error',
    code: 'join_refused',
    say: f => joinRefusals[f.why],
  },
  'gateway-refused': {
    status: 403,
    type: 'permission_error',
    // The gateway itself acts on this one: it serves nothing any more.
    code: f => (f.why === 'removed' ? 'gateway_removed' : 'gateway_refused'),
    say: f => gatewayRefusals[f.why],
  },
  'overloaded': {
    status: 503,
    type: 'overloaded_error',
    code: 'overloaded',
    retryAfter: f => f.retryAfter,
    say: f => `The gateway already serves ${f.inFlight} requests, its limit. Try again in ${seconds(f.retryAfter)} s.`,
  },
  'rate-limited': {
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limit_exceeded',
    retryAfter: f => f.retryAfter,
    say: f =>
      `The ${f.by.subject} '${f.by.name}' has reached its limit of ${f.limit} ${limitedWhats[f.what]}. Try again in ${seconds(f.retryAfter)} s, or ask your administrator for more.`,
  },
  'budget-spent': {
    status: 429,
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    retryAfter: f => f.retryAfter,
    say: f =>
      `The ${f.by.subject} '${f.by.name}' has used ${f.spent} of its budget of ${f.amount}, and this request could go beyond it. ${nextPeriod(f.retryAfter)} Your administrator can raise the budget, and a lower max_tokens asks for less of it.`,
  },
  'budget-currency': {
    status: 403,
    type: 'permission_error',
    code: 'budget_currency',
    say: f =>
      `The budget of the ${f.by.subject} '${f.by.name}' is in ${f.currency}, and what requests cost here is told in ${f.costs}, so nobody can tell what is left of it. Ask your administrator to set it in ${f.costs} (holdfast ${f.by.subject === 'team' ? 'team' : 'key'} update --budget).`,
  },
  'queue-full': {
    status: 503,
    type: 'overloaded_error',
    code: 'queue_full',
    param: () => 'model',
    retryAfter: f => f.retryAfter,
    headers: f => ({ 'x-holdfast-queue-waiting': String(f.waiting) }),
    say: f =>
      `${f.waiting} requests already wait for '${f.model}', as many as may. Try again in ${seconds(f.retryAfter)} s.`,
  },
  'queue-late': {
    status: 503,
    type: 'overloaded_error',
    code: 'queue_timeout',
    param: () => 'model',
    retryAfter: f => f.expected,
    headers: f => ({
      'x-holdfast-queue-place': String(f.place),
      'x-holdfast-expected-wait': String(seconds(f.expected)),
    }),
    say: f =>
      `This request was number ${f.place} in the queue for '${f.model}' and its turn did not come, or could not, within ${seconds(f.deadline)} s: about ${seconds(f.expected)} s more are expected. Try again then.`,
  },
  'memory-short': {
    status: 503,
    type: 'overloaded_error',
    code: 'overloaded',
    retryAfter: f => f.retryAfter,
    say: f => `The gateway is short of memory and takes nothing new now. Try again in ${seconds(f.retryAfter)} s.`,
  },
  'draining': {
    status: 503,
    type: 'overloaded_error',
    code: 'draining',
    retryAfter: () => millis(1_000),
    say: () => 'This gateway is stopping and could not wait any longer. Try again: it, or another one, will answer.',
  },
  'no-replica': {
    status: 503,
    type: 'overloaded_error',
    code: 'no_replica',
    param: () => 'model',
    retryAfter: f => f.retryAfter,
    say: f =>
      `No engine can answer for '${f.model}' now (${f.state}). Try again in ${seconds(f.retryAfter)} s; 'holdfast status' tells more.`,
  },
  'journal-full': {
    status: 503,
    type: 'overloaded_error',
    code: 'journal_unwritable',
    retryAfter: () => millis(10_000),
    say: () =>
      'The journal cannot be written (disk full?), and what cannot be recorded is refused: administrative acts always, requests because the spec says so (capture.whenUnwritable).',
  },
  'controller-unavailable': {
    status: 503,
    type: 'server_error',
    code: 'controller_unavailable',
    retryAfter: () => millis(1_000),
    say: () =>
      'The controller does not answer, so nothing can be administered now. Requests for models are not affected.',
  },
  'standby': {
    status: 503,
    type: 'server_error',
    code: 'standby',
    retryAfter: () => millis(1_000),
    say: f =>
      `This controller is on standby: ${f.active} is the active one${f.since === null ? '' : ` since ${f.since}`}. Ask there; this one takes over when that one ends.`,
  },
  'store-unavailable': {
    status: 503,
    type: 'server_error',
    code: 'store_unavailable',
    retryAfter: () => millis(2_000),
    say: f =>
      `${f.store} can't be used now: ${f.problem}. Once that is mended Holdfast goes on by itself; requests for models are not affected. ${f.inDoubt ? 'Whether this change was made is not known: look before you repeat it.' : 'Nothing was changed.'}`,
  },
  'not-ready': {
    status: 503,
    type: 'server_error',
    code: 'not_ready',
    retryAfter: () => millis(1_000),
    say: f => `Not ready: ${f.why}`,
  },
  'engine-refused': {
    status: f => f.status,
    type: 'invalid_request_error',
    code: f => f.code ?? 'engine_refused',
    param: f => f.param,
    say: f => f.message,
  },
  'engine-failed': {
    status: 502,
    type: 'server_error',
    code: 'engine_failed',
    say: f =>
      `The model's engine failed${f.status === null ? '' : ` (HTTP ${f.status})`}: ${f.detail.replace(/\.$/, '')}. Try again.`,
  },
  'engine-lost': {
    status: 502,
    type: 'server_error',
    code: 'engine_lost',
    say: f =>
      `The model's engine stopped after ${f.sentBytes} bytes of this answer. Try again: another engine may take over.`,
  },
  'engine-silent': {
    status: 504,
    type: 'server_error',
    code: 'engine_timeout',
    say: f => `The model's engine sent no ${f.what} within ${seconds(f.waited)} s.`,
  },
  'unsupported': {
    status: 400,
    type: 'invalid_request_error',
    code: 'unsupported',
    say: f => `${f.what} is not supported. ${f.instead}`,
  },
  'internal': {
    status: 500,
    type: 'server_error',
    code: 'internal_error',
    say: () => 'Holdfast failed at this request. The log of the process has the details under this request id.',
  },
}

/** A budget for good has one period, of a hundred years. */
const nextPeriod = (after: Millis): string =>
  after > 20 * 365 * 86_400_000 ? 'It does not begin anew.' : `The next period begins in ${seconds(after)} s.`

/** What a client sees of a fault. `retryAfterSeconds` is for the `retry-after` header. */
export type HttpFault = {
  status: number
  body: { error: { message: string; type: string; param: string | null; code: string | null } }
  retryAfterSeconds: number | null
  /** More headers that tell about the fault. */
  headers: Record<string, string>
}

/** A key, a token or a password in an address that was put where a name belongs is repeated to nobody: errors end up in logs. */
function hideKeys<T extends string | null>(text: T): T {
  if (text === null) return text
  const hidden = text
    .replaceAll(/\b(sk-|hf-join-|hf_)[\w-]{8,}/g, '$1...')
    .replaceAll(/\beyJ[\w-]{8,}(\.[\w-]*){0,2}/g, 'eyJ...')
    .replaceAll(/(:\/\/[^\s/:@]{0,100}:)[^\s/@]{1,500}@/g, '$1...@')
  // A string for a string.
  return hidden as T
}

/** The one place a Fault becomes HTTP: OpenAI's error shape with all four keys. */
export function toHttp(fault: Fault): HttpFault {
  // Each kind's row takes that kind; TypeScript can't follow the pairing through the lookup.
  const row = table[fault.kind] as Row<Fault>
  const retryAfter = row.retryAfter?.(fault)
  return {
    status: typeof row.status === 'function' ? row.status(fault) : row.status,
    body: {
      error: {
        message: hideKeys(row.say(fault)),
        type: row.type,
        param: hideKeys(row.param?.(fault) ?? null),
        code: typeof row.code === 'function' ? row.code(fault) : row.code,
      },
    },
    retryAfterSeconds: retryAfter === undefined ? null : seconds(retryAfter),
    headers: row.headers?.(fault) ?? {},
  }
}

/** Every kind with its status, type and code, for the generated reference page. */
export function listFaults(): { kind: Fault['kind']; status: string; type: string; code: string }[] {
  return Object.entries(table).map(([kind, row]) => ({
    kind: kind as Fault['kind'],
    status: typeof row.status === 'number' ? String(row.status) : 'the engine’s (4xx)',
    type: row.type,
    code: typeof row.code === 'string' ? row.code : 'the engine’s, or engine_refused',
  }))
}

declare global {
  interface ErrorConstructor {
    /** V8's: how many frames of the stack an error keeps. To find them costs 20 to 100 µs. */
    stackTraceLimit: number
  }
}

/** Carries a fault across an `await`. Caught only at the edge, or to release something. */
export class FaultError extends Error {
  readonly fault: Fault
  constructor(fault: Fault, options?: ErrorOptions) {
    const { status, retryAfterSeconds, body } = toHttp(fault)
    const { stackTraceLimit } = Error
    // What clients mend or wait for is normal life and comes in floods; where it was thrown tells nobody anything.
    if (status < 500 || retryAfterSeconds !== null) Error.stackTraceLimit = 0
    super(body.error.message, options)
    Error.stackTraceLimit = stackTraceLimit
    this.name = 'FaultError'
    this.fault = fault
  }
}

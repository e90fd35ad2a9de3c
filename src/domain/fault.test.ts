import { expect, test } from 'vitest'
import { FaultError, listFaults, toHttp, type Fault } from './fault.ts'
import { bytes, millis, modelName, teamName, tokens } from './units.ts'

/** One of each kind; the compiler refuses a table that lacks one. */
const samples: { readonly [K in Fault['kind']]: Extract<Fault, { kind: K }> } = {
  'body-not-json': { kind: 'body-not-json', detail: 'x' },
  'body-too-large': { kind: 'body-too-large', limit: bytes(10) },
  'body-not-utf8': { kind: 'body-not-utf8' },
  'body-encoding-unsupported': { kind: 'body-encoding-unsupported', encoding: 'gzip' },
  'body-too-slow': { kind: 'body-too-slow', after: millis(60_000) },
  'request-invalid': { kind: 'request-invalid', param: 'n', problem: 'x' },
  'previous-response-unknown': { kind: 'previous-response-unknown', id: 'resp_1' },
  'context-exceeded': { kind: 'context-exceeded', asked: tokens(2), limit: tokens(1) },
  'route-unknown': { kind: 'route-unknown', method: 'GET', path: '/x' },
  'method-not-allowed': { kind: 'method-not-allowed', method: 'GET', path: '/x', allowed: ['POST'] },
  'key-missing': { kind: 'key-missing' },
  'key-refused': { kind: 'key-refused', why: 'expired' },
  'token-refused': { kind: 'token-refused', why: 'expired' },
  'token-without-team': { kind: 'token-without-team', claim: 'groups', named: ['x'], known: [teamName('a')] },
  'token-unverifiable': { kind: 'token-unverifiable', issuer: 'https://login.example.com' },
  'route-not-permitted': { kind: 'route-not-permitted', route: 'chat', permitted: ['models'] },
  'address-not-permitted': { kind: 'address-not-permitted', from: '10.0.0.1' },
  'client-certificate-required': { kind: 'client-certificate-required' },
  'admin-required': { kind: 'admin-required', what: 'x' },
  'model-unknown': { kind: 'model-unknown', model: 'x', available: [] },
  'model-not-permitted': { kind: 'model-not-permitted', model: modelName('x') },
  'not-found': { kind: 'not-found', what: 'key', name: 'x' },
  'conflict': { kind: 'conflict', problem: 'x' },
  'spec-refused': { kind: 'spec-refused', problems: ['x'] },
  'join-refused': { kind: 'join-refused', why: 'token-used' },
  'gateway-refused': { kind: 'gateway-refused', why: 'removed' },
  'overloaded': { kind: 'overloaded', retryAfter: millis(1), inFlight: 1 },
  'no-replica': { kind: 'no-replica', model: modelName('x'), state: 'down', retryAfter: millis(1) },
  'rate-limited': {
    kind: 'rate-limited',
    by: { subject: 'key', name: 'bot' },
    what: 'tokens',
    limit: 10,
    retryAfter: millis(1),
  },
  'budget-spent': {
    kind: 'budget-spent',
    by: { subject: 'team', name: 'dev' },
    spent: '9 EUR',
    amount: '10 EUR',
    retryAfter: millis(1),
  },
  'budget-currency': {
    kind: 'budget-currency',
    by: { subject: 'key', name: 'bot' },
    currency: 'USD',
    costs: 'EUR',
  },
  'queue-full': { kind: 'queue-full', model: modelName('x'), waiting: 1, retryAfter: millis(1) },
  'queue-late': { kind: 'queue-late', model: modelName('x'), place: 1, expected: millis(1), deadline: millis(1) },
  'memory-short': { kind: 'memory-short', retryAfter: millis(1) },
  'draining': { kind: 'draining' },
  'journal-full': { kind: 'journal-full' },
  'controller-unavailable': { kind: 'controller-unavailable' },
  'standby': { kind: 'standby', active: 'alpha (process 7)', since: '2026-01-05T12:00:00.000Z' },
  'store-unavailable': {
    kind: 'store-unavailable',
    store: 'PostgreSQL at db:5432/holdfast',
    problem: 'nothing listens there',
    inDoubt: false,
  },
  'not-ready': { kind: 'not-ready', why: 'x' },
  'engine-refused': { kind: 'engine-refused', status: 422, message: 'x', param: null, code: null },
  'engine-failed': { kind: 'engine-failed', status: 500, detail: 'x' },
  'engine-lost': { kind: 'engine-lost', sentBytes: 0 },
  'engine-silent': { kind: 'engine-silent', what: 'next byte', waited: millis(1) },
  'unsupported': { kind: 'unsupported', what: 'x', instead: 'y' },
  'internal': { kind: 'internal' },
}

test.each(Object.values(samples))(
  '$kind: four keys, a status for errors, and when to come back if it is 503',
  fault => {
    const { status, body, retryAfterSeconds } = toHttp(fault)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(600)
    expect(Object.keys(body)).toEqual(['error'])
    const { message, type, param, code } = body.error
    expect(Object.keys(body.error).toSorted()).toEqual(['code', 'message', 'param', 'type'])
    expect(message.length).toBeGreaterThan(0)
    expect(message).not.toMatch(/undefined|NaN|\[object/)
    expect(type).toMatch(/^[a-z_]+_error$|^insufficient_quota$/)
    expect(code === null || /^[a-z0-9_]+$/.test(code)).toBe(true)
    expect(param === null || param.length > 0).toBe(true)
    if (status === 503 || status === 429) expect(retryAfterSeconds).toBeGreaterThanOrEqual(1)
    expect(new FaultError(fault).message).toBe(message)
  },
)

test('every kind is in the reference, once', () => {
  expect(
    listFaults()
      .map(({ kind }) => kind)
      .toSorted(),
  ).toEqual(Object.keys(samples).toSorted())
})

test('each reason for which a key is refused has its words', () => {
  const says = (why: Extract<Fault, { kind: 'key-refused' }>['why']) =>
    toHttp({ kind: 'key-refused', why }).body.error.message
  expect(says('mistyped')).toContain('mistyped')
  expect(says('unknown')).toContain('not known')
  expect(says('revoked')).toContain('revoked')
  expect(says('expired')).toContain('expired')
})

test.each([
  ['hf-join-AbCdEf0123456789-_xyz', 'hf-join-...'],
  ['hf_AbCdEfGhIjKlMnOpQr', 'hf_...'],
  ['eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln', 'eyJ...'],
  ['postgres://ada:not-to-be-told@db:5432/x', 'postgres://ada:...@db:5432/x'],
  ['redis://:not-to-be-told@cache:6379/0', 'redis://:...@cache:6379/0'],
])('%s is told as %s', (secret, told) => {
  expect(toHttp({ kind: 'model-unknown', model: secret, available: [] }).body.error.message).toContain(`'${told}'`)
})

test('a key that stands where a name belongs is not repeated', () => {
  const key = 'sk-hf-QqUW8meJUVBlsAPUofmkiSY3IcUjU38V3hcSOm'
  const faults: Fault[] = [
    { kind: 'model-unknown', model: key, available: [] },
    { kind: 'route-unknown', method: 'GET', path: `/v1/${key}/x` },
    { kind: 'request-invalid', param: key, problem: `Unrecognized key: "${key}"` },
    { kind: 'engine-refused', status: 400, message: `bad key ${key}`, param: key, code: null },
  ]
  for (const fault of faults) {
    expect(JSON.stringify(toHttp(fault))).not.toContain(key.slice(0, 12))
    expect(new FaultError(fault).message).not.toContain(key.slice(0, 12))
  }
  expect(toHttp({ kind: 'model-unknown', model: 'task-force', available: [] }).body.error.message).toContain(
    'task-force',
  )
})

test('what a client mends or waits for keeps no stack; what an operator has to look at does', () => {
  const limit = Error.stackTraceLimit
  const frames = (fault: Fault): boolean => / at .*fault\.test/.test(new FaultError(fault).stack ?? '')
  expect(frames({ kind: 'key-missing' })).toBe(false)
  expect(frames({ kind: 'overloaded', retryAfter: millis(1), inFlight: 1 })).toBe(false)
  expect(frames({ kind: 'internal' })).toBe(true)
  expect(Error.stackTraceLimit).toBe(limit)
})

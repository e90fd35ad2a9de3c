import { describe, expect, test } from 'vitest'
import { FaultError } from '../../domain/fault.ts'
import type { CloseRecord, FeedbackRecord, ReleaseMark } from '../../domain/journal/index.ts'
import { keyId, releaseId, requestId, versionName } from '../../domain/units.ts'
import { openFeedback, openRecentRequests } from './index.ts'

const now = Date.UTC(2026, 10, 22)
const uuidAt = (time: number, tail: string) =>
  requestId(
    `${time.toString(16).padStart(12, '0').slice(0, 8)}-${time.toString(16).padStart(12, '0').slice(8)}-7000-8000-${tail.padStart(12, '0')}`,
  )
const mine = uuidAt(now - 5_000, '1')
const theirs = uuidAt(now - 5_000, '2')
const elsewhere = uuidAt(now - 5_000, '3')
const call = uuidAt(now, 'ca11')
const mark: ReleaseMark = {
  id: releaseId('release'),
  step: 2,
  arm: 'candidate',
  version: versionName('dev-v1.1-fake-fp16-p2'),
  unit: '0123456789abcdef',
}
/** Of a record, only what is looked at. */
const closed = (parts: Partial<CloseRecord>) => ({ version: mark.version, ...parts }) as CloseRecord

/** A gateway that answered `mine` (in a release) and `theirs`. */
function open(append: (record: FeedbackRecord) => Promise<void> = async () => {}) {
  const records: FeedbackRecord[] = []
  const recent = openRecentRequests()
  recent.note(closed({ id: mine, key: keyId('key_me'), release: mark }))
  recent.note(closed({ id: theirs, key: keyId('key_other') }))
  const take = openFeedback({
    recent,
    append: async record => {
      await append(record)
      records.push(record)
    },
    now: () => now,
  })
  const give = (body: unknown, key: ReturnType<typeof keyId> | 'admin' = keyId('key_me')) =>
    take({ id: call, key, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) })
  return { give, records }
}

const faultOf = async (promise: Promise<unknown>) => {
  const error: unknown = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  return error instanceof FaultError ? error.fault : error
}

describe('feedback', () => {
  test('is in the journal with the release of its request before it is answered', async () => {
    const { give, records } = open()
    expect(await give({ request_id: mine, score: -1 })).toEqual({
      object: 'feedback',
      request_id: mine,
      score: -1,
      checked: true,
    })
    expect(records).toEqual([
      {
        t: 'feedback',
        id: call,
        at: now,
        key: 'key_me',
        request: mine,
        score: -1,
        comment: null,
        checked: true,
        release: mark,
      },
    ])
  })

  test('of a comment there is a digest, the same for the same words on the same request only, and never its words', async () => {
    const { give, records } = open()
    await give({ request_id: mine, score: 1, comment: 'the-canary-words' })
    await give({ request_id: mine, score: 1, comment: 'the-canary-words' })
    await give({ request_id: elsewhere, score: 1, comment: 'the-canary-words' })
    const [first, again, other] = records.map(({ comment }) => comment)
    expect(first).toMatch(/^[0-9a-f]{16}$/)
    expect(again).toBe(first)
    expect(other).not.toBe(first)
    expect(JSON.stringify(records)).not.toContain('the-canary-words')
  })

  test('another key’s request is not there for it; an administrator may speak of any', async () => {
    const { give, records } = open()
    expect(await faultOf(give({ request_id: theirs, score: 1 }))).toMatchObject({ kind: 'not-found', what: 'request' })
    expect(records).toEqual([])
    expect(await give({ request_id: theirs, score: 1 }, 'admin')).toMatchObject({ checked: true })
  })

  test('a request that another gateway answered is taken, for the controller to check', async () => {
    const { give, records } = open()
    expect(await give({ request_id: elsewhere.toUpperCase(), score: 1 })).toMatchObject({
      request_id: elsewhere,
      checked: false,
    })
    expect(records).toMatchObject([{ request: elsewhere, checked: false }])
    expect(records[0]).not.toHaveProperty('release')
  })

  test('what can’t be a request of the last week is not taken', async () => {
    const { give } = open()
    for (const id of [uuidAt(now - 8 * 24 * 3_600_000, '9'), uuidAt(now + 3_600_000, '9')])
      expect(await faultOf(give({ request_id: id, score: 1 }))).toMatchObject({ kind: 'not-found' })
  })

  test.each([
    ['nonsense', null],
    ['[]', null],
    [{}, 'request_id'],
    [{ request_id: 'chatcmpl-1', score: 1 }, 'request_id'],
    [{ request_id: '0190a6f0-0000-4000-8000-000000000001', score: 1 }, 'request_id'],
    [{ request_id: mine, score: 0 }, 'score'],
    [{ request_id: mine, score: '1' }, 'score'],
    [{ request_id: mine, score: 1, comment: 5 }, 'comment'],
    [{ request_id: mine, score: 1, comment: 'x'.repeat(4_001) }, 'comment'],
  ])('%j is refused by name', async (body, param) => {
    const { give, records } = open()
    expect(await faultOf(give(body))).toMatchObject({ kind: 'request-invalid', param })
    expect(records).toEqual([])
  })

  test('what the journal can’t take is not answered as taken', async () => {
    const full = new FaultError({ kind: 'journal-full' })
    const { give } = open(() => Promise.reject(full))
    expect(await faultOf(give({ request_id: mine, score: 1 }))).toEqual({ kind: 'journal-full' })
  })
})

test('only so many requests are remembered, the oldest go, and those that no engine was asked for are not', () => {
  const recent = openRecentRequests(2)
  const ids = ['1', '2', '3'].map(tail => uuidAt(now, tail))
  for (const id of ids) recent.note(closed({ id, key: keyId('k') }))
  recent.note(closed({ id: uuidAt(now, '4'), key: keyId('k'), version: null }))
  expect([...ids, uuidAt(now, '4')].map(id => recent.find(id) !== null)).toEqual([false, true, true, false])
})

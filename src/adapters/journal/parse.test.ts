import { expect, test } from 'vitest'
import { parseRecord } from './parse.ts'

const mark = { id: 'release', step: 1, arm: 'candidate', version: 'dev-v1.1-fake-fp16-p2', unit: '0123456789abcdef' }
const close = {
  t: 'close',
  id: '0190a6f0-0000-7000-8000-000000000001',
  at: 1,
  key: 'key_a',
  alias: null,
  team: null,
  model: 'coder',
  version: 'dev-v1.0-fake-fp16-p1',
  replica: 'r0',
  route: '/v1/chat/completions',
  stream: false,
  status: 200,
  outcome: 'ok',
  fault: null,
  inputTokens: 1,
  outputTokens: 1,
  ttftMs: 1,
  totalMs: 1,
  attempts: 1,
  clientId: null,
  from: '127.0.0.1',
}

test('what a request was to its release, and the flags that were on for it, are read back', () => {
  expect(parseRecord(JSON.stringify({ ...close, release: mark, flags: ['fast'] }))).toMatchObject({
    release: mark,
    flags: ['fast'],
  })
  const plain = parseRecord(JSON.stringify(close))
  expect(plain).not.toHaveProperty('release')
  expect(plain).not.toHaveProperty('flags')
})

test('feedback is read back, and a score that is neither thumb is no record', () => {
  const feedback = {
    t: 'feedback',
    id: '0190a6f0-0000-7000-8000-000000000002',
    at: 2,
    key: 'key_a',
    request: close.id,
    score: -1,
    comment: null,
    checked: true,
    release: mark,
  }
  expect(parseRecord(JSON.stringify({ ...feedback, salt: 'x' }))).toEqual(feedback)
  expect(parseRecord(JSON.stringify({ ...feedback, score: 5 }))).toBeNull()
})

/** Whether what a client got can be read by the libraries of its dialect: an answer, or an error, each in its whole shape. */
import { expect } from 'vitest'
import { receive } from '../../src/domain/dialect/messages/fake-client.ts'
import { checkEvents } from './response-events.ts'

/** What clients call, and how a good request of each looks. */
export const requests = {
  'chat': { path: '/v1/chat/completions', body: { messages: [{ role: 'user', content: 'Hi' }] } },
  'chat-stream': {
    path: '/v1/chat/completions',
    body: { messages: [{ role: 'user', content: 'Hi' }], stream: true, stream_options: { include_usage: true } },
  },
  'completion': { path: '/v1/completions', body: { prompt: 'Hi' } },
  'completion-stream': { path: '/v1/completions', body: { prompt: 'Hi', stream: true } },
  'message': { path: '/v1/messages', body: { max_tokens: 9, messages: [{ role: 'user', content: 'Hi' }] } },
  'message-stream': {
    path: '/v1/messages',
    body: { max_tokens: 9, messages: [{ role: 'user', content: 'Hi' }], stream: true },
  },
  'response': { path: '/v1/responses', body: { input: 'Hi' } },
  'response-stream': { path: '/v1/responses', body: { input: 'Hi', stream: true } },
  'embedding': { path: '/v1/embeddings', body: { input: ['a', 'b'] } },
  'rerank': { path: '/v1/rerank', body: { query: 'a', documents: ['a', 'b', 'c'] } },
  'tokenize': { path: '/v1/tokenize', body: { prompt: 'Hi' } },
  'count': { path: '/v1/messages/count_tokens', body: { messages: [{ role: 'user', content: 'Hi' }] } },
  'speech': { path: '/v1/audio/speech', body: { input: 'Hi', voice: 'alloy' } },
} as const

export type Asked = keyof typeof requests
export type Outcome = 'answer' | 'error'

type Got = { status: number; type: string; text: string }
type Json = Record<string, unknown>

/** Throws, through `expect`, at what its client could not read. */
export function judge(asked: Asked, { status, type, text }: Got): Outcome {
  const isAnthropic = asked.startsWith('message') || asked === 'count'
  if (status !== 200) {
    expect(status).toBeGreaterThanOrEqual(400)
    expect(type).toMatch(/^application\/json/)
    expectFault(JSON.parse(text), isAnthropic)
    return 'error'
  }
  if (asked.endsWith('-stream')) {
    expect(type).toBe('text/event-stream; charset=utf-8')
    return judgeStream(asked, text)
  }
  if (asked === 'speech') return 'answer'
  expect(type).toMatch(/^application\/json/)
  expectAnswer(asked, JSON.parse(text))
  return 'answer'
}

function judgeStream(asked: Asked, told: string): Outcome {
  const text = told.replaceAll(/^(:.*\n)+\n/gm, '')
  if (asked === 'message-stream') {
    const { error } = receive(text)
    if (error !== null) expectFault(error, true)
    return error === null ? 'answer' : 'error'
  }
  if (asked === 'response-stream') return checkEvents(text)['status'] === 'failed' ? 'error' : 'answer'
  const events = text
    .split('\n\n')
    .filter(event => event !== '')
    .map(event => event.replaceAll(/^data: ?/gm, ''))
  const last = events.pop() ?? ''
  for (const event of events) expect(JSON.parse(event)).not.toHaveProperty('error')
  if (last === '[DONE]') return 'answer'
  expectFault(JSON.parse(last), false)
  return 'error'
}

function expectFault(value: unknown, isAnthropic: boolean): void {
  const { type, error } = value as { type?: unknown; error: Json }
  expect(Object.keys(error).toSorted()).toEqual(['code', 'message', 'param', 'type'])
  expect(error['message']).toEqual(expect.any(String))
  if (isAnthropic) expect(type).toBe('error')
  else expect(type).toBeUndefined()
}

const anyRecord = expect.objectContaining({})
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0

function expectAnswer(asked: Asked, answer: Json): void {
  expect(answer['error'] ?? null).toBeNull()
  switch (asked) {
    case 'chat':
      expect(answer['choices']).toEqual(expect.arrayContaining([expect.objectContaining({ message: anyRecord })]))
      return
    case 'completion':
      expect(answer['choices']).toEqual(expect.arrayContaining([expect.objectContaining({ text: expect.any(String) })]))
      return
    case 'message':
      expect(answer).toMatchObject({ type: 'message', role: 'assistant', content: expect.any(Array) })
      return
    case 'response':
      expect(answer).toMatchObject({ object: 'response', output: expect.any(Array) })
      return
    case 'embedding':
      expect(answer['data']).toHaveLength(2)
      return
    case 'rerank': {
      const indexes = (answer['results'] as { index: number }[]).map(({ index }) => index)
      expect(new Set(indexes).size).toBe(indexes.length)
      for (const index of indexes) expect([0, 1, 2]).toContain(index)
      return
    }
    case 'tokenize':
      expect(answer['count']).toSatisfy(isCount)
      return
    case 'count':
      expect(answer['input_tokens']).toSatisfy(isCount)
      return
    default:
      throw new Error(`${asked} has no whole answer`)
  }
}

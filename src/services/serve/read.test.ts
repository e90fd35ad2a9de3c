import { expect, test } from 'vitest'
import { bytes, millis } from '../../domain/units.ts'
import type { GatewayLimits } from '../../domain/serving/index.ts'
import { pipeline, type Exchange } from './exchange.ts'
import { openConversations } from './conversations.ts'
import { read } from './read.ts'

const limits = (): GatewayLimits => ({
  body: bytes(1_000),
  inFlight: 10,
  firstByte: millis(1),
  idle: millis(1),
  request: millis(1),
})

/** An exchange whose body comes when `arrive` is called; only what `read` looks at. */
function exchange(declaredBytes: number | null, more = '') {
  const { promise, resolve } = Promise.withResolvers<Uint8Array>()
  const body = `{"model":"m","messages":[{"role":"user","content":"Hi"}]${more}}`
  const partial: unknown = {
    head: { path: 'chat/completions', declaredBytes },
    readBody: () => promise,
    ask: null,
    form: null,
  }
  return { exchange: partial as Exchange, arrive: () => resolve(Buffer.from(body)) }
}

test('bodies that are still arriving count against what all may hold, and give their share back', async () => {
  const conversations = openConversations({ mostBytes: 0, keptForMs: 0, now: () => 0 })
  const serve = pipeline(read({ limits, conversations }, 3_000))
  const slow = [exchange(1_000), exchange(null)]
  const running = slow.map(({ exchange: each }) => serve(each))
  await expect(serve(exchange(1_001).exchange)).rejects.toMatchObject({ fault: { kind: 'overloaded' } })
  for (const { arrive } of slow) arrive()
  await Promise.all(running)
  const next = exchange(600)
  next.arrive()
  await serve(next.exchange)
  expect(next.exchange.ask?.model).toBe('m')
})

test('a body of many small values counts for what they take, not for its length', async () => {
  const conversations = openConversations({ mostBytes: 0, keptForMs: 0, now: () => 0 })
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
  const serve = pipeline(read({ limits, conversations }, 30_000), () => answered)
  const many = [0, 1].map(() => exchange(800, `,"x":[${'{},'.repeat(200)}0]`))
  const running = many.map(({ exchange: each, arrive }) => {
    arrive()
    return serve(each)
  })
  await expect(running[1]).rejects.toMatchObject({ fault: { kind: 'overloaded' } })
  answer()
  await running[0]
})

test.each([
  ['levels', '['.repeat(501) + ']'.repeat(501)],
  ['values', `[${'0,'.repeat(500_000)}0]`],
])('a body with too many %s is refused before it is parsed', async (what, more) => {
  const conversations = openConversations({ mostBytes: 0, keptForMs: 0, now: () => 0 })
  const { exchange: each, arrive } = exchange(800, `,"x":${more}`)
  arrive()
  await expect(pipeline(read({ limits, conversations }))(each)).rejects.toMatchObject({
    fault: { kind: 'request-invalid', problem: expect.stringContaining(what) },
  })
})

test('what a request goes on from counts as its own body does', async () => {
  const conversations = openConversations({ mostBytes: 1_000_000, keptForMs: 1_000, now: () => 0 })
  const messages = [{ role: 'user' as const, content: 'x'.repeat(100_000) }]
  conversations.keep('admin', { id: 'resp_1', response: {}, turns: { messages, output: [] } })
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
  const serve = pipeline(read({ limits, conversations }, 150_000), () => answered)
  const body = Buffer.from('{"model":"m","input":"Hi","previous_response_id":"resp_1"}')
  const running = [0, 1].map(() => {
    const partial: unknown = {
      head: { path: 'responses', declaredBytes: body.length },
      readBody: () => Promise.resolve(body),
      principal: { kind: 'admin' },
      ask: null,
      form: null,
    }
    return serve({ id: '01981d2e-0000-7000-8000-eeeeffff0000', arrivedAt: 0, ...Object(partial) })
  })
  await expect(running[1]).rejects.toMatchObject({ fault: { kind: 'overloaded' } })
  answer()
  await running[0]
})

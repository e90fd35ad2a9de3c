import { describe, expect, test } from 'vitest'
import { engine, gateway } from '../../../test/support/gateways.ts'
import { ask } from '../../../test/support/in-process-gateway.ts'
import type { Holder, Limits } from '../../domain/access/index.ts'
import { millis } from '../../domain/units.ts'

const chat = '/v1/chat/completions'
const day = millis(86_400_000)

const holder = (limits: Limits | null, more: Partial<Holder> = {}): Holder => ({
  subject: 'key',
  id: 'key_test',
  name: 'test',
  limits,
  budget: null,
  ...more,
})

describe('limits', () => {
  test('the request beyond the limit is refused with when to come back, and asks no engine', async () => {
    const fake = await engine()
    const { post, closed } = await gateway({ replicas: [fake], holders: [holder({ requestsPerMinute: 2 })] })
    const statuses = []
    for (let i = 0; i < 3; i++) statuses.push((await post(chat, ask('Hi'))).status)
    expect(statuses).toEqual([200, 200, 429])
    const refused = await post(chat, ask('Hi'))
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(refused.headers.get('x-ratelimit-remaining-requests')).toBe('0')
    expect(await refused.json()).toMatchObject({
      error: { code: 'rate_limit_exceeded', type: 'rate_limit_error', message: expect.stringContaining("key 'test'") },
    })
    expect(fake.state().received).toBe(2)
    expect(closed().at(-1)).toMatchObject({ outcome: 'refused', status: 429, fault: 'rate-limited', attempts: 0 })
  })

  test('clients see what is left, in OpenAI’s words and in Anthropic’s', async () => {
    const { post } = await gateway({ replicas: [await engine()], holders: [holder({ requestsPerMinute: 10 })] })
    const openai = await post(chat, ask('Hi'))
    expect(openai.headers.get('x-ratelimit-limit-requests')).toBe('10')
    expect(openai.headers.get('x-ratelimit-remaining-requests')).toBe('9')
    const anthropic = await post('/v1/messages', { ...ask('Hi'), max_tokens: 5 })
    expect(anthropic.headers.get('anthropic-ratelimit-requests-remaining')).toBe('8')
  })

  test('what the engine counted is what counts, whatever was reserved, and a request that fails costs nothing', async () => {
    const fake = await engine({ tokens: 8 })
    const { post, limiter, closed } = await gateway({
      replicas: [fake],
      holders: [holder({ tokensPerMinute: 10_000 })],
    })
    const subject = { subject: 'key', id: 'key_test', name: 'test', limits: { tokensPerMinute: 10_000 } } as const
    const left = () => Number(limiter.headers([subject], 'openai')['x-ratelimit-remaining-tokens'])
    await (await post(chat, ask('Hi', { max_tokens: 5_000 }))).text()
    const [first] = closed()
    const used = Number(first?.inputTokens) + Number(first?.outputTokens)
    expect(left()).toBe(10_000 - used)
    fake.behave({ status: 500 })
    await (await post(chat, ask('Hi', { max_tokens: 5_000 }))).text()
    expect(left()).toBe(10_000 - used)
  })

  test('a stream whose client leaves is counted by the pieces that it got', async () => {
    const fake = await engine({ tokens: 1_000, gapMs: 5, noUsage: true })
    const { post, limiter, untilClosed } = await gateway({
      replicas: [fake],
      holders: [holder({ tokensPerMinute: 10_000, parallel: 1 })],
    })
    const leave = new AbortController()
    const answer = await post(chat, ask('Hi', { stream: true }), {
      headers: { 'authorization': 'Bearer sk-test-key-of-the-suite', 'content-type': 'application/json' },
      signal: leave.signal,
    })
    const reader = answer.body?.getReader()
    for (let i = 0; i < 5; i++) await reader?.read()
    leave.abort()
    const [cancelled] = await untilClosed(1)
    expect(cancelled).toMatchObject({ outcome: 'cancelled', inputTokens: null, estimatedTokens: expect.any(Number) })
    const subject = { subject: 'key', id: 'key_test', name: 'test', limits: { tokensPerMinute: 10_000 } } as const
    const left = Number(limiter.headers([subject], 'openai')['x-ratelimit-remaining-tokens'])
    expect(left).toBeLessThan(10_000)
    expect(left).toBeGreaterThan(9_000)
    // Its place is free again.
    expect((await post(chat, ask('Hi', { max_tokens: 1 }))).status).toBe(200)
  })

  test('a place of a key is given back however its requests end', async () => {
    const fake = await engine({ hang: true })
    const { post, untilClosed } = await gateway({ replicas: [fake], holders: [holder({ parallel: 2 })] })
    for (let round = 0; round < 3; round++) {
      const leave = new AbortController()
      const init = {
        headers: { 'authorization': 'Bearer sk-test-key-of-the-suite', 'content-type': 'application/json' },
        signal: leave.signal,
      }
      const calls = [post(chat, ask('Hi'), init), post(chat, ask('Hi'), init)].map(call => call.catch(() => null))
      await fake.until(({ running }) => running === 2)
      expect((await post(chat, ask('Hi'))).status).toBe(429)
      leave.abort()
      await Promise.all(calls)
      await untilClosed((round + 1) * 3)
    }
    fake.behave({ hang: false })
    expect((await post(chat, ask('Hi'))).status).toBe(200)
  })

  test('the limits of a model are everybody’s together', async () => {
    const { post } = await gateway({ replicas: [await engine()], model: { limits: { requestsPerMinute: 1 } } })
    expect((await post(chat, ask('Hi'))).status).toBe(200)
    const refused = await post(chat, ask('Hi'))
    expect(await refused.json()).toMatchObject({ error: { message: expect.stringContaining("model 'coder'") } })
  })
})

describe('budgets', () => {
  const tokens = (amount: number): Holder =>
    holder(null, { budget: { amount, unit: 'tokens', currency: null, every: day } })

  test('what could go beyond the budget is refused before an engine is asked', async () => {
    const fake = await engine()
    const { post } = await gateway({ replicas: [fake], holders: [tokens(50)] })
    const refused = await post(chat, ask('Hi', { max_tokens: 100 }))
    expect(refused.status).toBe(429)
    expect(await refused.json()).toMatchObject({ error: { code: 'insufficient_quota' } })
    expect((await post(chat, ask('Hi', { max_tokens: 10 }))).status).toBe(200)
    expect(fake.state().received).toBe(1)
  })

  test('many at once spend no more than there is', async () => {
    const fake = await engine({ tokens: 10 })
    const { post, closed, untilClosed } = await gateway({ replicas: [fake], holders: [tokens(200)] })
    const answers = await Promise.all(Array.from({ length: 30 }, () => post(chat, ask('Hi', { max_tokens: 10 }))))
    await untilClosed(30)
    const used = closed().reduce(
      (sum, { inputTokens, outputTokens }) => sum + Number(inputTokens) + Number(outputTokens),
      0,
    )
    expect(used).toBeLessThanOrEqual(200)
    expect(used).toBeGreaterThan(100)
    expect(answers.some(({ status }) => status === 429)).toBe(true)
  })

  test('a request has its price in the journal: the engine’s time, its own share of it', async () => {
    const fake = await engine({ tokens: 5, gapMs: 5 })
    const { post, untilClosed } = await gateway({ replicas: [fake] })
    await Promise.all([post(chat, ask('Hi')), post(chat, ask('Hi'))])
    const records = await untilClosed(2)
    for (const { gpuMs, cost, currency, totalMs } of records) {
      expect(Number(gpuMs)).toBeGreaterThan(0)
      expect(Number(gpuMs)).toBeLessThanOrEqual(totalMs)
      expect(Number(cost)).toBeGreaterThan(0)
      expect(currency).toBe('EUR')
    }
  })
})

test('short of memory, nothing new is taken in', async () => {
  let short = true
  const { post } = await gateway({ replicas: [await engine()], shed: () => short })
  const refused = await post(chat, ask('Hi'))
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBe('1')
  short = false
  expect((await post(chat, ask('Hi'))).status).toBe(200)
})

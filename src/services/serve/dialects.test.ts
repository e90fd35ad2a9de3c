/** Every dialect of clients through the whole pipeline, over an engine that speaks OpenAI's. */
import { describe, expect, test } from 'vitest'
import { ask, testKey, type GatewayOptions } from '../../../test/support/in-process-gateway.ts'
import { engine as newEngine, gateway as newGateway } from '../../../test/support/gateways.ts'
import type { FakeEngine, FakeEngineOptions } from '../../../tools/fake-engine/index.ts'

const engine = (options: FakeEngineOptions = {}) => newEngine({ tokens: 3, ...options })
const gateway = (fake: FakeEngine, options: Partial<GatewayOptions> = {}) =>
  newGateway({ replicas: [fake], ...options, version: { engine: 'vllm', ...options.version } })

/** Events of a stream, parsed; `[DONE]` as it is. */
async function eventsOf(answer: Response): Promise<Record<string, unknown>[]> {
  return (await answer.text())
    .split('\n\n')
    .flatMap(event => event.split('\n').filter(line => line.startsWith('data: ')))
    .map(line => (line === 'data: [DONE]' ? { type: '[DONE]' } : JSON.parse(line.slice('data: '.length))))
}

const message = (content: string, more: object = {}) => ({
  model: 'coder',
  max_tokens: 50,
  messages: [{ role: 'user', content }],
  ...more,
})

describe('/v1/messages', () => {
  test('is asked of the engine as a chat, with the version’s prompt, and answered as a message', async () => {
    const fake = await engine()
    const { post, closed } = await gateway(fake, {
      version: { prompt: { id: 'p1', text: 'Ours.', mode: 'prepend' }, sampling: { temperature: 0.5 } },
    })
    const answer = await post('/v1/messages?beta=true', message('Hi', { system: 'Theirs.' }))
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({
      type: 'message',
      role: 'assistant',
      model: 'coder',
      content: [{ type: 'text', text: 'word0 word1 word2' }],
      stop_reason: 'end_turn',
      usage: { output_tokens: 3 },
    })
    expect(fake.state().lastRequests.at(-1)).toMatchObject({
      path: '/v1/chat/completions',
      body: {
        temperature: 0.5,
        messages: [
          { role: 'system', content: 'Ours.\n\nTheirs.' },
          { role: 'user', content: 'Hi' },
        ],
      },
    })
    expect(closed()).toMatchObject([{ route: '/v1/messages', outcome: 'ok', outputTokens: 3 }])
  })

  test('streams its own events, and the journal has the usage', async () => {
    const { post, untilClosed } = await gateway(await engine({ reasoning: 2 }))
    const events = await eventsOf(await post('/v1/messages', message('Hi', { stream: true })))
    expect(events.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1])).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    expect(await untilClosed(1)).toMatchObject([{ stream: true, outcome: 'ok', outputTokens: 5 }])
  })

  test('a stream that breaks ends with an error event, as Anthropic’s clients know it', async () => {
    const { post } = await gateway(await engine({ tokens: 9, cutAfter: 3 }))
    const events = await eventsOf(await post('/v1/messages', message('Hi', { stream: true })))
    expect(events.at(-1)).toMatchObject({ type: 'error', error: { type: 'api_error', code: 'engine_lost' } })
    expect(events.map(({ type }) => type)).not.toContain('message_stop')
  })

  test('a stream whose first replica dies before its first event is another’s, from its beginning', async () => {
    const dying = await engine({ hang: true })
    const { post } = await gateway(dying, { replicas: [dying, await engine({ tokens: 1 })] })
    const answer = post('/v1/messages', message('Hi', { stream: true }))
    await dying.until(({ running }) => running === 1)
    await dying.die()
    const events = await eventsOf(await answer)
    expect(events.filter(({ type }) => type === 'message_start')).toHaveLength(1)
    expect(events.at(-1)).toMatchObject({ type: 'message_stop' })
  })

  test.each([
    {
      what: 'no key',
      init: { headers: { 'content-type': 'application/json' } },
      status: 401,
      type: 'authentication_error',
    },
    { what: 'an unknown model', body: { ...message('Hi'), model: 'none' }, status: 404, type: 'not_found_error' },
    {
      what: 'no max_tokens',
      body: message('Hi', { max_tokens: undefined }),
      status: 400,
      type: 'invalid_request_error',
    },
    { what: 'a body that is no JSON', body: '{', status: 400, type: 'invalid_request_error' },
  ])('$what is an error in Anthropic’s shape', async ({ init = {}, body = message('Hi'), status, type }) => {
    const { post } = await gateway(await engine())
    const answer = await post('/v1/messages', body, init)
    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject({
      type: 'error',
      error: { type, message: expect.any(String) as string },
      request_id: answer.headers.get('x-request-id'),
    })
  })

  test('a client that leaves stops the engine', async () => {
    const fake = await engine({ tokens: 1_000, gapMs: 20 })
    const { post, untilClosed } = await gateway(fake)
    const leave = new AbortController()
    const answer = await post('/v1/messages', message('Hi', { stream: true }), { signal: leave.signal })
    await answer.body?.getReader().read()
    leave.abort()
    await fake.until(({ aborted }) => aborted === 1)
    expect(await untilClosed(1)).toMatchObject([{ outcome: 'cancelled' }])
  })

  test('a max_tokens beyond the engine’s context is what is left of it; a prompt beyond it is refused', async () => {
    const fake = await engine({ contextLimit: 100 })
    const { post, closed } = await gateway(fake)
    const answer = await post('/v1/messages', message('Hi', { max_tokens: 32_000 }))
    expect(answer.status).toBe(200)
    expect(fake.state().lastRequests.at(-1)?.body).not.toHaveProperty('max_tokens')
    const long = await post('/v1/messages', message('word '.repeat(101), { max_tokens: 32_000 }))
    expect(await long.json()).toMatchObject({
      error: { message: expect.stringMatching(/^prompt is too long/) as string },
    })
    expect(closed()).toMatchObject([
      { outcome: 'ok', attempts: 1 },
      { outcome: 'refused', status: 400, attempts: 1 },
    ])
  })

  test('a message that begins the answer is gone on with', async () => {
    const fake = await engine()
    const { post } = await gateway(fake)
    const messages = [...message('Hi').messages, { role: 'assistant', content: 'word' }]
    expect((await post('/v1/messages', message('', { messages }))).status).toBe(200)
    expect(fake.state().lastRequests.at(-1)?.body).toMatchObject({
      continue_final_message: true,
      add_generation_prompt: false,
    })
  })

  test('tokens are counted by the engine, without an answer of it', async () => {
    const fake = await engine()
    const { post } = await gateway(fake)
    const answer = await post('/v1/messages/count_tokens', { ...message('one two three'), max_tokens: undefined })
    expect(await answer.json()).toEqual({ input_tokens: expect.any(Number) as number })
    expect(fake.state().lastRequests.at(-1)?.path).toBe('/tokenize')
  })
})

describe('/v1/responses', () => {
  test('streams its own events and is remembered for the next turn, for its own key alone', async () => {
    const fake = await engine()
    const { post } = await gateway(fake)
    const events = await eventsOf(
      await post('/v1/responses', { model: 'coder', input: 'Hi', instructions: 'Be short.', stream: true }),
    )
    expect(events[0]).toMatchObject({ type: 'response.created' })
    const last = events.at(-1) as { type: string; response: { id: string } }
    expect(last).toMatchObject({ type: 'response.completed', response: { usage: { output_tokens: 3 } } })
    const next = await post('/v1/responses', { model: 'coder', input: 'More', previous_response_id: last.response.id })
    expect(next.status).toBe(200)
    expect(fake.state().lastRequests.at(-1)?.body).toMatchObject({
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'word0 word1 word2' },
        { role: 'user', content: 'More' },
      ],
    })
  })

  test('an answer that is not kept is not found, and the error says what to do', async () => {
    const { post } = await gateway(await engine())
    const kept = (await (await post('/v1/responses', { model: 'coder', input: 'Hi', store: false })).json()) as {
      id: string
    }
    const answer = await post('/v1/responses', { model: 'coder', input: 'More', previous_response_id: kept.id })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      error: { param: 'previous_response_id', code: 'previous_response_not_found' },
    })
  })

  test('an error names what the client sent, not what the engine got', async () => {
    const { post } = await gateway(await engine({ contextLimit: 2 }))
    const answer = await post('/v1/responses', { model: 'coder', input: 'one two three', max_output_tokens: 5 })
    expect(await answer.json()).toMatchObject({
      error: { param: 'input', message: expect.stringContaining('max_output_tokens') as string },
    })
  })

  test('a stream that breaks ends with response.failed, and an error for clients that only know that', async () => {
    const { post } = await gateway(await engine({ tokens: 9, cutAfter: 3 }))
    const events = await eventsOf(await post('/v1/responses', { model: 'coder', input: 'Hi', stream: true }))
    expect(events.slice(-2)).toMatchObject([
      { type: 'response.failed', response: { status: 'failed' } },
      { type: 'error' },
    ])
  })
})

describe('beside conversations', () => {
  test('documents are ranked, best first, under every path that clients use', async () => {
    const { post } = await gateway(await engine())
    const body = { model: 'coder', query: 'red apple', documents: ['a car', 'a red apple', 'an apple'], top_n: 2 }
    for (const path of ['/v1/rerank', '/rerank', '/v2/rerank']) {
      const answer = await post(path, body)
      expect(answer.status, path).toBe(200)
      const { results } = (await answer.json()) as { results: { index: number; relevance_score: number }[] }
      expect(
        results.map(({ index }) => index),
        path,
      ).toEqual([1, 2])
    }
    expect((await post('/v1/rerank', { ...body, documents: [] })).status).toBe(400)
  })

  test('text becomes tokens', async () => {
    const { post } = await gateway(await engine())
    expect(await (await post('/tokenize', { model: 'coder', prompt: 'one two' })).json()).toMatchObject({ count: 2 })
  })

  test('speech passes byte for byte', async () => {
    const fake = await engine({ dialect: 'openai' })
    const { post, untilClosed } = await gateway(fake, { version: { engine: 'openai' } })
    const body = { model: 'coder', input: 'Hello there', voice: 'alloy', response_format: 'wav' }
    const direct = await fetch(`${fake.url}/v1/audio/speech`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const answer = await post('/v1/audio/speech', body)
    expect(answer.headers.get('content-type')).toBe(direct.headers.get('content-type'))
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(Buffer.from(await direct.arrayBuffer()))
    expect(await untilClosed(1)).toMatchObject([{ outcome: 'ok', route: '/v1/audio/speech' }])
  })

  test('a recording is transcribed: the form reaches the engine whole, under its own name for the model', async () => {
    const fake = await engine({ dialect: 'openai' })
    const { url } = await gateway(fake, { version: { engine: 'openai', servedName: 'whisper' } })
    for (const [format, type] of [
      ['json', 'application/json'],
      ['text', 'text/plain'],
    ] as const) {
      const form = new FormData()
      form.set('file', new Blob([Buffer.alloc(2_000, 7)]), 'speech.wav')
      form.set('model', 'coder')
      form.set('response_format', format)
      const headers = { authorization: `Bearer ${testKey}` }
      const answer = await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', headers, body: form })
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, expect.stringContaining(type)])
      expect(JSON.stringify(fake.state().lastRequests.at(-1)?.body)).toContain('whisper')
    }
  })

  test('a form without a file, or that is none, is refused with what it should have been', async () => {
    const { url, post } = await gateway(await engine())
    const form = new FormData()
    form.set('model', 'coder')
    const headers = { authorization: `Bearer ${testKey}` }
    const answer = await fetch(`${url}/v1/audio/transcriptions`, { method: 'POST', headers, body: form })
    expect(await answer.json()).toMatchObject({ error: { param: 'file' } })
    expect(await (await post('/v1/audio/transcriptions', { model: 'coder' })).json()).toMatchObject({
      error: { message: expect.stringContaining('multipart/form-data') as string },
    })
  })
})

describe('usage', () => {
  test('an engine that tells none is estimated for those who asked, and the journal keeps not known', async () => {
    const { post, untilClosed } = await gateway(await engine({ noUsage: true, tokens: 4 }))
    const events = await eventsOf(
      await post('/v1/chat/completions', ask('Hi', { stream: true, stream_options: { include_usage: true } })),
    )
    expect(events.at(-2)).toMatchObject({
      choices: [],
      usage: { estimated: true, completion_tokens: expect.any(Number) as number },
    })
    expect(await untilClosed(1)).toMatchObject([{ outputTokens: null }])
    const silent = await eventsOf(await post('/v1/chat/completions', ask('Hi', { stream: true })))
    expect(silent.some(event => 'usage' in event && event['usage'] !== null)).toBe(false)
  })
})

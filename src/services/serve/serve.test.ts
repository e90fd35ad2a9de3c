import { request } from 'node:http'
import { describe, expect, test } from 'vitest'
import { engine, gateway } from '../../../test/support/gateways.ts'
import { ask, emptySnapshot, testKey, testVersion } from '../../../test/support/in-process-gateway.ts'
import { millis } from '../../domain/units.ts'

/** The data of each event of a stream, as sent. */
async function events(answer: Response): Promise<string[]> {
  return (await answer.text())
    .split('\n\n')
    .filter(event => event.startsWith('data: '))
    .map(event => event.slice('data: '.length))
}

describe('answers', () => {
  test('a whole answer comes with its version and is in the journal with its usage before it is sent', async () => {
    const fake = await engine({ tokens: 5 })
    const { post, closed } = await gateway({ replicas: [fake] })
    const answer = await post('/v1/chat/completions', ask('Hi'))
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-holdfast-version')).toBe(testVersion)
    expect(answer.headers.get('x-litellm-model-group')).toBe('coder')
    expect(Number(answer.headers.get('x-litellm-response-duration-ms'))).toBeGreaterThan(0)
    expect(await answer.json()).toMatchObject({ object: 'chat.completion', usage: { completion_tokens: 5 } })
    expect(closed()).toMatchObject([
      {
        id: answer.headers.get('x-request-id'),
        outcome: 'ok',
        status: 200,
        outputTokens: 5,
        attempts: 1,
        replica: 'r0',
        key: 'key_test',
        model: 'coder',
        version: testVersion,
      },
    ])
  })

  test('an open record is written before the engine is asked, and the closing one has the same id', async () => {
    const { post, records } = await gateway({ replicas: [await engine()] })
    await (await post('/v1/chat/completions', ask('Hi'))).text()
    expect(records.map(({ t }) => t)).toEqual(['open', 'close'])
    expect(records[0]?.id).toBe(records[1]?.id)
  })

  test('a stream passes on every event and ends with [DONE], without the usage it did not ask for', async () => {
    const { post, closed } = await gateway({ replicas: [await engine({ tokens: 4 })] })
    const seen = await events(await post('/v1/chat/completions', ask('Hi', { stream: true })))
    expect(seen.at(-1)).toBe('[DONE]')
    expect(seen.some(data => data.includes('"choices":[]'))).toBe(false)
    expect(closed()).toMatchObject([{ outcome: 'ok', stream: true, outputTokens: 4 }])
    expect(closed()[0]?.ttftMs).toBeGreaterThan(0)
  })

  test('a stream that asked for usage gets it once, last', async () => {
    const { post } = await gateway({ replicas: [await engine({ tokens: 4 })] })
    const seen = await events(
      await post('/v1/chat/completions', ask('Hi', { stream: true, stream_options: { include_usage: true } })),
    )
    expect(seen.filter(data => data.includes('"choices":[]'))).toHaveLength(1)
    expect(JSON.parse(seen.at(-2) ?? '')).toMatchObject({ choices: [], usage: { completion_tokens: 4 } })
  })

  test('a route that ends its streams without [DONE] is complete with its last piece, and lost before', async () => {
    const replica = await engine({ tokens: 4, dialect: 'llama-cpp' })
    const { post, closed } = await gateway({ replicas: [replica], version: { engine: 'llama-cpp' } })
    const body = { model: 'coder', prompt: 'def f(', suffix: '): pass', stream: true }
    const seen = await events(await post('/v1/completions', body))
    expect(replica.state().lastRequests.map(({ path }) => path)).toEqual(['/infill'])
    expect(seen.at(-1)).toBe('[DONE]')
    expect(JSON.parse(seen[0] ?? '')).toMatchObject({ object: 'text_completion', choices: [{ text: 'word0' }] })
    replica.behave({ cutAfter: 2 })
    const cut = await events(await post('/v1/completions', body))
    expect(JSON.parse(cut.at(-1) ?? '')).toMatchObject({ error: { code: 'engine_lost' } })
    expect(closed()).toMatchObject([{ outcome: 'ok', outputTokens: 4 }, { outcome: 'failed' }])
  })

  test('a token that spells a mark is no mark', async () => {
    const { post } = await gateway({ replicas: [await engine({ echoMessages: true })] })
    const text = 'say [DONE] and "usage" and "error" please'
    const seen = await events(await post('/v1/chat/completions', ask(text, { stream: true })))
    const said = seen
      .slice(0, -1)
      .map(data => (JSON.parse(data) as { choices: { delta: { content?: string } }[] }).choices[0]?.delta.content ?? '')
      .join('')
    expect(JSON.parse(said)).toEqual([{ role: 'user', content: text }])
  })

  test('a long body goes on as it came, but for what is the version’s', async () => {
    const fake = await engine({ name: 'qwen' })
    const { post } = await gateway({
      replicas: [fake],
      version: {
        servedName: 'qwen',
        sampling: { temperature: 0.3, top_p: 0.9 },
        prompt: { id: 'p1', text: 'Be brief – „so“.', mode: 'prepend' },
      },
    })
    const text = 'Größe 世界 "quoted"\n'.repeat(400)
    const answer = await post('/v1/chat/completions', ask(text, { stream: true, top_p: 0.1, seed: 7 }))
    expect((await events(answer)).at(-1)).toBe('[DONE]')
    expect(fake.state().lastRequests.at(-1)?.body).toEqual({
      model: 'qwen',
      messages: [
        { role: 'system', content: 'Be brief – „so“.' },
        { role: 'user', content: text },
      ],
      stream: true,
      top_p: 0.1,
      seed: 7,
      temperature: 0.3,
      stream_options: { include_usage: true },
    })
  })

  test("the version's prompt, sampling and served name reach the engine", async () => {
    const fake = await engine({ name: 'qwen' })
    const { post } = await gateway({
      replicas: [{ url: fake.url, apiKey: '${env:ENGINE_KEY}' }],
      version: {
        servedName: 'qwen',
        sampling: { temperature: 0.3 },
        prompt: { id: 'p1', text: 'Be brief.', mode: 'prepend' },
      },
    })
    expect((await post('/v1/chat/completions', ask('Hi'))).status).toBe(200)
    expect(fake.state().lastRequests.at(-1)).toMatchObject({
      headers: { authorization: 'Bearer secret of ${env:ENGINE_KEY}' },
      body: {
        model: 'qwen',
        temperature: 0.3,
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Hi' },
        ],
      },
    })
  })

  test('completions and embeddings go through', async () => {
    const { post, closed } = await gateway({ replicas: [await engine()] })
    expect(await (await post('/v1/completions', { model: 'coder', prompt: 'Hi' })).json()).toMatchObject({
      object: 'text_completion',
    })
    expect(await (await post('/v1/embeddings', { model: 'coder', input: ['a', 'b'] })).json()).toMatchObject({
      object: 'list',
    })
    expect(closed().map(({ route, outputTokens }) => [route, outputTokens])).toEqual([
      ['/v1/completions', 8],
      ['/v1/embeddings', 0],
    ])
  })
})

describe('refusals', () => {
  test.each([
    ['no key', { headers: {} }, 401, 'missing_api_key'],
    ['an unknown key', { headers: { authorization: 'Bearer sk-other' } }, 401, 'invalid_api_key'],
    ['a broken body', { body: '{"model":' }, 400, 'invalid_json'],
    ['an empty body', { body: '' }, 400, 'invalid_json'],
    ['an unknown model', { body: JSON.stringify({ ...ask('Hi'), model: 'gpt-9' }) }, 404, 'model_not_found'],
    [
      'a body in a coding we do not read',
      { headers: { 'authorization': `Bearer ${testKey}`, 'content-encoding': 'br' } },
      415,
      'unsupported_encoding',
    ],
  ])('%s is refused with four keys, and recorded', async (_name, init, status, code) => {
    const { post, closed } = await gateway({ replicas: [await engine()] })
    const answer = await post('/v1/chat/completions', ask('Hi'), init)
    expect(answer.status).toBe(status)
    const { error } = (await answer.json()) as { error: Record<string, unknown> }
    expect(Object.keys(error).toSorted()).toEqual(['code', 'message', 'param', 'type'])
    expect(error['code']).toBe(code)
    expect(closed()).toMatchObject([{ outcome: 'refused', status }])
  })

  test('a model the key may not use is 403', async () => {
    const { post } = await gateway({ replicas: [await engine()], mayUse: false })
    expect((await post('/v1/chat/completions', ask('Hi'))).status).toBe(403)
  })

  test('a body over the limit is 413, declared or not', async () => {
    const { post } = await gateway({ replicas: [await engine()] })
    const big = JSON.stringify(ask('x'.repeat(1024 * 1024 + 1)))
    expect((await post('/v1/chat/completions', big)).status).toBe(413)
    const undeclared = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from(big))
        controller.close()
      },
    })
    expect((await post('/v1/chat/completions', '', { body: undeclared, duplex: 'half' } as RequestInit)).status).toBe(
      413,
    )
  })

  test('bytes that are not UTF-8 are refused', async () => {
    const { post } = await gateway({ replicas: [await engine()] })
    const answer = await post('/v1/chat/completions', '', {
      body: Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
    })
    expect(await answer.json()).toMatchObject({ error: { code: 'invalid_utf8' } })
  })

  test('a body nested deeper than JSON can be written again is the client’s mistake', async () => {
    const { post, unexpected } = await gateway({ replicas: [await engine()], limits: {} })
    const deep = `{"model":"coder","messages":[{"role":"user","content":"Hi"}],"metadata":${'['.repeat(200_000)}${']'.repeat(200_000)}}`
    const answer = await post('/v1/chat/completions', deep)
    expect(answer.status).toBe(400)
    expect(unexpected).toEqual([])
  })

  test('the engine’s 400 is passed on in our shape; its 401 is not the client’s fault', async () => {
    const fake = await engine({ contextLimit: 3 })
    const { post } = await gateway({ replicas: [fake] })
    const answer = await post('/v1/chat/completions', ask('one two three four five six seven eight'))
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      error: { code: 'context_length_exceeded', message: expect.stringContaining('3') as string },
    })
    fake.behave({ contextLimit: null, apiKey: 'another' })
    const refused = await post('/v1/chat/completions', ask('Hi'))
    expect(refused.status).toBe(502)
    expect(await refused.text()).toContain('apiKey')
  })

  test('beyond the limit of requests in flight the next one is told to come back', async () => {
    const fake = await engine({ hang: true })
    const { post, gate } = await gateway({ replicas: [fake], limits: { inFlight: 1 } })
    const leave = new AbortController()
    const first = post('/v1/chat/completions', ask('Hi'), { signal: leave.signal }).catch(() => null)
    await fake.until(({ running }) => running === 1)
    const second = await post('/v1/chat/completions', ask('Hi'))
    expect(second.status).toBe(503)
    expect(second.headers.get('retry-after')).toBe('1')
    leave.abort()
    await first
    await fake.until(({ running }) => running === 0)
    expect(gate.inFlight).toBe(0)
  })
})

describe('fail-over', () => {
  test.each([
    ['answers 500', { status: 500 }],
    ['is loading', { loadingMs: 60_000 }],
    ['hangs up in the middle of a whole answer', { cutBody: true }],
    ['answers garbage', { garbage: true }],
  ])('before the first byte another replica answers when one %s', async (_name, bad) => {
    const fakes = [await engine(bad), await engine()]
    const { post, closed } = await gateway({ replicas: fakes })
    for (const stream of [false, true]) {
      for (let i = 0; i < 4; i++) {
        const answer = await post('/v1/chat/completions', ask('Hi', { stream }))
        expect(answer.status).toBe(200)
        const text = await answer.text()
        expect(text).toContain(stream ? '[DONE]' : 'chat.completion')
      }
    }
    expect(closed().every(({ outcome, replica }) => outcome === 'ok' && replica === 'r1')).toBe(true)
  })

  test('a stream that dies after its first byte ends with an error event and without [DONE]', async () => {
    const { post, closed } = await gateway({ replicas: [await engine({ cutAfter: 3 }), await engine({ cutAfter: 3 })] })
    const seen = await events(await post('/v1/chat/completions', ask('Hi', { stream: true })))
    expect(JSON.parse(seen.at(-1) ?? '')).toMatchObject({
      error: { code: 'engine_lost', type: 'server_error', param: null },
    })
    expect(closed()).toMatchObject([{ outcome: 'failed', status: 502, attempts: 1 }])
  })

  test('an engine’s error event in the middle of a stream ends it in our shape', async () => {
    const { post } = await gateway({ replicas: [await engine({ errorMidStream: 2 })] })
    const seen = await events(await post('/v1/chat/completions', ask('Hi', { stream: true })))
    expect(JSON.parse(seen.at(-1) ?? '')).toMatchObject({ error: { code: 'engine_failed' } })
  })

  test('a stream that falls silent ends with an error event after the idle limit', async () => {
    const { post } = await gateway({ replicas: [await engine({ stallAfter: 2 })], limits: { idle: millis(200) } })
    const seen = await events(await post('/v1/chat/completions', ask('Hi', { stream: true })))
    expect(JSON.parse(seen.at(-1) ?? '')).toMatchObject({ error: { code: 'engine_timeout' } })
  })

  test('a backup answers only while nobody else can', async () => {
    const main = await engine()
    const spare = await engine()
    const { post, closed } = await gateway({ replicas: [main, { url: spare.url, backup: true }], probeEveryMs: 50 })
    await (await post('/v1/chat/completions', ask('Hi'))).text()
    main.behave({ status: 500 })
    await (await post('/v1/chat/completions', ask('Hi'))).text()
    expect(closed().map(({ replica }) => replica)).toEqual(['r0', 'r1'])
  })

  test('with no replica left the answer says why and when to come back', async () => {
    const fake = await engine()
    await fake.die()
    const { post } = await gateway({ replicas: [fake] })
    expect((await post('/v1/chat/completions', ask('Hi'))).status).toBe(502)
    const answer = await post('/v1/chat/completions', ask('Hi'))
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ error: { code: 'no_replica' } })
  })

  test('a request waits while its only replica loads, and goes through when it is ready', async () => {
    const fake = await engine({ loadingMs: 60_000 })
    const { post, admission } = await gateway({
      replicas: [fake],
      probeEveryMs: 20,
      queue: { waiting: 5, deadlineMs: 5_000 },
    })
    const answer = post('/v1/chat/completions', ask('Hi'))
    await expect.poll(() => admission.waiting()).toBe(1)
    fake.behave({ loadingMs: 0 })
    expect((await answer).status).toBe(200)
    expect(admission.waiting()).toBe(0)
  })

  test('a request that waits is told at once when a new snapshot has nothing left to wait for', async () => {
    const fake = await engine({ loadingMs: 60_000 })
    const { post, fleet, admission } = await gateway({
      replicas: [fake],
      probeEveryMs: 20,
      queue: { waiting: 5, deadlineMs: 120_000 },
    })
    const answer = post('/v1/chat/completions', ask('Hi'))
    await expect.poll(() => admission.waiting()).toBe(1)
    fleet.use({ ...emptySnapshot, id: 'next' })
    expect((await answer).status).toBe(503)
    expect(admission.waiting()).toBe(0)
  })

  test('a request of a lost managed engine waits for it to come back', async () => {
    const fake = await engine({ hang: true })
    const { post } = await gateway({ replicas: [{ url: fake.url, managed: true }], probeEveryMs: 20 })
    const answer = post('/v1/chat/completions', ask('Hi'))
    await fake.until(({ running }) => running === 1)
    await fake.die()
    await engine({ port: fake.port })
    expect((await answer).status).toBe(200)
  })
})

describe('a client that leaves', () => {
  test.each([true, false])('stops the engine’s work and is recorded (stream: %s)', async stream => {
    const fake = await engine({ tokens: 1_000, gapMs: 10 })
    const { port, gate, fleet, untilClosed } = await gateway({ replicas: [fake] })
    const call = request({
      port,
      host: '127.0.0.1',
      path: '/v1/chat/completions',
      method: 'POST',
      headers: { authorization: `Bearer ${testKey}` },
    })
    call.on('error', () => {})
    call.end(JSON.stringify(ask('Hi', { stream })))
    await fake.until(({ running }) => running === 1)
    call.destroy()
    await fake.until(({ aborted, running }) => aborted === 1 && running === 0)
    expect(await untilClosed(1)).toMatchObject([{ outcome: 'cancelled', status: 499 }])
    expect(gate.inFlight).toBe(0)
    expect(fleet.replicas()[0]?.inFlight).toBe(0)
  })

  test('2,000 that leave bring every count back to zero', async () => {
    const fake = await engine({ tokens: 1_000, gapMs: 20, firstMs: 5 })
    const { port, gate, fleet, admission, untilClosed } = await gateway({ replicas: [fake] })
    const rounds = 20
    // A hundred connections at once, on a machine that does other things too.
    const loadedMs = 30_000
    for (let round = 0; round < rounds; round++) {
      const calls = Array.from({ length: 100 }, (_, i) => {
        const call = request({
          port,
          host: '127.0.0.1',
          path: '/v1/chat/completions',
          method: 'POST',
          agent: false,
          headers: { authorization: `Bearer ${testKey}` },
        })
        call.on('error', () => {})
        call.end(JSON.stringify(ask('Hi', { stream: i % 2 === 0 })))
        return call
      })
      await fake.until(({ received }) => received >= (round + 1) * 100, loadedMs)
      for (const call of calls) call.destroy()
    }
    const closed = await untilClosed(2_000)
    expect(closed.every(({ outcome }) => outcome === 'cancelled')).toBe(true)
    await fake.until(({ running }) => running === 0, loadedMs)
    expect([gate.inFlight, admission.waiting(), ...fleet.replicas().map(({ inFlight }) => inFlight)]).toEqual([0, 0, 0])
  }, 60_000)
})

describe('a drain that has to end', () => {
  test('ends streams with an error event and the others with a 503, and says so in the journal', async () => {
    const fake = await engine({ tokens: 1_000, gapMs: 20 })
    const { post, gate, untilClosed } = await gateway({ replicas: [fake] })
    const stream = await post('/v1/chat/completions', ask('Hi', { stream: true }))
    const whole = post('/v1/chat/completions', ask('Hi'))
    await fake.until(({ running }) => running === 2)
    gate.cut()
    expect(JSON.parse((await events(stream)).at(-1) ?? '')).toMatchObject({ error: { code: 'draining' } })
    expect((await whole).status).toBe(503)
    const closed = await untilClosed(2)
    expect(closed.map(({ outcome, fault }) => [outcome, fault])).toEqual([
      ['failed', 'draining'],
      ['failed', 'draining'],
    ])
    await fake.until(({ running }) => running === 0)
  })
})

describe('the journal', () => {
  test('when records are refused, the answer is a 503 and not the engine’s', async () => {
    const { post } = await gateway({ replicas: [await engine()], journalError: () => new Error('ENOSPC') })
    const answer = await post('/v1/chat/completions', ask('Hi'))
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ error: { code: 'journal_unwritable' } })
  })
})

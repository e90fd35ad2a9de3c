/** What each engine says differently: pages, wording, shapes. llama-cpp's are held to recordings beside this. */
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import type { EngineKind } from '../behaviour.ts'
import { startFakeEngine } from '../index.ts'
import type { BehaviourChange, FakeEngine } from '../index.ts'

const running: FakeEngine[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(engine => engine.close()))
})

async function start(dialect: EngineKind, change: BehaviourChange = {}): Promise<FakeEngine> {
  const engine = await startFakeEngine({ name: 'm', dialect, ...change })
  running.push(engine)
  return engine
}
async function answered(engine: FakeEngine, path: string, body?: object) {
  const response = await fetch(engine.url + path, body ? { method: 'POST', body: JSON.stringify(body) } : {})
  return { status: response.status, text: await response.text() }
}
/** The body as `JSON.parse` types it: tests read into it freely. */
const json = async (engine: FakeEngine, path: string, body?: object) =>
  JSON.parse((await answered(engine, path, body)).text)
const events = async (engine: FakeEngine, body: object) =>
  (await answered(engine, '/v1/chat/completions', { ...body, stream: true })).text
    .split('\n\n')
    .filter(event => event.startsWith('data: {'))
    .map(event => JSON.parse(event.slice('data: '.length)))
const hello = { model: 'm', messages: [{ role: 'user', content: 'Hello there' }] }
const tool = (name: string) => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] } },
})

const kinds: EngineKind[] = ['vllm', 'llama-cpp', 'ollama', 'sglang', 'tensorrt-llm', 'triton', 'tgi', 'openai']

describe('health', () => {
  const pages: [EngineKind, path: string, ready: [number, string], loading: [number, string]][] = [
    ['vllm', '/health', [200, ''], [503, expect.stringContaining('Loading model') as string]],
    ['llama-cpp', '/health', [200, '{"status":"ok"}'], [503, expect.stringContaining('Loading model') as string]],
    ['ollama', '/', [200, 'Ollama is running'], [200, 'Ollama is running']],
    ['sglang', '/health', [200, ''], [503, '']],
    ['sglang', '/health_generate', [200, ''], [503, '']],
    ['triton', '/v2/health/live', [200, ''], [200, '']],
    ['triton', '/v2/health/ready', [200, ''], [400, '']],
    ['triton', '/v2/models/m/ready', [200, ''], [400, '']],
    ['triton', '/health/ready', [200, ''], [400, expect.stringContaining('not ready') as string]],
    ['tgi', '/health', [200, ''], [503, '{"error":"unhealthy","error_type":"healthcheck"}']],
  ]
  test.each(pages)('of %s at %s: ready %j, loading %j', async (kind, path, ready, loading) => {
    const engine = await start(kind)
    const said = async () => Object.values(await answered(engine, path))
    expect(await said()).toEqual(ready)
    engine.behave({ loadingMs: 60_000 })
    expect(await said()).toEqual(loading)
  })

  test('a page that generates hangs with its engine, and the plain one does not', async () => {
    const engine = await start('sglang', { hang: true })
    const client = new AbortController()
    const asked = fetch(`${engine.url}/health_generate`, { signal: client.signal }).catch(() => 'left')
    expect((await answered(engine, '/health')).status).toBe(200)
    client.abort()
    expect(await asked).toBe('left')
  })
})

test('Ollama loads on request: what is asked waits, and it runs nothing until then', async () => {
  const engine = await start('ollama', { loadingMs: 60_000 })
  expect(await json(engine, '/api/ps')).toEqual({ models: [] })
  const asked = answered(engine, '/v1/chat/completions', hello)
  await engine.until(state => state.running === 1)
  engine.behave({ loadingMs: 0 })
  expect((await asked).status).toBe(200)
  const [model] = (await json(engine, '/api/ps')).models
  expect(model).toMatchObject({ name: 'm', context_length: 4096, details: { format: 'gguf' } })
  expect(model.size_vram).toBeLessThan(model.size)
  expect(Date.parse(model.expires_at)).not.toBeNaN()
  expect((await json(engine, '/api/tags')).models[0]).toMatchObject({ name: 'm', size: model.size })
  expect(await json(engine, '/api/version')).toHaveProperty('version')
})

test.each([
  ['vllm', { owned_by: 'vllm', max_model_len: 4096, root: 'm' }],
  ['sglang', { owned_by: 'sglang', max_model_len: 40_960 }],
  ['ollama', { owned_by: 'library' }],
  ['tensorrt-llm', { owned_by: 'tensorrt_llm' }],
  ['triton', { owned_by: 'Triton Inference Server' }],
  ['tgi', { owned_by: 'm', created: 0 }],
  ['openai', { owned_by: 'organization' }],
] satisfies [EngineKind, object][])('%s lists its model in its own shape', async (kind, own) => {
  const { object, data } = await json(await start(kind), '/v1/models')
  expect([object, data]).toEqual(['list', [expect.objectContaining({ id: 'm', object: 'model', ...own })]])
})

describe('wording', () => {
  const long = { model: 'm', messages: [{ role: 'user', content: 'a b c d e f g h i' }] }
  const cases: [
    EngineKind,
    what: string,
    change: BehaviourChange,
    body: object,
    status: number,
    said: string | object,
  ][] = [
    [
      'vllm',
      'another model',
      {},
      { ...hello, model: 'x' },
      404,
      { error: { message: 'The model `x` does not exist.', type: 'NotFoundError', param: null, code: 404 } },
    ],
    [
      'ollama',
      'another model',
      {},
      { ...hello, model: 'x' },
      404,
      { error: { message: "model 'x' not found", type: 'not_found_error', param: null, code: null } },
    ],
    ['triton', 'another model', {}, { ...hello, model: 'x' }, 400, { detail: 'Unknown model: x' }],
    [
      'openai',
      'another model',
      {},
      { ...hello, model: 'x' },
      404,
      {
        error: {
          message: "The model 'x' does not exist.",
          type: 'invalid_request_error',
          param: null,
          code: 'model_not_found',
        },
      },
    ],
    ['vllm', 'no key', { apiKey: 'k' }, hello, 401, { error: 'Unauthorized' }],
    ['sglang', 'no key', { apiKey: 'k' }, hello, 401, { error: 'Unauthorized' }],
    [
      'openai',
      'no key',
      { apiKey: 'k' },
      hello,
      401,
      {
        error: {
          message: 'Incorrect API key provided.',
          type: 'authentication_error',
          param: null,
          code: 'invalid_api_key',
        },
      },
    ],
    [
      'vllm',
      'a long prompt',
      { contextLimit: 4 },
      long,
      400,
      /maximum context length is 4 tokens\. However, your request has 9 input tokens\./,
    ],
    [
      'vllm',
      'a long answer',
      { contextLimit: 10 },
      { ...long, max_tokens: 5 },
      400,
      /you requested 5 output tokens and your prompt contains at least 9 input tokens/,
    ],
    [
      'sglang',
      'a long prompt',
      { contextLimit: 4 },
      long,
      400,
      {
        object: 'error',
        message: "The input (9 tokens) is longer than the model's context length (4 tokens).",
        type: 'BadRequestError',
        param: null,
        code: 400,
      },
    ],
    [
      'tensorrt-llm',
      'a long prompt',
      { contextLimit: 4 },
      long,
      400,
      /The sum of prompt length \(9\.0\), query length \(0\) should not exceed max_num_tokens \(4\)/,
    ],
    [
      'triton',
      'a long prompt',
      { contextLimit: 4 },
      long,
      400,
      /Prompt length \(9\) exceeds maximum input length \(4\)/,
    ],
    [
      'tgi',
      'a long prompt',
      { contextLimit: 4 },
      long,
      422,
      { error: 'Input validation error: `inputs` must have less than 4 tokens. Given: 9', error_type: 'validation' },
    ],
    [
      'openai',
      'a long prompt',
      { contextLimit: 4 },
      long,
      400,
      /maximum context length is 4 tokens\. However, your messages resulted in 9 tokens/,
    ],
    ['vllm', 'an image', { noVision: true }, withImage('https://x/y.png'), 400, /m is not a multimodal model/],
    [
      'llama-cpp',
      'an image',
      { noVision: true },
      withImage('https://x/y.png'),
      500,
      /image input is not supported - hint/,
    ],
    ['ollama', 'an image elsewhere', {}, withImage('https://x/y.png'), 400, /invalid image input/],
    [
      'vllm',
      'tools',
      { noAutoTools: true },
      { ...hello, tools: [tool('a')] },
      400,
      /\\"auto\\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set/,
    ],
    [
      'llama-cpp',
      'tools',
      { noAutoTools: true },
      { ...hello, tools: [tool('a')] },
      500,
      /tools param requires --jinja flag/,
    ],
    [
      'ollama',
      'tools',
      { noAutoTools: true },
      { ...hello, tools: [tool('a')] },
      400,
      /registry\.ollama\.ai\/library\/m does not support tools/,
    ],
    ['tensorrt-llm', 'no messages', {}, { model: 'm' }, 400, { error: "'messages' is required" }],
    ['tgi', 'no messages', {}, { model: 'm' }, 422, /Failed to deserialize/],
  ]
  const named = cases.map(([kind, what, change, body, status, said]) => ({ kind, what, change, body, status, said }))
  test.each(named)('of $kind for $what', async ({ kind, change, body, status, said }) => {
    const refused = await answered(await start(kind, change), '/v1/chat/completions', body)
    expect(refused.status).toBe(status)
    if (said instanceof RegExp) expect(refused.text).toMatch(said)
    else expect(JSON.parse(refused.text)).toEqual(said)
  })

  test.each([
    ['vllm', 404, '{"detail":"Not Found"}'],
    ['ollama', 404, '404 page not found'],
    ['tgi', 404, ''],
    ['openai', 404, expect.stringContaining('Unknown request URL') as string],
  ] satisfies [EngineKind, number, string][])('%s does not know a path: %i %s', async (kind, status, text) => {
    expect(await answered(await start(kind), '/v1/nope')).toEqual({ status, text })
  })

  test.each([
    ['ollama', 503, 'server busy, please try again.  maximum pending requests exceeded'],
    ['sglang', 503, 'The request queue is full.'],
    ['tgi', 429, 'Model is overloaded'],
    ['openai', 429, 'Rate limit reached for requests.'],
  ] satisfies [EngineKind, number, string][])('%s with a full queue: %i %s', async (kind, status, said) => {
    const engine = await start(kind, { maxConcurrent: 1, maxQueue: 0, hang: true })
    const client = new AbortController()
    const init = { method: 'POST', body: JSON.stringify(hello), signal: client.signal }
    const first = fetch(`${engine.url}/v1/chat/completions`, init).catch(() => 'left')
    await engine.until(state => state.running === 1)
    const refused = await answered(engine, '/v1/chat/completions', hello)
    expect([refused.status, refused.text]).toEqual([status, expect.stringContaining(said)])
    client.abort()
    expect(await first).toBe('left')
  })

  test.each(['llama-cpp', 'sglang', 'tensorrt-llm', 'tgi'] as const)('%s serves any model name', async kind => {
    expect((await answered(await start(kind), '/v1/chat/completions', { ...hello, model: 'x' })).status).toBe(200)
  })

  test('Ollama cuts a prompt that is too long, and only its count tells', async () => {
    const said = await json(await start('ollama', { contextLimit: 4 }), '/v1/chat/completions', long)
    expect(said.usage.prompt_tokens).toBe(4)
  })
})

describe('thought', () => {
  test.each([
    ['vllm', {}, 'reasoning'],
    ['vllm', { oldReasoning: true }, 'reasoning_content'],
    ['llama-cpp', {}, 'reasoning_content'],
    ['ollama', {}, 'reasoning'],
    ['sglang', {}, 'reasoning_content'],
    ['tensorrt-llm', {}, 'reasoning_content'],
    ['openai', {}, 'reasoning_content'],
  ] satisfies [EngineKind, BehaviourChange, string][])('of %s with %j is under `%s`', async (kind, change, field) => {
    const engine = await start(kind, { reasoning: 2, tokens: 1, ...change })
    const { message } = (await json(engine, '/v1/chat/completions', hello)).choices[0]
    expect([message[field], message.content]).toEqual(['think0 think1', 'word0'])
    const deltas = (await events(engine, hello)).map(event => event.choices[0]?.delta ?? {})
    expect(deltas.map(delta => delta[field] ?? '').join('')).toBe('think0 think1')
    expect(deltas.map(delta => delta.content ?? '').join('')).toBe('word0')
  })

  test.each(['triton', 'tgi'] as const)('of %s stays in the text, between its tags', async kind => {
    const engine = await start(kind, { reasoning: 2, tokens: 1 })
    const said = '<think>\nthink0 think1\n</think>\n\nword0'
    expect((await json(engine, '/v1/chat/completions', hello)).choices[0].message.content).toBe(said)
    const deltas = (await events(engine, hello)).map(event => event.choices[0]?.delta.content ?? '')
    expect(deltas.join('')).toBe(said)
  })

  test('is part of the completion’s tokens, and counted apart where the engine does', async () => {
    const usage = async (kind: EngineKind) =>
      (await json(await start(kind, { reasoning: 3, tokens: 2 }), '/v1/chat/completions', hello)).usage
    expect(await usage('openai')).toMatchObject({
      completion_tokens: 5,
      completion_tokens_details: { reasoning_tokens: 3 },
    })
    expect(await usage('sglang')).toMatchObject({ completion_tokens: 5, reasoning_tokens: 3 })
    expect(await usage('vllm')).toMatchObject({ completion_tokens: 5 })
  })

  test('takes the tokens that were allowed, and nothing is left for the answer', async () => {
    const engine = await start('openai', { reasoning: 5 })
    const [choice] = (await json(engine, '/v1/chat/completions', { ...hello, max_tokens: 3 })).choices
    expect(choice).toMatchObject({
      message: { content: '', reasoning_content: 'think0 think1 think2' },
      finish_reason: 'length',
    })
  })
})

describe('tool calls', () => {
  const asked = { ...hello, tools: [tool('a'), tool('b'), tool('c')] }
  const args = '{"on":true}'

  test.each(kinds)('%s calls two tools when told to, whole and streamed alike', async kind => {
    const engine = await start(kind, { callTools: 2 })
    const [choice] = (await json(engine, '/v1/chat/completions', asked)).choices
    type Told = { id?: string; index?: number; function: { name?: string; arguments?: string } }
    const whole: Told[] = choice.message.tool_calls
    expect(whole.map(call => [call.function.name, call.function.arguments])).toEqual([
      ['a', args],
      ['b', args],
    ])
    expect(new Set(whole.map(call => call.id)).size).toBe(2)
    expect(choice.finish_reason).toBe('tool_calls')
    const sent = await events(engine, asked)
    const deltas: Told[] = sent.flatMap(event => event.choices[0]?.delta.tool_calls ?? [])
    for (const index of [0, 1]) {
      const own = deltas.filter(call => call.index === index)
      expect(own.map(call => call.function.arguments ?? '').join('')).toBe(args)
      expect(own.filter(call => call.function.name !== undefined)).toHaveLength(1)
    }
    expect(sent.map(event => event.choices[0]?.finish_reason).findLast(reason => reason)).toBe('tool_calls')
  })

  test('Ollama sends each call whole in one event, vLLM its name first', async () => {
    const perCall = async (kind: EngineKind) =>
      (await events(await start(kind, { callTools: 1 }), asked)).flatMap(
        event => event.choices[0]?.delta.tool_calls ?? [],
      )
    expect((await perCall('ollama')).map(call => call.function)).toEqual([{ name: 'a', arguments: args }])
    expect((await perCall('vllm')).map(call => call.function)).toEqual([
      { name: 'a', arguments: '' },
      { arguments: '{"on":tr' },
      { arguments: 'ue}' },
    ])
  })

  test('vLLM and Triton end a call that was forced by name with `stop`', async () => {
    const named = { ...asked, tool_choice: { type: 'function', function: { name: 'b' } } }
    for (const [kind, finish] of [
      ['vllm', 'stop'],
      ['triton', 'stop'],
      ['openai', 'tool_calls'],
    ] as const) {
      const [choice] = (await json(await start(kind), '/v1/chat/completions', named)).choices
      expect([choice.message.tool_calls[0].function.name, choice.finish_reason]).toEqual(['b', finish])
    }
  })
})

describe('metrics', () => {
  const rows: [EngineKind, path: string, before: string[], after: string[]][] = [
    [
      'vllm',
      '/metrics',
      ['vllm:num_requests_running{engine="0",model_name="m"} 0.0'],
      [
        'vllm:prompt_tokens_total{engine="0",model_name="m"} 2.0',
        'vllm:generation_tokens_total{engine="0",model_name="m"} 8.0',
        'vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 1.0',
        'vllm:time_to_first_token_seconds_count{engine="0",model_name="m"} 1.0',
      ],
    ],
    [
      'sglang',
      '/metrics',
      ['sglang:num_queue_reqs{model_name="m"} 0.0'],
      ['sglang:prompt_tokens_total{model_name="m"} 2.0', 'sglang:generation_tokens_total{model_name="m"} 8.0'],
    ],
    [
      'tensorrt-llm',
      '/prometheus/metrics',
      ['trtllm_num_requests_running{engine_type="trtllm",model_name="m"} 0.0'],
      ['trtllm_request_success_total{engine_type="trtllm",finished_reason="stop",model_name="m"} 1.0'],
    ],
    [
      'triton',
      '/metrics',
      ['nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="waiting",version="1"} 0'],
      ['nv_inference_request_success{model="tensorrt_llm",version="1"} 1'],
    ],
    [
      'tgi',
      '/metrics',
      ['tgi_queue_size 0', 'tgi_batch_current_size 0'],
      ['tgi_request_success 1', 'tgi_request_generated_tokens_sum 8'],
    ],
  ]
  test.each(rows)('of %s at %s count what is done', async (kind, path, before, after) => {
    const engine = await start(kind)
    const lines = async () => (await answered(engine, path)).text.split('\n')
    expect(await lines()).toEqual(expect.arrayContaining(before))
    await answered(engine, '/v1/chat/completions', hello)
    expect(await lines()).toEqual(expect.arrayContaining(after))
  })

  test('of trtllm-serve are JSON at /metrics', async () => {
    expect(await json(await start('tensorrt-llm'), '/metrics')).toEqual([
      expect.objectContaining({ numActiveRequests: 0, numQueuedRequests: 0 }),
    ])
  })

  test('of an old vLLM have the names, types and texts of the recorded ones', async () => {
    const told = (text: string): string[] => text.split('\n').filter(line => line.startsWith('# '))
    const recorded = readFileSync(new URL('../testdata/vllm/metrics-2024-08.prom', import.meta.url), 'utf8')
    const ours = told((await answered(await start('vllm', { oldMetrics: true }), '/metrics')).text)
    expect(ours).toContain('# TYPE vllm:gpu_cache_usage_perc gauge')
    expect(told(recorded)).toEqual(expect.arrayContaining(ours))
  })

  test('are not there in Ollama, nor where they want a flag that was not given', async () => {
    expect((await answered(await start('ollama'), '/metrics')).status).toBe(404)
    expect((await answered(await start('sglang', { noMetrics: true }), '/metrics')).status).toBe(404)
  })
})

describe('usage', () => {
  test('tells cached tokens where the engine was started for it', async () => {
    for (const [kind, details] of [
      ['vllm', { cached_tokens: 1 }],
      ['sglang', { cached_tokens: 1 }],
    ] as const) {
      const engine = await start(kind)
      const said = async () => (await json(engine, '/v1/chat/completions', hello)).usage.prompt_tokens_details
      expect(await said()).toBeNull()
      engine.behave({ cacheDetails: true })
      expect(await said()).toEqual(details)
      expect(engine.state().cachedTokens).toBe(1)
    }
  })

  test('stands in every event when vLLM is asked for that', async () => {
    const options = { stream_options: { include_usage: true, continuous_usage_stats: true } }
    const counts = async (kind: EngineKind) =>
      (await events(await start(kind, { tokens: 2 }), { ...hello, ...options })).map(
        event => event.usage?.completion_tokens,
      )
    expect(await counts('vllm')).toEqual([0, 1, 2, 2, 2])
    expect(await counts('openai')).toEqual([undefined, undefined, undefined, undefined, 2])
  })
})

test('several answers are given by engines that can', async () => {
  const asked = { ...hello, n: 2 }
  for (const [kind, count] of [
    ['vllm', 2],
    ['openai', 2],
    ['ollama', 1],
  ] as const) {
    const engine = await start(kind, { tokens: 1 })
    expect((await json(engine, '/v1/chat/completions', asked)).choices).toHaveLength(count)
    const said = (await events(engine, asked)).filter(event => event.choices[0].delta.content === 'word0')
    expect(said.map(event => event.choices[0].index)).toEqual([0, 1].slice(0, count))
  }
})

test('logprobs are told in their shape, for chat and for text', async () => {
  const engine = await start('vllm', { tokens: 1 })
  const chat = await json(engine, '/v1/chat/completions', { ...hello, logprobs: true, top_logprobs: 2 })
  const [token] = chat.choices[0].logprobs.content
  expect(token).toMatchObject({ token: 'word0', logprob: expect.any(Number), bytes: [119, 111, 114, 100, 48] })
  expect(token.top_logprobs).toHaveLength(2)
  const text = await json(engine, '/v1/completions', { model: 'm', prompt: 'x', logprobs: 1 })
  expect(text.choices[0].logprobs).toMatchObject({
    tokens: ['word0'],
    text_offset: [0],
    top_logprobs: [{ word0: -0.5 }],
  })
})

test('a suffix is taken by engines that fill in, and refused in their words by the others', async () => {
  const asked = { model: 'm', prompt: 'def f(', suffix: '):' }
  const say = async (kind: EngineKind) => answered(await start(kind), '/v1/completions', asked)
  expect((await say('ollama')).status).toBe(200)
  expect((await say('sglang')).status).toBe(200)
  expect((await say('vllm')).text).toContain('suffix is not currently supported')
})

test('texts are tokenized in each engine’s shape', async () => {
  const messages = [{ role: 'user', content: 'one two' }]
  const vllm = await json(await start('vllm'), '/tokenize', { model: 'm', messages, return_token_strs: true })
  expect(vllm).toEqual({
    count: 2,
    max_model_len: 4096,
    tokens: [expect.any(Number), expect.any(Number)],
    token_strs: ['one', 'two'],
  })
  expect(await json(await start('sglang'), '/tokenize', { model: 'm', prompt: 'one two' })).toMatchObject({ count: 2 })
  expect(await json(await start('tgi'), '/tokenize', { inputs: 'one two' })).toMatchObject([
    { text: 'one', start: 0, stop: 3 },
    { text: 'two', start: 4, stop: 7 },
  ])
})

test('documents are ranked by the words they share, in each engine’s shape', async () => {
  const asked = { model: 'm', query: 'red fish', documents: ['blue bird', 'red fish swim', 'red car'] }
  const vllm = await json(await start('vllm'), '/v1/rerank', { ...asked, top_n: 2 })
  expect(vllm.results).toEqual([
    { index: 1, document: { text: 'red fish swim', multi_modal: null }, relevance_score: 1 },
    { index: 2, document: { text: 'red car', multi_modal: null }, relevance_score: 0.5 },
  ])
  const sglang = await json(await start('sglang'), '/v1/rerank', asked)
  expect(sglang[0]).toMatchObject({ score: 1, document: 'red fish swim', index: 1, meta_info: {} })
  const tei = await json(await start('tgi'), '/rerank', { query: 'red fish', texts: asked.documents })
  expect(tei).toEqual([
    { index: 1, score: 1 },
    { index: 2, score: 0.5 },
    { index: 0, score: 0 },
  ])
})

test('embeddings are packed by engines that pack them, in as many dimensions as asked', async () => {
  const asked = { model: 'm', input: 'x', encoding_format: 'base64', dimensions: 4 }
  const say = async (kind: EngineKind) => (await json(await start(kind), '/v1/embeddings', asked)).data[0].embedding
  expect(Buffer.from(await say('vllm'), 'base64')).toHaveLength(16)
  expect(await say('sglang')).toHaveLength(4)
  expect((await answered(await start('tensorrt-llm'), '/v1/embeddings', asked)).status).toBe(404)
})

describe('sound', () => {
  async function transcribe(engine: FakeEngine, format: string): Promise<Response> {
    const form = new FormData()
    form.set('model', 'm')
    form.set('response_format', format)
    form.set('file', new Blob(['RIFF']), 'talk.wav')
    return fetch(`${engine.url}/v1/audio/transcriptions`, { method: 'POST', body: form })
  }

  test('is written down by vLLM, in the format asked for', async () => {
    const engine = await start('vllm', { tokens: 2 })
    expect(await (await transcribe(engine, 'json')).json()).toEqual({
      text: 'word0 word1',
      usage: { type: 'duration', seconds: 1 },
    })
    expect(await (await transcribe(engine, 'text')).text()).toBe('word0 word1')
    expect(await (await transcribe(engine, 'verbose_json')).json()).toMatchObject({
      segments: [{ text: 'word0 word1' }],
    })
    expect(engine.state().lastRequests.at(-1)?.body).toEqual({
      model: 'm',
      response_format: 'verbose_json',
      file: { name: 'talk.wav', type: 'application/octet-stream', bytes: 4 },
    })
  })

  test('is made the same for the same text', async () => {
    const engine = await start('openai')
    const speak = async (input: string) => {
      const body = JSON.stringify({ model: 'm', input, voice: 'alloy', response_format: 'wav' })
      const response = await fetch(`${engine.url}/v1/audio/speech`, { method: 'POST', body })
      return { type: response.headers.get('content-type'), bytes: Buffer.from(await response.arrayBuffer()) }
    }
    const said = await speak('Hi')
    expect([said.type, said.bytes.toString('latin1', 0, 4)]).toEqual(['audio/wav', 'RIFF'])
    expect(await speak('Hi')).toEqual(said)
    expect((await speak('Ho')).bytes.equals(said.bytes)).toBe(false)
  })

  test.each(['ollama', 'sglang', 'triton'] as const)('%s has no routes for it', async kind => {
    expect((await transcribe(await start(kind), 'json')).status).toBe(404)
  })
})

function withImage(url: string) {
  return { model: 'm', messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] }
}

test('TGI tells the tokens of a chat, and takes its own form of a schema', async () => {
  const engine = await start('tgi')
  expect(await json(engine, '/chat_tokenize', hello)).toEqual({
    tokenize_response: [
      { id: expect.any(Number) as number, text: 'Hello', start: 0, stop: 5 },
      { id: expect.any(Number) as number, text: 'there', start: 6, stop: 11 },
    ],
    templated_text: 'Hello there',
  })
  const value = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
  const answer = await json(engine, '/v1/chat/completions', { ...hello, response_format: { type: 'json', value } })
  expect(JSON.parse(answer.choices[0].message.content)).toEqual({ n: 0 })
})

test('images are taken and counted', async () => {
  const engine = await start('ollama')
  expect((await answered(engine, '/v1/chat/completions', withImage('data:image/png;base64,AA=='))).status).toBe(200)
  expect(engine.state().images).toBe(1)
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { startFakeEngine } from './index.ts'
import type { FakeEngine, FakeEngineOptions } from './index.ts'

const running: FakeEngine[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(engine => engine.close()))
})

async function start(options: FakeEngineOptions = {}): Promise<FakeEngine> {
  const engine = await startFakeEngine(options)
  running.push(engine)
  return engine
}

type Extra = { signal?: AbortSignal; headers?: Record<string, string> }
function post(engine: FakeEngine, path: string, body: unknown, extra: Extra = {}): Promise<Response> {
  return fetch(engine.url + path, {
    method: 'POST',
    body: JSON.stringify(body),
    ...extra,
    headers: { 'content-type': 'application/json', ...extra.headers },
  })
}
const chat = (engine: FakeEngine, body: object = {}, extra: Extra = {}): Promise<Response> =>
  post(
    engine,
    '/v1/chat/completions',
    { model: 'm', messages: [{ role: 'user', content: 'Hello there' }], ...body },
    extra,
  )
/** The body as `JSON.parse` types it: tests read into it freely. */
const json = async (response: Response | Promise<Response>) => JSON.parse(await (await response).text())
const saying = (content: string) => ({ messages: [{ role: 'user', content }] })
const events = async (response: Response): Promise<string[]> =>
  (await response.text())
    .split('\n\n')
    .filter(line => line !== '')
    .map(line => line.replace(/^data: /, ''))

test('a chat is answered with the same words every time, and their count', async () => {
  const engine = await start({ tokens: 3 })
  const answer = await json(chat(engine))
  expect(answer).toMatchObject({
    object: 'chat.completion',
    model: 'm',
    choices: [{ message: { role: 'assistant', content: 'word0 word1 word2' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
  })
})

test('a stream opens with the role, sends one event a token, the usage when asked, and [DONE]', async () => {
  const engine = await start({ tokens: 2 })
  const sent = await events(await chat(engine, { stream: true, stream_options: { include_usage: true } }))
  expect(sent.at(-1)).toBe('[DONE]')
  const chunks = sent.slice(0, -1).map(event => JSON.parse(event))
  expect(chunks.map(chunk => chunk.choices[0]?.delta)).toEqual([
    { role: 'assistant', content: '' },
    { content: 'word0' },
    { content: ' word1' },
    { content: '' },
    undefined,
  ])
  expect(chunks.at(-1).usage).toEqual({ prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 })
  expect(await events(await chat(engine, { stream: true }))).toHaveLength(5)
})

test('a request that wants fewer tokens gets fewer, and the finish reason says so', async () => {
  const engine = await start({ tokens: 9 })
  const answer = await json(chat(engine, { max_tokens: 2 }))
  expect(answer).toMatchObject({ choices: [{ message: { content: 'word0 word1' }, finish_reason: 'length' }] })
})

test('a forced tool is called with arguments its schema takes, streaming or not', async () => {
  const engine = await start()
  const parameters = {
    type: 'object',
    properties: { on: { type: 'boolean' }, name: { type: 'string' } },
    required: ['on', 'name'],
  }
  const tools = { tools: [{ type: 'function', function: { name: 'set', parameters } }], tool_choice: 'required' }
  const whole = await json(chat(engine, tools))
  const call = whole.choices[0].message.tool_calls[0]
  expect([call.function.name, JSON.parse(call.function.arguments)]).toEqual(['set', { on: true, name: 'word0' }])
  const chunks = (await events(await chat(engine, { ...tools, stream: true })))
    .slice(0, -1)
    .map(event => JSON.parse(event))
  const pieces = chunks.map(chunk => chunk.choices[0].delta.tool_calls?.[0].function.arguments ?? '')
  expect(pieces.join('')).toBe(call.function.arguments)
  expect(chunks.at(-1).choices[0].finish_reason).toBe('tool_calls')
})

test('echoMessages answers with what was received, system prompt included', async () => {
  const engine = await start({ echoMessages: true })
  const messages = [
    { role: 'system', content: 'Be “kind” 🙂' },
    { role: 'user', content: 'Hi' },
  ]
  const whole = await json(chat(engine, { messages }))
  expect(JSON.parse(whole.choices[0].message.content)).toEqual(messages)
  const chunks = (await events(await chat(engine, { messages, stream: true })))
    .slice(0, -1)
    .map(event => JSON.parse(event))
  expect(JSON.parse(chunks.map(chunk => chunk.choices[0].delta.content ?? '').join(''))).toEqual(messages)
})

test('says what it was told to say to such messages, whole, and its own words to others', async () => {
  const engine = await start({ says: [{ when: 'capital', text: 'Paris, of course.' }], tokens: 2 })
  const saying = async (content: string): Promise<string> =>
    (await json(chat(engine, { messages: [{ role: 'user', content }], max_tokens: 2 }))).choices[0].message.content
  expect(await saying('The capital of France?')).toBe('Paris, of course.')
  expect(await saying('Hi')).toBe('word0 word1')
})

test('text completions and embeddings are answered, floats and base64 alike', async () => {
  const engine = await start({ tokens: 1 })
  const text = await json(post(engine, '/v1/completions', { model: 'm', prompt: 'Once upon' }))
  expect(text).toMatchObject({ object: 'text_completion', choices: [{ text: 'word0' }], usage: { prompt_tokens: 2 } })
  const floats = await json(post(engine, '/v1/embeddings', { model: 'm', input: ['a', 'b'] }))
  const packed = await json(post(engine, '/v1/embeddings', { model: 'm', input: 'a', encoding_format: 'base64' }))
  const bytes = Buffer.from(packed.data[0].embedding, 'base64')
  expect(floats.data).toHaveLength(2)
  expect(floats.data[0].embedding).not.toEqual(floats.data[1].embedding)
  expect(Array.from({ length: 8 }, (_, index) => bytes.readFloatLE(index * 4))).toEqual(floats.data[0].embedding)
})

test('the state keeps what was forwarded: path, headers and body', async () => {
  const engine = await start()
  await (
    await chat(engine, { temperature: 0.5 }, { headers: { 'authorization': 'Bearer k', 'x-request-id': 'r1' } })
  ).text()
  const state = await json(fetch(`${engine.url}/fake/state?finished=1`))
  expect(state).toMatchObject({ received: 1, running: 0, finished: 1, aborted: 0 })
  expect(state.lastRequests[0]).toMatchObject({
    path: '/v1/chat/completions',
    headers: { 'authorization': 'Bearer k', 'x-request-id': 'r1' },
    body: { model: 'm', temperature: 0.5 },
  })
})

test('a hanging engine takes the request, stays healthy, and notices the client leave before the first byte', async () => {
  const engine = await start({ hang: true })
  const client = new AbortController()
  const asked = chat(engine, {}, { signal: client.signal }).catch(() => 'left')
  await engine.until(state => state.running === 1)
  expect((await fetch(`${engine.url}/health`)).status).toBe(200)
  client.abort()
  expect(await asked).toBe('left')
  expect(await engine.until(state => state.aborted === 1)).toMatchObject({
    running: 0,
    finished: 0,
    abortedBeforeFirstByte: 1,
  })
})

test('a client that leaves in the middle of a stream stops the generation', async () => {
  const engine = await start({ tokens: 100_000, gapMs: 1 })
  const client = new AbortController()
  const response = await chat(engine, { stream: true }, { signal: client.signal })
  await response.body?.getReader().read()
  client.abort()
  const state = await engine.until(now => now.aborted === 1)
  expect(state).toMatchObject({ running: 0, abortedBeforeFirstByte: 0 })
  expect(state.generationTokens).toBeLessThan(10_000)
})

test('a stalled stream sends its tokens and then nothing, the connection open', async () => {
  const engine = await start({ stallAfter: 2 })
  const client = new AbortController()
  const response = await chat(engine, { stream: true }, { signal: client.signal })
  await engine.until(state => state.generationTokens === 2)
  expect(engine.state()).toMatchObject({ running: 1, aborted: 0 })
  client.abort()
  await response.text().catch(() => '')
  await engine.until(state => state.aborted === 1)
})

test('a cut stream loses its connection after the tokens it promised', async () => {
  const engine = await start({ cutAfter: 2 })
  const response = await chat(engine, { stream: true })
  let seen = ''
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) seen += decoder.decode(chunk, { stream: true })
  }
  await expect(read()).rejects.toThrow()
  expect(seen).toContain('word1')
  expect(seen).not.toContain('word2')
  await engine.until(state => state.cut === 1 && state.aborted === 0 && state.running === 0)
})

test('a cut before the first byte, and a body shorter than promised, fail the client', async () => {
  const engine = await start({ cutAfter: 0 })
  await expect(chat(engine)).rejects.toThrow()
  engine.behave({ cutAfter: null, cutBody: true })
  const response = await chat(engine)
  expect(response.status).toBe(200)
  await expect(response.text()).rejects.toThrow()
  await engine.until(state => state.cut === 2)
})

test('an error in the middle of a stream is an event, and otherwise HTTP 500', async () => {
  const engine = await start({ errorMidStream: 1 })
  const sent = await events(await chat(engine, { stream: true }))
  expect(JSON.parse(sent.at(-2) ?? '')).toMatchObject({ error: { code: 500 } })
  expect((await chat(engine)).status).toBe(500)
})

test('Triton hangs up instead', async () => {
  const engine = await start({ dialect: 'triton', errorMidStream: 1 })
  const response = await chat(engine, { stream: true })
  await expect(response.text()).rejects.toThrow()
  await engine.until(state => state.cut === 1)
  expect((await chat(engine)).status).toBe(500)
})

test('garbage is a 200 that is neither JSON nor SSE', async () => {
  const engine = await start({ garbage: true })
  const response = await chat(engine)
  expect(response.status).toBe(200)
  await expect(json(response)).rejects.toThrow()
})

test('a status is answered in the dialect of the engine', async () => {
  const engine = await start({ status: 503 })
  expect(await json(chat(engine))).toMatchObject({ error: { type: 'InternalServerError', code: 503 } })
  engine.behave({ dialect: 'llama-cpp' })
  expect(await json(chat(engine))).toMatchObject({ error: { type: 'unavailable_error', code: 503 } })
})

test('a loading engine answers 503 everywhere but under /fake, until it is ready', async () => {
  const engine = await start({ loadingMs: 60_000 })
  for (const response of [
    await fetch(`${engine.url}/health`),
    await fetch(`${engine.url}/v1/models`),
    await chat(engine),
  ]) {
    expect(response.status).toBe(503)
    expect(await json(response)).toEqual({ error: { code: 503, message: 'Loading model', type: 'unavailable_error' } })
  }
  await (await post(engine, '/fake/behave', { loadingMs: 0 })).text()
  expect((await chat(engine)).status).toBe(200)
})

test('a prompt over the context is refused in vLLM’s and in llama.cpp’s words', async () => {
  const engine = await start({ contextLimit: 1 })
  const vllm = await chat(engine)
  expect(vllm.status).toBe(400)
  expect((await json(vllm)).error.message).toMatch(
    /^This model's maximum context length is 1 tokens\. However, your request has 2 input tokens/,
  )
  engine.behave({ dialect: 'llama-cpp' })
  expect((await json(chat(engine))).error).toEqual({
    code: 400,
    type: 'exceed_context_size_error',
    n_prompt_tokens: 2,
    n_ctx: 1,
    message: 'request (2 tokens) exceeds the available context size (1 tokens), try increasing it',
  })
})

test('noUsage leaves the usage out, asked for or not', async () => {
  const engine = await start({ noUsage: true })
  expect(await json(chat(engine))).not.toHaveProperty('usage')
  expect(await (await chat(engine, { stream: true, stream_options: { include_usage: true } })).text()).not.toContain(
    'usage',
  )
})

test('more requests than places wait, are counted by the metrics, and leave the queue when their client does', async () => {
  const engine = await start({ name: 'm', maxConcurrent: 1, hang: true })
  const [first, second] = [new AbortController(), new AbortController()]
  const one = chat(engine, {}, { signal: first.signal }).catch(() => 'left')
  await engine.until(state => state.running === 1)
  const two = chat(engine, {}, { signal: second.signal }).catch(() => 'left')
  await engine.until(state => state.waiting === 1)
  const metrics = await (await fetch(`${engine.url}/metrics`)).text()
  expect(metrics).toContain('vllm:num_requests_running{engine="0",model_name="m"} 1.0\n')
  expect(metrics).toContain('vllm:num_requests_waiting{engine="0",model_name="m"} 1.0\n')
  second.abort()
  await engine.until(state => state.waiting === 0 && state.aborted === 1)
  engine.behave({ hang: false })
  const third = chat(engine)
  await engine.until(state => state.waiting === 1)
  first.abort()
  expect((await third).status).toBe(200)
  expect(await Promise.all([one, two])).toEqual(['left', 'left'])
})

test('a key and a model name are wanted when they were given', async () => {
  const engine = await start({ name: 'served', apiKey: 'secret' })
  expect((await chat(engine)).status).toBe(401)
  const headers = { authorization: 'Bearer secret' }
  expect((await chat(engine, {}, { headers })).status).toBe(404)
  expect((await chat(engine, { model: 'served' }, { headers })).status).toBe(200)
  expect(engine.state()).toMatchObject({ received: 3, finished: 3 })
})

test('a directive in the last user message changes one request only', async () => {
  const engine = await start({ tokens: 1 })
  const directed = await json(chat(engine, saying('go [[fake:tokens=4]]')))
  expect(directed.usage.completion_tokens).toBe(4)
  expect((await json(chat(engine))).usage.completion_tokens).toBe(1)
  expect((await chat(engine, saying('[[fake:status=418]]'))).status).toBe(418)
  expect((await chat(engine, saying('[[fake:garbage]]'))).headers.get('content-type')).toBe('text/html')
})

test('a mistyped directive or behaviour is refused, never ignored', async () => {
  const engine = await start()
  expect((await chat(engine, saying('[[fake:tokenz=4]]'))).status).toBe(400)
  const refused = await post(engine, '/fake/behave', { gapMs: 'fast' })
  expect(refused.status).toBe(400)
})

test('a change of behaviour leaves the others alone, and reset brings back the start', async () => {
  const engine = await start({ tokens: 2 })
  engine.behave({ noUsage: true })
  const changed = await json(post(engine, '/fake/behave', { gapMs: 1 }))
  expect(changed).toMatchObject({ tokens: 2, noUsage: true, gapMs: 1 })
  const reset = await json(post(engine, '/fake/reset', {}))
  expect(reset).toMatchObject({ tokens: 2, noUsage: false, gapMs: 0 })
  expect(engine.state()).toMatchObject({ received: 0, finished: 0, lastRequests: [] })
})

test('an engine that died in process refuses connections, and another may take its port', async () => {
  const engine = await start({ hang: true })
  const asked = chat(engine)
  await engine.until(state => state.running === 1)
  await engine.die()
  await expect(asked).rejects.toThrow()
  await expect(chat(engine)).rejects.toThrow()
  const successor = await start({ port: engine.port })
  expect((await chat(successor)).status).toBe(200)
})

test('as a process it tells its address, answers, and dies with 137 when told', async () => {
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      fileURLToPath(new URL('./main.ts', import.meta.url)),
      '--name',
      'm',
      '--behave',
      '{"tokens":1}',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const exited = once(child, 'exit')
  try {
    const [line] = await once(createInterface({ input: child.stdout }), 'line')
    const told = JSON.parse(String(line))
    expect(told.pid).toBe(child.pid)
    const response = await fetch(`${told.url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'm', ...saying('Hi') }),
    })
    expect((await json(response)).choices[0].message.content).toBe('word0')
    await expect(fetch(`${told.url}/fake/die`, { method: 'POST' })).rejects.toThrow()
    expect((await exited)[0]).toBe(137)
  } finally {
    child.kill('SIGKILL')
  }
})

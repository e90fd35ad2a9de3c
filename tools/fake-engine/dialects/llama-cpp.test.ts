/** The llama-cpp dialect against what the real program answered (testdata/llama-server), field by field in order. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startFakeEngine } from '../index.ts'
import type { FakeEngine } from '../index.ts'

let engine: FakeEngine
beforeAll(async () => {
  engine = await startFakeEngine({ name: 'smoke', dialect: 'llama-cpp' })
})
beforeEach(() => engine.reset())
afterAll(() => engine.close())

type Answered = { status: number; headers: Record<string, string>; body: string }

function recorded(name: string): Answered {
  const text = readFileSync(new URL(`../testdata/llama-server/${name}.http`, import.meta.url), 'utf8')
  const end = text.indexOf('\r\n\r\n')
  const [start = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)])
  return { status: Number(start.split(' ')[1]), headers: Object.fromEntries(headers), body: text.slice(end + 4) }
}

async function answered(path: string, body?: unknown): Promise<Answered> {
  const sent = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(engine.url + path, body === undefined ? {} : { method: 'POST', body: sent })
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() }
}

/** Of the headers, those that the program chooses; its HTTP library's are the fake's own. */
const chosen = ({ headers }: Answered) =>
  Object.fromEntries(
    ['server', 'access-control-allow-origin', 'content-type', 'x-accel-buffering'].map(name => [name, headers[name]]),
  )

/** What differs from run to run made equal: numbers, the words of answers, ids. Types and order stay. */
function mask(json: string): string {
  const varying = new Set(['content', 'text', 'id', 'token', 'media_marker', 'prompt'])
  return JSON.stringify(JSON.parse(json), (name, value: unknown) => {
    if (typeof value === 'number') return 0
    return typeof value === 'string' && varying.has(name) ? '…' : value
  })
}
const maskEvents = ({ body }: Answered): string[] =>
  body
    .split('\n\n')
    .filter(event => event !== '')
    .map(event => (event === 'data: [DONE]' ? event : `data: ${mask(event.slice('data: '.length))}`))

function expectSame(ours: Answered, theirs: Answered): void {
  expect(ours.status).toBe(theirs.status)
  expect(chosen(ours)).toEqual(chosen(theirs))
  expect(ours.body).toBe(theirs.body.trimEnd())
}

const hello = { model: 'smoke', messages: [{ role: 'user', content: 'Hello!' }] }
const boolean = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] }

test.each([
  ['health', '/health', undefined],
  ['slots', '/slots', undefined],
  ['not-found', '/v1/nope', undefined],
  ['no-messages', '/v1/chat/completions', { model: 'smoke' }],
])('%s is the same byte for byte', async (name, path, body) => {
  expectSame(await answered(path, body), recorded(name))
})

test('a prompt over the context is refused with the same bytes', async () => {
  engine.behave({ contextLimit: 512 })
  const messages = [{ role: 'user', content: 'hello '.repeat(6011) }]
  expectSame(await answered('/v1/chat/completions', { model: 'smoke', messages }), recorded('context-exceeded'))
})

test.each([
  ['models', '/v1/models', undefined],
  ['props', '/props', undefined],
  ['tokenize', '/tokenize', { content: 'Hello' }],
  ['messages-count', '/v1/messages/count_tokens', hello],
  ['chat', '/v1/chat/completions', hello],
  [
    'chat-json-schema',
    '/v1/chat/completions',
    { ...hello, response_format: { type: 'json_schema', json_schema: { name: 'a', schema: boolean } } },
  ],
  ['chat-logprobs', '/v1/chat/completions', { ...hello, max_tokens: 3, logprobs: true, top_logprobs: 2 }],
  ['completions', '/v1/completions', { model: 'smoke', prompt: 'Hello', max_tokens: 7 }],
])('%s has the same fields in the same order', async (name, path, body) => {
  if (name === 'props') engine.behave({ noVision: true })
  const [ours, theirs] = [await answered(path, body), recorded(name)]
  const bytes = (json: string): string => json.replaceAll(/"bytes":\[[\d,]*\]/g, '"bytes":[]')
  expect([ours.status, chosen(ours)]).toEqual([theirs.status, chosen(theirs)])
  expect(mask(bytes(ours.body))).toBe(mask(bytes(theirs.body)))
})

test.each([
  [
    'chat-stream-usage',
    '/v1/chat/completions',
    { ...hello, max_tokens: 8, stream: true, stream_options: { include_usage: true } },
  ],
  ['completions-stream', '/v1/completions', { model: 'smoke', prompt: 'Hello', max_tokens: 8, stream: true }],
])('%s has the same events', async (name, path, body) => {
  engine.behave({ tokens: 9 })
  const [ours, theirs] = [await answered(path, body), recorded(name)]
  expect([ours.status, chosen(ours)]).toEqual([theirs.status, chosen(theirs)])
  expect(maskEvents(ours)).toEqual(maskEvents(theirs))
})

test('a stream without usage tells its timings in the last event', async () => {
  engine.behave({ tokens: 8 })
  const ours = await answered('/v1/chat/completions', { ...hello, stream: true })
  // The recorded one was cut by its length.
  expect(maskEvents(ours).map(event => event.replace('"stop"', '"length"'))).toEqual(
    maskEvents(recorded('chat-stream')),
  )
})

test('the timings add up as the real ones do', async () => {
  const timings = (body: string) => JSON.parse(body).timings
  engine.behave({ tokens: 10, firstMs: 2, gapMs: 1 })
  for (const told of [timings((await answered('/v1/chat/completions', hello)).body), timings(recorded('chat').body)]) {
    expect(told.prompt_per_token_ms).toBeCloseTo(told.prompt_ms / told.prompt_n, 9)
    expect(told.predicted_per_token_ms).toBeCloseTo(told.predicted_ms / (told.predicted_n - 1), 9)
    expect(told.predicted_per_second).toBeCloseTo(1000 / told.predicted_per_token_ms, 6)
  }
})

test('the same prompt again is in the cache but for its last token', async () => {
  const again = { ...hello, messages: [{ role: 'user', content: 'one two three four' }] }
  const usage = async () => JSON.parse((await answered('/v1/chat/completions', again)).body).usage.prompt_tokens_details
  expect(await usage()).toEqual({ cached_tokens: 0 })
  expect(await usage()).toEqual({ cached_tokens: 3 })
})

test('a body that is no JSON is answered 500', async () => {
  const [ours, theirs] = [await answered('/v1/chat/completions', '{"model":'), recorded('bad-json')]
  const start =
    /^\{"error":\{"code":500,"message":"\[json\.exception\.parse_error\.101\] parse error at line 1, .*","type":"server_error"\}\}$/
  expect([ours.status, theirs.status]).toEqual([500, 500])
  expect([ours.body, theirs.body.trimEnd()]).toEqual([expect.stringMatching(start), expect.stringMatching(start)])
})

test('the metrics have the same names, texts and types, and count what is done', async () => {
  const withoutNumbers = (body: string): string => body.replaceAll(/^(llamacpp:\S+) .*$/gm, '$1')
  await answered('/v1/chat/completions', hello)
  const ours = await answered('/metrics')
  expect(withoutNumbers(ours.body).trimEnd()).toBe(withoutNumbers(recorded('metrics').body).trimEnd())
  expect(ours.headers['content-type']).toBe(recorded('metrics').headers['content-type'])
  expect(ours.body).toContain('\nllamacpp:tokens_predicted_total 8\n')
  engine.behave({ noMetrics: true })
  expect((await answered('/metrics')).status).toBe(501)
})

test('busy slots say so, in the fields of the real ones', async () => {
  const client = new AbortController()
  engine.behave({ hang: true })
  const asked = fetch(`${engine.url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify(hello),
    signal: client.signal,
  }).catch(() => 'left')
  await engine.until(state => state.running === 1)
  const [busy, idle] = JSON.parse((await answered('/slots')).body)
  const [theirs] = JSON.parse(recorded('slots-busy').body)
  expect(Object.keys(busy)).toEqual(Object.keys(theirs))
  expect([busy.is_processing, idle.is_processing]).toEqual([true, false])
  client.abort()
  expect(await asked).toBe('left')
})

test('a call streams with its name and the first piece of its arguments in one event', async () => {
  const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
  const tools = [{ type: 'function', function: { name: 'look', parameters } }]
  const { body } = await answered('/v1/chat/completions', { ...hello, tools, tool_choice: 'required', stream: true })
  const calls = body
    .split('\n\n')
    .filter(event => event.includes('tool_calls":['))
    .map(event => JSON.parse(event.slice('data: '.length)).choices[0].delta.tool_calls[0])
  expect(calls).toEqual([
    {
      index: 0,
      id: expect.stringMatching(/^\w{32}$/),
      type: 'function',
      function: { name: 'look', arguments: '{"city":' },
    },
    { index: 0, function: { arguments: '"word0"}' } },
  ])
})

test('infill answers in the program’s own shape, whole and streamed', async () => {
  engine.behave({ tokens: 2 })
  const asked = { input_prefix: 'def f(', input_suffix: '):' }
  const whole = JSON.parse((await answered('/infill', asked)).body)
  expect(whole).toMatchObject({
    content: 'word0 word1',
    stop: true,
    stop_type: 'eos',
    tokens_predicted: 2,
    tokens_evaluated: 3,
  })
  const { body } = await answered('/infill', { ...asked, stream: true, n_predict: 1 })
  const events = body
    .split('\n\n')
    .filter(event => event !== '')
    .map(event => JSON.parse(event.slice('data: '.length)))
  expect(events).toMatchObject([
    { content: 'word0', stop: false },
    { content: '', stop: true, stop_type: 'limit', timings: { predicted_n: 1 } },
  ])
  expect((await answered('/infill', { input_prefix: 'x' })).body).toContain('\\"input_suffix\\" is required')
  expect(JSON.parse((await answered('/v1/completions', { prompt: 'x', suffix: 'y' })).body).error.message).toBe(
    'Unsupported param: suffix',
  )
})

test('tokens of a chat are counted under both of its routes', async () => {
  expect(JSON.parse((await answered('/v1/chat/completions/input_tokens', hello)).body)).toEqual({
    input_tokens: 1,
    object: 'response.input_tokens',
  })
  expect(JSON.parse((await answered('/v1/messages/count_tokens', hello)).body)).toEqual({ input_tokens: 1 })
  expect(JSON.parse((await answered('/apply-template', hello)).body)).toEqual({ prompt: 'Hello!' })
})

test('a ranking is told in Jina’s shape, and in that of text-embeddings-inference when asked in its words', async () => {
  const documents = ['about dogs', 'cats and more cats']
  const jina = JSON.parse((await answered('/v1/rerank', { model: 'smoke', query: 'cats', documents })).body)
  expect(jina).toEqual({
    model: 'smoke',
    object: 'list',
    usage: { prompt_tokens: 8, total_tokens: 8 },
    results: [
      { index: 1, relevance_score: 1 },
      { index: 0, relevance_score: 0 },
    ],
  })
  const tei = JSON.parse((await answered('/rerank', { query: 'cats', texts: documents, top_n: 1 })).body)
  expect(tei).toEqual([{ index: 1, score: 1 }])
})

test('a key is wanted by everything but health', async () => {
  engine.behave({ apiKey: 'secret' })
  expect((await answered('/health')).status).toBe(200)
  for (const path of ['/metrics', '/props', '/v1/models'])
    expect((await answered(path)).body).toBe(
      '{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}',
    )
})

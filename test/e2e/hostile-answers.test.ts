/** Engines that answer nonsense, behind every dialect: the client gets an answer or an error that its library can read. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CloseRecord } from '../../src/domain/journal/index.ts'
import type { EngineKind } from '../../src/domain/serving/index.ts'
import {
  answer,
  floods,
  says,
  startRawEngine,
  streamHead,
  type HostileEngine,
  type Misbehave,
} from '../support/hostile-engine.ts'
import { startGateway } from '../support/in-process-gateway.ts'
import { judge, requests, type Asked } from '../support/well-formed.ts'

const json = { 'content-type': 'application/json' }
const event = (data: unknown): string => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
const delta = (more: unknown): unknown => ({ id: 'x', choices: [{ index: 0, delta: more }] })
const hello = event(delta({ role: 'assistant', content: 'hi' }))
const done = event('[DONE]')
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
const deepObject = (levels: number): string => '{"a":'.repeat(levels) + '1' + '}'.repeat(levels)

/** Chunks of a stream, each after a good one and before the end. */
const chunks: Record<string, unknown> = {
  'choices-number': { choices: 5 },
  'choices-object': { choices: {} },
  'choices-null': { choices: null },
  'choices-strings': { choices: ['x', 1, null, []] },
  'delta-null': delta(null),
  'delta-text': delta('x'),
  'delta-list': delta([1]),
  'content-number': delta({ content: 5 }),
  'content-object': delta({ content: { text: 'x' } }),
  'content-list': delta({ content: [1, null, 'x', { text: 5 }, { text: 'y' }] }),
  'calls-strings': delta({ tool_calls: ['a', 1, null, []] }),
  'calls-text': delta({ tool_calls: 'a' }),
  'calls-object': delta({ tool_calls: { a: 1 } }),
  'call-arguments-number': delta({ tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: 5 } }] }),
  'call-arguments-list': delta({ tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: [1, 2] } }] }),
  'call-name-number': delta({ tool_calls: [{ index: 0, id: 5, function: { name: 5, arguments: '{}' } }] }),
  'call-index-odd': delta({
    tool_calls: [
      { index: '__proto__', id: '__proto__', function: { name: '__proto__', arguments: '{"__proto__":1}' } },
      { index: -1, id: 'constructor', function: { name: 'constructor', arguments: '{}' } },
      { index: 1e300, id: {}, function: [] },
      { index: {}, id: [], function: 'f' },
    ],
  }),
  'call-of-functions-deep': event(
    `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":${deepObject(20_000)}}}]}}]}`,
  ),
  'deep-list': event(`{"choices":[{"index":0,"delta":{"content":"x"},"more":${deep(20_000)}}],"usage":{}}`),
  'deep-object': event(`{"choices":[{"index":0,"delta":{"content":"x"},"more":${deepObject(20_000)}}],"usage":{}}`),
  'usage-negative': { choices: [], usage: { prompt_tokens: -5, completion_tokens: -1, total_tokens: -6 } },
  'usage-huge': { choices: [], usage: { prompt_tokens: 1e308, completion_tokens: 1e308, total_tokens: 1e308 } },
  'usage-texts': { choices: [], usage: { prompt_tokens: '5', completion_tokens: 'many' } },
  'usage-text': { choices: [], usage: 'much' },
  'usage-list': { choices: [], usage: [1, 2] },
  'usage-nan': event('{"choices":[],"usage":{"prompt_tokens":NaN}}'),
  'error-text': { error: 'boom' },
  'error-number': { error: 5 },
  'error-true': { error: true },
  'error-list': { error: [{ message: 'boom' }] },
  'error-empty': { error: {} },
  'error-odd-fields': { error: { message: { a: 1 }, type: 5, param: [], code: 5 } },
  'error-named': 'event: error\ndata: {"message":"boom"}\n\n',
  'finish-object': { choices: [{ index: 0, delta: {}, finish_reason: { a: 1 } }] },
  'finish-magic': { choices: [{ index: 0, delta: {}, finish_reason: '__proto__' }] },
  'ids-odd': { id: {}, object: 5, created: 'now', model: ['m'], choices: [{ index: 'x', delta: { content: 'y' } }] },
  'number': event('5'),
  'null': event('null'),
  'list': event('[1]'),
  'text': event('"x"'),
  'empty-data': 'data:\n\n',
  'no-data': 'event: ping\nid: 5\nretry: 1\n\n',
  'garbage-line': 'hello, this is no event\n\n',
  'comment': ': still here\n\n',
  'two-data-lines': 'data: {"choices":\ndata: []}\n\n',
  'done-twice': `${done}${done}`,
  'data-after-done': `${done}${hello}${hello}`,
  'html': '<html>\n<body>\n\n</body>\n\n',
}

const chunkBytes = (chunk: unknown): string => (typeof chunk === 'string' ? chunk : event(chunk))

/** Whole streams. */
const streams: Record<string, Misbehave> = {
  'done-first': says(streamHead, done),
  'empty': says(streamHead),
  'only-comments': says(streamHead, ': x\n\n'.repeat(1_000)),
  'no-finish': says(streamHead, hello, done),
  'no-done': says(streamHead, hello),
  'half-an-event': says(streamHead, hello, 'data: {"choices"'),
  'crlf': says(streamHead, hello.replaceAll('\n', '\r\n'), done.replaceAll('\n', '\r\n')),
  'cr': says(streamHead, hello.replaceAll('\n', '\r'), done.replaceAll('\n', '\r')),
  'bom': says(streamHead, '\uFEFF', hello, done),
  'bad-utf8': says(streamHead, Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0xfe, 0x0a, 0x0a]), hello, done),
  'done-with-blanks': says(streamHead, hello, 'data:  [DONE]  \n\n'),
  'long-event': says(streamHead, event(delta({ content: 'x'.repeat(7 * 1024 * 1024) })), done),
  'too-long-event': says(streamHead, event(delta({ content: 'x'.repeat(9 * 1024 * 1024) })), done),
  'json': says(answer('200 OK', json, '{"choices":[]}')),
  'html': says(answer('200 OK', { 'content-type': 'text/html' }, '<html>')),
  'no-type': says(answer('200 OK', {}, hello + done)),
  'no-content': says(answer('204 No Content', {})),
  'partial': says(answer('206 Partial Content', { 'content-type': 'text/event-stream' }, hello + done)),
  'bad-chunks': says(
    'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz',
  ),
  'odd-type': says(answer('200 OK', { 'content-type': 'text/event-stream\u00e9\u00ff' }, hello + done)),
  'reset': socket => socket.resetAndDestroy(),
  'endless-after-done': floods(streamHead + hello + done, Buffer.from(hello.repeat(1_000)), 64 * 1024 * 1024),
  ...Object.fromEntries(
    Object.entries(chunks).map(([name, chunk]) => [name, says(streamHead, hello, chunkBytes(chunk), done)]),
  ),
  ...Object.fromEntries(
    Object.entries(chunks).map(([name, chunk]) => [`${name}-first`, says(streamHead, chunkBytes(chunk), hello, done)]),
  ),
}

const message = (more: unknown): unknown => ({ id: 'x', choices: [{ index: 0, message: more, finish_reason: 'stop' }] })
const call = (more: object): unknown =>
  message({ content: null, tool_calls: [{ id: 'c', function: { name: 'f', ...more } }] })

/** Bodies of whole answers. */
const bodies: Record<string, unknown> = {
  'empty': '',
  'null': 'null',
  'number': '5',
  'text': '"x"',
  'list': '[1]',
  'empty-object': {},
  'html': '<html></html>',
  'bom': `\uFEFF${JSON.stringify(message({ content: 'x' }))}`,
  'bad-utf8': Buffer.concat([
    Buffer.from('{"choices":[{"message":{"content":"'),
    Buffer.from([0xff, 0xfe]),
    Buffer.from('"}}]}'),
  ]),
  'deep': `{"x":${deep(20_000)}}`,
  'deep-object': `{"x":${deepObject(20_000)}}`,
  'deep-choice': `{"choices":[{"message":{"content":"x"},"more":${deep(20_000)}}]}`,
  'deep-data': `{"data":[{"embedding":[1]},${deep(20_000)}]}`,
  'deep-results': `{"results":[${deep(20_000)}],"usage":${deepObject(20_000)}}`,
  'deep-arguments': `{"choices":[{"index":0,"message":{"tool_calls":[{"id":"c","function":{"name":"f","arguments":${deepObject(20_000)}}}]}}]}`,
  'deep-arguments-as-text': call({ arguments: deepObject(20_000) }),
  'error-object': { error: { message: 'boom', code: 500 } },
  'error-text': { error: 'boom' },
  'error-null-and-empty': { error: null },
  'error-beside-null': { error: { message: 'boom' }, choices: null, data: null, results: null },
  'choices-number': { choices: 5 },
  'choices-empty': { choices: [] },
  'choices-strings': { choices: ['x', null, 5] },
  'message-null': message(null),
  'message-text': message('x'),
  'content-number': message({ content: 5 }),
  'content-list': message({ content: [1, null, { text: 'x' }] }),
  'calls-strings': message({ content: 'x', tool_calls: ['a', 1, null] }),
  'calls-text': message({ content: 'x', tool_calls: 'a' }),
  'arguments-number': call({ arguments: 5 }),
  'arguments-list': call({ arguments: [1] }),
  'arguments-magic': call({ arguments: '{"__proto__":{"a":1},"constructor":2}' }),
  'name-number': call({ name: 5, arguments: '{}' }),
  'usage-negative': { ...Object(message({ content: 'x' })), usage: { prompt_tokens: -5, completion_tokens: -1 } },
  'usage-texts': { ...Object(message({ content: 'x' })), usage: { prompt_tokens: '5', completion_tokens: 'x' } },
  'usage-list': { ...Object(message({ content: 'x' })), usage: [1] },
  'texts-odd': { choices: [{ text: 5 }, { text: null }, {}] },
  'data-text': { data: 'x' },
  'data-empty': { data: [] },
  'data-one': { data: [{ index: 0, embedding: [1, 2] }] },
  'data-three': { data: [0, 1, 2].map(index => ({ index, embedding: [1] })) },
  'data-odd': { data: ['x', null] },
  'data-odd-vectors': {
    data: [
      { index: 0, embedding: ['x'] },
      { index: 1, embedding: null },
    ],
  },
  'results-text': { results: 'x' },
  'results-odd': { results: ['x', null, 5] },
  'results-beyond': { results: [{ index: 3, relevance_score: 1 }] },
  'results-negative': { results: [{ index: -1, relevance_score: 1 }] },
  'results-half': { results: [{ index: 0.5, relevance_score: 1 }] },
  'results-texts': { results: [{ index: '0', relevance_score: '1' }] },
  'results-twice': {
    results: [
      { index: 0, relevance_score: 1 },
      { index: 0, relevance_score: 2 },
    ],
  },
  'count-text': { count: 'many', tokens: 'x' },
  'count-negative': { count: -5, tokens: [1], usage: { prompt_tokens: -5 }, input_tokens: -5 },
  'count-half': { count: 0.5, tokens: [1.5], usage: { prompt_tokens: 0.5 }, input_tokens: 0.5 },
  'count-huge': { count: 1e308, tokens: [], usage: { prompt_tokens: 1e308 }, input_tokens: 1e308 },
  'counts-sum': { count: [1e308, 1e308], tokens: [[1], 'x'], usage: { prompt_tokens: 1e308 } },
}

const wholes: Record<string, Misbehave> = Object.fromEntries(
  Object.entries(bodies).map(([name, body]) => {
    const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    return [name, says(answer('200 OK', json, bytes))]
  }),
)

const speeches: Record<string, Misbehave> = {
  'html': says(answer('200 OK', { 'content-type': 'text/html' }, '<html>')),
  'error-json': says(answer('200 OK', json, '{"error":{"message":"boom"}}')),
  'empty': says(answer('200 OK', { 'content-type': 'audio/wav' })),
  'no-type': says(answer('200 OK', {}, 'RIFF')),
  'odd-type': says(
    Buffer.from('HTTP/1.1 200 OK\r\ncontent-type: audio/\u6f22\r\ncontent-length: 4\r\n\r\nRIFF', 'utf8'),
  ),
  'cut': says(answer('200 OK', { 'content-type': 'audio/wav', 'content-length': '5000' }, 'RIFF')),
  'cut-at-once': says('HTTP/1.1 200 OK\r\ncontent-type: audio/wav\r\ncontent-length: 5000\r\n\r\n'),
  'cut-chunks': says('HTTP/1.1 200 OK\r\ncontent-type: audio/wav\r\ntransfer-encoding: chunked\r\n\r\n4\r\nRIFF\r\n'),
  'cut-late': says(
    answer('200 OK', { 'content-type': 'audio/wav', 'content-length': '5000000' }, 'RIFF'.repeat(250_000)),
  ),
  'endless': floods('HTTP/1.1 200 OK\r\ncontent-type: audio/wav\r\n\r\n', Buffer.alloc(64 * 1024, 'a')),
}

const kinds: readonly EngineKind[] = ['openai', 'vllm', 'llama-cpp', 'ollama', 'tgi', 'embedded']

let streaming: HostileEngine
let whole: HostileEngine
let speaking: HostileEngine

beforeAll(async () => {
  streaming = await startRawEngine(new Map(Object.entries(streams)))
  whole = await startRawEngine(new Map(Object.entries(wholes)))
  speaking = await startRawEngine(new Map(Object.entries(speeches)))
})
afterAll(async () => {
  await streaming?.close()
  await whole?.close()
  await speaking?.close()
})

/** Asks once. Whatever comes back is well-formed, told to the journal, and leaves nothing behind. */
async function ask(asked: Asked, url: string, engine: EngineKind): Promise<string> {
  const gateway = await startGateway({
    replicas: [{ url }],
    version: { engine, task: asked === 'embedding' ? 'embed' : 'chat' },
    limits: limits(),
  })
  try {
    const { path, body } = requests[asked]
    const got = await gateway.post(path, { model: 'coder', ...body })
    const text = await got.text()
    const outcome = judge(asked, { status: got.status, type: got.headers.get('content-type') ?? '', text })
    const [closed] = await gateway.untilClosed(1)
    expect(closed?.outcome === 'ok' ? 'answer' : 'error').toBe(outcome)
    expect(gateway.unexpected.map(String)).toEqual([])
    expect(gateway.gate.inFlight).toBe(0)
    expect(gateway.fleet.replicas().map(({ inFlight }) => inFlight)).toEqual([0])
    return outcome
  } finally {
    await gateway.close()
  }
}

const limits = () => ({ firstByte: 3_000, idle: 2_000, request: 6_000 }) as never

/** Every failing case in one list: one broken dialect would otherwise hide the others. */
async function problemsOf(
  asked: Asked,
  engine: EngineKind,
  hostile: HostileEngine,
  names: string[],
): Promise<string[]> {
  const problems: string[] = []
  for (const name of names) {
    try {
      await ask(asked, `${hostile.url}/${name}`, engine)
    } catch (error) {
      problems.push(`${name}: ${String(error).replaceAll(/\s+/g, ' ').slice(0, 300)}`)
    }
  }
  return problems
}

const streamed: Asked[] = ['chat-stream', 'completion-stream', 'message-stream', 'response-stream']
const gathered: Asked[] = ['chat', 'completion', 'message', 'response', 'embedding', 'rerank', 'tokenize', 'count']

/** Speech as its client reads it: the bytes, or that they are not all. */
async function speech(
  name: string,
): Promise<{ status: number; type: string; text: string | 'cut'; closed: CloseRecord | undefined }> {
  const gateway = await startGateway({ replicas: [{ url: `${speaking.url}/${name}` }], limits: limits() })
  try {
    const got = await gateway.post('/v1/audio/speech', { model: 'coder', ...requests.speech.body })
    const text = await got.text().catch(() => 'cut')
    const [closed] = await gateway.untilClosed(1)
    expect(gateway.unexpected).toEqual([])
    expect(gateway.gate.inFlight).toBe(0)
    expect(gateway.fleet.replicas().map(({ inFlight }) => inFlight)).toEqual([0])
    return { status: got.status, type: got.headers.get('content-type') ?? '', text, closed }
  } finally {
    await gateway.close()
  }
}

describe('speech', () => {
  test.each(['html', 'error-json', 'empty', 'cut', 'cut-at-once', 'cut-chunks'])(
    '%s is an error, not sound',
    async name => {
      const got = await speech(name)
      expect(judge('speech', got)).toBe('error')
      expect(got.closed).toMatchObject({ outcome: 'failed', status: 502 })
    },
  )

  test.each(['no-type', 'odd-type'])('%s goes out as bytes of no known type', async name => {
    expect(await speech(name)).toMatchObject({ status: 200, type: 'application/octet-stream', text: 'RIFF' })
  })

  test.each([
    ['without an end', 'endless', 'engine-silent'],
    ['that breaks off', 'cut-late', 'engine-lost'],
  ])('%s is cut, so that nobody takes it for whole', async (_, name, fault) => {
    expect(await speech(name)).toMatchObject({ status: 200, text: 'cut', closed: { outcome: 'failed', fault } })
  })
})

describe.each(kinds)('%s', engine => {
  test.each(streamed)('%s', async asked => {
    expect(await problemsOf(asked, engine, streaming, Object.keys(streams))).toEqual([])
  })
  test.each(gathered)('%s', async asked => {
    expect(await problemsOf(asked, engine, whole, Object.keys(wholes))).toEqual([])
  })
})

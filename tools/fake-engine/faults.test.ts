/** What goes wrong on request, beyond what `fake-engine.test.ts` shows, and how tools are called. */
import { once } from 'node:events'
import { request } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { startFakeEngine } from './index.ts'
import type { FakeEngine, FakeEngineOptions } from './index.ts'

const running: FakeEngine[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(engine => engine.close()))
})

async function start(options: FakeEngineOptions = {}): Promise<FakeEngine> {
  const engine = await startFakeEngine({ name: 'm', ...options })
  running.push(engine)
  return engine
}
function chat(engine: FakeEngine, body: object = {}, signal?: AbortSignal): Promise<Response> {
  const asked = { model: 'm', messages: [{ role: 'user', content: 'Hello there' }], ...body }
  return fetch(`${engine.url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify(asked),
    ...(signal ? { signal } : {}),
  })
}
/** The body as `JSON.parse` types it: tests read into it freely. */
const json = async (response: Response) => JSON.parse(await response.text())
const metrics = async (engine: FakeEngine): Promise<string> => (await fetch(`${engine.url}/metrics`)).text()

test('a hang stops what runs: its stream falls silent, the counters freeze, the gauges stay', async () => {
  const engine = await start({ tokens: 1_000_000, gapMs: 1 })
  const client = new AbortController()
  const stream = await chat(engine, { stream: true }, client.signal)
  await engine.until(state => state.generationTokens > 3)
  engine.behave({ hang: true })
  const { generationTokens } = engine.state()
  const waiting = chat(engine, {}, client.signal).catch(() => 'left')
  await engine.until(state => state.running === 2)
  for (let turn = 0; turn < 20; turn++) expect((await fetch(`${engine.url}/health`)).status).toBe(200)
  const told = await metrics(engine)
  expect(told).toContain('vllm:num_requests_running{engine="0",model_name="m"} 2.0')
  expect(told).toContain(`vllm:generation_tokens_total{engine="0",model_name="m"} ${generationTokens}.0`)
  client.abort()
  await stream.text().catch(() => '')
  expect(await waiting).toBe('left')
  await engine.until(state => state.running === 0)
})

test('pages that are told to hang are never answered, while work is', async () => {
  const engine = await start({ hangHealth: true })
  const client = new AbortController()
  const pages = ['/health', '/v1/models', '/metrics'].map(path =>
    fetch(engine.url + path, { signal: client.signal }).then(
      () => 'answered',
      () => 'left',
    ),
  )
  expect((await chat(engine)).status).toBe(200)
  client.abort()
  expect(await Promise.all(pages)).toEqual(['left', 'left', 'left'])
})

test('a stream can be cut into pieces of any size, in the middle of characters, and says the same', async () => {
  const engine = await start({ echoMessages: true })
  const body = { stream: true, messages: [{ role: 'user', content: 'Grüße 🙂' }] }
  const masked = (text: string): string => text.replaceAll(/"(id|created)":("[^"]*"|\d+)/g, '')
  const whole = masked(await (await chat(engine, body)).text())
  for (const chunkBytes of [1, 2, 7]) {
    engine.behave({ chunkBytes })
    const pieces = await readPieces(engine, body)
    expect(masked(Buffer.concat(pieces).toString())).toBe(whole)
    expect(Math.max(...pieces.map(piece => piece.length))).toBe(chunkBytes)
  }
})

test('events may end in CRLF, and comments may stand between them', async () => {
  const engine = await start({ tokens: 1, crlf: true, comments: 2 })
  const text = await (await chat(engine, { stream: true })).text()
  expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
  const parts = text.split('\r\n\r\n')
  expect(parts.slice(0, 3)).toEqual([':', ':', expect.stringMatching(/^data: \{/)])
  expect(parts.filter(part => part === ':')).toHaveLength(2 * parts.filter(part => part.startsWith('data:')).length)
})

test('a silent stream can go on sending comments', async () => {
  const engine = await start({ stallAfter: 1, pingMs: 1 })
  const client = new AbortController()
  const response = await chat(engine, { stream: true }, client.signal)
  let text = ''
  const read = async (): Promise<void> => {
    for await (const piece of response.body ?? []) {
      text += Buffer.from(piece).toString()
      if (text.includes('word0') && text.endsWith(':\n\n:\n\n')) client.abort()
    }
  }
  await expect(read()).rejects.toThrow()
  expect(text).not.toContain('word1')
})

/** As Node's own client sees them: one for each chunk of the transfer encoding. */
async function readPieces(engine: FakeEngine, body: object): Promise<Buffer[]> {
  const asked = request(`${engine.url}/v1/chat/completions`, { method: 'POST' })
  asked.end(JSON.stringify({ model: 'm', ...body }))
  const [response] = await once(asked, 'response')
  const pieces: Buffer[] = []
  response.on('data', (piece: Buffer) => pieces.push(piece))
  await once(response, 'end')
  return pieces
}

const tool = (name: string) => ({
  type: 'function',
  function: { name, parameters: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] } },
})
const tools = [tool('a'), tool('b')]
const user = { role: 'user', content: 'Look [[fake:callTools=2]]' }
const results = [
  user,
  { role: 'assistant', content: null, tool_calls: [] },
  { role: 'tool', tool_call_id: 'x', content: 'found' },
]

test('a directive makes it call tools, once, until it is told to go on', async () => {
  const engine = await start()
  const finish = async (body: object) => (await json(await chat(engine, body))).choices[0].finish_reason
  expect(await finish({ tools, messages: [user] })).toBe('tool_calls')
  expect(await finish({ tools, messages: results })).toBe('stop')
  expect(await finish({ messages: [user] })).toBe('stop')
  expect(await finish({ tools, tool_choice: 'none', messages: [user] })).toBe('stop')
  engine.behave({ callToolsAgain: true })
  expect(await finish({ tools, messages: results })).toBe('tool_calls')
})

test('a request that wants one call at a time gets one', async () => {
  const engine = await start({ callTools: 2 })
  const count = async (body: object) => (await json(await chat(engine, body))).choices[0].message.tool_calls.length
  expect(await count({ tools })).toBe(2)
  expect(await count({ tools, parallel_tool_calls: false })).toBe(1)
})

type Told = { index?: number; id?: string; function: { name?: string; arguments?: unknown } }
async function streamedCalls(engine: FakeEngine): Promise<{ calls: Told[]; finish: unknown }> {
  const text = await (await chat(engine, { tools, stream: true })).text()
  const choices = text
    .split('\n\n')
    .filter(event => event.startsWith('data: {'))
    .map(event => JSON.parse(event.slice('data: '.length)).choices[0])
  return {
    calls: choices.flatMap(choice => choice.delta.tool_calls ?? []),
    finish: choices.at(-1).finish_reason,
  }
}

test('each flaw in how calls are told is there on request, and only then', async () => {
  const engine = await start({ callTools: 2 })
  const told = async (toolQuirk: FakeEngineOptions['toolQuirk']) => {
    engine.behave({ toolQuirk: toolQuirk ?? null })
    return streamedCalls(engine)
  }
  const right = await told(null)
  expect(right.calls.map(call => call.index)).toEqual([0, 0, 0, 1, 1, 1])
  expect(right.finish).toBe('tool_calls')
  expect((await told('no-index')).calls.some(call => 'index' in call)).toBe(false)
  expect((await told('no-id')).calls.some(call => 'id' in call)).toBe(false)
  expect((await told('same-index')).calls.map(call => call.index)).toEqual([0, 0, 0, 0, 0, 0])
  expect((await told('object-arguments')).calls.map(call => call.function.arguments)).toEqual([
    { text: 'word0' },
    { text: 'word0' },
  ])
  expect((await told('stop-finish')).finish).toBe('stop')
  const { calls } = await told('interleaved')
  expect(calls.map(call => call.index)).toEqual([0, 1, 0, 1, 0, 1])
  expect(calls.slice(0, 2).map(call => call.function.name)).toEqual(['a', 'b'])
})

test('the flaws are in whole answers too', async () => {
  const engine = await start({ callTools: 1, toolQuirk: 'object-arguments' })
  const call = async () => (await json(await chat(engine, { tools }))).choices[0].message.tool_calls[0]
  expect((await call()).function.arguments).toEqual({ text: 'word0' })
  engine.behave({ toolQuirk: 'no-id' })
  expect(await call()).not.toHaveProperty('id')
})

test('an answer fits the schema that was asked for', async () => {
  const engine = await start()
  const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] }
  const content = async (response_format: object) =>
    JSON.parse((await json(await chat(engine, { response_format }))).choices[0].message.content)
  expect(await content({ type: 'json_schema', json_schema: { name: 'a', schema } })).toEqual({ ok: true })
  expect(await content({ type: 'json_object' })).toEqual({})
})

test('the finish reason can be any', async () => {
  const engine = await start({ finish: 'content_filter' })
  expect((await json(await chat(engine))).choices[0].finish_reason).toBe('content_filter')
  expect(await (await chat(engine, { stream: true })).text()).toContain('"finish_reason":"content_filter"')
})

test('a prompt that is taken in slowly moves its counter before the first token', async () => {
  const engine = await start({ perPromptTokenMs: 300 })
  const asked = chat(engine)
  const begun = await engine.until(({ promptTokens }) => promptTokens > 0)
  expect(begun.firstTokens).toBe(0)
  expect((await asked).status).toBe(200)
  expect(engine.state().promptTokens).toBeGreaterThan(begun.promptTokens)
})

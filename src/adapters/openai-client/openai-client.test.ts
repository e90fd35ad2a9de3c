import { createServer, type Server } from 'node:http'
import { afterAll, describe, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine, type FakeEngineOptions } from '../../../tools/fake-engine/index.ts'
import { AskError } from '../../services/evaluate/index.ts'
import { askAt, embedAt, listModels, type Address } from './index.ts'

const started: { close: () => unknown }[] = []
afterAll(async () => {
  for (const each of started) await each.close()
})

async function start(options: FakeEngineOptions): Promise<FakeEngine> {
  const engine = await startFakeEngine(options)
  started.push(engine)
  return engine
}

/** A server that answers by the request's body, and keeps the bodies. */
async function serve(
  answer: (body: Record<string, unknown>) => { status: number; body: unknown; headers?: Record<string, string> },
) {
  const bodies: Record<string, unknown>[] = []
  const server: Server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const body: Record<string, unknown> = text === '' ? {} : JSON.parse(text)
      bodies.push(body)
      const { status, body: said, headers = {} } = answer(body)
      response.writeHead(status, headers).end(typeof said === 'string' ? said : JSON.stringify(said))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  started.push(server)
  const address = server.address()
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, bodies }
}

const at = (url: string, more: Partial<Address> = {}): Address => ({
  url,
  key: null,
  model: 'm',
  timeoutMs: 5_000,
  ...more,
})
const messages = [{ role: 'user' as const, content: 'Hi' }]
const signal = new AbortController().signal
const completion = { choices: [{ message: { content: 'ok' }, finish_reason: 'stop' }], model: 'm-1' }
const schema = { name: 's', schema: { type: 'object' } }

test('asks with all that was given, and reads text, calls and why it ended', async () => {
  const engine = await start({ apiKey: 'secret', callTools: 1, tokens: 3 })
  const ask = askAt(at(engine.url, { key: 'secret' }))
  const plain = await ask(messages, { seed: 4, signal, temperature: 0, maxTokens: 2 })
  expect(plain).toMatchObject({ text: 'word0 word1', toolCalls: [], finish: 'length', tokens: null })
  expect(engine.state().lastRequests.at(-1)?.body).toEqual({
    ...{ model: 'm', messages, seed: 4 },
    temperature: 0,
    max_tokens: 2,
  })
  const tools = [{ type: 'function' as const, function: { name: 'f', parameters: { type: 'object' } } }]
  expect((await ask(messages, { seed: 1, signal, tools })).toolCalls[0]?.function.name).toBe('f')
})

test('chances of tokens are read as engines tell them', async () => {
  const engine = await start({ tokens: 2 })
  const { tokens } = await askAt(at(engine.url))(messages, { seed: 1, signal, chances: true })
  expect(tokens?.map(token => token.text)).toEqual(['word0', ' word1'])
  for (const { others } of tokens ?? []) for (const { chance } of others) expect(chance).toBeGreaterThan(0)
  expect(tokens?.[0]?.others.length).toBeGreaterThan(0)
})

describe('an engine that refuses what it does not know', () => {
  const refusing = (...names: string[]) =>
    serve(body =>
      names.some(name => name in body)
        ? { status: 400, body: { error: { message: 'unknown field' } } }
        : { status: 200, body: completion },
    )
  const asking = { seed: 1, signal, schema, chances: true }

  test.each([[['logprobs']], [['response_format']], [['logprobs', 'response_format']]])(
    '%j is asked without it, and only without it, from then on',
    async names => {
      const { url, bodies } = await refusing(...names)
      const ask = askAt(at(url))
      expect((await ask(messages, asking)).text).toBe('ok')
      const first = bodies.length
      expect((await ask(messages, asking)).text).toBe('ok')
      expect(bodies.length).toBe(first + 1)
      const kept = ['logprobs', 'response_format'].filter(name => !names.includes(name))
      expect(kept.every(name => name in (bodies.at(-1) ?? {}))).toBe(true)
    },
  )

  test('a refusal that has another cause is told, and nothing is left out later', async () => {
    let isLong = true
    const { url, bodies } = await serve(() =>
      isLong ? { status: 400, body: { error: { message: 'prompt too long' } } } : { status: 200, body: completion },
    )
    const ask = askAt(at(url))
    await expect(ask(messages, asking)).rejects.toMatchObject({
      message: expect.stringContaining('prompt too long'),
      again: false,
    })
    isLong = false
    await ask(messages, asking)
    expect(bodies.at(-1)).toHaveProperty('response_format')
  })
})

test.each([
  [429, true],
  [503, true],
  [401, false],
  [404, false],
])('a %i is an AskError; again: %s', async (status, again) => {
  const { url } = await serve(() => ({ status, body: { error: { message: 'no' } }, headers: { 'retry-after': '2' } }))
  const refused = askAt(at(url))(messages, { seed: 1, signal })
  await expect(refused).rejects.toBeInstanceOf(AskError)
  await expect(refused).rejects.toMatchObject({ again, afterMs: 2_000, message: `${url} answered ${status} for m: no` })
})

test('nothing there, nothing in time, and no completion are told apart', async () => {
  await expect(askAt(at('http://127.0.0.1:1'))(messages, { seed: 1, signal })).rejects.toMatchObject({
    ...{ again: true, message: expect.stringContaining('nothing answers at http://127.0.0.1:1') },
  })
  const silent = await start({ hang: true })
  await expect(askAt(at(silent.url, { timeoutMs: 50 }))(messages, { seed: 1, signal })).rejects.toThrow(
    'did not answer within 0.05 s',
  )
  const strange = await serve(() => ({ status: 200, body: { choices: [] } }))
  await expect(askAt(at(strange.url))(messages, { seed: 1, signal })).rejects.toMatchObject({ again: false })
})

test('stopping ends the engine’s work, and rejects as the signal says', async () => {
  const engine = await start({ hang: true })
  const stop = new AbortController()
  const asked = askAt(at(engine.url))(messages, { seed: 1, signal: stop.signal })
  await engine.until(state => state.running === 1)
  stop.abort(new Error('enough'))
  await expect(asked).rejects.toThrow('enough')
  await engine.until(state => state.aborted === 1)
})

test('vectors come in the order of the texts, and one for each', async () => {
  const mixed = await serve(() => ({
    status: 200,
    body: {
      data: [
        { index: 1, embedding: [2] },
        { index: 0, embedding: [1] },
      ],
    },
  }))
  expect(await embedAt(at(mixed.url))(['a', 'b'], signal)).toEqual([[1], [2]])
  await expect(embedAt(at(mixed.url))(['a'], signal)).rejects.toThrow('2 vectors to 1 texts')
  const engine = await start({})
  const [a, b, c] = await embedAt(at(engine.url))(['x', 'x', 'y'], signal)
  expect(a).toEqual(b)
  expect(a).not.toEqual(c)
})

test('models are listed with their versions where they are told', async () => {
  const list = { data: [{ id: 'a' }, { id: 'b' }], models: [{ name: 'a', version: 'v1' }] }
  const { url } = await serve(() => ({ status: 200, body: list }))
  expect(await listModels(at(url), signal)).toEqual([
    { name: 'a', version: 'v1' },
    { name: 'b', version: null },
  ])
  const none = await serve(() => ({ status: 404, body: 'not here' }))
  expect(await listModels(at(none.url), signal)).toBeNull()
})

/** Shapes and wording as in Ollama's `openai` and `server` packages and in reports of people who met them. */
import { describe, expect, test } from 'vitest'
import { toHttp } from '../../../domain/fault.ts'
import type { EnginePath } from '../../../domain/serving/index.ts'
import { versionName } from '../../../domain/units.ts'
import type { Target, Wire } from '../../../services/serve/index.ts'
import { ollama } from './index.ts'

const ask = (path: EnginePath, body: Record<string, unknown>) =>
  ollama.toRequest(path, { model: 'llama3', ...body }, versionName('dev-v1-llama3-8b-q4-k-m-p0'))
const chat = (body: Record<string, unknown>) => ask('chat/completions', { messages: [], ...body }).body
const user = (content: unknown) => ({ role: 'user', content })

const target = (served: string | null): Target => ({
  address: { url: 'http://127.0.0.1:1/v1' },
  metrics: null,
  apiKey: null,
  served,
})

type Page = { status: number; body: unknown }
function wireOf(pages: Record<string, Page>): Wire & { asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    post: () => {
      throw new Error('a probe costs no inference')
    },
    get(_target, path) {
      asked.push(path)
      const page = pages[path]
      if (page === undefined) return Promise.reject(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }))
      return Promise.resolve({ status: page.status, text: JSON.stringify(page.body) })
    },
    close: () => Promise.resolve(),
  }
}
const pulled = (...ids: string[]): Page => ({ status: 200, body: { object: 'list', data: ids.map(id => ({ id })) } })
const running = (...names: string[]): Page => ({ status: 200, body: { models: names.map(name => ({ name })) } })
const probe = (pages: Record<string, Page>, served: string | null) =>
  ollama.probe(target(served), wireOf(pages), AbortSignal.timeout(5_000))

describe('a probe', () => {
  test('a model that is pulled is up, loaded or not, and what is loaded now is told', async () => {
    const models = pulled('llama3:latest', 'qwen3:8b')
    expect(await probe({ '/models': models, '~/api/ps': running('qwen3:8b') }, 'qwen3:8b')).toEqual({
      state: 'up',
      load: null,
      models: ['qwen3:8b'],
    })
    expect(await probe({ '/models': models, '~/api/ps': running() }, 'qwen3:8b')).toMatchObject({ models: [] })
  })

  test('a name without a tag means the latest, and is told as the spec writes it', async () => {
    const pages = {
      '/models': pulled('llama3:latest', 'x/Y:latest'),
      '~/api/ps': running('llama3:latest', 'x/Y:latest'),
    }
    expect(await probe(pages, 'llama3')).toMatchObject({ state: 'up', models: ['llama3', 'x/Y:latest'] })
    expect(await probe(pages, 'X/y')).toMatchObject({ state: 'up', models: ['llama3:latest', 'X/y'] })
    expect(await probe(pages, 'llama3:8b')).toMatchObject({ state: 'failed' })
  })

  test('one that is not pulled says how to pull it', async () => {
    expect(await probe({ '/models': pulled('llama3:latest'), '~/api/ps': running() }, 'qwen3:8b')).toEqual({
      state: 'failed',
      why: "it has no model 'qwen3:8b': run «ollama pull qwen3:8b» there",
    })
  })

  test('behind a proxy that passes on /v1 alone, what is loaded is not known', async () => {
    const refused = { status: 404, body: {} }
    expect(await probe({ '/models': pulled('a:latest'), '~/api/ps': refused }, 'a')).toMatchObject({ models: null })
    expect(await probe({ '/models': pulled('a:latest') }, 'a')).toMatchObject({ state: 'up', models: null })
    expect(await probe({ '/models': pulled('a:latest') }, null)).toMatchObject({ state: 'up' })
  })

  test('one that is gone is failed', async () => {
    expect(await probe({}, 'a')).toMatchObject({
      state: 'failed',
      why: expect.stringContaining('ECONNREFUSED') as string,
    })
  })
})

describe('tools', () => {
  const tools = [{ type: 'function', function: { name: 'get' } }]

  test('with auto they are offered, with none they are not', () => {
    for (const choice of ['auto', null, undefined])
      expect(chat({ tools, tool_choice: choice })).toEqual({ model: 'llama3', messages: [], tools })
    expect(chat({ tools, tool_choice: 'none' })).toEqual({ model: 'llama3', messages: [] })
  })

  test.each(['required', { type: 'function', function: { name: 'get' } }])(
    'a call that is forced (%j) is refused, with what to do',
    choice => {
      expect(() => chat({ tools, tool_choice: choice })).toThrow(/On Ollama, a forced tool call.*json_schema/)
    },
  )
})

describe('messages', () => {
  test('parts that are all text are joined: each would become a message of its own', () => {
    const content = [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ]
    expect(chat({ messages: [user(content), { role: 'tool', tool_call_id: 'c', content }] })['messages']).toEqual([
      user('a\nb'),
      { role: 'tool', tool_call_id: 'c', content: 'a\nb' },
    ])
  })

  test('a message without content has an empty one, and earlier thought its name there', () => {
    const calls = [{ id: 'c', type: 'function', function: { name: 'get', arguments: '{}' } }]
    const messages = [
      { role: 'assistant', content: null, tool_calls: calls },
      { role: 'assistant', content: 'a', reasoning_content: 'hm' },
    ]
    expect(chat({ messages })['messages']).toEqual([
      { role: 'assistant', content: '', tool_calls: calls },
      { role: 'assistant', content: 'a', reasoning: 'hm' },
    ])
  })

  test('an image goes as it is; the address of one is refused, with its place', () => {
    const image = (url: string) => [
      { type: 'text', text: 'What is it?' },
      { type: 'image_url', image_url: { url } },
    ]
    const sent = user(image('data:image/png;base64,AA=='))
    expect(chat({ messages: [sent] })['messages']).toEqual([sent])
    const remote = () => chat({ messages: [user('a'), user(image('https://example.com/a.png'))] })
    expect(remote).toThrow(/data:image\/png;base64/)
    expect(faultOf(remote)).toMatchObject({ kind: 'request-invalid', param: 'messages[1].content[1]' })
  })
})

test.each([
  [{ reasoning_effort: 'high' }, 'high'],
  [{ reasoning_effort: 'minimal' }, 'low'],
  [{ reasoning_effort: 'xhigh' }, 'high'],
  [{ think: false }, 'none'],
  [{ think: true }, 'medium'],
  [{ think: 'low' }, 'low'],
  [{ chat_template_kwargs: { enable_thinking: false } }, 'none'],
  [{ think: true, reasoning_effort: 'none' }, 'none'],
])('thought that is asked for by %j is reasoning_effort %s', (body, effort) => {
  expect(chat(body)).toMatchObject({ reasoning_effort: effort })
  expect(chat(body)).not.toHaveProperty('think')
})

test('the longest answer has the name that it knows', () => {
  expect(chat({ max_completion_tokens: 5 })).toMatchObject({ max_tokens: 5 })
})

test.each([
  ['chat/completions', { messages: [], n: 2 }],
  ['chat/completions', { messages: [], logit_bias: { 5: -100 } }],
  ['chat/completions', { messages: [], num_ctx: 8192 }],
  ['chat/completions', { messages: [], options: { num_ctx: 8192 } }],
  ['chat/completions', { messages: [], format: 'json' }],
  ['completions', { prompt: 'a', echo: true }],
  ['completions', { prompt: 'a', best_of: 2 }],
  ['completions', { prompt: ['a', 'b'] }],
  ['completions', { prompt: [1, 2] }],
  ['embeddings', { input: [[1, 2]] }],
] as const)('%s: what it would drop without a word is refused: %j', (path, body) => {
  expect(faultOf(() => ask(path, body))).toMatchObject({ kind: 'unsupported' })
})

test('who wants another context is told where it is set', () => {
  expect(() => chat({ num_ctx: 8192 })).toThrow(/OLLAMA_CONTEXT_LENGTH.*Modelfile/)
})

test('what changes nothing is no reason to refuse', () => {
  expect(() => chat({ n: 1, logit_bias: {}, options: {}, echo: false, num_ctx: null })).not.toThrow()
  expect(ask('completions', { prompt: ['a'] }).body['prompt']).toBe('a')
})

test('a completion’s stream has its usage once: zeros beside each piece are none', () => {
  const { repair } = ask('completions', { prompt: 'a', stream: true })
  const zeros = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }
  const piece = { choices: [{ text: 'x' }], usage: zeros }
  expect(repair?.marks.some(mark => JSON.stringify(piece).includes(mark))).toBe(true)
  expect(repair?.chunk(piece)).toEqual({ choices: [{ text: 'x' }], usage: null })
  const end = { choices: [], usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } }
  expect(repair?.chunk(end)).toEqual(end)
})

describe('errors', () => {
  const fault = (status: number, body: unknown) => ollama.toFault(status, JSON.stringify(body))
  const openai = (message: string) => ({ error: { message, type: 'api_error', param: null, code: null } })

  test('of a model that is not there say how to pull it, in both of its shapes', () => {
    for (const body of [
      openai("model 'qwen3:8b' not found"),
      { error: 'model "qwen3:8b" not found, try pulling it first' },
    ])
      expect(fault(404, body)).toMatchObject({
        kind: 'engine-failed',
        detail: expect.stringContaining('ollama pull qwen3:8b') as string,
      })
  })

  test('of a full queue are no failure', () => {
    const words = 'server busy, please try again.  maximum pending requests exceeded'
    for (const body of [openai(words), { error: words }]) expect(fault(503, body).kind).toBe('not-ready')
  })

  test('of a load that was given up are no failure either', () => {
    for (const words of [
      'timed out waiting for llama runner to start: context canceled',
      'client connection closed before server finished loading, aborting load',
    ])
      expect(fault(500, openai(words))).toMatchObject({
        kind: 'not-ready',
        why: expect.stringContaining('OLLAMA_LOAD_TIMEOUT') as string,
      })
  })

  test('of memory say what to change', () => {
    const words = 'model requires more system memory (7.5 GiB) than is available (5.2 GiB)'
    expect(toHttp(fault(500, openai(words))).body.error.message).toMatch(/smaller quantisation.*7\.5 GiB/)
  })

  test('of its runner are read where they stand, in JSON in a message', () => {
    const inner = {
      error: {
        code: 400,
        message: 'request (351 tokens) exceeds the available context size (256 tokens), try increasing it',
        type: 'exceed_context_size_error',
        n_prompt_tokens: 351,
        n_ctx: 256,
      },
    }
    for (const status of [400, 500])
      expect(fault(status, openai(JSON.stringify(inner)))).toEqual({ kind: 'context-exceeded', asked: 351, limit: 256 })
  })

  test('of an input that is too long say where the context is set', () => {
    expect(fault(400, openai('the input length exceeds the context length'))).toMatchObject({
      kind: 'engine-refused',
      code: 'context_length_exceeded',
      message: expect.stringContaining('OLLAMA_CONTEXT_LENGTH') as string,
    })
  })

  test('of a model without tools are the client’s', () => {
    expect(fault(400, openai('registry.ollama.ai/library/gemma:2b does not support tools'))).toMatchObject({
      kind: 'engine-refused',
      status: 400,
    })
  })
})

function faultOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    if (error instanceof Error && 'fault' in error) return error.fault
    throw error
  }
  return null
}

/** The `.http` files in testdata are answers of a real llama-server (b1-de3ff81), as curl received them. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { FaultError, toHttp } from '../../../domain/fault.ts'
import type { EnginePath } from '../../../domain/serving/index.ts'
import { versionName } from '../../../domain/units.ts'
import type { Target, Wire } from '../../../services/serve/index.ts'
import { readLoad } from './health.ts'
import { llamaCpp } from './index.ts'

function recorded(name: string): { status: number; text: string } {
  const whole = readFileSync(new URL(`testdata/${name}.http`, import.meta.url), 'utf8').replaceAll('\r\n', '\n')
  return { status: Number(whole.split(' ')[1]), text: whole.slice(whole.indexOf('\n\n') + 2) }
}
const textOf = (name: string): string => recorded(name).text
const answerOf = (name: string): unknown => JSON.parse(textOf(name))
const faultOf = (name: string) => llamaCpp.toFault(recorded(name).status, textOf(name))
const sayOf = (name: string): string => toHttp(faultOf(name)).body.error.message

const ask = (path: EnginePath, body: Record<string, unknown>) =>
  llamaCpp.toRequest(path, body, versionName('dev-v1-llama3-8b-q4-k-m-p0'))

const target: Target = { address: { url: 'http://127.0.0.1:1/v1' }, metrics: null, apiKey: null, served: 'smoke' }

/** A wire that answers GETs by their path, by name with what was recorded; other paths are lost. */
function wireOf(pages: Record<string, string | { status: number; text: string }>): Wire & { asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    post: () => {
      throw new Error('a probe costs no inference')
    },
    get(_target, address) {
      asked.push(address)
      const page = pages[address.split('?')[0] ?? '']
      if (page === undefined) return Promise.reject(new Error('gone'))
      return Promise.resolve(typeof page === 'string' ? recorded(page) : page)
    },
    close: () => Promise.resolve(),
  }
}
const patience = () => AbortSignal.timeout(5_000)

describe('load', () => {
  test('of a busy server, what its slots have done so far is counted, and what they hold', () => {
    const slots = answerOf('slots-busy') as { n_prompt_tokens: number; next_token: { n_decoded: number }[] }[]
    const held = slots.reduce((sum, slot) => sum + slot.n_prompt_tokens, 0)
    const made = slots.reduce((sum, slot) => sum + (slot.next_token[0]?.n_decoded ?? 0), 0)
    expect([slots.length, held > 400, made > 400]).toEqual([4, true, true])
    expect(readLoad(textOf('metrics-busy'), textOf('slots-busy'))).toEqual({
      running: 4,
      waiting: 4,
      kvUse: held / 2048,
      promptTokens: 42,
      generatedTokens: 135 + made,
    })
  })

  test('what a slot has taken in of its prompt counts until it generates', () => {
    const slot = (made: number) =>
      JSON.stringify([
        { n_ctx: 100, is_processing: true, n_prompt_tokens_processed: 30, next_token: [{ n_decoded: made }] },
      ])
    expect(readLoad(textOf('metrics-busy'), slot(0))).toMatchObject({ promptTokens: 72, kvUse: null })
    expect(readLoad(textOf('metrics-busy'), slot(1))).toMatchObject({ promptTokens: 42, generatedTokens: 136 })
  })

  test('without slots its counters, which stand still while it works, are not told', () => {
    expect(readLoad(textOf('metrics-busy'), null)).toEqual({
      running: 4,
      waiting: 4,
      kvUse: null,
      promptTokens: null,
      generatedTokens: null,
    })
  })

  test('without --metrics the slots tell what runs', () => {
    const unknown = { waiting: null, promptTokens: null, generatedTokens: null }
    expect(readLoad(null, textOf('slots'))).toEqual({ running: 0, kvUse: 0, ...unknown })
    expect(readLoad(null, textOf('slots-busy'))).toMatchObject({ running: 4, ...unknown })
    expect(readLoad(null, null)).toBeNull()
    expect(readLoad('<html>', 'no JSON')).toBeNull()
  })
})

describe('a probe', () => {
  test('asks for health, models, metrics and slots, and never has a router load a model', async () => {
    const wire = wireOf({
      '~/health': 'health',
      '/models': 'models',
      '~/metrics': 'metrics-busy',
      '~/slots': 'slots-busy',
    })
    expect(await llamaCpp.probe(target, wire, patience())).toMatchObject({
      state: 'up',
      models: ['smoke'],
      load: { running: 4, waiting: 4 },
    })
    expect(wire.asked.toSorted()).toEqual([
      '/models',
      '~/health',
      '~/metrics?model=smoke&autoload=false',
      '~/slots?model=smoke&autoload=false',
    ])
  })

  test('one that was started without metrics and slots is up, and its load not known', async () => {
    const wire = wireOf({
      '~/health': 'health',
      '/models': 'models',
      '~/metrics': 'no-metrics',
      '~/slots': 'no-slots',
    })
    expect(await llamaCpp.probe(target, wire, patience())).toMatchObject({ state: 'up', load: null })
  })

  test('of a router’s models those that it has loaded are told', async () => {
    const data = ['loaded', 'unloaded', 'loading', 'sleeping'].map(value => ({ id: `is-${value}`, status: { value } }))
    const wire = wireOf({ '~/health': 'health', '/models': { status: 200, text: JSON.stringify({ data }) } })
    expect(await llamaCpp.probe(target, wire, patience())).toEqual({ state: 'up', load: null, models: ['is-loaded'] })
  })

  test('metrics that stand elsewhere are asked for there', async () => {
    const wire = wireOf({ '~/health': 'health', '/models': 'models', 'http://m:1/metrics': 'metrics-busy' })
    const found = await llamaCpp.probe({ ...target, metrics: 'http://m:1/metrics' }, wire, patience())
    expect(found).toMatchObject({ state: 'up', load: { running: 4 } })
  })
})

describe('a suffix', () => {
  const body = { model: 'smoke', prompt: 'def a(', suffix: '): return 1', max_tokens: 6, temperature: 0 }

  test('is asked for by the route that knows the tokens of the file', () => {
    expect(ask('completions', body)).toMatchObject({
      path: '~/infill',
      body: { model: 'smoke', input_prefix: 'def a(', input_suffix: '): return 1', max_tokens: 6, temperature: 0 },
    })
  })

  test('what comes back whole is a text completion with its usage', () => {
    expect(ask('completions', body).repair?.whole(answerOf('infill'))).toEqual({
      id: expect.stringMatching(/^cmpl-/) as string,
      object: 'text_completion',
      created: expect.any(Number) as number,
      model: 'smoke',
      choices: [{ text: 'аral with a lion', index: 0, logprobs: null, finish_reason: 'length' }],
      usage: { prompt_tokens: 15, completion_tokens: 6, total_tokens: 21 },
    })
    expect(ask('completions', body).repair?.whole(answerOf('infill-stop'))).toMatchObject({
      choices: [{ finish_reason: 'stop' }],
    })
    expect(ask('completions', { ...body, n: 2 }).repair?.whole(answerOf('infill-two'))).toMatchObject({
      choices: [{ index: 0 }, { index: 1 }],
      usage: { prompt_tokens: 6, completion_tokens: 4, total_tokens: 10 },
    })
  })

  test('what comes in pieces is one completion, complete with its last piece', () => {
    const { repair } = ask('completions', { ...body, stream: true })
    const events = textOf('infill-stream')
      .split('\n\n')
      .filter(event => event !== '')
    const chunks = events.map(event => {
      expect(repair?.isComplete?.()).toBe(false)
      return repair?.chunk(JSON.parse(event.slice('data: '.length)) as Record<string, unknown>)
    })
    expect(repair?.isComplete?.()).toBe(true)
    const told = chunks.map(chunk => (chunk as { choices: { text: string; finish_reason: string }[] }).choices[0])
    expect(told.map(choice => choice?.text).join('')).toBe('аral with')
    expect(told.map(choice => choice?.finish_reason)).toEqual([null, null, null, 'length'])
    expect(new Set(chunks.map(chunk => chunk?.['id'])).size).toBe(1)
    expect(chunks.at(-1)).toMatchObject({ usage: { prompt_tokens: 15, completion_tokens: 3, total_tokens: 18 } })
  })

  test('of several streamed answers each must have ended', () => {
    const { repair } = ask('completions', { ...body, stream: true, n: 2 })
    const end = (index: number) =>
      repair?.chunk({ index, content: '', stop: true, tokens_evaluated: 6, tokens_predicted: 2 })
    expect(end(0)).not.toHaveProperty('usage')
    expect(repair?.isComplete?.()).toBe(false)
    expect(end(1)).toMatchObject({ usage: { prompt_tokens: 6, completion_tokens: 4, total_tokens: 10 } })
    expect(repair?.isComplete?.()).toBe(true)
  })

  test('that says nothing asks for a plain completion', () => {
    for (const suffix of ['', null, undefined])
      expect(ask('completions', { ...body, suffix })).toMatchObject({
        path: '/completions',
        body: { prompt: 'def a(' },
        repair: null,
      })
    expect(ask('completions', { ...body, suffix: null }).body).not.toHaveProperty('suffix')
  })

  test('beside several prompts is refused', () => {
    expect(() => ask('completions', { ...body, prompt: ['a', 'b'] })).toThrow(/'suffix' on llama-server/)
  })
})

describe('tools', () => {
  const tool = (name: string) => ({ type: 'function', function: { name } })
  const tools = [tool('get'), tool('put')]

  test('one that is named is the only one offered, and must be called', () => {
    const named = { messages: [], tools, tool_choice: { type: 'function', function: { name: 'put' } } }
    expect(ask('chat/completions', named).body).toEqual({ messages: [], tools: [tool('put')], tool_choice: 'required' })
  })

  test('of those that are allowed only they are offered', () => {
    const choice = { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [tool('get')] } }
    expect(ask('chat/completions', { messages: [], tools, tool_choice: choice }).body).toEqual({
      messages: [],
      tools: [tool('get')],
      tool_choice: 'required',
    })
  })

  test('words go through as they are', () => {
    for (const choice of ['none', 'auto', 'required']) {
      const body = { messages: [], tools, tool_choice: choice }
      expect(ask('chat/completions', body).body).toEqual(body)
    }
  })

  test('one that is not there is the client’s mistake', () => {
    const body = { messages: [], tools, tool_choice: { type: 'function', function: { name: 'del' } } }
    expect(() => ask('chat/completions', body)).toThrow(/tools has no function named 'del'/)
  })
})

test('what it knows alone goes through', () => {
  const body = { messages: [], cache_prompt: true, chat_template_kwargs: { enable_thinking: false }, min_p: 0.1 }
  expect(ask('chat/completions', body).body).toEqual(body)
})

test.each([
  ['completions', { prompt: 'a', echo: true }, 'echo'],
  ['completions', { prompt: 'a', best_of: 3 }, 'best_of'],
  ['embeddings', { input: 'a', dimensions: 64 }, 'dimensions'],
] as const)('%s: %j would be ignored there and is refused', (path, body, name) => {
  expect(() => ask(path, body)).toThrow(new RegExp(`'${name}' on llama-server`))
})

describe('counts of tokens', () => {
  test('of a text, as its completions begin', () => {
    const request = ask('tokenize', { model: 'smoke', prompt: 'Hello' })
    expect([request.path, request.body]).toEqual([
      '~/tokenize',
      { model: 'smoke', content: 'Hello', add_special: true },
    ])
    expect(request.repair?.whole(answerOf('tokenize-special'))).toEqual({
      count: 2,
      tokens: [1, 485],
      max_model_len: null,
    })
  })

  test('of a conversation, with the model’s template', () => {
    const request = ask('tokenize', { model: 'smoke', messages: [{ role: 'user', content: 'Hello!' }], stream: true })
    expect(request.path).toBe('/chat/completions/input_tokens')
    expect(request.body).toEqual({ model: 'smoke', messages: [{ role: 'user', content: 'Hello!' }] })
    expect(request.repair?.whole(answerOf('input-tokens'))).toEqual({ count: 13, tokens: null, max_model_len: null })
  })

  test('an answer that is something else is the engine’s failure', () => {
    for (const body of [{ prompt: 'a' }, { messages: [] }])
      expect(() => ask('tokenize', body).repair?.whole({ ok: true })).toThrow(FaultError)
  })
})

test('documents are ranked as texts, best first, as many as wanted', () => {
  const request = ask('rerank', { model: 'smoke', query: 'a', documents: ['b', { text: 'c' }, 'Hello'], top_n: 2 })
  expect(request.body['documents']).toEqual(['b', 'c', 'Hello'])
  const mended = request.repair?.whole(answerOf('rerank'))
  expect(mended?.['results']).toMatchObject([{ index: 0 }, { index: 1 }])
  expect(mended?.['results']).toHaveLength(2)
})

describe('errors', () => {
  test('a client’s mistake that it answers with 500 stays the client’s', () => {
    for (const name of ['bad-json', 'bad-tools', 'no-vision']) {
      expect(recorded(name).status).toBe(500)
      expect(faultOf(name)).toMatchObject({ kind: 'engine-refused', status: 400 })
    }
    expect(sayOf('no-vision')).toMatch(/image input is not supported.*engine\.flags.*mmproj/)
    expect(faultOf('bad-grammar')).toMatchObject({
      kind: 'engine-refused',
      message: expect.stringContaining('failed to parse grammar') as string,
    })
  })

  test('its own failure stays its own', () => {
    const text = JSON.stringify({ error: { code: 500, message: 'Compute error.', type: 'server_error' } })
    expect(llamaCpp.toFault(500, text)).toMatchObject({ kind: 'engine-failed', status: 500 })
  })

  test('what it was started without names the flag', () => {
    expect(faultOf('no-rerank').kind).toBe('unsupported')
    expect(sayOf('no-rerank')).toMatch(/reranking on this llama-server is not supported.*reranking: true/)
    expect(sayOf('no-embeddings')).toMatch(/embeddings: true/)
    expect(sayOf('no-infill')).toMatch(/'suffix'.*is not supported.*token is missing.*Leave out suffix/)
    expect(sayOf('no-audio')).toMatch(/audio/)
  })

  test('a context that is too small tells both numbers', () => {
    expect(faultOf('context-exceeded')).toEqual({ kind: 'context-exceeded', asked: 6011, limit: 512 })
  })

  test('a route that it lacks is a matter of its age, and no failure that would take it out of use', () => {
    expect(faultOf('not-found').kind).toBe('unsupported')
    expect(sayOf('not-found')).toMatch(/no such route.*update it/)
  })
})

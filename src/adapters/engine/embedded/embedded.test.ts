import { describe, expect, test } from 'vitest'
import { toHttp } from '../../../domain/fault.ts'
import { tokens, versionName } from '../../../domain/units.ts'
import type { EnginePath } from '../../../domain/serving/index.ts'
import type { Target, Wire } from '../../../services/serve/index.ts'
import { embedded } from './index.ts'

const target: Target = { address: { socket: '/run/engine.sock' }, metrics: null, apiKey: null, served: null }

type Page = { status: number; text: string }
function wireOf(pages: Record<string, Page>): Wire {
  return {
    post: () => {
      throw new Error('a probe costs no inference')
    },
    get: (_target, path) => Promise.resolve(pages[path] ?? { status: 404, text: '' }),
    close: () => Promise.resolve(),
  }
}
const probe = (pages: Record<string, Page>) => embedded.probe(target, wireOf(pages), AbortSignal.timeout(5_000))

// As the engine prints it.
const metrics = [
  ['requests_running', 2],
  ['requests_waiting', 3],
  ['kv_cache_usage_ratio', 0.25],
  ['prompt_tokens_total', 4],
  ['generation_tokens_total', 5],
]
  .map(([name, value]) => `# HELP embedded:${name} x.\n# TYPE embedded:${name} gauge\nembedded:${name} ${value}\n`)
  .join('')

describe('a probe', () => {
  test('tells what is loaded and how busy it is', async () => {
    const found = await probe({
      '~/health': { status: 200, text: '{"status":"ok"}' },
      '/models': { status: 200, text: '{"data":[{"id":"dev-v1-a-q8-0-p0"}]}' },
      '~/metrics': { status: 200, text: metrics },
    })
    expect(found).toEqual({
      state: 'up',
      models: ['dev-v1-a-q8-0-p0'],
      load: { running: 2, waiting: 3, kvUse: 0.25, promptTokens: 4, generatedTokens: 5 },
    })
  })

  test.each(['loading', 'draining'])('one that is %s comes, or another after it', async status => {
    expect(await probe({ '~/health': { status: 503, text: JSON.stringify({ status }) } })).toEqual({ state: 'loading' })
  })

  test('one that fails says how', async () => {
    expect(await probe({ '~/health': { status: 500, text: '' } })).toMatchObject({
      state: 'failed',
      why: expect.stringContaining('500') as string,
    })
  })
})

describe('requests', () => {
  const ask = (path: EnginePath, body: Record<string, unknown>) =>
    embedded.toRequest(path, body, versionName('dev-v1-smoke-2m-q8-0-p0'))

  test('are OpenAI’s own', () => {
    const body = { messages: [{ role: 'user', content: 'Hi' }], min_p: 0.1 }
    expect(ask('chat/completions', body)).toEqual({ path: '/chat/completions', body, repair: null })
    expect(ask('embeddings', { input: 'a' }).path).toBe('/embeddings')
  })

  test('a suffix is its own matter: it knows whether its weights have tokens for that', () => {
    const body = { prompt: 'a(', suffix: ')' }
    expect(ask('completions', body)).toEqual({ path: '/completions', body, repair: null })
  })

  test('tokens are counted by it', () => {
    const { path, repair } = ask('tokenize', { prompt: 'a' })
    expect(path).toBe('~/tokenize')
    expect(repair?.whole({ count: 1, tokens: [5], max_model_len: 512 })).toEqual({
      count: 1,
      tokens: [5],
      max_model_len: 512,
    })
  })

  test.each(['rerank', 'audio/transcriptions', 'audio/speech'] as const)('%s it has not', path => {
    expect(() => ask(path, {})).toThrow(/on the embedded engine is not supported\. Serve the/)
  })
})

test('what does not fit into its context is understood: it says so in our own words', () => {
  const fault = { kind: 'context-exceeded', asked: tokens(32_012), limit: tokens(512) } as const
  const { status, body } = toHttp(fault)
  expect(embedded.toFault(status, JSON.stringify(body))).toEqual(fault)
})

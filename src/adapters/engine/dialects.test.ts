import { describe, expect, test } from 'vitest'
import type { Target, Wire } from '../../services/serve/index.ts'
import { dialectOf } from './index.ts'

const target: Target = { address: { url: 'http://127.0.0.1:1/v1' }, apiKey: null }
const patience = () => AbortSignal.timeout(5_000)

/** A wire that answers GETs with `status`, or fails with `error`. */
function wireOf(answer: { status: number } | { error: Error }): Wire & { asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    post: () => {
      throw new Error('a probe costs no inference')
    },
    get(_target, path) {
      asked.push(path)
      return 'error' in answer ? Promise.reject(answer.error) : Promise.resolve({ status: answer.status, text: '' })
    },
    close: () => Promise.resolve(),
  }
}

test('every kind of engine has a dialect, and each posts JSON below its base', () => {
  for (const kind of [
    'vllm',
    'llama-cpp',
    'ollama',
    'sglang',
    'tensorrt-llm',
    'triton',
    'openai',
    'embedded',
  ] as const) {
    expect(dialectOf(kind).toRequest('chat/completions', { model: 'x' })).toEqual({
      path: '/chat/completions',
      body: '{"model":"x"}',
    })
  }
})

describe.each(['openai', 'embedded'] as const)('probes of %s', kind => {
  const { probe } = dialectOf(kind)

  test('200 is up, 503 is loading, and only the list of models is asked for', async () => {
    const wire = wireOf({ status: 200 })
    expect(await probe(target, wire, patience())).toEqual({ state: 'up' })
    expect(wire.asked).toEqual(['/models'])
    expect(await probe(target, wireOf({ status: 503 }), patience())).toEqual({ state: 'loading' })
  })

  test('other failures say what is wrong, in words that people search for', async () => {
    expect(await probe(target, wireOf({ status: 500 }), patience())).toMatchObject({
      state: 'failed',
      why: expect.stringContaining('500') as string,
    })
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
    expect(await probe(target, wireOf({ error: refused }), patience())).toMatchObject({
      state: 'failed',
      why: expect.stringContaining('ECONNREFUSED') as string,
    })
    expect(await probe(target, wireOf({ error: new Error('odd') }), patience())).toMatchObject({
      why: expect.stringContaining('odd') as string,
    })
  })

  test('silence is told as silence', async () => {
    expect(await probe(target, wireOf({ error: new Error('aborted') }), AbortSignal.abort())).toMatchObject({
      state: 'failed',
      why: expect.stringContaining('does not answer') as string,
    })
  })
})

test('an address that wants other credentials is failed, and one that lists no models may still serve', async () => {
  const { probe } = dialectOf('openai')
  for (const status of [401, 403])
    expect(await probe(target, wireOf({ status }), patience())).toMatchObject({
      state: 'failed',
      why: expect.stringContaining('credentials') as string,
    })
  expect(await probe(target, wireOf({ status: 404 }), patience())).toEqual({ state: 'up' })
})

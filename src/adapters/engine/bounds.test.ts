/** What an engine or a client can make very large or wrong on purpose. What is quadratic does not end in a test's time. */
import { describe, expect, test } from 'vitest'
import { versionName } from '../../domain/units.ts'
import { dialectOf } from './index.ts'

const version = versionName('dev-v1-llama3-8b-q4-k-m-p0')
const many = 300_000

test('a name that an engine tells again with each of very many pieces begins one call', () => {
  const { repair } = dialectOf('triton').toRequest('chat/completions', { messages: [] }, version)
  const piece = (args: string) => ({
    choices: [{ index: 0, delta: { tool_calls: [{ index: 0, function: { name: 'f', arguments: args } }] } }],
  })
  repair?.chunk(piece('{"a":"'))
  for (let count = 0; count < many; count++) repair?.chunk(piece('word}'))
  expect(repair?.chunk(piece('"}'))).toMatchObject({ choices: [{ delta: { tool_calls: [{ index: 0 }] } }] })
  expect(repair?.chunk(piece('{"b":1}'))).toMatchObject({ choices: [{ delta: { tool_calls: [{ index: 1 }] } }] })
})

test('very many calls without arguments are closed', () => {
  const { repair } = dialectOf('openai').toRequest('chat/completions', { messages: [] }, version)
  const calls = Array.from({ length: many }, (_, index) => ({ index, id: `c${index}`, function: { name: 'f' } }))
  const told = repair?.chunk({ choices: [{ index: 0, delta: { tool_calls: calls }, finish_reason: 'stop' }] })
  expect(Object(told).choices[0].delta.tool_calls).toHaveLength(2 * many)
})

test('very many allowed tools are found among very many', () => {
  const tools = Array.from({ length: many }, (_, index) => ({ type: 'function', function: { name: `f${index}` } }))
  const choice = { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools } }
  const ask = { messages: [], tools, tool_choice: choice }
  expect(dialectOf('llama-cpp').toRequest('chat/completions', ask, version).body['tools']).toHaveLength(many)
})

test('an infill of very many answers is one', () => {
  const { repair } = dialectOf('llama-cpp').toRequest('completions', { prompt: 'a', suffix: 'b' }, version)
  const parts = Array.from({ length: many }, () => ({ content: 'x', tokens_evaluated: 3 }))
  expect(repair?.whole(parts)).toMatchObject({ usage: { prompt_tokens: 3 } })
})

describe('what cannot be', () => {
  const whole = (
    path: 'rerank' | 'tokenize',
    answer: unknown,
    kind: 'vllm' | 'llama-cpp' | 'openai' | 'tgi' = 'vllm',
  ) =>
    dialectOf(kind)
      .toRequest(path, { query: 'q', documents: ['a', 'b'], prompt: 'p' }, version)
      .repair?.whole(answer)

  test.each([[2], [-1], [0.5]])('a ranking of document %s', index => {
    expect(() => whole('rerank', { results: [{ index, relevance_score: 1 }] })).toThrow(/and there is none/)
  })

  test('a ranking of one document twice', () => {
    const results = [0, 0].map(index => ({ index, relevance_score: 1 }))
    expect(() => whole('rerank', { results })).toThrow(/twice/)
  })

  test.each([-5, 0.5, 1e308, '5', null, [1, 'x'], [1e15, 9e15]])('a count of %j tokens', count => {
    expect(() => whole('tokenize', { count })).toThrow(/no count of tokens/)
  })

  test('a count of half a token of usage, of a negative number of them, and none at all', () => {
    expect(() => whole('tokenize', { usage: { prompt_tokens: 0.5 } }, 'openai')).toThrow(/does not tell the usage/)
    expect(() => whole('tokenize', { usage: { prompt_tokens: -1 } }, 'openai')).toThrow(/does not tell the usage/)
    expect(() => whole('tokenize', { nothing: 1 }, 'tgi')).toThrow(/no tokens/)
  })
})

import { describe, expect, test } from 'vitest'
import { FaultError } from '../../../domain/fault.ts'
import { embeddingRepair } from './embeddings.ts'
import { reasoning, repairWith, usageTotal } from './repair.ts'
import { ranking } from './rerank.ts'
import { countByCompletion, tokenCount } from './tokenize.ts'

describe('reasoning', () => {
  const { chunk, whole, marks } = repairWith(reasoning)

  test('stands under reasoning_content too, in chunks and whole answers', () => {
    expect(chunk({ choices: [{ delta: { reasoning: 'Hm' } }] })).toEqual({
      choices: [{ delta: { reasoning: 'Hm', reasoning_content: 'Hm' } }],
    })
    expect(whole({ choices: [{ message: { content: 'A', reasoning: 'B', reasoning_content: null } }] })).toEqual({
      choices: [{ message: { content: 'A', reasoning: 'B', reasoning_content: 'B' } }],
    })
  })

  test('an engine that sends it there is not corrected, and its chunks pass unparsed', () => {
    const answer = { choices: [{ message: { reasoning: 'B', reasoning_content: 'C' } }] }
    expect(whole(answer)).toEqual(answer)
    expect(marks.some(mark => '{"delta":{"reasoning_content":"x","reasoning":null}}'.includes(mark))).toBe(false)
  })
})

test('usage without a total gets one; a whole usage stays', () => {
  const { chunk } = repairWith(usageTotal)
  expect(chunk({ usage: { prompt_tokens: 2, completion_tokens: 3 } })).toEqual({
    usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
  })
  expect(chunk({ usage: { prompt_tokens: 2 } })).toEqual({ usage: { prompt_tokens: 2, total_tokens: 2 } })
  for (const usage of [null, 7, {}, { prompt_tokens: 'x' }, { prompt_tokens: 1, total_tokens: 9 }])
    expect(chunk({ usage })).toEqual({ usage })
})

test('an answer that is no object is the engine’s failure', () => {
  for (const answer of [[], null, 7, 'text']) expect(() => repairWith(reasoning).whole(answer)).toThrowError(FaultError)
})

describe('rankings', () => {
  const rank = (answer: unknown, body = {}) =>
    repairWith(ranking({ model: 'm', documents: ['a', 'b'], ...body })).whole(answer)

  test('a list of scores is sorted, cut to top_n, and gets an id, a model and a usage', () => {
    const list = [
      { index: 0, score: [0.1], document: 'a', meta_info: { prompt_tokens: 3 } },
      { index: 1, score: 0.9, document: 'b', meta_info: { prompt_tokens: 4 } },
    ]
    expect(rank(list, { top_n: 1 })).toEqual({
      id: expect.stringMatching(/^rerank-/) as string,
      model: 'm',
      results: [{ index: 1, relevance_score: 0.9, document: { text: 'b' } }],
      usage: { prompt_tokens: 7, total_tokens: 7 },
    })
  })

  test('vLLM’s own shape keeps what it has', () => {
    const results = [
      { index: 1, document: { text: 'b' }, relevance_score: 2 },
      { index: 0, document: { text: 'a' }, relevance_score: -2 },
    ]
    const answer = { id: 'rerank-1', model: 'theirs', usage: { total_tokens: 5 }, results }
    expect(rank(answer)).toEqual(answer)
  })

  test('documents come when they are asked for, and not when they are unwanted', () => {
    const results = [{ index: 1, relevance_score: 1 }]
    expect(rank({ results })).toMatchObject({ results: [{ index: 1, relevance_score: 1 }] })
    expect(rank({ results }, { return_documents: true })).toMatchObject({ results: [{ document: { text: 'b' } }] })
    expect(
      rank({ results: [{ ...results[0], document: { text: 'b' } }] }, { return_documents: false })['results'],
    ).toEqual(results)
  })

  test.each([{}, null, { results: 'x' }, [{ index: 0 }], [{ score: 1 }], [7], { results: [{ index: 0, score: 'x' }] }])(
    'without scores there is no ranking: %j',
    answer => {
      expect(() => rank(answer)).toThrowError(FaultError)
    },
  )
})

describe('embeddings', () => {
  test('are left as they are unless base64 is asked for', () => {
    expect(embeddingRepair({})).toBeNull()
    expect(embeddingRepair({ encoding_format: 'float' })).toBeNull()
  })

  test('become base64 of little-endian float32; what is base64 already stays', () => {
    const repair = embeddingRepair({ encoding_format: 'base64' })
    const data = [{ index: 0, embedding: [1, -0.5, 3.4e-3] }, { index: 1, embedding: 'AACAPw==' }, 7]
    const mended = repair?.whole({ object: 'list', data })['data'] as { embedding: string }[]
    const bytes = Buffer.from(mended[0]?.embedding ?? '', 'base64')
    expect([0, 4, 8].map(at => bytes.readFloatLE(at))).toEqual([1, -0.5, Math.fround(3.4e-3)])
    expect(mended.slice(1)).toEqual(data.slice(1))
  })
})

describe('counts of tokens', () => {
  const count = (answer: unknown) => repairWith(tokenCount).whole(answer)

  test('say count, tokens and the limit, and nothing else', () => {
    expect(count({ count: 2, tokens: [7, 8], max_model_len: 4096, token_strs: null })).toEqual({
      count: 2,
      tokens: [7, 8],
      max_model_len: 4096,
    })
    expect(count({ count: [2, 1], tokens: [[7, 8], [9]], max_model_len: 1e30 })).toEqual({
      count: 3,
      tokens: [7, 8, 9],
      max_model_len: null,
    })
    expect(count({ count: 2, max_model_len: -1 })).toEqual({ count: 2, tokens: null, max_model_len: null })
    expect(() => count({ tokens: [] })).toThrowError(/count/)
  })

  test('an engine that has no route for it is asked for one token, and its usage tells', () => {
    const messages = [{ role: 'developer', content: 'Be brief' }]
    const tools = [{ type: 'function', function: { name: 'get' } }]
    const { path, body, repair } = countByCompletion('X', {
      model: 'm',
      messages,
      tools,
      max_tokens: 500,
      stream: true,
    })
    expect([path, body]).toEqual([
      '/chat/completions',
      {
        model: 'm',
        messages: [{ role: 'system', content: 'Be brief' }],
        tools,
        tool_choice: 'none',
        max_tokens: 1,
        stream: false,
      },
    ])
    expect(repair?.whole({ choices: [], usage: { prompt_tokens: 12, completion_tokens: 1 } })).toEqual({
      count: 12,
      tokens: null,
      max_model_len: null,
    })
    expect(() => repair?.whole({ choices: [] })).toThrowError(/X/)
    expect(countByCompletion('X', { model: 'm', prompt: 'Hi' })).toMatchObject({
      path: '/completions',
      body: { prompt: 'Hi', max_tokens: 1 },
    })
  })
})

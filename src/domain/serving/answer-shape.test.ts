import { expect, test } from 'vitest'
import { answerProblem } from './answer-shape.ts'

const problem = (path: Parameters<typeof answerProblem>[0]['path'], answer: object, body = {}): string | null =>
  answerProblem({ path, body }, { ...answer })

test('V1 a chat has a message in each choice, a completion a text', () => {
  expect(problem('chat/completions', { choices: [{ message: { content: null } }] })).toBeNull()
  for (const choices of [undefined, null, 5, [], ['x'], [{ text: 'x' }], [{ message: {} }, {}]])
    expect(problem('chat/completions', { choices })).toBe('its answer has no message')
  expect(problem('completions', { choices: [{ text: '' }] })).toBeNull()
  for (const choices of [undefined, [], [{ message: {} }], [{ text: null }]])
    expect(problem('completions', { choices })).toBe('its answer has no text')
  expect(problem('audio/transcriptions', { text: '' })).toBeNull()
  expect(problem('audio/transcriptions', { error: 'x' })).toBe('its answer has no text')
})

test('V2 there are as many embeddings as inputs: who took the second for the first would search by the wrong text', () => {
  const vectors = (count: number) => ({ data: Array.from({ length: count }, () => ({ embedding: [1] })) })
  for (const input of ['a', ['a'], [1, 2, 3], [[1, 2, 3]]])
    expect(problem('embeddings', vectors(1), { input }), JSON.stringify(input)).toBeNull()
  expect(problem('embeddings', { data: [{ embedding: 'AAAA' }] }, { input: 'a' })).toBeNull()
  expect(problem('embeddings', vectors(1), { input: ['a', 'b'] })).toBe('it answered 2 inputs with 1 embeddings')
  expect(problem('embeddings', vectors(3), { input: [[1], [2]] })).toBe('it answered 2 inputs with 3 embeddings')
  for (const data of [undefined, 'x', [], [null], [{ embedding: null }]])
    expect(problem('embeddings', { data }, { input: 'a' })).toBe('its answer has no embeddings')
})

test('V3 what is made here, and sound, is not looked at', () => {
  for (const path of ['rerank', 'tokenize', 'audio/speech'] as const) expect(problem(path, {})).toBeNull()
})

import { expect, test } from 'vitest'
import { checkAnswer, checkMark, checkSimilar } from './checks.ts'
import type { Expectations } from './golden-case.ts'
import { parseGoldenSet } from './golden-set.ts'
import { cosine, wordSimilarity } from './similarity.ts'

const tools = [{ type: 'function', function: { name: 'weather' } }]

/** As a set's file would say it. */
function expecting(expect: object): Expectations {
  const read = parseGoldenSet(JSON.stringify({ id: 'a', messages: [{ role: 'user', content: 'x' }], tools, expect }))
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  return read.set.cases[0]?.expect ?? {}
}

const call = (name: string, args: unknown) => ({
  id: 'c',
  type: 'function' as const,
  function: { name, arguments: typeof args === 'string' ? args : JSON.stringify(args) },
})

/** passes and score of the one check. */
function look(expect: object, text: string, toolCalls: ReturnType<typeof call>[] = []) {
  const [result] = checkAnswer(expecting(expect), { text, toolCalls })
  if (result?.measured !== true) throw new Error('not measured')
  return [result.passes, result.score]
}

test('C3 exact looks past spelling of the same letters and white space, and past nothing else', () => {
  expect(look({ exact: 'Café au lait' }, ' Cafe\u0301  au\nlait ')).toEqual([true, 1])
  expect(look({ exact: 'Paris' }, 'paris')).toEqual([false, 0])
  expect(look({ exact: 'Paris' }, 'Paris.')).toEqual([false, 0])
})

test('C4 contains scores the share of texts found', () => {
  expect(look({ contains: ['one', 'two  three'] }, 'one, two three')).toEqual([true, 1])
  expect(look({ contains: ['one', 'four'] }, 'one, two three')).toEqual([false, 0.5])
})

test('C7 an answer too long for a pattern fails it', () => {
  const { regex } = expecting({ regex: 'a{100}$' })
  const longest = regex?.pattern.longest ?? 0
  expect(longest).toBeGreaterThan(10_000)
  expect(look({ regex: 'a{100}$' }, 'a'.repeat(longest))).toEqual([true, 1])
  expect(look({ regex: 'a{100}$' }, 'a'.repeat(longest + 1))).toEqual([false, 0])
})

test('C8 json_schema wants JSON alone', () => {
  const schema = { json_schema: { required: ['a'] } }
  expect(look(schema, ' {"a": 1}\n')).toEqual([true, 1])
  expect(look(schema, '```json\n{"a": 1}\n```')).toEqual([false, 0])
  expect(look(schema, 'Here: {"a": 1}')).toEqual([false, 0])
  expect(look(schema, '{}')).toEqual([false, 0])
})

test('C9 a tool call may have more arguments than were asked for, and other calls beside it', () => {
  const wanted = { tool_call: { name: 'weather', arguments: { city: 'Oslo', at: { hour: 7 }, days: [1, 2] } } }
  const right = { city: 'Oslo', at: { hour: 7, minute: 0 }, days: [1, 2], unit: 'C' }
  expect(look(wanted, '', [call('weather', { city: 'Bergen' }), call('weather', right)])).toEqual([true, 1])
  expect(look(wanted, '', [call('weather', { ...right, days: [1, 2, 3] })])).toEqual([false, 0.5])
  expect(look(wanted, '', [call('weather', { ...right, at: {} })])).toEqual([false, 0.5])
  expect(look(wanted, '', [call('weather', '{"city": ')])).toEqual([false, 0.5])
  expect(look({ tool_call: { name: 'weather', arguments: { city: null } } }, '', [call('weather', {})])).toEqual([
    false,
    0.5,
  ])
  expect(look(wanted, 'weather in Oslo', [call('news', right)])).toEqual([false, 0])
  expect(look(wanted, 'weather in Oslo')).toEqual([false, 0])
})

test('C10 closeness says what it was measured with, and nothing is no closeness', () => {
  expect(checkSimilar({ atLeast: 0.5 }, { value: 0.7, by: 'words' })).toMatchObject({
    ...{ passes: true, score: 0.7 },
    why: expect.stringContaining('lexical'),
  })
  expect(checkSimilar({ atLeast: 0.5 }, { value: -0.2, by: 'embeddings' })).toMatchObject({ passes: false, score: 0 })
  expect(checkSimilar({ atLeast: 0.5 }, { value: Number.NaN, by: 'embeddings' })).toMatchObject({ measured: false })
})

test('C10 words are compared without order and case; vectors by their angle', () => {
  expect(wordSimilarity('The capital of Japan is Tokyo.', 'tokyo is the CAPITAL of japan')).toBeCloseTo(1)
  expect(wordSimilarity('red blue', 'green')).toBe(0)
  expect(wordSimilarity('один два', 'два три')).toBeCloseTo(0.5)
  expect(wordSimilarity('', '!')).toBeNaN()
  expect(cosine([3, 0], [0, 4])).toBe(0)
  expect(cosine([1, 2, 3], [2, 4, 6])).toBeCloseTo(1)
  expect(cosine([1, 0], [-2, 0])).toBe(-1)
  expect(cosine([1], [1, 2])).toBeNaN()
})

test('J9 a mark becomes a score from 0 to 1', () => {
  const scores = [1, 5.5, 10].map(mark => checkMark({ atLeast: 5.5 }, mark, 'why'))
  expect(scores.map(result => result.measured && [result.passes, result.score])).toEqual([
    [false, 0],
    [true, 0.5],
    [true, 1],
  ])
})

test('C2 several checks are all looked at', () => {
  const results = checkAnswer(expecting({ contains: 'a', regex: 'b', exact: 'ab' }), { text: 'a', toolCalls: [] })
  expect(results.map(result => [result.check, result.measured && result.passes])).toEqual([
    ['exact', false],
    ['contains', true],
    ['regex', false],
  ])
})

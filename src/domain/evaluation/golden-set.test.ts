import { globSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseGoldenSet } from './golden-set.ts'

const user = [{ role: 'user', content: 'Hi' }]
const line = (fields: object): string => JSON.stringify({ id: 'a', messages: user, ...fields })

/** `line: problem` of each. */
function problemsOf(text: string): string[] {
  const read = parseGoldenSet(text)
  return read.ok ? [] : read.problems.map(({ line: at, problem }) => `${at}: ${problem}`)
}

/** The one case of a set of one. */
function only(fields: object) {
  const read = parseGoldenSet(line(fields))
  if (!read.ok) throw new Error(read.problems.map(({ problem }) => problem).join('; '))
  const [first] = read.set.cases
  if (first === undefined) throw new Error('no case')
  return first
}

test('G1 every problem of every line is told at once, with its line', () => {
  const text = [
    line({ id: '' }),
    '',
    'not json',
    line({ critcal: true, repeats: 0 }),
    line({ id: 'b', messages: [] }),
    line({ id: 'c', expect: { contain: 'x' } }),
  ].join('\n')
  expect(problemsOf(text)).toEqual([
    '1: id must be text of 1 to 200 characters',
    expect.stringMatching(/^3: this is no JSON: /),
    expect.stringMatching(/^4: unknown key 'critcal'; known: id, messages/),
    '4: repeats must be a whole number from 1 to 20',
    '5: messages must be a list with at least one message',
    expect.stringMatching(/^6: expect: unknown check 'contain'; known: exact, contains/),
  ])
})

test('G1 of very many problems the first hundred are told, and how many more there are', () => {
  const problems = problemsOf(Array.from({ length: 150 }, () => '{').join('\n'))
  expect(problems).toHaveLength(101)
  expect(problems.at(-1)).toContain('and 50 more problems')
})

test('G1 an empty set is a problem, not a set that passes', () => {
  expect(problemsOf('\n\n')).toEqual(['1: there is no case in it'])
})

test('G2 an id that was taken is told with the line that has it, even where that line has other problems', () => {
  expect(problemsOf([line({ repeats: -1 }), line({ id: 'b' }), line({})].join('\n'))).toEqual([
    '1: repeats must be a whole number from 1 to 20',
    "3: the id 'a' is taken by line 1",
  ])
})

test('G3 sets and lines are bounded', () => {
  const many = Array.from({ length: 10_001 }, (_, i) => line({ id: `case ${i}` })).join('\n')
  expect(problemsOf(many)).toEqual(['10001: a set has at most 10000 cases: split it'])
  expect(problemsOf(line({ context: 'x'.repeat(1_000_000) }))[0]).toContain('at most 1000000 characters')
})

test.each([
  [{ messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role must be one of'],
  [{ messages: [{ role: 'user' }] }, 'messages[0].content must be text'],
  [{ messages: [...user, { role: 'assistant', content: 'x' }] }, 'the last message must not be the assistant’s'],
  [{ expect: 'Paris' }, 'expect must be an object'],
  [{ expect: { exact: 1 } }, 'expect.exact must be text'],
  [{ expect: { contains: [] } }, 'expect.contains must be'],
  [{ expect: { regex: '(' } }, 'expect.regex can’t be used: a ( has no )'],
  [{ expect: { regex: '(a)\\1' } }, 'a reference back'],
  [{ expect: { json_schema: { typo: 'object' } } }, "the keyword 'typo' is not known here"],
  [{ expect: { json_schema: { properties: { a: { type: 'text' } } } } }, 'there is no type "text"'],
  [{ expect: { tool_call: { name: 'weather' } } }, "tools has no 'weather'"],
  [{ expect: { similar: { to: 'x', atLeast: 2 } } }, 'expect.similar must be'],
  [{ expect: { rubric: { criteria: 'x', atLeast: 11 } } }, 'expect.rubric must be'],
  [{ critical: true }, 'it is critical, but expects nothing'],
  [{ critical: 'yes' }, 'critical must be true or false'],
  [{ tags: 'x' }, 'tags must be a list'],
  [{ tools: [{}] }, 'tools must be a list of'],
])('G4 %j is refused before anything is asked', (fields, problem) => {
  expect(problemsOf(line(fields)).join('\n')).toContain(problem)
})

test('G5 {{context}} in a message is the context, whatever signs it holds', () => {
  const context = 'It costs $& and $1.'
  const { messages } = only({ context, messages: [{ role: 'user', content: 'Read: {{context}}\nWhat?' }] })
  expect(messages[0]?.content).toBe('Read: It costs $& and $1.\nWhat?')
})

describe('G6 clusters', () => {
  test('the first tag makes one', () => {
    expect(only({ tags: ['billing', 'x'] }).cluster).toBe(only({ id: 'b', tags: ['billing'] }).cluster)
    expect(only({ tags: ['billing'] }).cluster).not.toBe(only({ tags: ['x', 'billing'] }).cluster)
  })

  test('without tags it is the conversation that begins alike, a shared system prompt not counted', () => {
    const system = { role: 'system', content: 'Be brief.' }
    const [hi, other] = ['Hi', 'Hello'].map(content => only({ messages: [system, { role: 'user', content }] }).cluster)
    const later = [system, ...user, { role: 'assistant', content: 'Yes?' }, { role: 'user', content: 'More' }]
    expect(only({ messages: later }).cluster).toBe(hi)
    expect(other).not.toBe(hi)
  })
})

test('shorter forms stand for the usual bounds', () => {
  const { expect: wanted } = only({ expect: { similar: 'x', rubric: 'is kind', contains: 'one' } })
  expect(wanted).toEqual({
    similar: { to: 'x', atLeast: 0.8 },
    rubric: { criteria: 'is kind', atLeast: 7 },
    contains: ['one'],
  })
})

test('whatever a file holds, it is a set or its problems', () => {
  const value = fc.oneof(fc.json(), fc.string(), fc.constant(line({})))
  fc.assert(
    fc.property(fc.array(value), lines => {
      const read = parseGoldenSet(lines.join('\n'))
      expect(read.ok ? read.set.cases.length : read.problems.length).toBeGreaterThan(0)
    }),
  )
})

test.each(globSync('examples/golden/*.jsonl'))('%s can be run as it stands', path => {
  expect(problemsOf(readFileSync(path, 'utf8'))).toEqual([])
})

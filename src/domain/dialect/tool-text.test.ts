import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openToolText, type Said } from './tool-text.ts'

const tools = [
  {
    name: 'get',
    parameters: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } },
  },
  { name: 'put' },
]

/** What was said, texts that follow one another joined: where a piece ends says nothing. */
function read(...pieces: string[]): Said[] {
  const reader = openToolText(tools)
  const said = [...pieces.flatMap(piece => reader.push(piece)), ...reader.end()]
  return said.reduce<Said[]>((joined, one) => {
    const last = joined.at(-1)
    if (last === undefined || !('text' in last) || !('text' in one)) return [...joined, one]
    return [...joined.slice(0, -1), { text: last.text + one.text }]
  }, [])
}
const sourceOf = (said: readonly Said[]): string => said.map(one => ('text' in one ? one.text : one.source)).join('')
const told = (text: string): unknown[] =>
  read(text).map(one => ('text' in one ? one.text : one.calls.map(call => [call.name, call.arguments])))

const get = (args: string) => [['get', args]]

describe('T1 every form that models write is a call', () => {
  test.each([
    ['Hermes', '<tool_call>\n{"name": "get", "arguments": {"city": "Rome"}}\n</tool_call>'],
    ['Hermes, cut off at the end of the answer', '<tool_call>{"name": "get", "arguments": {"city": "Rome"}}</tool'],
    ['Llama 3', '<|python_tag|>{"name": "get", "parameters": {"city": "Rome"}}'],
    ['Mistral, a list', '[TOOL_CALLS] [{"name": "get", "arguments": {"city": "Rome"}}]'],
    ['Mistral, a name', '[TOOL_CALLS]get[ARGS]{"city": "Rome"}'],
    ['Mistral, a name and an id', '[TOOL_CALLS]get[CALL_ID]a1b2[ARGS]{"city": "Rome"}'],
    ['Llama 3.1’s own tools', '<function=get>{"city": "Rome"}</function>'],
    ['bare', ' {"name": "get", "parameters": {"city": "Rome"}}\n'],
    ['bare, with its type', '{"type": "function", "name": "get", "parameters": {"city": "Rome"}}'],
    ['bare, as OpenAI has it', '{"type": "function", "function": {"name": "get", "arguments": {"city": "Rome"}}}'],
    ['bare, in a list', '[{"name": "get", "arguments": {"city": "Rome"}}]'],
  ])('%s', (_, text) => {
    expect(told(text)).toEqual([get('{"city": "Rome"}')])
  })

  test.each([
    '<tool_call>\n<function=get>\n<parameter=city>\nRome\n</parameter>\n</function>\n</tool_call>',
    '<function=get><parameter=city>Rome</parameter></function>\n</tool_call>',
  ])('Qwen3-Coder: %j', text => {
    expect(told(text)).toEqual([get('{"city":"Rome"}')])
  })
})

test('T2 several calls come in their order, and blanks between them are no text', () => {
  const one = '<tool_call>{"name":"get","arguments":{"city":"A"}}</tool_call>'
  expect(told(`I look.\n${one}\n${one}\n`)).toEqual(['I look.\n', get('{"city":"A"}'), get('{"city":"A"}'), '\n'])
  expect(told('{"name":"get","parameters":{}}; {"name":"put","parameters":{}}')).toEqual([
    [
      ['get', '{}'],
      ['put', '{}'],
    ],
  ])
})

test('T3 only tools that were offered are called; all else is text', () => {
  for (const text of [
    '<tool_call>{"name": "other", "arguments": {}}</tool_call>',
    '<tool_call>{"name": "get", "arguments": [1]}</tool_call>',
    '<tool_call>{"name": "get", "arguments": {"city"}}</tool_call>',
    '<tool_call>{"name": "get", "arguments": {"city": "Ro',
    '<function=other><parameter=x>1</parameter></function>',
    '[TOOL_CALLS] [{"name": "get", "arguments": {}}, {"name": "other", "arguments": {}}]',
    '{"name": "other", "parameters": {}}',
    'Write <tool_call> to call a tool, a < b, [TOOL',
    '   ',
    '',
  ])
    expect(sourceOf(read(text)) === text && read(text).every(one => 'text' in one)).toBe(true)
})

test('T4 a call without a marker counts only as the whole answer', () => {
  for (const text of [
    '{"name": "get", "parameters": {}} is how.',
    'So: {"name": "get", "parameters": {}}',
    '{"city": "Rome", "name": "get"}',
  ])
    expect(read(text)).toEqual([{ text }])
})

test('T5 arguments keep the model’s digits and order; a string that holds an object is that object', () => {
  expect(told('<tool_call>{"arguments": {"b": 12345678901234567890, "a": 1.0}, "name": "get"}</tool_call>')).toEqual([
    get('{"b": 12345678901234567890, "a": 1.0}'),
  ])
  expect(told('<tool_call>{"name": "get", "arguments": "{\\"a\\": \\"}\\"}"}</tool_call>')).toEqual([get('{"a": "}"}')])
  expect(told('<tool_call>{"name": "get"}</tool_call>')).toEqual([get('{}')])
})

test('T6 words of a call in XML are what the tool’s schema says, else JSON where they are some', () => {
  const text = (name: string, value: string): string =>
    `<function=get><parameter=${name}>\n${value}\n</parameter></function>`
  expect(told(text('city', '12'))).toEqual([get('{"city":"12"}')])
  expect(told(text('days', '12'))).toEqual([get('{"days":12}')])
  expect(told(text('code', 'if (a < b) {\n  "x"\n}'))).toEqual([get('{"code":"if (a < b) {\\n  \\"x\\"\\n}"}')])
  expect(told('<function=put></function>')).toEqual([[['put', '{}']]])
})

test('T7 text goes out at once, but for what may begin a call', () => {
  const reader = openToolText(tools)
  expect(reader.push('Hello <to')).toEqual([{ text: 'Hello ' }])
  expect(reader.push('morrow')).toEqual([{ text: '<tomorrow' }])
  expect(reader.push('<tool_call>')).toEqual([])
  expect(sourceOf(reader.push('x'))).toBe('<tool_call>x')
  expect(reader.push('<tool_call>{"name":"put"}</tool_call>')).toEqual([
    { calls: [{ name: 'put', arguments: '{}' }], source: '<tool_call>{"name":"put"}</tool_call>' },
  ])
  expect(reader.end()).toEqual([])
})

test('T7 blanks without end are not waited for', () => {
  const reader = openToolText(tools)
  expect(sourceOf(reader.push('\n'.repeat(100)))).toHaveLength(100)
})

test('T8 what turns out to be no call is text, and a call after it is one', () => {
  expect(told('<tool_call>no<tool_call>{"name":"put"}</tool_call>')).toEqual(['<tool_call>no', [['put', '{}']]])
  expect(told('{"name": 1} <tool_call>{"name":"put"}</tool_call>')).toEqual(['{"name": 1} ', [['put', '{}']]])
})

const fragment = fc.oneof(
  fc.constantFrom(
    '<tool_call>',
    '</tool_call>',
    '<function=',
    'get>',
    '<function=get>',
    '<parameter=city>',
    '</parameter>',
    '</function>',
    '<|python_tag|>',
    '[TOOL_CALLS]',
    '[ARGS]',
    '[CALL_ID]',
    '{"name":"get","arguments":{"city":"<tool_call>"}}',
    '{"name": "put", "parameters": {"a": [1, {"b": "\\"}"}]}}',
    '[{"name":"put"}]',
    '{"name":"other"}',
    '{"name"',
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\',
    ';',
    ' ',
    '\n',
    '\n'.repeat(70),
    'get',
    '<',
    'Hello',
    'é😀',
  ),
  fc.string({ maxLength: 3 }),
)

test('T9 nothing is lost or changes its place, however the text is cut', () => {
  let calls = 0
  const property = fc.property(fc.array(fragment, { maxLength: 12 }), fc.infiniteStream(fc.nat(9)), (parts, cuts) => {
    const text = parts.join('')
    const pieces: string[] = []
    for (let at = 0; at < text.length;) {
      const length = cuts.next().value ?? 1
      pieces.push(text.slice(at, at + length))
      at += length
    }
    const whole = read(text)
    expect(sourceOf(whole)).toBe(text)
    expect(read(...pieces)).toEqual(whole)
    if (whole.some(one => 'calls' in one)) calls++
  })
  fc.assert(property, { numRuns: 3000 })
  expect(calls).toBeGreaterThan(20)
})

test('T9 a long answer that never closes what it opens is read in one go', () => {
  const text = '<function=get><parameter=city>{"name'.repeat(2000)
  expect(sourceOf(read(...(text.match(/.{1,64}/gs) ?? [])))).toBe(text)
})

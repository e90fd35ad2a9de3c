/** What a client or an engine can make as large as a body, in every dialect. What is quadratic does not end in a test's time. */
import { expect, test } from 'vitest'
import { requestId } from '../units.ts'
import { fromMessages, fromResponses } from './index.ts'
import { receive } from './messages/fake-client.ts'
import type { PreviousTurns, Translated } from './translation.ts'

const many = 60_000
/** More than a call of a function can take as arguments. */
const mostArguments = 150_000
const context = { id: requestId('01981d2e-0000-7000-8000-eeeeffff0000'), created: 0 }
const list = <T>(make: (index: number) => T, count = many): T[] => Array.from({ length: count }, (_, i) => make(i))

const messages = (more: object) => fromMessages({ model: 'm', max_tokens: 1, ...more }, context)
const responses = (more: object, previous: PreviousTurns | null = null) =>
  fromResponses({ model: 'm', ...more }, { ...context, previous: () => previous })

function understood(translated: Translated): Extract<Translated, { ok: true }> {
  if (!translated.ok) throw new Error(JSON.stringify(translated.fault))
  return translated
}

const user = (content: unknown) => ({ messages: [{ role: 'user', content }] })
const chunkOf = (calls: readonly object[]) => ({ choices: [{ index: 0, delta: { tool_calls: calls } }] })
const call = (index: number, id: string, json: string) => ({ index, id, function: { name: 'f', arguments: json } })

test('a message of very many blocks is read', () => {
  const { request } = understood(messages(user(list(() => ({ type: 'text', text: 'a' }), mostArguments))))
  expect(request.messages[0]?.content).toHaveLength(3 * mostArguments - 2)
  const results = list(index => ({ type: 'tool_result', tool_use_id: `c${index}`, content: 'x' }))
  expect(understood(messages(user(results))).request.messages).toHaveLength(many)
  const image = { type: 'image', source: { type: 'url', url: 'https://a/b' } }
  const shown = { type: 'tool_result', tool_use_id: 'c', content: list(() => image, mostArguments) }
  expect(understood(messages(user([shown]))).request.messages[1]?.content).toHaveLength(mostArguments + 1)
})

test('very many messages, items and tools are read', () => {
  const turns = list(index => ({ role: index % 2 === 0 ? 'user' : 'assistant', content: 'a' }))
  expect(understood(messages({ messages: turns })).request.messages).toHaveLength(many)
  expect(understood(responses({ input: turns })).request.messages).toHaveLength(many)
  const tools = list(index => ({ type: 'function', name: `f${index % 7}`, input_schema: {}, parameters: {} }))
  expect(understood(messages({ ...user('a'), tools: tools.map(tool => ({ ...tool, type: 'custom' })) })).ok).toBe(true)
  expect(
    understood(responses({ input: 'a', tools, tool_choice: { type: 'allowed_tools', mode: 'auto', tools } })).ok,
  ).toBe(true)
})

test('an answer of very many calls, none of them whole, is told', () => {
  const stream = understood(messages(user('a'))).answer.stream()
  const text = stream.chunk(chunkOf(list(index => call(index, `c${index}`, '{'))))
  expect(receive(text + stream.end()).message.content).toHaveLength(many)
})

test('an answer of very many calls of one id gives each its own', () => {
  const calls = list(index => call(index, 'c', '{}'))
  const stream = understood(responses({ input: 'a' })).answer.stream()
  stream.chunk(chunkOf(calls))
  stream.end()
  const whole = understood(responses({ input: 'a' })).answer.whole({ choices: [{ message: { tool_calls: calls } }] })
  const output = whole['output'] as { call_id: string }[]
  expect(new Set(output.map(item => item.call_id)).size).toBe(many)
})

test('a custom tool’s text that begins in no known way is told at its end, however many its pieces', () => {
  const tools = [{ type: 'custom', name: 'f' }]
  const stream = understood(responses({ input: 'a', tools })).answer.stream()
  stream.chunk(chunkOf([call(0, 'c', 'bare ')]))
  for (let piece = 0; piece < 200_000; piece++) stream.chunk(chunkOf([{ index: 0, function: { arguments: 'text ' } }]))
  expect(stream.end()).toContain('bare text text text')
})

test('a short request cannot bring more from memory than a conversation may be long', () => {
  const output = [
    {
      id: 'msg_x_0',
      type: 'message',
      role: 'assistant',
      content: [{ type: 'output_text', text: 'a'.repeat(100_000) }],
    },
  ]
  const previous = { messages: [], output }
  const input = list(() => ({ type: 'item_reference', id: 'msg_x_0' }))
  const translated = responses({ input }, previous)
  expect(translated).toMatchObject({ ok: false, fault: { kind: 'request-invalid', param: 'input[167]' } })
  expect(understood(responses({ input: input.slice(0, 100) }, previous)).request.messages).toHaveLength(100)
})

test('what a model nests very deeply is given to Anthropic’s clients as text', () => {
  const json = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`
  const answer = understood(messages(user('a'))).answer.whole({
    choices: [{ message: { tool_calls: [call(0, 'c', json)] } }],
  })
  expect(answer['content']).toMatchObject([{ type: 'tool_use', input: { _raw: json } }])
})

test.each(['constructor', '__proto__', 'toString'])('%s is a name like any other', name => {
  expect(messages({ ...user('a'), output_config: { effort: name } })).toMatchObject({
    ok: false,
    fault: { param: 'output_config.effort' },
  })
  const { request, answer } = understood(
    responses({
      input: 'a',
      tools: [
        { type: 'function', name },
        { type: 'custom', name },
      ],
      metadata: { [name]: 'x' },
    }),
  )
  expect(request.tools?.map(tool => tool.function.name)).toEqual([name, `${name}_2`])
  const { output, metadata } = answer.whole({
    choices: [{ message: { tool_calls: [{ id: name, function: { name, arguments: `{"${name}":1}` } }] } }],
  })
  expect(output).toMatchObject([{ name, call_id: name, arguments: `{"${name}":1}` }])
  expect(Object.keys(Object(metadata))).toEqual([name])
  expect({}).not.toHaveProperty('x')
})

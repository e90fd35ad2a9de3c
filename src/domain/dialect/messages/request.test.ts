import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { toHttp, type Fault } from '../../fault.ts'
import { requestId } from '../../units.ts'
import type { ChatRequest } from '../chat.ts'
import { fromCountTokens, fromMessages } from './index.ts'

const context = { id: requestId('019a2b3c-4d5e-7f80'), created: 1_760_000_000 }
const hello = { role: 'user', content: 'Hello' }
const least = { model: 'coder', max_tokens: 16, messages: [hello] }

/** What the engine is asked for a body with these fields. */
function asked(fields: object): ChatRequest {
  const reading = fromMessages({ ...least, ...fields }, context)
  if (!reading.ok) throw new Error(toHttp(reading.fault).body.error.message)
  return reading.request
}
const messages = (...told: unknown[]) => asked({ messages: told }).messages

function refused(fields: object): Fault & { param?: string | null } {
  const reading = fromMessages({ ...least, ...fields }, context)
  if (reading.ok) throw new Error(`understood as ${JSON.stringify(reading.request)}`)
  return reading.fault
}
const says = (fields: object) => toHttp(refused(fields)).body.error.message
const param = (fields: object) => toHttp(refused(fields)).body.error.param

const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0K' } }
const imagePart = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0K' } }
const text = (said: string) => ({ type: 'text', text: said })
const tool = (name: string) => ({ name, input_schema: { type: 'object' } })

test('a request of Claude Code becomes what an engine understands', () => {
  const recorded = JSON.parse(readFileSync(new URL('testdata/claude-code.json', import.meta.url), 'utf8'))
  expect(fromMessages(recorded.body, context)).toMatchObject({ ok: true })
  expect(asked(recorded.body)).toEqual(recorded.request)
})

describe('M1 a body is understood whole or refused by place', () => {
  test.each([
    ['no object', [], null],
    ['no model', { ...least, model: undefined }, 'model'],
    ['an empty model', { ...least, model: '' }, 'model'],
    ['no messages', { ...least, messages: null }, 'messages'],
    ['an empty conversation', { ...least, messages: [] }, 'messages'],
    ['a message that is none', { ...least, messages: [hello, 'Hi'] }, 'messages.1'],
    ['an unknown role', { ...least, messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.role'],
    ['no content', { ...least, messages: [{ role: 'user' }] }, 'messages.0.content'],
    ['a block that is none', { ...least, messages: [{ role: 'user', content: [7] }] }, 'messages.0.content.0'],
    [
      'text without text',
      { ...least, messages: [{ role: 'user', content: [{ type: 'text' }] }] },
      'messages.0.content.0.text',
    ],
    ['temperature as text', { ...least, temperature: '1' }, 'temperature'],
    ['stream as a number', { ...least, stream: 1 }, 'stream'],
    ['an empty stop sequence', { ...least, stop_sequences: ['a', ''] }, 'stop_sequences.1'],
    ['a system that is none', { ...least, system: 7 }, 'system'],
    ['an image as system', { ...least, system: [image] }, 'system.0.type'],
  ])('%s', (_, body, place) => {
    const reading = fromMessages(body, context)
    expect(reading).toMatchObject({ ok: false, fault: { kind: 'request-invalid', param: place } })
    if (place !== null) expect(!reading.ok && toHttp(reading.fault).body.error.message).toContain(`'${place}'`)
  })

  test('null is the same as left out, and what nobody knows is passed over', () => {
    const nothing = [
      'system',
      'stream',
      'temperature',
      'top_p',
      'top_k',
      'stop_sequences',
      'metadata',
      'tools',
      'thinking',
    ]
    const nulls = Object.fromEntries(
      [...nothing, 'tool_choice', 'output_config', 'output_format'].map(name => [name, null]),
    )
    expect(asked({ ...nulls, context_management: { edits: [] }, speed: 'fast', new_beta: true })).toEqual(least)
  })

  test('a schema or an input may be nested deep, not endlessly', () => {
    const nested = (levels: number) => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`)
    const use = (input: unknown) => [
      hello,
      { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input }] },
    ]
    expect(asked({ messages: use(nested(200)) }).messages).toHaveLength(2)
    expect(param({ messages: use(nested(201)) })).toBe('messages.1.content.0.input')
    expect(param({ messages: use(nested(100_000)) })).toBe('messages.1.content.0.input')
    expect(param({ tools: [{ name: 'f', input_schema: nested(201) }] })).toBe('tools.0.input_schema')
  })
})

test('M2 the system is one message, without what is for Anthropic’s accounts', () => {
  const system = (value: unknown) => asked({ system: value }).messages
  expect(system('Be brief.')).toEqual([{ role: 'system', content: 'Be brief.' }, hello])
  const blocks = [
    text('x-anthropic-billing-header: cc_version=2; cch=1f;'),
    { ...text('A'), cache_control: {} },
    text('B'),
  ]
  expect(system(blocks)).toEqual([{ role: 'system', content: 'A\n\nB' }, hello])
  expect(system('x-anthropic-billing-header: cch=1f;\nBe brief.')).toEqual([
    { role: 'system', content: 'Be brief.' },
    hello,
  ])
  expect(system([])).toEqual([hello])
})

test('M3 a system message among the turns is told in its place, for as long as it counts', () => {
  const note = (content: string, clear?: string) => ({ role: 'system', content, ...(clear ? { clear_at: clear } : {}) })
  const answer = { role: 'assistant', content: 'Yes.' }
  expect(messages(note('First.'), hello)).toEqual([{ role: 'system', content: 'First.' }, hello])
  expect(messages(hello, answer, hello, note('Plan mode.'))).toEqual([
    hello,
    answer,
    { role: 'user', content: 'Hello\n\n<system-reminder>\nPlan mode.\n</system-reminder>' },
  ])
  const once = note('Once.', 'next_user_message')
  expect(messages(hello, once)).toEqual([
    { role: 'user', content: 'Hello\n\n<system-reminder>\nOnce.\n</system-reminder>' },
  ])
  expect(messages(hello, once, answer, hello)).toEqual([hello, answer, hello])
  expect(messages(hello, { role: 'system', output_config: { effort: 'low' } })).toEqual([hello])
  expect(param({ messages: [note('Alone.')] })).toBe('messages')
})

test('M4 text alone is a string, with an image it is parts in order', () => {
  expect(messages({ role: 'user', content: [text('A'), text(''), text('B')] })).toEqual([
    { role: 'user', content: 'A\n\nB' },
  ])
  expect(messages({ role: 'user', content: [text('A'), image, text('B')] })).toEqual([
    { role: 'user', content: [text('A'), imagePart, text('B')] },
  ])
})

test('M5 images come from base64 or a URL', () => {
  const shown = (source: unknown) => ({ messages: [{ role: 'user', content: [{ type: 'image', source }] }] })
  expect(asked(shown({ type: 'url', url: 'https://x/a.png' })).messages).toEqual([
    { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://x/a.png' } }] },
  ])
  expect(refused(shown({ type: 'file', file_id: 'file_1' }))).toMatchObject({ kind: 'unsupported' })
  expect(param(shown({ type: 'base64', media_type: 'text/html', data: 'a' }))).toBe(
    'messages.0.content.0.source.media_type',
  )
  expect(param(shown({ type: 'base64', media_type: 'image/png', data: '' }))).toBe('messages.0.content.0.source.data')
  expect(param(shown({ type: 'ftp' }))).toBe('messages.0.content.0.source.type')
})

describe('M6 documents', () => {
  const shown = (block: object) => ({ messages: [{ role: 'user', content: [{ type: 'document', ...block }] }] })

  test('of text or blocks are told with their titles', () => {
    const source = { type: 'text', media_type: 'text/plain', data: 'Body' }
    expect(asked(shown({ source, title: 'T', context: 'C' })).messages[0]?.content).toBe('T\n\nC\n\nBody')
    const blocks = { type: 'content', content: [text('Body'), image] }
    expect(asked(shown({ source: blocks, title: 'T' })).messages[0]?.content).toEqual([
      text('T'),
      text('Body'),
      imagePart,
    ])
    const found = { type: 'search_result', title: 'T', source: 'https://x', content: [text('A'), text('B')] }
    expect(messages({ role: 'user', content: [found] })[0]?.content).toBe('T\n\nhttps://x\n\nA\n\nB')
  })

  test('as PDFs or files are refused with what to send instead', () => {
    const pdf = says(shown({ source: { type: 'base64', media_type: 'application/pdf', data: 'JVBE' } }))
    expect(pdf).toContain("A document from 'application/pdf' ('messages.0.content.0.source') is not supported.")
    expect(pdf).toContain('pages as images')
    expect(says(shown({ source: { type: 'url', url: 'https://x/a.pdf' } }))).toContain('a source of type url')
    expect(param(shown({ source: { type: 'content', content: [{ type: 'document' }] } }))).toBe(
      'messages.0.content.0.source.content.0.type',
    )
  })
})

test('M7 what says nothing is left out, what is unknown is refused by place', () => {
  const answer = {
    role: 'assistant',
    content: [{ type: 'redacted_thinking', data: 'x' }, text('Hi'), { type: 'fallback' }],
  }
  expect(messages(hello, answer)).toEqual([hello, { role: 'assistant', content: 'Hi' }])
  const searched = {
    role: 'assistant',
    content: [text('Hi'), { type: 'server_tool_use', id: 's', name: 'web_search' }],
  }
  expect(refused({ messages: [hello, searched] })).toMatchObject({ param: 'messages.1.content.1.type' })
  expect(says({ messages: [hello, searched] })).toContain("is 'server_tool_use'")
  expect(param({ messages: [{ role: 'user', content: [{ type: 'tool_use' }] }] })).toBe('messages.0.content.0.type')
})

test('M8 messages from one side are one turn', () => {
  const said = { role: 'assistant', content: [text('One'), text(' two')] }
  expect(
    messages(hello, { role: 'user', content: [text('there')] }, said, { role: 'assistant', content: 'Three' }),
  ).toEqual([
    { role: 'user', content: 'Hello\n\nthere' },
    { role: 'assistant', content: 'One two\n\nThree' },
  ])
})

test('M9 tool results stand in front of what else the user says', () => {
  const result = (id: string, content?: unknown) => ({ type: 'tool_result', tool_use_id: id, content })
  expect(
    messages(
      { role: 'user', content: [text('Go on'), result('b', 'B'), result('a', [text('A1'), text('A2')])] },
      { role: 'user', content: [result('c')] },
    ),
  ).toEqual([
    { role: 'tool', tool_call_id: 'b', content: 'B' },
    { role: 'tool', tool_call_id: 'a', content: 'A1\n\nA2' },
    { role: 'tool', tool_call_id: 'c', content: '' },
    { role: 'user', content: 'Go on' },
  ])
  expect(param({ messages: [{ role: 'user', content: [{ type: 'tool_result' }] }] })).toBe(
    'messages.0.content.0.tool_use_id',
  )
})

test('M10 an image of a tool is shown after the results, under the name of its call', () => {
  const seen = { type: 'tool_result', tool_use_id: 'a', content: [text('Page 1'), image] }
  const found = { type: 'tool_result', tool_use_id: 'b', content: [{ type: 'tool_reference', tool_name: 'Deploy' }] }
  expect(messages({ role: 'user', content: [seen, found, text('So?')] })).toEqual([
    { role: 'tool', tool_call_id: 'a', content: 'Page 1\n\n[image: shown after the results of the tools]' },
    { role: 'tool', tool_call_id: 'b', content: 'Tool found: Deploy' },
    { role: 'user', content: [text('From the result of a:'), imagePart, text('So?')] },
  ])
})

test('M11 the model sees that a tool failed', () => {
  const failed = { type: 'tool_result', tool_use_id: 'a', content: 'no such file', is_error: true }
  expect(messages({ role: 'user', content: [failed, { ...failed, is_error: false }] })).toEqual([
    { role: 'tool', tool_call_id: 'a', content: 'Error: no such file' },
    { role: 'tool', tool_call_id: 'a', content: 'no such file' },
  ])
})

test('M12 thought goes back to the engine without its signature', () => {
  const thinking = { type: 'thinking', thinking: 'Hm.', signature: 'EqoB' }
  expect(messages(hello, { role: 'assistant', content: [thinking, text('Yes.')] })[1]).toEqual({
    role: 'assistant',
    content: 'Yes.',
    reasoning_content: 'Hm.',
  })
})

test('M13 calls go back with their input as JSON; a prefill stays last', () => {
  const use = { type: 'tool_use', id: 'a', name: 'Read', input: { path: 'x', lines: [1] } }
  expect(
    messages(hello, { role: 'assistant', content: [use, { type: 'tool_use', id: 'b', name: 'List' }] })[1],
  ).toEqual({
    role: 'assistant',
    content: null,
    tool_calls: [
      { id: 'a', type: 'function', function: { name: 'Read', arguments: '{"path":"x","lines":[1]}' } },
      { id: 'b', type: 'function', function: { name: 'List', arguments: '{}' } },
    ],
  })
  expect(messages(hello, { role: 'assistant', content: '{"a":' }).at(-1)).toEqual({
    role: 'assistant',
    content: '{"a":',
  })
  expect(param({ messages: [hello, { role: 'assistant', content: [{ ...use, input: 'x' }] }] })).toBe(
    'messages.1.content.0.input',
  )
})

test('M14 tools are functions, whatever else is said of them', () => {
  const extras = { cache_control: {}, defer_loading: true, eager_input_streaming: true, allowed_callers: ['direct'] }
  expect(asked({ tools: [{ ...tool('f'), type: 'custom', strict: true, description: 'D', ...extras }] }).tools).toEqual(
    [{ type: 'function', function: { name: 'f', description: 'D', parameters: { type: 'object' }, strict: true } }],
  )
  expect(asked({ tools: [] })).toEqual(least)
  expect(param({ tools: [{ name: 'f' }] })).toBe('tools.0.input_schema')
  expect(param({ tools: [tool('f'), { input_schema: {} }] })).toBe('tools.1.name')
})

test('M15 tools of Anthropic’s own are refused by name, but for the search for tools', () => {
  for (const type of [
    'web_search_20250305',
    'bash_20250124',
    'text_editor_20250728',
    'computer_20250124',
    'mcp_toolset',
  ]) {
    expect(refused({ tools: [tool('f'), { type, name: 'it' }] })).toMatchObject({ kind: 'unsupported' })
    expect(says({ tools: [tool('f'), { type, name: 'it' }] })).toContain(`The tool 'it' of type '${type}' ('tools.1')`)
  }
  const search = { type: 'tool_search_tool_regex_20251119', name: 'tool_search_tool_regex' }
  expect(asked({ tools: [search, tool('f')] }).tools).toHaveLength(1)
})

test('M16 the choice of a tool', () => {
  const chosen = (choice: object) => {
    const { tool_choice: named, parallel_tool_calls: parallel } = asked({ tools: [tool('f')], tool_choice: choice })
    return [named, parallel]
  }
  expect(chosen({ type: 'auto' })).toEqual(['auto', undefined])
  expect(chosen({ type: 'any', disable_parallel_tool_use: true })).toEqual(['required', false])
  expect(chosen({ type: 'none' })).toEqual(['none', undefined])
  expect(chosen({ type: 'tool', name: 'f' })).toEqual([{ type: 'function', function: { name: 'f' } }, undefined])
  expect(asked({ tool_choice: { type: 'auto' } })).toEqual(least)
  expect(param({ tools: [tool('f')], tool_choice: { type: 'tool', name: 'g' } })).toBe('tool_choice.name')
  expect(param({ tools: [tool('f')], tool_choice: { type: 'some' } })).toBe('tool_choice.type')
  expect(param({ tool_choice: { type: 'any' } })).toBe('tool_choice')
})

test('M17 sampling keeps its meaning', () => {
  expect(
    asked({ temperature: 0.3, top_p: 0.9, top_k: 40, stop_sequences: ['END'], metadata: { user_id: 'u' } }),
  ).toEqual({
    ...least,
    temperature: 0.3,
    top_p: 0.9,
    top_k: 40,
    stop: ['END'],
    user: 'u',
  })
  expect(asked({ stop_sequences: [], stream: true })).toEqual({ ...least, stream: true })
  for (const max of [undefined, 0, 1.5, '16']) expect(param({ max_tokens: max })).toBe('max_tokens')
})

test('M18 thinking is switched off only when the client says so', () => {
  expect(asked({ thinking: { type: 'disabled' } })).toEqual({
    ...least,
    chat_template_kwargs: { enable_thinking: false },
  })
  for (const type of ['adaptive', 'between_tools']) expect(asked({ thinking: { type } })).toEqual(least)
})

test('M19 effort, said or as a budget', () => {
  const effort = (fields: object) => asked(fields).reasoning_effort
  expect(effort({ output_config: { effort: 'low' }, thinking: { type: 'enabled', budget_tokens: 31_999 } })).toBe('low')
  expect(effort({ output_config: { effort: 'max' } })).toBe('high')
  expect(effort({ thinking: { type: 'enabled', budget_tokens: 1_024 } })).toBe('low')
  expect(effort({ thinking: { type: 'enabled', budget_tokens: 4_096 } })).toBe('medium')
  expect(effort({ thinking: { type: 'enabled', budget_tokens: 16_384 } })).toBe('high')
  expect(effort({ output_config: { effort: 'high' }, thinking: { type: 'disabled' } })).toBeUndefined()
  expect(param({ output_config: { effort: 'hgih' } })).toBe('output_config.effort')
})

test('M20 a schema for the answer; what nobody does is refused', () => {
  const schema = { type: 'object', properties: { ok: { type: 'boolean' } } }
  const format = { type: 'json_schema', schema }
  const wanted = { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } }
  expect(asked({ output_config: { format } }).response_format).toEqual(wanted)
  expect(asked({ output_format: format }).response_format).toEqual(wanted)
  expect(param({ output_config: { format: { type: 'xml' } } })).toBe('output_config.format.type')
  for (const field of ['mcp_servers', 'container', 'thread', 'compaction']) {
    expect(refused({ [field]: [{ type: 'url' }] })).toMatchObject({ kind: 'unsupported' })
    expect(says({ [field]: [{ type: 'url' }] })).toContain(`('${field}') is not supported.`)
    expect(asked({ [field]: null })).toEqual(least)
  }
  expect(asked({ mcp_servers: [] })).toEqual(least)
})

test('M21 counting takes the same body, and asks the tokenizer', () => {
  const body = { model: 'coder', system: 'S', messages: [hello], tools: [tool('f')], thinking: { type: 'disabled' } }
  const reading = fromCountTokens({ ...body, tool_choice: { type: 'any' }, output_config: { effort: 'max' } })
  expect(reading).toMatchObject({ ok: true })
  if (!reading.ok) return
  expect(reading.request).toEqual({
    model: 'coder',
    messages: [{ role: 'system', content: 'S' }, hello],
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
    chat_template_kwargs: { enable_thinking: false },
  })
  expect(reading.answer.whole({ count: 13, tokens: null, max_model_len: null })).toEqual({ input_tokens: 13 })
  expect(() => reading.answer.whole({ tokens: [1] })).toThrow('tells no count of tokens')
  expect(fromCountTokens({ model: 'coder', messages: [] })).toMatchObject({ ok: false, fault: { param: 'messages' } })
})

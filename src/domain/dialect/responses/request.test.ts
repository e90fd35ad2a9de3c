import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { toHttp } from '../../fault.ts'
import { requestId } from '../../units.ts'
import type { ChatMessage, ChatRequest } from '../chat.ts'
import type { PreviousTurns } from '../translation.ts'
import { fromResponses } from './index.ts'

type Kept = Record<string, PreviousTurns>

const read = (body: unknown, kept: Kept = {}) =>
  fromResponses(body, {
    id: requestId('0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000'),
    created: 1,
    previous: id => kept[id] ?? null,
  })

/** The chat request of a body that is right. */
function ask(body: object, kept: Kept = {}): ChatRequest {
  const read_ = read({ model: 'coder', input: 'Hi', ...body }, kept)
  if (!read_.ok) throw new Error(toHttp(read_.fault).body.error.message)
  return read_.request
}
const messagesOf = (input: unknown, kept: Kept = {}): ChatMessage[] => ask({ input }, kept).messages

/** What a client is told about a body that is wrong. */
function refusal(body: object, kept: Kept = {}) {
  const read_ = read({ model: 'coder', input: 'Hi', ...body }, kept)
  if (read_.ok) throw new Error(`not refused: ${JSON.stringify(read_.request)}`)
  return toHttp(read_.fault).body.error
}

const recorded = (name: string): object =>
  JSON.parse(readFileSync(new URL(`testdata/${name}.json`, import.meta.url), 'utf8')) as object

const lookUp = { type: 'function', name: 'look_up', description: 'Looks up.', parameters: { type: 'object' } }
const chatLookUp = {
  type: 'function',
  function: { name: 'look_up', description: 'Looks up.', parameters: { type: 'object' } },
}

test('S1 a body that is wrong is refused with its parameter', () => {
  const cases: [body: object, param: string | null][] = [
    [{ model: undefined }, 'model'],
    [{ model: 7 }, 'model'],
    [{ input: undefined }, 'input'],
    [{ input: 7 }, 'input'],
    [{ input: [] }, 'input'],
    [{ input: [7] }, 'input[0]'],
    [{ input: [{ role: 'user' }] }, 'input[0].content'],
    [{ input: [{ role: 'tool', content: 'x' }] }, 'input[0].role'],
    [{ input: ['a', { role: 'user', content: 'x' }] }, 'input[0]'],
    [{ input: [{ role: 'user', content: [{ type: 'input_text' }] }] }, 'input[0].content[0].text'],
    [{ input: [{ role: 'user', content: [{ type: 'video' }] }] }, 'input[0].content[0].type'],
    [{ input: [{ role: 'user', content: [null] }] }, 'input[0].content[0]'],
    [{ input: [{ type: 'function_call', call_id: 'a', arguments: '{}' }] }, 'input[0].name'],
    [{ input: [{ type: 'function_call', call_id: 'a', name: 'b' }] }, 'input[0].arguments'],
    [{ input: [{ type: 'function_call', name: 'b', arguments: '{}' }] }, 'input[0].call_id'],
    [{ input: [{ type: 'custom_tool_call', call_id: 'a', name: 'b' }] }, 'input[0].input'],
    [{ input: [{ type: 'shell_call', call_id: 'a' }] }, 'input[0]'],
    [{ tools: {} }, 'tools'],
    [{ tools: [7] }, 'tools[0]'],
    [{ tools: [{ type: 'function', function: { name: 'x' } }] }, 'tools[0].name'],
    [{ tools: [{ type: 'function', name: 'x', parameters: 'y' }] }, 'tools[0].parameters'],
    [{ tools: [{ type: 'namespace', name: 'x' }] }, 'tools[0].tools'],
    [{ tools: [{ type: 'namespace', name: 'x', tools: [{ type: 'custom' }] }] }, 'tools[0].tools[0].name'],
    [{ temperature: 3 }, 'temperature'],
    [{ top_p: -1 }, 'top_p'],
    [{ max_output_tokens: 0 }, 'max_output_tokens'],
    [{ stream: 'yes' }, 'stream'],
    [{ store: 1 }, 'store'],
    [{ metadata: { a: 1 } }, 'metadata'],
    [{ include: 'x' }, 'include'],
    [{ truncation: 'some' }, 'truncation'],
    [{ reasoning: 'high' }, 'reasoning'],
    [{ reasoning: { effort: 3 } }, 'reasoning.effort'],
    [{ text: { format: { type: 'xml' } } }, 'text.format.type'],
    [{ text: { format: { type: 'json_schema', name: 'a' } } }, 'text.format.schema'],
    [{ text: { format: { type: 'json_schema', schema: {} } } }, 'text.format.name'],
    [{ previous_response_id: 7 }, 'previous_response_id'],
  ]
  for (const [body, param] of cases) {
    const error = refusal(body)
    expect([body, error.param]).toEqual([body, param])
    expect(error.code).toBe('invalid_value')
    expect(error.message).toContain(param?.replace(/\.(text|type)$/, ''))
  }
  for (const body of [null, 7, 'x', [], [{}]]) expect(read(body)).toMatchObject({ ok: false, fault: { param: null } })
})

test('S1 the first of several mistakes is told', () => {
  expect(refusal({ temperature: 'hot', input: 7 }).param).toBe('temperature')
})

test('S2 parameters go on under the names that engines know, their own as they are', () => {
  expect(
    ask({
      stream: true,
      max_output_tokens: 50,
      temperature: 0.5,
      top_p: 0.9,
      reasoning: { effort: 'high', summary: 'auto' },
      safety_identifier: 'ana',
      text: { format: { type: 'json_schema', name: 'a', schema: { type: 'object' }, strict: true }, verbosity: 'low' },
      top_k: 40,
      seed: 7,
      chat_template_kwargs: { enable_thinking: false },
      metadata: { a: 'b' },
      prompt_cache_key: 'x',
      client_metadata: {},
      service_tier: 'auto',
      include: [],
      max_tool_calls: 3,
    }),
  ).toEqual({
    model: 'coder',
    messages: [{ role: 'user', content: 'Hi' }],
    stream: true,
    max_tokens: 50,
    temperature: 0.5,
    top_p: 0.9,
    reasoning_effort: 'high',
    user: 'ana',
    response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' }, strict: true } },
    top_k: 40,
    seed: 7,
    chat_template_kwargs: { enable_thinking: false },
  })
  expect(ask({ text: { format: { type: 'json_object' } } })['response_format']).toEqual({ type: 'json_object' })
  expect(ask({ text: { format: { type: 'text' } } })).not.toHaveProperty('response_format')
})

test('S2 what is null was left out', () => {
  const nulls = ['temperature', 'top_p', 'tools', 'tool_choice', 'reasoning', 'text', 'instructions', 'user', 'store']
  const more = [
    'max_output_tokens',
    'metadata',
    'previous_response_id',
    'conversation',
    'prompt',
    'stream',
    'truncation',
  ]
  expect(ask(Object.fromEntries([...nulls, ...more].map(name => [name, null])))).toEqual({
    model: 'coder',
    messages: [{ role: 'user', content: 'Hi' }],
  })
})

test('S2 a name of chat completions is refused with the one it has here, and so is what would be ignored', () => {
  expect(refusal({ messages: [] }).message).toContain("it is 'input'")
  expect(refusal({ max_tokens: 5 })).toMatchObject({ param: 'max_tokens' })
  expect(refusal({ max_tokens: 5 }).message).toContain("it is 'max_output_tokens'")
  expect(refusal({ response_format: {} }).message).toContain("'text.format'")
  expect(refusal({ background: true }).param).toBe('background')
  expect(refusal({ conversation: 'conv_1' }).message).toContain('previous_response_id')
  expect(refusal({ prompt: { id: 'pmpt_1' } }).param).toBe('prompt')
  expect(refusal({ top_logprobs: 3 }).param).toBe('top_logprobs')
  expect(refusal({ n: 2 }).param).toBe('n')
  expect(ask({ background: false, n: 1, top_logprobs: 0 })).toEqual(ask({}))
})

const kept: Kept = {
  resp_1: {
    messages: [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'One?' },
      { role: 'assistant', content: null, tool_calls: [call('call_1', 'look_up', '{"q":1}')] },
    ],
    output: [{ id: 'fc_1_0', type: 'function_call', call_id: 'call_1', name: 'look_up', arguments: '{"q":1}' }],
  },
}

function call(id: string, name: string, json: string) {
  return { id, type: 'function' as const, function: { name, arguments: json } }
}

test('S4 a request goes on from an earlier answer, with instructions of its own', () => {
  const input = [{ type: 'function_call_output', call_id: 'call_1', output: 'One.' }]
  expect(ask({ instructions: 'Be brief.', previous_response_id: 'resp_1', input }, kept).messages).toEqual([
    { role: 'system', content: 'Be brief.\n\nBe kind.' },
    { role: 'user', content: 'One?' },
    { role: 'assistant', content: null, tool_calls: [call('call_1', 'look_up', '{"q":1}')] },
    { role: 'tool', tool_call_id: 'call_1', content: 'One.' },
  ])
})

test('S4 an answer that is not kept is refused, with what to send instead', () => {
  const error = refusal({ previous_response_id: 'resp_2' }, kept)
  expect(error).toMatchObject({ code: 'previous_response_not_found', param: 'previous_response_id' })
  expect(error.message).toContain('whole conversation')
})

test('S5 a string is a message; an item needs no type when it has a role', () => {
  expect(messagesOf('Hi')).toEqual([{ role: 'user', content: 'Hi' }])
  const input = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello.' },
    { role: 'user', content: [{ type: 'input_text', text: 'Bye' }] },
  ]
  expect(messagesOf(input)).toEqual([
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello.' },
    { role: 'user', content: 'Bye' },
  ])
})

test('S6 notes of a vendor’s cloud are left out; what is unknown or cannot be read is refused', () => {
  const hi = { role: 'user', content: 'Hi' }
  expect(messagesOf([hi, { type: 'web_search_call', id: 'ws_1', status: 'completed' }])).toHaveLength(1)
  expect(refusal({ input: [hi, { type: 'telepathy' }] })).toMatchObject({ param: 'input[1].type' })
  const compacted = refusal({ input: [{ type: 'compaction', encrypted_content: 'gAAA' }, hi] })
  expect(compacted.param).toBe('input[0].type')
  expect(compacted.message).toContain('Send the conversation itself')
})

test('S7 all instructions are one system message in front', () => {
  const input = [
    {
      role: 'developer',
      content: [
        { type: 'input_text', text: 'a' },
        { type: 'input_text', text: 'b' },
      ],
    },
    { role: 'user', content: 'Hi' },
    { role: 'system', content: 'c' },
    { role: 'developer', content: '' },
  ]
  expect(ask({ instructions: 'first', input }).messages).toEqual([
    { role: 'system', content: 'first\n\na\nb\n\nc' },
    { role: 'user', content: 'Hi' },
  ])
  expect(ask({ instructions: '' }).messages).toEqual([{ role: 'user', content: 'Hi' }])
})

test('S8 S9 text is one string; images and sound make a list of parts', () => {
  const parts = [
    { type: 'input_text', text: 'What is' },
    { type: 'input_text', text: 'this?' },
  ]
  const image = { type: 'input_image', image_url: 'data:image/png;base64,iVBO', detail: 'high' }
  const sound = { type: 'input_audio', input_audio: { data: 'UklG', format: 'wav' } }
  expect(messagesOf([{ role: 'user', content: parts }])).toEqual([{ role: 'user', content: 'What is\nthis?' }])
  expect(messagesOf([{ role: 'user', content: [...parts, image, sound] }])).toEqual([
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is' },
        { type: 'text', text: 'this?' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBO', detail: 'high' } },
        sound,
      ],
    },
  ])
})

test('S9 S10 files are refused, and pictures where only text can be', () => {
  const file = refusal({ input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'file_1' }] }] })
  expect(file.param).toBe('input[0].content[0]')
  expect(file.message).toContain('input_text')
  const image = refusal({ input: [{ role: 'user', content: [{ type: 'input_image', file_id: 'file_1' }] }] })
  expect(image.param).toBe('input[0].content[0].file_id')
  expect(image.message).toContain('image_url')
  const system = refusal({ input: [{ role: 'system', content: [{ type: 'input_image', image_url: 'x' }] }] })
  expect(system.param).toBe('input[0].content[0]')
  expect(messagesOf([{ role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] }])).toEqual([
    { role: 'assistant', content: 'No.' },
  ])
})

const thought = (text: string) => ({ type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text }] })
const said = (text: string) => ({ type: 'message', role: 'assistant', content: [{ type: 'output_text', text }] })
const called = (id: string) => ({ type: 'function_call', call_id: id, name: 'look_up', arguments: '{}' })
const gave = (id: string, output: unknown = 'ok') => ({ type: 'function_call_output', call_id: id, output })
const tool = (id: string) => ({ role: 'tool', tool_call_id: id, content: 'ok' })

test('S11 thought, text and calls that follow each other are one message', () => {
  expect(messagesOf([thought('Hm.'), said('Look:'), called('a'), called('b'), gave('a'), gave('b')])).toEqual([
    {
      role: 'assistant',
      content: 'Look:',
      reasoning_content: 'Hm.',
      tool_calls: [call('a', 'look_up', '{}'), call('b', 'look_up', '{}')],
    },
    tool('a'),
    tool('b'),
  ])
  expect(messagesOf([called('a'), gave('a'), called('b'), gave('b')])).toEqual([
    { role: 'assistant', content: null, tool_calls: [call('a', 'look_up', '{}')] },
    tool('a'),
    { role: 'assistant', content: null, tool_calls: [call('b', 'look_up', '{}')] },
    tool('b'),
  ])
})

test('S11 thought and text after text begin another message; after a call they belong to it', () => {
  expect(messagesOf([said('One.'), thought('Hm.'), said('Two.'), said('Three.')])).toEqual([
    { role: 'assistant', content: 'One.' },
    { role: 'assistant', content: 'Two.', reasoning_content: 'Hm.' },
    { role: 'assistant', content: 'Three.' },
  ])
  expect(messagesOf([thought('A'), called('a'), thought('B'), called('b'), said('C'), gave('a')])).toEqual([
    {
      role: 'assistant',
      content: 'C',
      reasoning_content: 'A\n\nB',
      tool_calls: [call('a', 'look_up', '{}'), call('b', 'look_up', '{}')],
    },
    tool('a'),
  ])
  expect(messagesOf([thought('Only this'), { role: 'user', content: 'And?' }])).toEqual([
    { role: 'assistant', content: '', reasoning_content: 'Only this' },
    { role: 'user', content: 'And?' },
  ])
})

test('S12 an output needs its call before it', () => {
  expect(refusal({ input: [gave('a')] }).param).toBe('input[0]')
  expect(refusal({ input: [gave('a'), called('a')] }).message).toContain('previous_response_id')
})

test('S12 what a tool gave may be parts, pictures too', () => {
  const output = [
    { type: 'input_text', text: 'one' },
    { type: 'input_text', text: 'two' },
  ]
  const image = { type: 'input_image', image_url: 'https://a/b.png' }
  expect(messagesOf([called('a'), gave('a', output)])[1]).toEqual({
    role: 'tool',
    tool_call_id: 'a',
    content: 'one\ntwo',
  })
  expect(messagesOf([called('a'), gave('a', [image])])[1]).toMatchObject({
    content: [{ type: 'image_url', image_url: { url: 'https://a/b.png' } }],
  })
})

test('S13 thought comes from the content, else from what we hid, else from the summary, and others’ secrets are left out', () => {
  const of = (item: object) =>
    messagesOf([{ type: 'reasoning', ...item }, said('x')])[0] as { reasoning_content?: string }
  const summary = [{ type: 'summary_text', text: 'in short' }]
  const ours = 'holdfast-thought-1:hidden'
  const content = [{ type: 'reasoning_text', text: 'open' }]
  expect(of({ content, encrypted_content: ours, summary }).reasoning_content).toBe('open')
  expect(of({ encrypted_content: ours, summary }).reasoning_content).toBe('hidden')
  expect(of({ encrypted_content: 'gAAAA', summary }).reasoning_content).toBe('in short')
  expect(of({ encrypted_content: 'gAAAA', summary: [] })).not.toHaveProperty('reasoning_content')
  expect(
    messagesOf([
      { type: 'reasoning', encrypted_content: 'gAAAA' },
      { role: 'user', content: 'x' },
    ]),
  ).toEqual([{ role: 'user', content: 'x' }])
})

test('S14 a call that was cut short was never made', () => {
  expect(messagesOf([{ ...called('a'), arguments: '{"q', status: 'incomplete' }, said('x')])).toEqual([
    { role: 'assistant', content: 'x' },
  ])
})

test('S15 a reference finds the item of a kept answer', () => {
  const input = [
    { role: 'user', content: 'One?' },
    { type: 'item_reference', id: 'fc_1_0' },
    gave('call_1'),
    { id: 'fc_1_0' },
  ]
  expect(messagesOf(input, kept)[1]).toEqual({
    role: 'assistant',
    content: null,
    tool_calls: [call('call_1', 'look_up', '{"q":1}')],
  })
  for (const id of ['fc_1_1', 'fc_2_0', 'rs_68af']) {
    expect(refusal({ input: [{ type: 'item_reference', id }] }, kept)).toMatchObject({ param: 'input[0].id' })
  }
})

test('S16 functions are offered as they are, those of a namespace under a name of both', () => {
  const namespace = { type: 'namespace', name: 'crm', description: 'd', tools: [lookUp, { ...lookUp, strict: true }] }
  expect(ask({ tools: [lookUp] })).toMatchObject({ tools: [chatLookUp] })
  expect(ask({ tools: [{ type: 'function', name: 'a', parameters: null }] }).tools).toEqual([
    { type: 'function', function: { name: 'a', parameters: { type: 'object', properties: {} } } },
  ])
  expect(ask({ tools: [namespace] }).tools?.map(({ function: { name } }) => name)).toEqual([
    'crm__look_up',
    'crm__look_up_2',
  ])
})

test('S16 no two tools share a name, and none is too long', () => {
  const long = (end: string) => ({ type: 'function', name: `${'a'.repeat(70)}${end}` })
  const names = ask({ tools: [long('b'), long('c'), lookUp, { ...lookUp, type: 'custom' }] }).tools?.map(
    ({ function: { name } }) => name,
  )
  expect(new Set(names).size).toBe(4)
  expect(names?.every(name => name.length <= 64)).toBe(true)
})

test('S16 tools that come in the course of the conversation are offered too', () => {
  const input = [
    { type: 'additional_tools', role: 'developer', tools: [lookUp] },
    { role: 'user', content: 'Hi' },
  ]
  expect(ask({ input })).toMatchObject({ tools: [chatLookUp], messages: [{ role: 'user' }] })
  expect(refusal({ input: [{ type: 'additional_tools', tools: 7 }] }).param).toBe('input[0].tools')
})

test('S17 a custom tool is a function of one string, and its calls go back as such', () => {
  const custom = {
    type: 'custom',
    name: 'exec',
    description: 'Runs.',
    format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' },
  }
  const input = [
    { type: 'custom_tool_call', call_id: 'a', name: 'exec', input: 'say "hi"\n' },
    { type: 'custom_tool_call_output', call_id: 'a', output: 'hi' },
  ]
  const request = ask({ tools: [custom], input })
  expect(request.tools?.[0]?.function).toMatchObject({
    name: 'exec',
    description: 'Runs.\n\nThe input must follow this lark grammar:\nstart: "x"',
    parameters: { type: 'object', required: ['input'] },
  })
  expect(request.messages[0]).toEqual({
    role: 'assistant',
    content: null,
    tool_calls: [call('a', 'exec', '{"input":"say \\"hi\\"\\n"}')],
  })
})

test('S18 built-in tools are left out, and refused when they are forced', () => {
  const tools = [{ type: 'web_search' }, { type: 'local_shell' }, { type: 'mcp', server_label: 'x' }]
  expect(ask({ tools, tool_choice: 'auto', parallel_tool_calls: true })).toEqual(ask({}))
  expect(ask({ tools: [...tools, lookUp] }).tools).toEqual([chatLookUp])
  const forced = refusal({ tools, tool_choice: { type: 'web_search' } })
  expect(forced.param).toBe('tool_choice')
  expect(forced.message).toContain("'web_search'")
  expect(refusal({ tools, tool_choice: 'required' }).param).toBe('tool_choice')
})

test('S19 a choice is told as engines know it, and never among nothing', () => {
  const tools = [
    lookUp,
    { type: 'namespace', name: 'crm', tools: [{ ...lookUp, name: 'find' }] },
    { type: 'custom', name: 'exec' },
  ]
  const choice = (tool_choice: unknown) => ask({ tools, tool_choice }).tool_choice
  expect(choice('auto')).toBe('auto')
  expect(choice('none')).toBe('none')
  expect(choice('required')).toBe('required')
  expect(choice({ type: 'function', name: 'look_up' })).toEqual({ type: 'function', function: { name: 'look_up' } })
  expect(choice({ type: 'function', name: 'find' })).toEqual({ type: 'function', function: { name: 'crm__find' } })
  expect(choice({ type: 'custom', name: 'exec' })).toEqual({ type: 'function', function: { name: 'exec' } })
  expect(ask({ tools: [], tool_choice: 'auto' })).not.toHaveProperty('tool_choice')
  expect(refusal({ tools, tool_choice: { type: 'function', name: 'nope' } }).message).toContain("'nope'")
  expect(refusal({ tools, tool_choice: 7 }).param).toBe('tool_choice')
})

test('S19 allowed tools are the only ones offered', () => {
  const tools = [lookUp, { ...lookUp, name: 'other' }]
  const allowed = (names: string[], mode = 'auto') => ({
    type: 'allowed_tools',
    mode,
    tools: names.map(name => ({ type: 'function', name })),
  })
  expect(ask({ tools, tool_choice: allowed(['look_up']) })).toMatchObject({ tools: [chatLookUp], tool_choice: 'auto' })
  expect(ask({ tools, tool_choice: allowed(['look_up'], 'required') }).tool_choice).toBe('required')
  expect(refusal({ tools, tool_choice: allowed(['nope']) }).param).toBe('tool_choice.tools[0]')
  expect(refusal({ tools, tool_choice: allowed(['look_up'], 'never') }).param).toBe('tool_choice.mode')
  expect(refusal({ tools, tool_choice: allowed([], 'required') }).param).toBe('tool_choice')
})

test('Codex’s first turn is understood', () => {
  const request = ask(recorded('codex-first-turn'))
  expect(request.messages).toEqual([
    { role: 'system', content: 'You are a coding agent.\n\nSkills: none.\nPermissions: all.' },
    { role: 'user', content: '<environment_context>\n  <cwd>/home/ana/shop</cwd>\n</environment_context>' },
    { role: 'user', content: 'say hi' },
  ])
  expect(request.tools?.map(({ function: { name } }) => name)).toEqual([
    'exec_command',
    'multi_agent_v1__close_agent',
    'multi_agent_v1__wait_agent',
  ])
  expect(Object.keys(request).toSorted()).toEqual([
    'messages',
    'model',
    'parallel_tool_calls',
    'stream',
    'tool_choice',
    'tools',
  ])
})

test('Codex’s turn after tools is understood: thought, parallel calls, namespaces, custom tools', () => {
  const request = ask(recorded('codex-tool-turn'))
  expect(request['reasoning_effort']).toBe('high')
  expect(request.messages.slice(3)).toEqual([
    {
      role: 'assistant',
      content: 'Let me look.',
      reasoning_content: 'I think so.',
      tool_calls: [
        call('call_0', 'exec_command', '{"cmd":"echo one"}'),
        call('call_1', 'multi_agent_v1__close_agent', '{"target":"nobody"}'),
      ],
    },
    { role: 'tool', tool_call_id: 'call_0', content: 'Process exited with code 0\nOutput:\none\n' },
    { role: 'tool', tool_call_id: 'call_1', content: 'invalid agent id nobody' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [call('call_0_a96b5ff2044c', 'exec', '{"input":"text(\\"hé\\\\n\\")"}')],
    },
    { role: 'tool', tool_call_id: 'call_0_a96b5ff2044c', content: 'Script completed\nOutput:\nhé\n' },
  ])
})

test('Codex’s picture and schema are understood', () => {
  const request = ask(recorded('codex-image-and-schema'))
  expect(request.messages.at(-1)?.content).toMatchObject([
    { type: 'text' },
    { type: 'image_url' },
    { type: 'text' },
    {},
  ])
  expect(request['response_format']).toMatchObject({
    type: 'json_schema',
    json_schema: { name: 'codex_output_schema', strict: true, schema: { required: ['a'] } },
  })
})

test('what Codex sent in 2025 is understood: hidden thought, local shell, searches', () => {
  const request = ask(recorded('codex-2025'))
  expect(request).not.toHaveProperty('tools')
  expect(request.messages).toEqual([
    { role: 'system', content: 'You are a coding agent.' },
    { role: 'user', content: 'list the files' },
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'They want ls.',
      tool_calls: [
        call(
          'call_9',
          'local_shell',
          '{"type":"exec","command":["ls","-a"],"timeout_ms":1000,"working_directory":"/home/ana/shop","user":null}',
        ),
      ],
    },
    { role: 'tool', tool_call_id: 'call_9', content: 'src' },
    { role: 'assistant', content: 'One folder: src.', reasoning_content: 'From elsewhere.' },
    { role: 'user', content: 'thanks' },
  ])
})

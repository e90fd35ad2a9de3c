import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { toHttp } from '../../fault.ts'
import { millis, requestId } from '../../units.ts'
import type { AnswerTranslator } from '../translation.ts'
import { checkEvents, parseEvents } from '../../../../test/support/response-events.ts'
import { fromResponses } from './index.ts'

type Fields = Record<string, unknown>

const id = requestId('0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000')

function open(body: object = {}): AnswerTranslator {
  const read = fromResponses(
    { model: 'coder', input: 'Hi', ...body },
    { id, created: 1_795_295_100, previous: () => null },
  )
  if (!read.ok) throw new Error(toHttp(read.fault).body.error.message)
  return read.answer
}

const delta = (fields: object, finish: string | null = null) => ({
  choices: [{ index: 0, delta: fields, finish_reason: finish }],
})
const usage = {
  choices: [],
  usage: {
    prompt_tokens: 100,
    completion_tokens: 20,
    prompt_tokens_details: { cached_tokens: 40 },
    completion_tokens_details: { reasoning_tokens: 5 },
  },
}
const callStart = (index: number, id_: string, name: string, json = '') =>
  delta({ tool_calls: [{ index, id: id_, type: 'function', function: { name, arguments: json } }] })
const callMore = (index: number, json: string) => delta({ tool_calls: [{ index, function: { arguments: json } }] })

function stream(chunks: readonly object[], body: object = {}): string {
  const events = open(body).stream()
  return chunks.map(chunk => events.chunk(chunk)).join('') + events.end()
}

const completion = (message: object, finish = 'stop') => ({
  model: 'served-name',
  choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finish }],
  usage: usage.usage,
})

const typesOf = (sse: string): string[] => parseEvents(sse).map(({ type }) => type)

const tools = [
  { type: 'function', name: 'look_up', parameters: { type: 'object' } },
  { type: 'custom', name: 'exec' },
  { type: 'namespace', name: 'crm', tools: [{ type: 'function', name: 'find' }] },
  { type: 'web_search' },
]

test('S3 the response says what was asked, and answers it', () => {
  const asked = {
    instructions: 'Be brief.',
    metadata: { a: 'b' },
    max_output_tokens: 50,
    temperature: 0.5,
    tools,
    tool_choice: 'auto',
    parallel_tool_calls: false,
    reasoning: { effort: 'low' },
    text: { verbosity: 'low' },
    truncation: 'auto',
    store: false,
  }
  expect(open(asked).whole(completion({ content: 'Hello.' }))).toEqual({
    id: 'resp_0190aaaabbbb7ccc8dddeeeeffff0000',
    object: 'response',
    created_at: 1_795_295_100,
    status: 'completed',
    background: false,
    error: null,
    incomplete_details: null,
    instructions: 'Be brief.',
    max_output_tokens: 50,
    max_tool_calls: null,
    metadata: { a: 'b' },
    model: 'coder',
    parallel_tool_calls: false,
    previous_response_id: null,
    prompt_cache_key: null,
    reasoning: { effort: 'low', summary: null },
    safety_identifier: null,
    service_tier: 'default',
    store: false,
    temperature: 0.5,
    text: { format: { type: 'text' }, verbosity: 'low' },
    tool_choice: 'auto',
    tools: tools.slice(0, 3),
    top_logprobs: 0,
    top_p: null,
    truncation: 'disabled',
    user: null,
    output: [
      {
        id: 'msg_0190aaaabbbb7ccc8dddeeeeffff0000_0',
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'Hello.', annotations: [], logprobs: [] }],
      },
    ],
    usage: {
      input_tokens: 100,
      input_tokens_details: { cached_tokens: 40, cache_write_tokens: 0 },
      output_tokens: 20,
      output_tokens_details: { reasoning_tokens: 5 },
      total_tokens: 120,
    },
  })
})

test('an answer without a message is the engine’s failure', () => {
  expect(() => open().whole({ error: 'no' })).toThrow('its answer has no message')
})

test('S20 S21 thought, text and calls are told in their order, each under its own item', () => {
  const sse = stream(
    [
      delta({ role: 'assistant', content: null }),
      delta({ reasoning_content: 'Hm' }),
      delta({ reasoning_content: '.' }),
      delta({ content: 'Look:' }),
      callStart(0, 'call_a', 'look_up'),
      callMore(0, '{"q":'),
      callStart(1, 'call_b', 'crm__find', '{'),
      callMore(0, '1}'),
      callMore(1, '}'),
      delta({}, 'tool_calls'),
      usage,
    ],
    { tools },
  )
  const output = checkEvents(sse)['output'] as Fields[]
  expect(output.map(({ type, status }) => [type, status])).toEqual(
    ['reasoning', 'message', 'function_call', 'function_call'].map(type => [type, 'completed']),
  )
  expect(output[2]).toMatchObject({ call_id: 'call_a', name: 'look_up', arguments: '{"q":1}' })
  expect(output[2]).not.toHaveProperty('namespace')
  expect(output[3]).toMatchObject({ call_id: 'call_b', name: 'find', namespace: 'crm', arguments: '{}' })
  expect(typesOf(sse)).toEqual([
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.content_part.added',
    'response.reasoning_text.delta',
    'response.reasoning_text.delta',
    'response.reasoning_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.output_item.added',
    'response.function_call_arguments.delta',
    'response.output_item.added',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.done',
    'response.output_item.done',
    'response.function_call_arguments.done',
    'response.output_item.done',
    'response.completed',
  ])
})

test('S20 what begins again after something else is an item of its own', () => {
  const sse = stream([
    delta({ reasoning: 'A' }),
    delta({ content: 'B' }),
    delta({ reasoning: 'C' }),
    delta({ content: 'D' }),
    delta({ refusal: 'No.' }),
    delta({}, 'stop'),
  ])
  const output = checkEvents(sse)['output'] as { type: string; content: Fields[] }[]
  expect(output.map(({ type, content }) => [type, ...content.map(part => part['text'] ?? part['refusal'])])).toEqual([
    ['reasoning', 'A'],
    ['message', 'B'],
    ['reasoning', 'C'],
    ['message', 'D', 'No.'],
  ])
})

test('S21 the first chunk brings the first events, whatever it holds', () => {
  const events = open().stream()
  expect(typesOf(events.chunk(delta({ role: 'assistant', content: null })))).toEqual([
    'response.created',
    'response.in_progress',
  ])
  expect(events.chunk(delta({}))).toBe('')
})

test('S21 no event that llama-server sends is missing, nor one of its fields', () => {
  const file = readFileSync(new URL('testdata/responses-stream.http', import.meta.url), 'utf8')
  const theirs = parseEvents(`${file.replaceAll('\r\n', '\n').split('\n\n').slice(1).join('\n\n').trimEnd()}\n\n`)
  const text = ['Hello', '!', ' It', ' is', ' nice', ' to', ' meet', ' you']
  const ours = parseEvents(stream([...text.map(content => delta({ content })), delta({}, 'stop'), usage]))
  expect(ours.map(({ type }) => type)).toEqual(theirs.map(({ type }) => type))
  for (const [index, event] of theirs.entries()) {
    const { timings, ...fields } = event
    expect(timings === undefined || index === theirs.length - 1).toBe(true)
    expectFieldsOf(ours[index], fields)
  }
  const { body } = /\r?\n\r?\n(?<body>[\s\S]+)$/.exec(
    readFileSync(new URL('testdata/responses.http', import.meta.url), 'utf8'),
  )!.groups!
  const { completed_at: _, ...whole } = JSON.parse(body!) as Fields
  expectFieldsOf(open().whole(completion({ content: 'Hi! What would you like to know?' })), whole)
})

/** Every key of theirs, with a value of the same kind. */
function expectFieldsOf(ours: unknown, theirs: unknown): void {
  expect(Array.isArray(ours) ? 'array' : typeof ours).toBe(Array.isArray(theirs) ? 'array' : typeof theirs)
  if (typeof theirs !== 'object' || theirs === null) return
  for (const [key, value] of Object.entries(theirs)) expectFieldsOf((ours as Fields)[key], value)
}

test('S23 an answer that says nothing is one empty message', () => {
  for (const chunks of [[], [usage], [delta({ role: 'assistant', content: '' }), delta({}, 'stop')]]) {
    const response = checkEvents(stream(chunks))
    expect(response).toMatchObject({ status: 'completed', output: [{ type: 'message', content: [{ text: '' }] }] })
  }
  expect(open().whole(completion({ content: null }))).toMatchObject({ output: [{ content: [{ text: '' }] }] })
})

test('S24 an answer that was cut is incomplete, and so is its last text', () => {
  for (const [finish, reason] of [
    ['length', 'max_output_tokens'],
    ['content_filter', 'content_filter'],
  ] as const) {
    const sse = stream([delta({ reasoning_content: 'Hm.' }), delta({ content: 'Hel' }), delta({}, finish), usage])
    expect(checkEvents(sse)).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason },
      output: [{ status: 'completed' }, { status: 'incomplete' }],
      usage: { output_tokens: 20 },
    })
    expect(typesOf(sse).at(-1)).toBe('response.incomplete')
  }
})

test('S24 a call that was cut is never said to be done', () => {
  const sse = stream(
    [
      callStart(0, 'a', 'look_up', '{"q":1}'),
      callStart(1, 'b', 'look_up', '{"q":'),
      callStart(2, 'c', 'exec', '{"input":"rm -rf /tm'),
      delta({}, 'length'),
    ],
    { tools },
  )
  const response = checkEvents(sse)
  expect((response['output'] as Fields[]).map(({ status }) => status)).toEqual([
    'completed',
    'incomplete',
    'incomplete',
  ])
  const done = parseEvents(sse).filter(({ type }) => type === 'response.output_item.done')
  expect(done.map(({ output_index }) => output_index)).toEqual([0])
})

const lost = toHttp({ kind: 'engine-silent', what: 'next byte', waited: millis(1000) })

test('S25 a broken answer ends with what failed, told twice, and nothing open is done', () => {
  const events = open({ tools }).stream()
  const sse =
    events.chunk(delta({ content: 'Hel' })) +
    events.chunk(callStart(0, 'a', 'exec', '{"input":"x"}')) +
    events.fail(lost)
  expect(checkEvents(sse)).toMatchObject({
    status: 'failed',
    error: { code: 'engine_timeout', message: lost.body.error.message },
    output: [
      { type: 'message', status: 'completed', content: [{ text: 'Hel' }] },
      { type: 'custom_tool_call', status: 'incomplete' },
    ],
    usage: null,
  })
  expect(parseEvents(sse).at(-1)).toEqual({
    type: 'error',
    sequence_number: expect.any(Number),
    code: 'engine_timeout',
    message: lost.body.error.message,
    param: null,
    error: lost.body.error,
  })
})

test('S25 an answer may break before it begins', () => {
  expect(typesOf(open().stream().fail(lost))).toEqual([
    'response.created',
    'response.in_progress',
    'response.failed',
    'error',
  ])
})

test('S26 calls that the engine numbers from 0 again get ids of their own', () => {
  const input = [
    { type: 'function_call', call_id: 'call_0', name: 'look_up', arguments: '{}' },
    { type: 'function_call_output', call_id: 'call_0', output: 'x' },
  ]
  const calls = [
    { id: 'call_0', function: { name: 'look_up', arguments: '{}' } },
    { id: 'call_0', function: { name: 'look_up', arguments: '{}' } },
    { function: { name: 'look_up', arguments: '{}' } },
  ]
  const { output } = open({ input, tools }).whole(completion({ content: null, tool_calls: calls }, 'tool_calls'))
  expect((output as Fields[]).map(item => item['call_id'])).toEqual([
    'call_0_eeeeffff0000',
    'call_0_eeeeffff0000_1',
    'call_2',
  ])
})

test('S27 thought is told as such, and hidden for a client that asks for that', () => {
  const message = { reasoning_content: 'Hm.', content: 'Yes.' }
  const item = { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'Hm.' }] }
  const { output: plain } = open().whole(completion(message))
  expect((plain as Fields[])[0]).toMatchObject(item)
  expect((plain as Fields[])[0]).not.toHaveProperty('encrypted_content')
  const { output: hidden } = open({ include: ['reasoning.encrypted_content'] }).whole(completion(message))
  expect((hidden as Fields[])[0]).toMatchObject({ ...item, encrypted_content: 'holdfast-thought-1:Hm.' })
})

test('S17 a custom tool’s text is told as it comes, whatever the model wraps it in', () => {
  const events = (...pieces: string[]) => {
    const sse = stream([callStart(0, 'a', 'exec'), ...pieces.map(json => callMore(0, json)), delta({}, 'tool_calls')], {
      tools,
    })
    const [item] = checkEvents(sse)['output'] as Fields[]
    expect(item).toMatchObject({ type: 'custom_tool_call', call_id: 'a', name: 'exec', status: 'completed' })
    const deltas = parseEvents(sse).filter(({ type }) => type === 'response.custom_tool_call_input.delta')
    return [item!['input'], deltas.map(event => event['delta'])]
  }
  expect(events('{"inp', 'ut": "a', 'b\\', 'n\\u00', 'e9', '\\ud83d', '\\ude00"', '}')).toEqual([
    'ab\né😀',
    ['a', 'b', '\n', 'é', '😀'],
  ])
  expect(events('{"other":1,"input":"x"}')).toEqual(['x', ['x']])
  expect(events('echo "', 'hi"')).toEqual(['echo "hi"', ['echo "hi"']])
  expect(events('{"text":"hi"}')).toEqual(['{"text":"hi"}', ['{"text":"hi"}']])
  expect(events('{"input":""}')).toEqual(['', []])
})

test('S28 usage that the engine did not tell is not made up', () => {
  expect(checkEvents(stream([delta({ content: 'x' }), delta({}, 'stop')]))['usage']).toBeNull()
})

test('S29 an answer is kept with its conversation, as if the client had sent it back', () => {
  const answer = open({ instructions: 'Be brief.', tools })
  expect(answer.kept?.()).toBeNull()
  const call = { id: 'call_a', function: { name: 'exec', arguments: '{ "input": "x" }' } }
  const response = answer.whole(
    completion({ reasoning_content: 'Hm.', content: 'Look:', tool_calls: [call] }, 'tool_calls'),
  )
  expect(answer.kept?.()).toEqual({
    id: 'resp_0190aaaabbbb7ccc8dddeeeeffff0000',
    response,
    turns: {
      messages: [
        { role: 'user', content: 'Hi' },
        {
          role: 'assistant',
          content: 'Look:',
          reasoning_content: 'Hm.',
          tool_calls: [{ id: 'call_a', type: 'function', function: { name: 'exec', arguments: '{"input":"x"}' } }],
        },
      ],
      output: response['output'],
    },
  })
})

test('S29 nothing is kept of an answer that must not be, is not complete, or broke', () => {
  const secret = open({ store: false })
  secret.whole(completion({ content: 'x' }))
  expect(secret.kept?.()).toBeNull()

  const answer = open()
  const events = answer.stream()
  events.chunk(delta({ content: 'x' }))
  expect(answer.kept?.()).toBeNull()
  events.fail(lost)
  expect(answer.kept?.()).toBeNull()
})

test('S29 of several streams of one request, the last that ended is kept', () => {
  const answer = open()
  const first = answer.stream()
  first.chunk(delta({ content: 'first' }))
  first.fail(lost)
  const second = answer.stream()
  second.chunk(delta({ content: 'second' }))
  second.end()
  expect(answer.kept?.()?.turns.messages.at(-1)).toEqual({ role: 'assistant', content: 'second' })
})

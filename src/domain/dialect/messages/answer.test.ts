import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { FaultError, toHttp } from '../../fault.ts'
import { millis, requestId } from '../../units.ts'
import { receive } from './fake-client.ts'
import { fromMessages } from './index.ts'

const context = { id: requestId('019a2b3c-4d5e-7f80'), created: 1_760_000_000 }

function answerOf(fields: object = {}) {
  const body = { model: 'coder', max_tokens: 16, messages: [{ role: 'user', content: 'Hi' }], ...fields }
  const reading = fromMessages(body, context)
  if (!reading.ok) throw new Error(toHttp(reading.fault).body.error.message)
  return reading.answer
}

const completion = (message: object, finish = 'stop', more: object = {}) => ({
  id: 'chatcmpl-1',
  model: 'production-v2.1-llama3-8b-awq-p42',
  choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finish }],
  ...more,
})
const whole = (...told: Parameters<typeof completion>) => answerOf().whole(completion(...told))
const call = (id: unknown, name: string, args: unknown) => ({
  id,
  type: 'function',
  function: { name, arguments: args },
})

const chunk = (delta: object, finish: string | null = null, more: object = {}) => ({
  choices: [{ index: 0, delta, finish_reason: finish, ...more }],
})
const calls = (...deltas: object[]) => chunk({ tool_calls: deltas })

/** The text of a whole stream. */
function streamed(...chunks: unknown[]): string {
  const stream = answerOf().stream()
  return [...chunks.map(one => stream.chunk(one)), stream.end()].join('')
}
const received = (...chunks: unknown[]) => receive(streamed(...chunks)).message
const testdata = (name: string) => readFileSync(new URL(`testdata/${name}`, import.meta.url), 'utf8')

describe('whole answers', () => {
  test('M22 M27 thinking, text and calls, as the model that was asked for', () => {
    const said = { reasoning: 'Hm.', content: 'Hi', tool_calls: [call('c1', 'Read', '{"path":"a"}')] }
    const usage = { prompt_tokens: 13, completion_tokens: 10, prompt_tokens_details: { cached_tokens: 12 } }
    expect(whole(said, 'tool_calls', { usage })).toEqual({
      id: 'msg_019a2b3c4d5e7f80',
      type: 'message',
      role: 'assistant',
      model: 'coder',
      content: [
        { type: 'thinking', thinking: 'Hm.', signature: '' },
        { type: 'text', text: 'Hi' },
        { type: 'tool_use', id: 'c1', name: 'Read', input: { path: 'a' } },
      ],
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: {
        input_tokens: 1,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 12,
        output_tokens: 10,
      },
    })
  })

  test('M22 blanks are no block, and an answer of nothing is one empty text', () => {
    expect(whole({ reasoning_content: '\n', content: '\n\n', tool_calls: [call('c', 'f', '{}')] })['content']).toEqual([
      { type: 'tool_use', id: 'c', name: 'f', input: {} },
    ])
    expect(whole({ content: null })['content']).toEqual([{ type: 'text', text: '' }])
    expect(whole({ content: null, refusal: 'No.' })).toMatchObject({
      content: [{ type: 'text', text: 'No.' }],
      stop_reason: 'refusal',
    })
  })

  test.each([
    ['stop', [], 'end_turn'],
    ['length', [], 'max_tokens'],
    ['length', [call('c', 'f', '{"a":')], 'max_tokens'],
    ['content_filter', [], 'refusal'],
    ['tool_calls', [call('c', 'f', '{}')], 'tool_use'],
    ['stop', [call('c', 'f', '{}')], 'tool_use'],
    ['tool_calls', [], 'end_turn'],
  ])('M23 %s with %j is %s', (finish, called, reason) => {
    expect(whole({ content: 'x', tool_calls: called }, finish)['stop_reason']).toBe(reason)
  })

  test('M24 the stop sequence is told when the engine tells it, and the client asked for it', () => {
    const answer = answerOf({ stop_sequences: ['END'] })
    const stopped = (more: object) =>
      answer.whole({ choices: [{ message: { content: 'x' }, finish_reason: 'stop', ...more }] })
    const byEnd = { stop_reason: 'stop_sequence', stop_sequence: 'END' }
    expect(stopped({ stop_reason: 'END' })).toMatchObject(byEnd)
    expect(stopped({ stop_reason: null, matched_stop: 'END' })).toMatchObject(byEnd)
    for (const other of ['<|im_end|>', 151_645, null])
      expect(stopped({ stop_reason: other })).toMatchObject({ stop_reason: 'end_turn', stop_sequence: null })
    const stream = answer.stream()
    const text = stream.chunk(chunk({ content: 'x' }, 'stop', { stop_reason: 'END' })) + stream.end()
    expect(receive(text).message).toMatchObject(byEnd)
  })

  test('M25 usage: the cache apart, thought within the output, zeros when nothing is told', () => {
    const usage = { prompt_tokens: 5, completion_tokens: 9, completion_tokens_details: { reasoning_tokens: 4 } }
    expect(whole({ content: 'x' }, 'stop', { usage })['usage']).toEqual({
      input_tokens: 5,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: 9,
      output_tokens_details: { thinking_tokens: 4 },
    })
    expect(whole({ content: 'x' })['usage']).toMatchObject({ input_tokens: 0, output_tokens: 0 })
  })

  test.each([
    ['', {}],
    ['{"a": 1}', { a: 1 }],
    [{ a: 1 }, { a: 1 }],
    ['{"a": ', { _raw: '{"a": ' }],
    ['[1]', { _raw: '[1]' }],
    ['null', { _raw: 'null' }],
  ])('M26 arguments %j are the input %j', (args, input) => {
    expect(whole({ tool_calls: [call('c', 'f', args)] })['content']).toMatchObject([{ input }])
  })

  test('M27 calls that an engine only counts get ids of their own', () => {
    const ids = (...given: unknown[]) => {
      const message = whole({ tool_calls: given.map(id => call(id, 'f', '{}')) })
      return (message['content'] as { id: string }[]).map(({ id }) => id)
    }
    expect(ids('functions.f:0', undefined, 'call_2')).toEqual([
      'functions.f:0',
      'toolu_019a2b3c4d5e7f80_1',
      'toolu_019a2b3c4d5e7f80_2',
    ])
    expect(received(calls({ function: { name: 'f', arguments: '{}' } })).content).toMatchObject([
      { id: 'toolu_019a2b3c4d5e7f80_0' },
    ])
  })

  test.each([null, {}, { choices: [] }, { choices: [{}] }, 'x'])('M28 %j is the engine’s failure', nothing => {
    expect(() => answerOf().whole(nothing)).toThrow(FaultError)
  })
})

describe('streams', () => {
  test.each(['llama-server-text', 'vllm-thinking-tools'])('M29 M30 %s, event by event', name => {
    const chunks: unknown[] = JSON.parse(testdata(`${name}.json`))
    expect(streamed(...chunks)).toBe(testdata(`${name}.sse`))
  })

  test('M29 an answer of nothing is whole too', () => {
    const empty = { content: [{ type: 'text', text: '' }], stop_reason: 'end_turn' }
    expect(received()).toMatchObject(empty)
    expect(received(chunk({ role: 'assistant' }), chunk({ content: ' \n' }, 'stop'))).toMatchObject(empty)
  })

  test('M30 the message starts with the first chunk, with the usage that it tells', () => {
    const stream = answerOf().stream()
    const first = stream.chunk({ ...chunk({ role: 'assistant' }), usage: { prompt_tokens: 7, completion_tokens: 0 } })
    expect(first).toMatch(/^event: message_start\n.*"input_tokens":7/)
    expect(stream.chunk(chunk({ role: 'assistant' }))).toBe('')
    stream.chunk({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } })
    expect(stream.end()).toContain('"usage":{"input_tokens":7,')
  })

  test('M31 thought, text and thought again are blocks of their own', () => {
    const chunks = [chunk({ reasoning: 'a' }), chunk({ content: 'b' }), chunk({ reasoning: 'c', content: 'd' })]
    expect(received(...chunks, chunk({ content: '\n' })).content).toEqual([
      { type: 'thinking', thinking: 'a', signature: '' },
      { type: 'text', text: 'b' },
      { type: 'thinking', thinking: 'c', signature: '' },
      { type: 'text', text: 'd\n' },
    ])
  })

  test('M32 what comes between a call’s arguments waits for them', () => {
    const { content } = received(
      calls({ index: 0, id: 'a', function: { name: 'f', arguments: '{"x":"}' } }),
      calls({ index: 1, id: 'b', function: { name: 'g', arguments: '{' } }),
      chunk({ content: 'Meanwhile' }),
      calls({ index: 1, function: { arguments: '}' } }, { index: 0, function: { arguments: '{\\"' } }),
      calls({ index: 2, id: 'c', function: { name: 'h', arguments: '{}' } }),
      calls({ index: 0, function: { arguments: '"}' } }),
    )
    expect(content).toEqual([
      { type: 'tool_use', id: 'a', name: 'f', input: { x: '}{"' } },
      { type: 'tool_use', id: 'b', name: 'g', input: {} },
      { type: 'text', text: 'Meanwhile' },
      { type: 'tool_use', id: 'c', name: 'h', input: {} },
    ])
  })

  test('M32 a call goes out while it comes, and the next as soon as it is whole', () => {
    const stream = answerOf().stream()
    stream.chunk(calls({ index: 0, id: 'a', function: { name: 'f', arguments: '{"x":' } }))
    expect(stream.chunk(calls({ index: 0, function: { arguments: '1' } }))).toContain('"partial_json":"1"')
    expect(stream.chunk(calls({ index: 1, id: 'b', function: { name: 'g', arguments: '' } }))).toBe('')
    expect(stream.chunk(calls({ index: 0, function: { arguments: '}' } }))).toContain('"name":"g"')
  })

  test('M32 calls that never become whole are told at the end', () => {
    const { content, stop_reason: reason } = received(
      calls({ index: 0, id: 'a', function: { name: 'f', arguments: '{"x":' } }),
      calls({ index: 1, id: 'b', function: { name: 'g', arguments: '{"y":' } }),
      calls({ index: 2, id: 'c', function: { name: 'h' } }),
      chunk({}, 'length'),
    )
    expect(content).toMatchObject([{ input: { _raw: '{"x":' } }, { input: { _raw: '{"y":' } }, { input: {} }])
    expect(reason).toBe('max_tokens')
  })

  test('M33 a call without arguments gets an object; a late name is waited for', () => {
    const { content } = received(
      calls({ index: 0, id: 'a', function: {} }),
      calls({ index: 0, function: { name: 'f' } }),
      chunk({}, 'stop'),
    )
    expect(content).toEqual([{ type: 'tool_use', id: 'a', name: 'f', input: {} }])
  })

  test('M35 a stream that breaks ends with the error, and with nothing after it', () => {
    const lost = toHttp({ kind: 'engine-lost', sentBytes: 12 })
    for (const before of [[], [chunk({ content: 'Hel' })], [calls({ index: 0, id: 'a', function: { name: 'f' } })]]) {
      const stream = answerOf().stream()
      const text = [...before.map(one => stream.chunk(one)), stream.fail(lost)].join('')
      expect(receive(text).error).toMatchObject({
        type: 'error',
        error: { type: 'api_error', code: 'engine_lost' },
        request_id: context.id,
      })
      expect([stream.chunk(chunk({ content: 'lo' })), stream.end(), stream.fail(lost)]).toEqual(['', '', ''])
    }
    const done = answerOf().stream()
    done.end()
    const late = toHttp({ kind: 'overloaded', retryAfter: millis(1), inFlight: 1 })
    expect([done.chunk(chunk({ content: 'x' })), done.end(), done.fail(late)]).toEqual(['', '', ''])
  })
})

import { describe, expect, test } from 'vitest'
import { versionName } from '../../../domain/units.ts'
import { fakeWire, target } from '../openai/fake-wire.ts'
import { tgi } from './index.ts'

const version = versionName('production-v1-llama3-8b-awq-p0')
const chat = (body: Record<string, unknown>) => tgi.toRequest('chat/completions', body, version).body

describe('requests', () => {
  test('stop is a list, and top_p of 1 is left out', () => {
    expect(chat({ stop: 'x', top_p: 1 })).toEqual({ stop: ['x'] })
    expect(chat({ stop: ['x', 'y'], top_p: 0.5 })).toEqual({ stop: ['x', 'y'], top_p: 0.5 })
    expect(tgi.toRequest('completions', { prompt: 'p', stop: 'x', top_p: 1 }, version).body).toEqual({
      prompt: 'p',
      stop: ['x'],
    })
  })

  test('answers in JSON are asked for in its own form', () => {
    const schema = { type: 'object', properties: { a: {} } }
    const format = (value: unknown) => chat({ response_format: value })['response_format']
    expect(format({ type: 'json_schema', json_schema: { name: 'x', schema } })).toEqual({ type: 'json', value: schema })
    expect(format({ type: 'json_object' })).toEqual({ type: 'json', value: { type: 'object' } })
    expect(format({ type: 'text' })).toBeUndefined()
    for (const own of [{ type: 'regex', value: 'a+' }, { type: 'json_schema' }, 7]) expect(format(own)).toEqual(own)
  })

  test('tokens of chats and of prompts are listed, and counted', () => {
    const listed = [{ id: 7, text: 'a', start: 0, stop: 1 }, { id: 9 }]
    const counted = { count: 2, tokens: [7, 9], max_model_len: null }
    const prompt = tgi.toRequest('tokenize', { prompt: 'x' }, version)
    expect([prompt.path, prompt.body, prompt.repair?.whole(listed)]).toEqual(['~/tokenize', { inputs: 'x' }, counted])
    const ofChat = tgi.toRequest('tokenize', { model: 'm', messages: [], max_tokens: 3 }, version)
    expect([ofChat.path, ofChat.body]).toEqual(['~/chat_tokenize', { model: 'm', messages: [] }])
    expect(ofChat.repair?.whole({ tokenize_response: listed, templated_text: 'a' })).toEqual(counted)
  })
})

describe('answers', () => {
  test('an end under an old name is stop, and calls its end into one of calls', () => {
    const { repair } = tgi.toRequest('chat/completions', { messages: [] }, version)
    const end = (finish: string, delta: unknown) =>
      repair?.chunk({ choices: [{ index: 0, delta, finish_reason: finish }] })
    expect(end('length', { content: 'a' })).toMatchObject({ choices: [{ finish_reason: 'length' }] })
    expect(end('eos_token', { content: 'a' })).toMatchObject({ choices: [{ finish_reason: 'stop' }] })
    const call = { index: 0, id: '', type: 'function', function: { name: 'get', arguments: '{}' } }
    expect(end('stop_sequence', { tool_calls: call })).toMatchObject({
      choices: [{ delta: { tool_calls: [{ index: 0, function: { name: 'get' } }] }, finish_reason: 'tool_calls' }],
    })
  })

  test('an answer without an id gets one, the same for all its chunks', () => {
    const { repair } = tgi.toRequest('chat/completions', { messages: [] }, version)
    const ids = [
      { id: '', choices: [] },
      { id: '', choices: [] },
    ].map(chunk => repair?.chunk(chunk)?.['id'])
    expect(ids).toEqual([expect.stringMatching(/^chatcmpl-\w+$/), ids[0]])
    expect(repair?.marks.some(mark => '{"object":"x","id":"","created":1}'.includes(mark))).toBe(true)
    expect(repair?.whole({ id: '', choices: [] })['id']).toBe(ids[0])
    expect(repair?.whole({ id: 'own', choices: [] })['id']).toBe('own')
    const another = tgi.toRequest('chat/completions', { messages: [] }, version).repair
    expect(another?.whole({ id: '', choices: [] })['id']).not.toBe(ids[0])
  })

  test('a request that its model server failed at is tried elsewhere', () => {
    const text = JSON.stringify({
      error: 'Request failed during generation: Server error: x',
      error_type: 'generation',
    })
    expect(tgi.toFault(424, text)).toMatchObject({ kind: 'engine-failed', status: 424 })
    expect(tgi.toFault(424, '{"error":"CUDA out of memory"}')).toMatchObject({
      kind: 'engine-failed',
      detail: expect.stringContaining('GPU memory') as string,
    })
    expect(tgi.toFault(422, '{"error":"Input validation error: x","error_type":"validation"}')).toMatchObject({
      kind: 'engine-refused',
      status: 422,
    })
  })
})

test('health that was lost is a failure', async () => {
  const unhealthy = { status: 503, text: '{"error":"unhealthy","error_type":"healthcheck"}' }
  const wire = fakeWire({ '~/health': unhealthy })
  expect(await tgi.probe(target, wire, AbortSignal.timeout(5_000))).toMatchObject({ state: 'failed' })
  expect(wire.asked).toEqual(['~/health'])
})

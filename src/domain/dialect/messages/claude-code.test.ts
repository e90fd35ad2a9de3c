/** What breaks Claude Code at other gateways, each by the report that tells of it. */
import { expect, test } from 'vitest'
import { requestId } from '../../units.ts'
import { receive } from './fake-client.ts'
import { fromMessages } from './index.ts'

const context = { id: requestId('019a2b3c-4d5e-7f80'), created: 1_760_000_000 }
const ask = { role: 'user', content: 'Search for *.ts' }

function understood(messages: readonly unknown[], fields: object = {}) {
  const reading = fromMessages({ model: 'coder', max_tokens: 32_000, messages, ...fields }, context)
  if (!reading.ok) throw new Error(JSON.stringify(reading.fault))
  return reading
}

function received(...deltas: object[]) {
  const stream = understood([ask]).answer.stream()
  const chunks = deltas.map(delta => ({ choices: [{ index: 0, delta, finish_reason: null }] }))
  return receive(chunks.map(chunk => stream.chunk(chunk)).join('') + stream.end())
}

test('litellm#20246 litellm#26501 thought under vLLM’s name for it reaches the client', () => {
  const { message } = received({ reasoning: 'Let me' }, { reasoning: ' see.' }, { content: 'Yes.' })
  expect(message.content).toEqual([
    { type: 'thinking', thinking: 'Let me see.', signature: '' },
    { type: 'text', text: 'Yes.' },
  ])
})

test('litellm#20737 all of a long thought is told, not its first pieces', () => {
  const pieces = Array.from({ length: 200 }, (_, index) => ({ reasoning_content: ` ${index}`, content: '' }))
  const thinking = pieces.map(piece => piece.reasoning_content).join('')
  expect(received(...pieces).message.content).toEqual([{ type: 'thinking', thinking, signature: '' }])
})

test('litellm#15463 litellm#7094 calls of Ollama come whole in one chunk, without a number, among empty contents', () => {
  const called = (id: string, name: string) => ({
    id,
    type: 'function',
    function: { name, arguments: '{"pattern":"*.ts"}' },
  })
  const { message } = received(
    { role: 'assistant', content: '' },
    { content: '', tool_calls: [called('call_x1', 'Glob')] },
    { content: null, tool_calls: [called('call_x2', 'Grep')] },
  )
  expect(message.content).toEqual([
    { type: 'tool_use', id: 'call_x1', name: 'Glob', input: { pattern: '*.ts' } },
    { type: 'tool_use', id: 'call_x2', name: 'Grep', input: { pattern: '*.ts' } },
  ])
  expect(message.stop_reason).toBe('tool_use')
})

test('litellm#13373 «Content block not found»: each delta has a block that was begun', () => {
  // Text, and the call in the very chunk that has its first arguments.
  const { message, types } = received(
    { content: 'Searching' },
    { content: '.', tool_calls: [{ index: 0, id: 'a', function: { name: 'Glob', arguments: '{"pattern"' } }] },
    { tool_calls: [{ index: 0, function: { arguments: ':"*"}' } }] },
  )
  expect(message.content).toHaveLength(2)
  expect(types.filter(type => type === 'content_block_start')).toHaveLength(2)
})

test('litellm#24176 the message has all fields that clients read, and its usage at the end', () => {
  const stream = understood([ask]).answer.stream()
  const start = stream.chunk({ choices: [{ index: 0, delta: { role: 'assistant' } }] })
  for (const field of ['input_tokens', 'output_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens'])
    expect(start).toContain(`"${field}":0`)
  const rest = stream.chunk({ choices: [], usage: { prompt_tokens: 46, completion_tokens: 401 } }) + stream.end()
  expect(receive(start + rest).message).toMatchObject({
    type: 'message',
    role: 'assistant',
    model: 'coder',
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 46, output_tokens: 401 },
  })
})

test('litellm#32357 one message_start, and an answer of thought alone is not empty', () => {
  const { message, types } = received({ role: 'assistant' }, { role: 'assistant', reasoning_content: 'Hm.' })
  expect(types.filter(type => type === 'message_start')).toHaveLength(1)
  expect(message.content).toEqual([{ type: 'thinking', thinking: 'Hm.', signature: '' }])
})

test('bifrost#2446 litellm#33224 «Content block is not a thinking block»: thought is never told in a block of text', () => {
  const { message } = received(
    { content: '' },
    { reasoning: 'One', content: null },
    { reasoning: ' two', content: 'Three' },
    { reasoning: 'four' },
    { content: 'five' },
  )
  expect(message.content.map(({ type }) => type)).toEqual(['thinking', 'text', 'thinking', 'text'])
})

test('litellm#22997 thought in the history is no content that engines refuse', () => {
  const thought = [{ type: 'thinking', thinking: 'Read it.', signature: '' }]
  const { request } = understood([ask, { role: 'assistant', content: thought }, ask])
  expect(request.messages[1]).toEqual({ role: 'assistant', content: '', reasoning_content: 'Read it.' })
})

test('claude-code#68900 the prompt begins alike in every request, whatever the accounts say', () => {
  const prompt = (cch: string) => {
    const accounts = { type: 'text', text: `x-anthropic-billing-header: cc_version=2.1.177.01c; cch=${cch};` }
    return understood([ask], { system: [accounts, { type: 'text', text: 'You are an agent.' }] }).request.messages
  }
  expect(prompt('36ee5')).toEqual(prompt('0aaa9'))
})

test('litellm#25605 the input of a streamed call is not empty', () => {
  const call = { index: 0, id: 'a', function: { name: 'Glob', arguments: { pattern: '*.py' } } }
  expect(received({ tool_calls: [call] }).message.content).toMatchObject([{ input: { pattern: '*.py' } }])
})

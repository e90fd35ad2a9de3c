import { describe, expect, test } from 'vitest'
import { parseAsk, type EnginePath } from './ask.ts'
import { mayCopy } from './shadow.ts'

function copies(body: Record<string, unknown>, path: EnginePath = 'chat/completions'): boolean {
  const parsed = parseAsk(path, { model: 'coder', messages: [{ role: 'user', content: 'Hi' }], ...body })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.fault))
  return mayCopy(parsed.ask)
}

describe('what may be copied', () => {
  test.each<[string, Record<string, unknown>]>([
    ['a plain conversation', {}],
    [
      'one of several turns, with instructions',
      { messages: ['system', 'developer', 'user', 'assistant', 'user'].map(role => ({ role, content: 'x' })) },
    ],
    ['text in parts', { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }] }],
    ['empty and absent tools', { tools: [], functions: null, n: 1 }],
    ['a seed, a temperature, a format', { seed: 1, temperature: 0, response_format: { type: 'json_object' } }],
    ['a stream', { stream: true }],
  ])('%s', (_, body) => {
    expect(copies(body)).toBe(true)
  })

  const call = { id: 'c', type: 'function', function: { name: 'delete_all', arguments: '{}' } }
  test.each<[string, Record<string, unknown>]>([
    ['tools', { tools: [{ type: 'function', function: { name: 'delete_all' } }] }],
    ['functions, their older name', { functions: [{ name: 'delete_all' }] }],
    [
      'a tool that was called',
      {
        messages: [
          { role: 'user', content: 'x' },
          { role: 'assistant', content: null, tool_calls: [call] },
        ],
      },
    ],
    [
      'what a tool said',
      {
        messages: [
          { role: 'user', content: 'x' },
          { role: 'tool', tool_call_id: 'c', content: 'x' },
        ],
      },
    ],
    ['what a function said', { messages: [{ role: 'function', name: 'f', content: 'x' }] }],
    ['a picture', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] }],
    ['several answers', { n: 2 }],
    ['speech', { modalities: ['text', 'audio'], audio: { voice: 'x' } }],
  ])('never %s', (_, body) => {
    expect(copies(body)).toBe(false)
  })

  test('nothing but chats', () => {
    expect(copies({ prompt: 'Hi' }, 'completions')).toBe(false)
    expect(copies({ input: 'Hi' }, 'embeddings')).toBe(false)
  })
})

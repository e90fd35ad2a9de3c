import { expect, test } from 'vitest'
import { FaultError } from '../../domain/fault.ts'
import { toTurns } from './messages.ts'
import type { Message } from './messages.ts'

test('roles become turns, developer as system, parts joined', () => {
  const messages: Message[] = [
    { role: 'developer', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Hel' },
        { type: 'text', text: 'lo' },
      ],
    },
    { role: 'assistant', content: 'Hi.' },
  ]
  expect(toTurns(messages)).toEqual([
    { role: 'system', text: 'Be brief.' },
    { role: 'user', text: 'Hello' },
    { role: 'assistant', text: 'Hi.' },
  ])
})

test('tool calls and their results are told as text, with the name of the tool', () => {
  const messages: Message[] = [
    { role: 'assistant', content: null, tool_calls: [{ id: 'c1', function: { name: 'wait', arguments: '{"s":1}' } }] },
    { role: 'tool', tool_call_id: 'c1', content: 'done' },
  ]
  expect(toTurns(messages).map(turn => turn.text)).toEqual([
    '{"name": "wait", "arguments": {"s":1}}',
    'Result of wait: done',
  ])
  expect(toTurns(messages, 'tagged').map(turn => turn.text)).toEqual([
    '<tool_call>\n{"name": "wait", "arguments": {"s":1}}\n</tool_call>',
    '<tool_response>\ndone\n</tool_response>',
  ])
})

test('an image is refused with its place and the engines that see', () => {
  const read = (): unknown => toTurns([{ role: 'user', content: [{ type: 'image_url' }] }])
  expect(read).toThrow(FaultError)
  expect(read).toThrow(
    /'image_url' \(messages\[0\]\.content\[0\]\).*embedded engine reads text only.*vllm, sglang, llama-cpp/,
  )
})

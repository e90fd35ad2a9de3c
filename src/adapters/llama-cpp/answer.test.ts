import { describe, expect, test } from 'vitest'
import { readText } from './answer.ts'

const tools = [{ name: 'get' }, { name: 'put' }]
const usual = { tools, mostCalls: Infinity, thinks: true, isThinking: false }
const id = expect.stringMatching(/^call-/) as string
const callOf = (name: string, args: string) => ({ id, type: 'function', function: { name, arguments: args } })
const hermes = (name: string) => `<tool_call>\n{"name": "${name}", "arguments": {"a": 1}}\n</tool_call>`

test('thought, text and calls come apart, and the finish reason tells that there are calls', () => {
  const reader = readText(usual)
  const pieces = ['<think>Hm', '</think>\n\nI ', 'look.\n<tool', hermes('get').slice(5), '\n', hermes('put')]
  const deltas = [...pieces.flatMap(piece => reader.push(piece)), ...reader.end()]
  expect(deltas).toEqual([
    { reasoning_content: 'Hm' },
    { content: 'I ' },
    { content: 'look.\n' },
    { tool_calls: [{ index: 0, ...callOf('get', '{"a": 1}') }] },
    { tool_calls: [{ index: 1, ...callOf('put', '{"a": 1}') }] },
  ])
  expect(reader.message()).toEqual({
    content: 'I look.\n',
    reasoning_content: 'Hm',
    tool_calls: [callOf('get', '{"a": 1}'), callOf('put', '{"a": 1}')],
  })
  expect([reader.finish('stop'), reader.finish('length')]).toEqual(['tool_calls', 'length'])
})

describe('one call at a time', () => {
  test('the first is enough, and what follows is not told', () => {
    const reader = readText({ ...usual, mostCalls: 1 })
    reader.push(hermes('get').slice(0, 20))
    expect(reader.hasEnough()).toBe(false)
    reader.push(hermes('get').slice(20))
    expect(reader.hasEnough()).toBe(true)
    expect([reader.push(hermes('put')), reader.end()]).toEqual([[], []])
    expect(reader.message()).toEqual({ content: null, tool_calls: [callOf('get', '{"a": 1}')] })
  })

  test('of a list of calls too', () => {
    const reader = readText({ ...usual, mostCalls: 1 })
    reader.push('[{"name": "get"}, {"name": "put"}]')
    expect(reader.end()).toEqual([{ tool_calls: [{ index: 0, ...callOf('get', '{}') }] }])
  })
})

test('without tools and thought everything is text, at once', () => {
  const reader = readText({ tools: [], mostCalls: Infinity, thinks: false, isThinking: false })
  expect(reader.push('<think>a</think><tool_')).toEqual([{ content: '<think>a</think><tool_' }])
  expect(reader.end()).toEqual([])
  expect([reader.message(), reader.finish('stop')]).toEqual([{ content: '<think>a</think><tool_' }, 'stop'])
})

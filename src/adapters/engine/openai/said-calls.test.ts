import { expect, test } from 'vitest'
import { repairWith } from './repair.ts'
import { saidCalls } from './said-calls.ts'
import { toolCalls } from './tool-calls.ts'

const tools = [{ type: 'function', function: { name: 'get' } }]
const hermes = (args: string) => `<tool_call>{"name": "get", "arguments": ${args}}</tool_call>`
const repair = (body: object = {}) => repairWith(...saidCalls({ tools, ...body }), toolCalls())

/** The choices of a stream whose deltas say these pieces, and of the chunk that ends it. */
function stream(pieces: readonly string[], body = {}) {
  const { chunk } = repair(body)
  const said = pieces.map(content => chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }] }))
  return [...said, chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })].flatMap(
    mended => mended?.['choices'],
  )
}

const call = (index: number, json: string) => ({
  index,
  id: expect.stringMatching(/^call_/) as string,
  type: 'function',
  function: { name: 'get', arguments: json },
})

test('a call in pieces is told in the chunk that makes it whole, and the answer ends with tool_calls', () => {
  expect(stream(['Well <to', 'ol_call>{"name": "get"', '}</tool_call>', '\n'])).toEqual([
    { index: 0, delta: { content: 'Well ' }, finish_reason: null },
    { index: 0, delta: { content: '' }, finish_reason: null },
    { index: 0, delta: { content: '', tool_calls: [call(0, '{}')] }, finish_reason: null },
    { index: 0, delta: { content: '' }, finish_reason: null },
    { index: 0, delta: { content: '\n' }, finish_reason: 'tool_calls' },
  ])
})

test('what is held back at the end goes out with the end, before it', () => {
  expect(stream(['{"name": "get"}'])).toEqual([
    { index: 0, delta: { content: '' }, finish_reason: null },
    { index: 0, delta: { tool_calls: [call(0, '{}')] }, finish_reason: 'tool_calls' },
  ])
  expect(stream(['a <']).at(-1)).toEqual({ index: 0, delta: { content: '<' }, finish_reason: 'stop' })
})

test('a client that wants one call at a time gets the first', () => {
  const two = hermes('{"a":1}') + hermes('{"a":2}')
  const answer = { choices: [{ index: 0, message: { role: 'assistant', content: two }, finish_reason: 'stop' }] }
  expect(repair().whole(answer)['choices']).toMatchObject([{ message: { tool_calls: [{}, {}] } }])
  const one = [{ function: { name: 'get', arguments: '{"a":1}' } }]
  expect(repair({ parallel_tool_calls: false }).whole(answer)['choices']).toMatchObject([
    { message: { tool_calls: one } },
  ])
  const calls = stream([two], { parallel_tool_calls: false }).flatMap(
    choice => (choice as { delta: { tool_calls?: unknown[] } }).delta.tool_calls ?? [],
  )
  expect(calls).toEqual([call(0, '{"a":1}')])
})

test('calls that the engine told itself stay, and choices are read apart', () => {
  const { chunk } = repair()
  const half = hermes('{}').slice(0, 20)
  chunk({ choices: [{ index: 0, delta: { content: half } }] })
  expect(chunk({ choices: [{ index: 1, delta: { content: 'Hi' } }] })?.['choices']).toEqual([
    { index: 1, delta: { content: 'Hi' } },
  ])
  const own = [{ index: 0, id: 'a', type: 'function', function: { name: 'get', arguments: '{"b":1}' } }]
  const mended = chunk({ choices: [{ index: 0, delta: { content: hermes('{}').slice(20), tool_calls: own } }] })
  expect(mended?.['choices']).toMatchObject([{ delta: { tool_calls: [{ index: 0, id: 'a' }, { index: 1 }] } }])
})

test('without tools to call there is nothing to look for', () => {
  for (const body of [{ tools: [] }, { tools: undefined }, { tool_choice: 'none' }])
    expect(saidCalls({ tools, ...body })).toEqual([])
})

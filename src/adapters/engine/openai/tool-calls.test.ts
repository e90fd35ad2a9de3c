import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FaultError } from '../../../domain/fault.ts'
import { field } from './json.ts'
import { repairWith } from './repair.ts'
import { toolCalls } from './tool-calls.ts'

type Call = Record<string, unknown>

/** Streams deltas of one choice, then the end, and puts together what a client would, telling every delta. */
function stream(deltas: readonly (Call | Call[])[], finish = 'stop') {
  const repair = repairWith(toolCalls())
  const told: Call[] = []
  const chunks = [
    ...deltas.map(calls => ({ choices: [{ index: 0, delta: { tool_calls: calls }, finish_reason: null }] })),
    { choices: [{ index: 0, delta: {}, finish_reason: finish }] },
  ].map(chunk => repair.chunk(chunk))
  for (const chunk of chunks) {
    const calls = field(field((field(chunk, 'choices') as unknown[])[0], 'delta'), 'tool_calls')
    if (Array.isArray(calls)) told.push(...(calls as Call[]))
  }
  const ended = field((field(chunks.at(-1), 'choices') as unknown[])[0], 'finish_reason')
  return { told, calls: joined(told), ended }
}

/** As OpenAI's own client does: texts of one index are joined, whatever they are. */
function joined(told: readonly Call[]): [id: string, name: string, args: string][] {
  const calls: [string, string, string][] = []
  for (const call of told) {
    const index = Number(call['index'])
    const [id, name, args] = calls[index] ?? ['', '', '']
    const called = call['function']
    const text = (value: unknown): string => (typeof value === 'string' ? value : '')
    calls[index] = [id + text(call['id']), name + text(field(called, 'name')), args + text(field(called, 'arguments'))]
  }
  return calls
}

const fn = (name: string | undefined, args: unknown) => ({ ...(name === undefined ? {} : { name }), arguments: args })

describe('streams', () => {
  test('a call as OpenAI sends it stays as it is', () => {
    const deltas = [
      { index: 0, id: 'a', type: 'function', function: fn('get', '') },
      { index: 0, function: fn(undefined, '{"x":') },
      { index: 0, function: fn(undefined, '1}') },
      { index: 1, id: 'b', type: 'function', function: fn('put', '') },
      { index: 1, function: fn(undefined, '{}') },
    ]
    const { told, calls, ended } = stream(
      deltas.map(delta => [delta]),
      'tool_calls',
    )
    expect(told).toEqual(deltas)
    expect(calls).toEqual([
      ['a', 'get', '{"x":1}'],
      ['b', 'put', '{}'],
    ])
    expect(ended).toBe('tool_calls')
  })

  test('calls that are all numbered 0 are told apart by their ids', () => {
    const { calls, ended } = stream([
      [{ index: 0, id: 'a', function: fn('get', '{"x":1}') }],
      [{ index: 0, id: 'b', function: fn('get', '{"x"') }],
      [{ index: 0, id: 'b', function: fn(undefined, ':2}') }],
    ])
    expect(calls).toEqual([
      ['a', 'get', '{"x":1}'],
      ['b', 'get', '{"x":2}'],
    ])
    expect(ended).toBe('tool_calls')
  })

  test('calls without numbers, ids and types get them', () => {
    const { told, calls } = stream([
      [{ function: fn('get', '{"x":1}') }, { function: fn('put', '{"y":2}') }],
      [{ function: fn('get', '{"x":3}') }],
    ])
    expect(told.map(({ index, type }) => [index, type])).toEqual([0, 1, 2].map(index => [index, 'function']))
    expect(calls.map(([, name, args]) => [name, args])).toEqual([
      ['get', '{"x":1}'],
      ['put', '{"y":2}'],
      ['get', '{"x":3}'],
    ])
    expect(new Set(calls.map(([id]) => id)).size).toBe(3)
    for (const [id] of calls) expect(id).toMatch(/^call_\w{24}$/)
  })

  test('a name that is told with every piece of the arguments is one call', () => {
    const pieces = ['', '{"x"', ':1', '}', '']
    const { told, calls } = stream(pieces.map(piece => [{ index: 0, function: fn('get', piece) }]))
    expect(calls.map(([, name, args]) => [name, args])).toEqual([['get', '{"x":1}']])
    expect(told.slice(1).every(call => call['id'] === undefined && field(call['function'], 'name') === undefined)).toBe(
      true,
    )
  })

  test('one call in place of a list, and arguments as an object', () => {
    const { calls } = stream([{ index: 0, id: '', function: fn('get', { x: 1 }) }])
    expect(calls[0]?.slice(1)).toEqual(['get', '{"x":1}'])
  })

  test('arguments that never came are an empty object', () => {
    const { calls } = stream([[{ index: 0, id: 'a', function: { name: 'now' } }]])
    expect(calls).toEqual([['a', 'now', '{}']])
  })

  test('choices are kept apart, and an answer without calls ends as it did', () => {
    const repair = repairWith(toolCalls())
    const chunk = (index: number, calls: Call[], finish: string | null) => ({
      choices: [{ index, delta: { tool_calls: calls }, finish_reason: finish }],
    })
    repair.chunk(chunk(0, [{ index: 0, id: 'a', function: fn('get', '{}') }], null))
    expect(repair.chunk(chunk(1, [], 'stop'))).toEqual({ choices: [{ index: 1, delta: {}, finish_reason: 'stop' }] })
    expect(repair.chunk(chunk(0, [], 'length'))).toMatchObject({ choices: [{ finish_reason: 'length' }] })
    expect(repair.chunk(chunk(0, [], 'stop'))).toMatchObject({ choices: [{ finish_reason: 'tool_calls' }] })
  })

  test('ordinary chunks pass unparsed, and the ones to mend do not', () => {
    const { marks } = toolCalls()
    const looksAt = (text: string) => marks.some(mark => text.includes(mark))
    const head = '{"id":"x","choices":[{"index":0,"delta":'
    for (const delta of ['{"content":"\\"tool_calls\\":["}', '{"content":"a","tool_calls":null}'])
      expect(looksAt(`${head}${delta},"finish_reason":null}]}`)).toBe(false)
    for (const text of ['"tool_calls":[', '"tool_calls": [', '"tool_calls":{', '"finish_reason":"stop"'])
      expect(looksAt(`${head}{${text}`)).toBe(true)
  })

  test('any calls in pieces come out as they went in', () => {
    const call = fc.record({
      name: fc.stringMatching(/^[a-z]{1,8}$/),
      args: fc.dictionary(fc.string(), fc.jsonValue()),
    })
    fc.assert(
      fc.property(fc.array(call, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 7 }), (wanted, size) => {
        const deltas = wanted.flatMap(({ name, args }, index) => {
          const json = JSON.stringify(args)
          const pieces = Array.from({ length: Math.ceil(json.length / size) }, (_, at) =>
            json.slice(at * size, (at + 1) * size),
          )
          return pieces.map((piece, at) => [
            { index: 0, id: `c${index}`, function: fn(at === 0 ? name : undefined, piece) },
          ])
        })
        expect(stream(deltas).calls).toEqual(
          wanted.map(({ name, args }, index) => [`c${index}`, name, JSON.stringify(args)]),
        )
      }),
    )
  })
})

describe('whole answers', () => {
  const whole = (message: unknown, finish = 'stop') =>
    repairWith(toolCalls()).whole({ choices: [{ index: 0, message, finish_reason: finish }] })

  test('ids, types, arguments and the end are mended', () => {
    const calls = [
      { id: '0', function: { name: 'get', arguments: { x: 1 }, description: null } },
      { id: '0', type: 'function', function: { name: 'put', arguments: '' } },
    ]
    expect(whole({ role: 'assistant', content: null, tool_calls: calls })).toEqual({
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: null,
            tool_calls: [
              { id: '0', type: 'function', function: { name: 'get', arguments: '{"x":1}' } },
              {
                id: expect.stringMatching(/^call_/) as string,
                type: 'function',
                function: { name: 'put', arguments: '{}' },
              },
            ],
          },
          finish_reason: 'tool_calls',
        },
      ],
    })
  })

  test('an empty list is left out, since clients take it for a call', () => {
    expect(whole({ content: 'Hi', tool_calls: [] })).toEqual({
      choices: [{ index: 0, message: { content: 'Hi' }, finish_reason: 'stop' }],
    })
  })
})

test('whatever an engine sends becomes an object, or a fault', () => {
  const shape = fc.letrec<{ any: unknown }>(tie => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, 0, 1, '', 'stop', '{}', 'a', -1, 1.5, true),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          ...['choices', 'index', 'delta', 'message', 'tool_calls', 'id', 'function', 'name', 'arguments'],
          ...['finish_reason', 'type', '__proto__'],
        ),
        tie('any'),
      ),
    ),
  })).any
  fc.assert(
    fc.property(fc.array(shape, { maxLength: 4 }), shapes => {
      const repair = repairWith(toolCalls())
      for (const one of shapes) {
        try {
          expect(repair.chunk({ choices: [one, { delta: one }, { message: one }] })).toBeTypeOf('object')
          expect(repair.whole({ choices: [one, { delta: one }, { message: one }] })).toBeTypeOf('object')
        } catch (error) {
          expect(error).toBeInstanceOf(FaultError)
        }
      }
    }),
  )
})

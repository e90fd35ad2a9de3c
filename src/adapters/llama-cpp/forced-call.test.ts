import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openCallReader } from './forced-call.ts'

const tools = ['get', 'get_all'].map(name => ({ name, description: null, parameters: {} }))

test('a call is read the same however it comes in pieces', () => {
  const text = '{"name": "get_all", "arguments": {"a":{"b":1}}}'
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 })), sizes => {
      const reader = openCallReader(tools)
      const pieces = []
      let rest = text
      for (const size of [...sizes, text.length]) {
        pieces.push(...reader.push(rest.slice(0, size)))
        rest = rest.slice(size)
      }
      expect(pieces[0]).toEqual({ name: 'get_all' })
      expect(
        pieces
          .slice(1)
          .map(piece => ('arguments' in piece ? piece.arguments : '?'))
          .join(''),
      ).toBe('{"a":{"b":1}}')
    }),
  )
})

test('nothing is told of a call that was cut inside its name', () => {
  expect(openCallReader(tools).push('{"name": "get')).toEqual([])
})

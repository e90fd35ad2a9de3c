import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Behaviour, parseBehaviourChange, parseDirective } from './behaviour.ts'

test('a change holds exactly what was named, so that it never undoes another', () => {
  const names = Object.keys(Behaviour.shape)
  fc.assert(
    fc.property(fc.subarray(names), some => {
      const defaults: Record<string, unknown> = Behaviour.parse({})
      const change = Object.fromEntries(some.map(name => [name, defaults[name]]))
      expect(parseBehaviourChange(change)).toEqual(change)
    }),
  )
})

test('a directive takes numbers, words, null, and bare names as true', () => {
  expect(parseDirective('Hi [[fake:tokens=50, slow=0.5,hang,dialect=llama-cpp,status=null]] there')).toEqual({
    tokens: 50,
    slow: 0.5,
    hang: true,
    dialect: 'llama-cpp',
    status: null,
  })
})

test('a prompt without a directive changes nothing', () => {
  expect(parseDirective('Hi [fake:tokens=5]')).toEqual({})
})

test('an unknown name is refused', () => {
  expect(() => parseDirective('[[fake:speed=5]]')).toThrow(/speed/)
})

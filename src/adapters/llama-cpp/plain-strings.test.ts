import { expect, test } from 'vitest'
import { withoutControlTokens } from './plain-strings.ts'

const controls = ['<|end|>', '</s>']
const controlsIn = (text: string): string[] => controls.filter(control => text.includes(control))

test('control tokens are broken up in every text and name, and nothing else changes', () => {
  const tool = { 'name': 'get', 'x</s>': [1, null, true, { text: 'a<|end|>b<|end|></s>' }] }
  const plain = withoutControlTokens(tool, controlsIn)
  expect(controlsIn(JSON.stringify(plain))).toEqual([])
  expect(JSON.parse(JSON.stringify(plain).replaceAll('\u200B', ''))).toEqual(tool)
  expect(withoutControlTokens({ a: '<b>', c: 2 }, controlsIn)).toEqual({ a: '<b>', c: 2 })
})

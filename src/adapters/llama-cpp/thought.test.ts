import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openThoughtReader } from './thought.ts'

function read(isOpen: boolean, ...pieces: string[]): { thought: string; text: string } {
  const reader = openThoughtReader(isOpen)
  const told = [...pieces.flatMap(piece => reader.push(piece)), ...reader.end()]
  return {
    thought: told.map(one => ('thought' in one ? one.thought : '')).join(''),
    text: told.map(one => ('text' in one ? one.text : '')).join(''),
  }
}

test('thought stands between its tags in front of the answer, and blanks around them are nobody’s', () => {
  expect(read(false, '<think>\nHm.\n\nYes.\n</think>\n\nA b.\n')).toEqual({ thought: 'Hm.\n\nYes.', text: 'A b.\n' })
  expect(read(false, '\n<think></think>A')).toEqual({ thought: '', text: 'A' })
})

test('a thought that the prompt began needs no opening tag, one that is cut short no closing one', () => {
  expect(read(true, 'Hm</think>A')).toEqual({ thought: 'Hm', text: 'A' })
  expect(read(false, '<think>Hm, </thi')).toEqual({ thought: 'Hm, </thi', text: '' })
})

test('tags later on, or half of one, are text', () => {
  for (const text of ['A <think>b</think>', ' <thin', '</think>', ' A', ''])
    expect(read(false, text)).toEqual({ thought: '', text })
})

test('thought goes out as it comes', () => {
  const reader = openThoughtReader(false)
  expect(reader.push('<think>\nHm ')).toEqual([{ thought: 'Hm' }])
  expect(reader.push('so')).toEqual([{ thought: ' so' }])
})

test('how it is cut changes nothing', () => {
  const fragment = fc.constantFrom('<think>', '</think>', '<', '</th', 'ink>', '\n', ' ', 'a', 'bc')
  const property = fc.property(
    fc.array(fragment, { maxLength: 10 }),
    fc.boolean(),
    fc.nat(5),
    (parts, isOpen, size) => {
      const text = parts.join('')
      const pieces = text.match(new RegExp(`[^]{1,${size + 1}}`, 'g')) ?? []
      expect(read(isOpen, ...pieces)).toEqual(read(isOpen, text))
    },
  )
  fc.assert(property, { numRuns: 1000 })
})

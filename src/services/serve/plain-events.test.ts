import fc from 'fast-check'
import { expect, test } from 'vitest'
import { countPlainWithout } from './plain-events.ts'

const plain = (text: string, marks = ['"usage"', '[DONE]', 'a.b', 'ü']): number | null =>
  countPlainWithout(marks)(Buffer.from(text))

test('events of data without a mark are counted, whatever ends their lines', () => {
  expect(plain('data: {"a":1}\n\n')).toBe(1)
  expect(plain('data: 1\n\ndata: 2\r\n\r\ndata: 3\n\n')).toBe(3)
  expect(plain('data: "\u00fc"\n\n', [])).toBe(1)
})

test('a mark, and what does not begin with data, is for a closer look; a mark means itself', () => {
  expect(plain('data: {"usage":1}\n\n')).toBeNull()
  expect(plain('data: 1\n\ndata: [DONE]\n\n')).toBeNull()
  expect(plain('data: D\n\n')).toBe(1)
  expect(plain('data: a.b\n\n')).toBeNull()
  expect(plain('data: axb\n\n')).toBe(1)
  expect(plain('data: \u00fc\n\n')).toBeNull()
  expect(plain(': comment\n\n')).toBeNull()
  expect(plain('event: error\ndata: {}\n\n')).toBeNull()
  expect(plain('')).toBeNull()
})

test('it tells of a mark exactly when its bytes are there', () => {
  const mark = fc.string({ minLength: 1, maxLength: 4, unit: 'grapheme' })
  fc.assert(
    fc.property(
      fc.array(mark, { maxLength: 4 }),
      fc.array(fc.oneof(mark, fc.constantFrom('a', '"', '[')), { maxLength: 8 }),
      (marks, parts) => {
        for (const text of [parts.join(''), [...parts, ...marks.slice(0, 1)].join('')]) {
          const bytes = Buffer.from(`data: ${text}\n\n`)
          expect(countPlainWithout(marks)(bytes) === null).toBe(marks.some(each => bytes.includes(each)))
        }
      },
    ),
  )
})

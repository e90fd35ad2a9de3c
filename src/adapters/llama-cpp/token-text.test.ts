import type { Token } from 'node-llama-cpp'
import { expect, test } from 'vitest'
import { openTokenText } from './token-text.ts'

/** A tokenizer whose tokens are bytes. */
const byteModel = { detokenize: (tokens: readonly number[]): string => Buffer.from(tokens).toString('utf8') }

// Any number serves the byte tokenizer above.
const push = (bytes: readonly number[]): string[] => {
  const text = openTokenText(byteModel, { before: [], withControlTokens: false })
  return bytes.map(byte => text.push(byte as Token))
}

test('a character goes out whole, with the token that completes it', () => {
  expect(push([...Buffer.from('aж😀')])).toEqual(['a', '', 'ж', '', '', '', '😀'])
})

test('bytes that are no character go out after four tokens, and an open end never does', () => {
  expect(push([0xff, 0xff, 0xff, 0xff, 0x61]).at(-1)).toBe('a')
  expect(push([0x61, 0xd0]).join('')).toBe('a')
})

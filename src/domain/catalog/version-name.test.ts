import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseVersionName, printVersionName } from './version-name.ts'
import type { VersionNameParts } from './version-name.ts'
import { quantisations } from './quantisation.ts'

const read = (text: string): string => {
  const reading = parseVersionName(text)
  if (!reading.ok) return `${reading.position}: ${reading.expected}`
  const { channel, service, base, quantisation, prompt } = reading.name
  return [channel, service.major, service.minor, service.patch, service.preRelease, base, quantisation, prompt].join(
    ' | ',
  )
}

const word = fc.stringMatching(/^[a-z0-9]{1,6}$/)
const trickyWord = fc.constantFrom('q4', 'k', 'm', 'fp16', 'awq', 'p1', 'v2', 'iq4', 'nl', '0', 'rc1', 'q8')
const base = fc.array(fc.oneof(word, trickyWord), { minLength: 1, maxLength: 5 }).map(words => words.join('-'))
const number = fc.integer({ min: 0, max: 999_999_999 })
const preRelease = fc
  .tuple(fc.stringMatching(/^[a-z]{1,5}$/), fc.array(number, { minLength: 1, maxLength: 3 }))
  .map(([label, numbers]) => [label, ...numbers].join('.'))
const service = fc
  .tuple(number, fc.option(fc.tuple(number, fc.option(number))), fc.option(preRelease))
  .map(([major, rest, label]) => ({ major, minor: rest?.[0] ?? null, patch: rest?.[1] ?? null, preRelease: label }))
const parts: fc.Arbitrary<VersionNameParts> = fc.record({
  channel: fc.oneof(fc.constantFrom('production', 'staging', 'dev'), fc.stringMatching(/^[a-z][a-z0-9]{0,6}$/)),
  service,
  base,
  quantisation: fc.constantFrom(...quantisations),
  prompt: number.map(id => `p${id}`),
})

/** One reading that prints back, or a place inside the text and something to expect there. */
function expectTotal(text: string): void {
  const reading = parseVersionName(text)
  if (reading.ok) {
    expect(printVersionName(reading.name)).toBe(text)
  } else {
    expect(reading.position).toBeGreaterThanOrEqual(0)
    expect(reading.position).toBeLessThanOrEqual(text.length)
    expect(reading.expected).not.toBe('')
  }
}

test('R1 any text at all is read or refused with a place inside it', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), expectTotal))
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('-', 'v', '2', '.', 'p', '0', 'q4', 'k', 'm', 'awq', 'rc', 'dev', 'A', '_', '\n')),
      pieces => expectTotal(pieces.join('')),
    ),
  )
})

test('R1 a name with one character changed, added or lost prints back or is refused with a place inside it', () => {
  const edit = fc.record({
    at: fc.nat(),
    how: fc.constantFrom('drop', 'insert', 'replace'),
    to: fc.constantFrom(...'-.v0p1qkm_A Zéx'),
  })
  fc.assert(
    fc.property(parts, edit, (name, { at, how, to }) => {
      const text = printVersionName(name)
      const place = at % (text.length + 1)
      expectTotal(text.slice(0, place) + (how === 'drop' ? '' : to) + text.slice(how === 'insert' ? place : place + 1))
    }),
    { numRuns: 500 },
  )
})

test('R1 a refusal tells the first wrong place and what belongs there', () => {
  expect(read('')).toMatch(/^0: a channel/)
  expect(read('Production-v2-llama-awq-p0')).toMatch(/^0: a channel/)
  expect(read('production')).toMatch(/^10: the service version/)
  expect(read('production-2.1-llama-awq-p0')).toMatch(/^11: the service version/)
  expect(read('production-v-llama-awq-p0')).toMatch(/^12: a number/)
  expect(read('production-v02-llama-awq-p0')).toMatch(/^12: a number/)
  expect(read('production-v2.-llama-awq-p0')).toMatch(/^14: a number/)
  expect(read('production-v1234567890-llama-awq-p0')).toMatch(/^12: a number/)
  expect(read('production-v2.1.3.4-llama-awq-p0')).toMatch(/^17: '-' and a base model/)
  expect(read('production-v2.1')).toMatch(/^15: '-' and a base model/)
  expect(read('production-v2.1-llama3-8b-awq')).toMatch(/^29: the prompt at the end/)
  expect(read('production-v2.1-llama3-8b-awq-p')).toMatch(/^31: the prompt at the end/)
  expect(read('production-v2.1-llama3-8b-awq-p4x')).toMatch(/^32: the prompt at the end/)
  expect(read('production-v2.1-llama3-8b-awq-p042')).toMatch(/^32: the prompt at the end/)
  expect(read('production-v2.1-llama3-8b-p1')).toMatch(/^23: a known quantisation/)
  expect(read('production-v2.1-llama3_8b-awq-p1')).toMatch(/^22: lower-case letters/)
  expect(read('production-v2.1-llama3--8b-awq-p1')).toMatch(/^23: lower-case letters/)
  expect(read('production-v2.1--llama3-awq-p1')).toMatch(/^16: lower-case letters/)
  expect(read('production-v2.1-llama3-awq-p1\n')).toMatch(/^29: the prompt/)
})

test('R2 parts survive printing and reading', () => {
  fc.assert(
    fc.property(parts, name => {
      expect(parseVersionName(printVersionName(name))).toEqual({ ok: true, name })
    }),
    { numRuns: 1000 },
  )
})

test('R2 the names of the product are read as meant', () => {
  expect(read('production-v2.1-llama3-8b-awq-p42')).toBe('production | 2 | 1 |  |  | llama3-8b | awq | p42')
  expect(read('production-v2.1.3-qwen3-coder-30b-a3b-awq-p42')).toBe(
    'production | 2 | 1 | 3 |  | qwen3-coder-30b-a3b | awq | p42',
  )
  expect(read('production-v1.0-qwen3-embedding-8b-q4-k-m-p0')).toBe(
    'production | 1 | 0 |  |  | qwen3-embedding-8b | q4-k-m | p0',
  )
  expect(read('dev-v1.0-smoke-2m-q8-0-p0')).toBe('dev | 1 | 0 |  |  | smoke-2m | q8-0 | p0')
})

test('R3 numbers that were not written are not the same as zero', () => {
  const names = ['dev-v2-a-awq-p0', 'dev-v2.0-a-awq-p0', 'dev-v2.0.0-a-awq-p0']
  expect(new Set(names.map(read)).size).toBe(3)
})

test('R4 a pre-release is letters and dot-numbers, and anything else is the base model', () => {
  expect(read('dev-v2.1-rc.1-llama3-8b-awq-p1')).toBe('dev | 2 | 1 |  | rc.1 | llama3-8b | awq | p1')
  expect(read('dev-v2-beta.2.0-x-awq-p1')).toBe('dev | 2 |  |  | beta.2.0 | x | awq | p1')
  expect(read('dev-v2.1-rc1-llama3-awq-p1')).toBe('dev | 2 | 1 |  |  | rc1-llama3 | awq | p1')
  expect(read('dev-v2.1-rc-1-llama3-awq-p1')).toBe('dev | 2 | 1 |  |  | rc-1-llama3 | awq | p1')
  expect(read('dev-v2.1-rc.01-llama3-awq-p1')).toMatch(/^11: no '\.'/)
  expect(read('dev-v2.1-rc.1-awq-p1')).toMatch(/^14: a base model/)
})

test('R5 the quantisation is the longest token before the prompt, whatever the base model ends in', () => {
  expect(read('dev-v1-llama-fp16-awq-p1')).toBe('dev | 1 |  |  |  | llama-fp16 | awq | p1')
  expect(read('dev-v1-x-q4-0-q4-k-m-p1')).toBe('dev | 1 |  |  |  | x-q4-0 | q4-k-m | p1')
  expect(read('dev-v1-p1-fp8-p1')).toBe('dev | 1 |  |  |  | p1 | fp8 | p1')
  expect(read('dev-v1-q4-k-m-p1')).toMatch(/^7: a base model/)
  expect(read('dev-v1-awq-p1')).toMatch(/^7: a base model/)
  expect(read('dev-v1-p1')).toMatch(/^7: a base model/)
})

test('R5 no token ends in another one by whole words, so no second reading exists', () => {
  for (const one of quantisations) for (const other of quantisations) expect(one.endsWith(`-${other}`)).toBe(false)
})

test('R6 a base model has no dots', () => {
  expect(read('dev-v1-qwen2.5-7b-awq-p1')).toBe("12: no '.' in the base model's name (write '-', or leave it out)")
  expect(read('dev-v1-qwen2-5-7b-awq-p1')).toBe('dev | 1 |  |  |  | qwen2-5-7b | awq | p1')
})

test('R7 a name takes the token itself, never a usual spelling or an alias', () => {
  expect(read('dev-v1-x-f16-p1')).toMatch(/a known quantisation/)
  expect(read('dev-v1-x-q4-k-p1')).toMatch(/a known quantisation/)
  expect(read('dev-v1-x-Q4-K-M-p1')).toMatch(/a known quantisation/)
})

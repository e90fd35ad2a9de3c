import { expect, test } from 'vitest'
import fc from 'fast-check'
import { toHttp } from '../../fault.ts'
import { modelName, tokens } from '../../units.ts'
import { toAnthropicFault, toAnthropicModel, toAnthropicModels } from './index.ts'

test.each([
  [400, 'invalid_request_error'],
  [401, 'authentication_error'],
  [402, 'billing_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [405, 'invalid_request_error'],
  [413, 'request_too_large'],
  [422, 'invalid_request_error'],
  [429, 'rate_limit_error'],
  [500, 'api_error'],
  [502, 'api_error'],
  [503, 'overloaded_error'],
  [504, 'timeout_error'],
  [529, 'overloaded_error'],
])('M36 status %i is %s', (status, type) => {
  const body = { error: { message: 'No.', type: 'server_error', param: 'model', code: 'nope' } }
  expect(toAnthropicFault({ status, body, retryAfterSeconds: null, headers: {} }, 'r1')).toEqual({
    type: 'error',
    error: { type, message: 'No.', param: 'model', code: 'nope' },
    request_id: 'r1',
  })
})

test('M37 a conversation that is too long is told in the words that clients look for', () => {
  const fault = toHttp({ kind: 'context-exceeded', asked: tokens(9_000), limit: tokens(8_192) })
  const { error } = toAnthropicFault(fault, 'r1')
  expect(error.type).toBe('invalid_request_error')
  expect(error.message).toMatch(/^prompt is too long: .*9000 tokens.*8192/)
})

test('M38 models are one page', () => {
  const listings = [{ name: modelName('coder') }, { name: modelName('smoke') }]
  expect(toAnthropicModels(listings, 1_763_769_600)).toEqual({
    data: [
      { type: 'model', id: 'coder', display_name: 'coder', created_at: '2025-11-22T00:00:00Z' },
      { type: 'model', id: 'smoke', display_name: 'smoke', created_at: '2025-11-22T00:00:00Z' },
    ],
    has_more: false,
    first_id: 'coder',
    last_id: 'smoke',
  })
  expect(toAnthropicModels([], 0)).toEqual({ data: [], has_more: false, first_id: null, last_id: null })
})

test('M38 any moment is written as the platform writes it', () => {
  const years0To9999 = fc.integer({ min: -62_167_219_200, max: 253_402_300_799 })
  fc.assert(
    fc.property(years0To9999, seconds => {
      const { created_at: created } = toAnthropicModel({ name: modelName('m') }, seconds)
      expect(created).toBe(new Date(seconds * 1000).toISOString().replace('.000', ''))
    }),
    { numRuns: 2_000 },
  )
})

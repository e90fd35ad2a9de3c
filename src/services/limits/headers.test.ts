import { describe, expect, test } from 'vitest'
import { millis } from '../../domain/units.ts'
import { renderAllowances, toDuration } from './headers.ts'

const allowances = {
  requests: { limit: 60, remaining: 59, resetsIn: millis(1_000) },
  tokens: { limit: 150_000, remaining: 149_984, resetsIn: millis(360_000) },
}
const wallNow = Date.UTC(2026, 0, 1, 12)

describe('what a client is told of its limits', () => {
  test.each(['openai', 'responses'] as const)('on the %s surface in OpenAI’s words', surface => {
    expect(renderAllowances(surface, allowances, wallNow)).toEqual({
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '150000',
      'x-ratelimit-remaining-tokens': '149984',
      'x-ratelimit-reset-tokens': '6m0s',
    })
  })

  test('on the anthropic surface in Anthropic’s words, with moments', () => {
    expect(renderAllowances('anthropic', allowances, wallNow)).toEqual({
      'anthropic-ratelimit-requests-limit': '60',
      'anthropic-ratelimit-requests-remaining': '59',
      'anthropic-ratelimit-requests-reset': '2026-01-01T12:00:01Z',
      'anthropic-ratelimit-tokens-limit': '150000',
      'anthropic-ratelimit-tokens-remaining': '149984',
      'anthropic-ratelimit-tokens-reset': '2026-01-01T12:06:00Z',
    })
  })

  test('nothing of what is not bounded', () => {
    expect(renderAllowances('openai', { ...allowances, tokens: null }, wallNow)).not.toHaveProperty(
      'x-ratelimit-limit-tokens',
    )
    expect(renderAllowances('anthropic', { requests: null, tokens: null }, wallNow)).toEqual({})
  })

  test.each([
    [0, '0s'],
    [19.2, '20ms'],
    [999.5, '1s'],
    [8_640, '8.64s'],
    [60_500, '1m0.5s'],
    [360_000, '6m0s'],
  ])('%d ms is %s', (span, text) => expect(toDuration(span)).toBe(text))
})

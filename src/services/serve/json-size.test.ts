import fc from 'fast-check'
import { expect, test } from 'vitest'
import { measureJson } from './json-size.ts'

const plenty = { values: 1_000_000, levels: 1_000 }

/** The same by parsing: each list and object, and each comma, is one. */
function count(value: unknown): { values: number; levels: number } {
  if (typeof value !== 'object' || value === null) return { values: 0, levels: 0 }
  const inner = Object.values(value).map(count)
  const commas = Math.max(0, inner.length - 1)
  return {
    values: inner.reduce((sum, one) => sum + one.values, 1 + commas),
    levels: inner.reduce((most, one) => Math.max(most, one.levels), 0) + 1,
  }
}

test('whatever stands in strings, values and levels are counted as a parser finds them', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('\\', '\\"', '"', '[{,', '\\\\"]', '\u2028"\\'))
  const { value } = fc.letrec(tie => ({
    value: fc.oneof(
      { depthSize: 'small' },
      text,
      fc.integer(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(text, tie('value'), { maxKeys: 4 }),
    ),
  }))
  fc.assert(
    fc.property(value, fc.constantFrom(undefined, 2), (json, indent) => {
      const written = JSON.stringify(json, null, indent)
      const { values, levels } = count(json)
      expect(measureJson(written, plenty)).toEqual({ values: values + 1, tooMuch: null })
      if (levels > 0) expect(measureJson(written, { ...plenty, levels: levels - 1 }).tooMuch).toBe('levels')
      expect(measureJson(written, { ...plenty, levels }).tooMuch).toBeNull()
      expect(measureJson(written, { ...plenty, values }).tooMuch).toBe('values')
    }),
  )
})

test('text that is no JSON ends too', () => {
  for (const odd of ['', '"', '"\\', '"\\"', ']]]]', ',,,,', '{"a":"', '\\\\\\"'])
    expect(measureJson(odd, plenty).tooMuch).toBeNull()
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { misfits, problemsOfSchema } from './json-schema.ts'

/** schema, values that fit, values that do not. */
const table: [object | boolean, unknown[], unknown[]][] = [
  [true, [1, null], []],
  [false, [], [1, null]],
  [{ type: 'string' }, ['', 'x'], [1, null, []]],
  [{ type: 'integer' }, [1, 2.0, -3], [1.5, '1']],
  [{ type: ['number', 'null'] }, [1.5, null], ['x', true]],
  [{ type: 'object' }, [{}], [[], null]],
  [{ type: 'array' }, [[]], [{}]],
  [{ enum: ['a', { b: 1, c: 2 }] }, ['a', { c: 2, b: 1 }], ['b', { b: 1 }]],
  [{ const: [1, { a: null }] }, [[1, { a: null }]], [[1], null]],
  [{ minLength: 2, maxLength: 3 }, ['ab', '😀😀😀', 5], ['a', 'abcd']],
  [{ pattern: '^a+$' }, ['aa', 1], ['ab', '']],
  [{ minimum: 1, exclusiveMaximum: 3 }, [1, 2.9, 'x'], [0.9, 3]],
  [{ exclusiveMinimum: 1, maximum: 3 }, [1.1, 3], [1, 3.1]],
  [{ multipleOf: 0.1 }, [0.3, 1.1, 0], [0.25]],
  [{ multipleOf: 2 }, [-4, 0], [3]],
  [{ required: ['a'] }, [{ a: undefined }, { a: 1 }, 'x'], [{}, { b: 1 }, { toString: 1 }]],
  [{ properties: { a: { type: 'string' } } }, [{}, { a: 'x', b: 1 }, []], [{ a: 1 }]],
  [{ properties: { a: true }, additionalProperties: false }, [{ a: 1 }], [{ a: 1, b: 2 }]],
  [{ additionalProperties: { type: 'number' } }, [{ a: 1 }], [{ a: 'x' }]],
  [
    { patternProperties: { '^n': { type: 'number' } }, additionalProperties: false },
    [{ n1: 1 }],
    [{ n1: 'x' }, { x: 1 }],
  ],
  [{ propertyNames: { maxLength: 2 } }, [{ ab: 1 }], [{ abc: 1 }]],
  [{ minProperties: 1, maxProperties: 2 }, [{ a: 1 }], [{}, { a: 1, b: 1, c: 1 }]],
  [{ dependentRequired: { a: ['b'] } }, [{ a: 1, b: 1 }, {}], [{ a: 1 }]],
  [{ items: { type: 'number' } }, [[], [1, 2]], [[1, 'x']]],
  [{ prefixItems: [{ type: 'string' }], items: false }, [[], ['x']], [[1], ['x', 1]]],
  [{ minItems: 1, maxItems: 2 }, [[1]], [[], [1, 2, 3]]],
  [
    { uniqueItems: true },
    [[1, '1', { a: 1 }]],
    [
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
    ],
  ],
  [{ contains: { const: 1 } }, [[2, 1]], [[], [2]]],
  [{ allOf: [{ minimum: 1 }, { maximum: 3 }] }, [2], [0, 4]],
  [{ anyOf: [{ type: 'string' }, { minimum: 3 }] }, ['x', 3], [2]],
  [{ oneOf: [{ minimum: 1 }, { maximum: 3 }] }, [0, 4], [2]],
  [{ not: { type: 'string' } }, [1], ['x']],
  [{ if: { type: 'string' }, then: { minLength: 2 }, else: { minimum: 5 } }, ['ab', 5], ['a', 4]],
  [{ $ref: '#/$defs/n', $defs: { n: { type: 'number' } } }, [1], ['x']],
  [{ properties: { next: { $ref: '#' } }, required: ['v'] }, [{ v: 1, next: { v: 2 } }], [{ v: 1, next: {} }]],
  [{ $ref: '#/definitions/a~1b', definitions: { 'a/b': { const: 1 } } }, [1], [2]],
  [{ type: 'string', format: 'date', title: 'a note' }, ['not a date'], [1]],
]

describe.each(table)('%j', (schema, good, bad) => {
  test('C8 lets through what fits, and nothing else', () => {
    expect(problemsOfSchema(schema)).toEqual([])
    for (const value of good) expect(misfits(schema, value), JSON.stringify(value)).toEqual([])
    for (const value of bad) expect(misfits(schema, value), JSON.stringify(value)).not.toEqual([])
  })
})

test.each([
  [{ typo: 1 }, "'typo' is not known"],
  [{ properties: { a: { minimun: 1 } } }, '/properties/a: the keyword'],
  [{ items: { anyOf: [{ type: 'text' }] } }, '/items/anyOf/0: there is no type "text"'],
  [{ pattern: '(?=a)' }, 'look-around'],
  [{ $ref: 'https://example.com/x' }, 'leads nowhere'],
  [{ $ref: '#/$defs/none' }, 'leads nowhere'],
  ['string', 'neither an object'],
])('C8 the schema %j has a problem', (schema, problem) => {
  expect(problemsOfSchema(schema).join('; ')).toContain(problem)
})

test('C8 misfits name their place', () => {
  const schema = { properties: { items: { items: { required: ['name'] } } } }
  expect(misfits(schema, { items: [{ name: 1 }, {}] })).toEqual(["/items/1 lacks 'name'"])
})

test('C8 a schema that goes round in circles ends, and nothing fits it', () => {
  expect(misfits({ $ref: '#' }, 1)).not.toEqual([])
  const wide = {
    $defs: {
      a: { anyOf: Array.from({ length: 50 }, () => ({ allOf: [{ $ref: '#/$defs/b' }, false] })) },
      b: { anyOf: Array.from({ length: 50 }, () => ({ not: { $ref: '#/$defs/c' } })) },
      c: { anyOf: Array.from({ length: 100 }, () => false) },
    },
    $ref: '#/$defs/a',
  }
  expect(misfits(wide, 1).length).toBeGreaterThan(0)
})

test('C8 a value always fits what is made from it', () => {
  const shapeOf = (value: unknown): object => {
    if (Array.isArray(value))
      return { type: 'array', prefixItems: value.map(shapeOf), items: false, minItems: value.length }
    if (typeof value !== 'object' || value === null) return { const: value }
    const entries = Object.entries(value).map(([key, field]) => [key, shapeOf(field)])
    return {
      type: 'object',
      properties: Object.fromEntries(entries),
      required: Object.keys(value),
      additionalProperties: false,
    }
  }
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), value => {
      const plain: unknown = JSON.parse(JSON.stringify(value))
      expect(misfits(shapeOf(plain), plain)).toEqual([])
      expect(misfits(shapeOf(plain), [plain, 'more'])).not.toEqual([])
    }),
  )
})

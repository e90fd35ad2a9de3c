import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { integersWithin } from './gbnf.ts'
import { boundsFor, renderObjectGrammar, renderSchemaGrammar } from './schema-grammar.ts'
import { derive, matches } from './testing/gbnf-derive.ts'

const budget = 400

/** Schemas out of all that is supported. */
const { schema: anySchema } = fc.letrec<{ schema: object; object: object }>(tie => ({
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(
      { type: 'boolean' },
      { type: 'null' },
      { type: 'integer' },
      { type: 'number' },
      { type: ['string', 'null'] },
    ),
    fc.record({ type: fc.constant('string'), maxLength: fc.nat(20) }),
    fc.record({ type: fc.constant('string'), format: fc.constantFrom('date', 'date-time', 'uuid') }),
    fc
      .tuple(fc.integer({ min: -2000, max: 2000 }), fc.nat(3000))
      .map(([minimum, more]) => ({ type: 'integer', minimum, maximum: minimum + more })),
    fc
      .tuple(fc.integer({ min: -20, max: 20 }), fc.nat(30))
      .map(([minimum, more]) => ({ type: 'number', minimum, maximum: minimum + more })),
    fc.constantFrom({ enum: ['a"b', 'c\\d', 'é'] }, { const: 5 }, { enum: [1, null, 'x'] }),
    fc.record({
      type: fc.constant('array'),
      items: tie('schema'),
      minItems: fc.nat(2),
      maxItems: fc.integer({ min: 2, max: 4 }),
    }),
    fc.array(tie('schema'), { minLength: 1, maxLength: 2 }).map(anyOf => ({ anyOf })),
    tie('object'),
  ),
  object: fc
    .dictionary(fc.constantFrom('a', 'b', 'c', 'd"q'), fc.tuple(tie('schema'), fc.boolean()), {
      maxKeys: 4,
      noNullPrototype: true,
    })
    .map(members => ({
      type: 'object',
      properties: Object.fromEntries(Object.entries(members).map(([name, [schema]]) => [name, schema])),
      required: Object.entries(members)
        .filter(([, [, required]]) => required)
        .map(([name]) => name),
      additionalProperties: false,
    })),
}))

test('whatever the grammar lets through parses and holds the schema', () => {
  fc.assert(
    fc.property(anySchema, fc.infiniteStream(fc.nat()), (schema, choices) => {
      const text = derive(renderSchemaGrammar(schema, budget), choices)
      // z.fromJSONSchema takes JSON Schema as data; its own type is stricter about what was generated here.
      const check = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(JSON.parse(text))
      expect({ text, problem: check.error?.message }).toEqual({ text, problem: undefined })
    }),
    { numRuns: 300 },
  )
})

test('json_object gives objects', () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat()), choices => {
      const value: unknown = JSON.parse(derive(renderObjectGrammar(budget), choices))
      expect(value !== null && typeof value === 'object' && !Array.isArray(value)).toBe(true)
    }),
  )
})

test('a range of integers is exactly that range', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1200, max: 1200 }),
      fc.nat(1500),
      fc.integer({ min: -3000, max: 3000 }),
      (min, more, probe) => {
        const grammar = `root ::= ${integersWithin(min, min + more)}`
        for (const value of [probe, min, min + more, min - 1, min + more + 1]) {
          expect({ value, isIn: matches(grammar, String(value)) }).toEqual({
            value,
            isIn: value >= min && value <= min + more,
          })
        }
      },
    ),
  )
  expect(integersWithin(0.2, 0.8)).toBeNull()
})

test('references are followed, to themselves too', () => {
  const schema = {
    $ref: '#/$defs/node',
    $defs: {
      node: {
        type: 'object',
        properties: { next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
        required: ['next'],
        additionalProperties: false,
      },
    },
  }
  const grammar = renderSchemaGrammar(schema, budget)
  expect(matches(grammar, '{"next":{"next":null}}')).toBe(true)
  expect(matches(grammar, '{"next":5}')).toBe(false)
})

test('optional members keep their order and may be missing, required ones may not', () => {
  const grammar = renderSchemaGrammar(
    {
      type: 'object',
      properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } },
      required: ['b'],
    },
    budget,
  )
  const good = ['{"b":2}', '{"a":1, "b":2}', '{"b":2,"c":3}', '{"a":1,"b":2,"c": 3}']
  const bad = ['{}', '{"a":1}', '{"b":2,"a":1}', '{,"b":2}', '{"b":2,}']
  expect([...good, ...bad].filter(text => matches(grammar, text))).toEqual(good)
})

test.each([
  ['pattern', { type: 'string', pattern: 'a' }],
  ['uniqueItems', { type: 'array', uniqueItems: true }],
  ['multipleOf', { type: 'integer', multipleOf: 2 }],
  ["'email'", { type: 'string', format: 'email' }],
  ["'anyOf'", { type: 'string', anyOf: [{}] }],
  ['oneOf', { oneOf: [{ type: 'integer' }, { type: 'number' }] }],
  ['whole number', { type: 'number', minimum: 0.2, maximum: 0.8 }],
  ['outside', { $ref: 'https://example.com/x' }],
])('%s is refused by name', (name, schema) => {
  const render = (): string => renderSchemaGrammar({ type: 'object', properties: { x: schema } }, budget)
  expect(render).toThrow(FaultError)
  expect(render).toThrow(name)
  expect(render).toThrow('/properties/x')
})

test('a schema that contradicts itself is the request’s fault', () => {
  expect(() => renderSchemaGrammar({ type: 'object', required: ['x'], additionalProperties: false }, budget)).toThrow(
    /'x' is required/,
  )
  expect(() => renderSchemaGrammar({ type: 'thing' }, budget)).toThrow(/'thing' does not exist/)
})

test('oneOf is taken where its branches are apart', () => {
  const branch = (kind: string): object => ({
    type: 'object',
    properties: { kind: { const: kind } },
    required: ['kind'],
  })
  expect(matches(renderSchemaGrammar({ oneOf: [branch('a'), branch('b')] }, budget), '{"kind":"b"}')).toBe(true)
})

test('only a small budget bounds what the schema leaves open', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } } }
  expect(boundsFor(480, schema)).toEqual({ chars: 240, items: 7, depth: 2 })
  expect(boundsFor(100_000, schema)).toEqual({ chars: null, items: null, depth: null })
})

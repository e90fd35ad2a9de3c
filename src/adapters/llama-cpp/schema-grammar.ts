/** JSON Schema as a grammar: all that the grammar lets through holds the schema. What can't be held is refused by name. */
import { FaultError } from '../../domain/fault.ts'
import { gap, integerDigits, integersWithin, jsonChar, literal, oneOf, openRules, repeat } from './gbnf.ts'
import type { Rules } from './gbnf.ts'

/** How long an answer may get. `null`: as long as the schema allows. */
export type Bounds = { chars: number | null; items: number | null; depth: number | null }

type Schema = { readonly [keyword: string]: unknown }
type Build = {
  root: unknown
  rules: Rules
  bounds: Bounds
  refs: Map<string, string>
  /** Where in the schema, for what is refused. */
  path: string
}

const inside = (at: Build, step: string): Build => ({ ...at, path: `${at.path}/${step}` })

/** GBNF refuses long repetitions; what may be longer is left open. */
const longestRepeat = 1000

/**
 * Weak models never close a string or a list by themselves, so a small budget of tokens also bounds what the schema
 * leaves open. With room for long answers nothing is bounded beyond the schema.
 */
export function boundsFor(budgetTokens: number, schema: unknown): Bounds {
  const chars = Math.max(16, Math.floor(budgetTokens / Math.max(1, countStrings(schema))))
  const small = budgetTokens <= 2 * longestRepeat
  return {
    chars: chars > longestRepeat ? null : chars,
    items: small ? Math.max(1, Math.floor(budgetTokens / 64)) : null,
    depth: small ? 2 : null,
  }
}

/** A grammar for `schema`, its rules added to `rules`; answers the expression to start from. */
export function addSchema(rules: Rules, schema: unknown, bounds: Bounds): string {
  return build(schema, { root: schema, rules, bounds, refs: new Map(), path: '' })
}

export function renderSchemaGrammar(schema: unknown, budgetTokens: number): string {
  const rules = openRules()
  return rules.render(addSchema(rules, schema, boundsFor(budgetTokens, schema)))
}

/** Any JSON object. */
export function renderObjectGrammar(budgetTokens: number): string {
  const rules = openRules()
  const bounds = boundsFor(budgetTokens / 8, null)
  return rules.render(anyObject({ root: true, rules, bounds, refs: new Map(), path: '' }, bounds.depth))
}

const notHeld = [
  'pattern',
  'multipleOf',
  'uniqueItems',
  'contains',
  'minContains',
  'maxContains',
  'prefixItems',
  'additionalItems',
  'minProperties',
  'maxProperties',
  'patternProperties',
  'propertyNames',
  'dependentRequired',
  'dependentSchemas',
  'dependencies',
  'if',
  'then',
  'else',
  'not',
  'unevaluatedProperties',
  'unevaluatedItems',
  '$dynamicRef',
  '$recursiveRef',
]
const combining = ['$ref', 'anyOf', 'oneOf', 'allOf']
const constraints = [
  'type',
  'enum',
  'const',
  'properties',
  'required',
  'additionalProperties',
  'items',
  'minItems',
  'maxItems',
  'minLength',
  'maxLength',
  'format',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  ...combining,
]

function build(schema: unknown, at: Build): string {
  if (schema === true) return anyValue(at, at.bounds.depth)
  if (!isObject(schema)) throw unsupported('a schema that is not an object', at)
  for (const keyword of notHeld) {
    if (schema[keyword] !== undefined && schema[keyword] !== false) throw unsupported(`'${keyword}'`, at)
  }
  const combined = combining.find(keyword => schema[keyword] !== undefined)
  if (combined !== undefined) return combine(schema, combined, at)
  if (schema['const'] !== undefined) return literal(JSON.stringify(schema['const']))
  if (schema['enum'] !== undefined)
    return oneOf(list(schema['enum'], inside(at, 'enum')).map(value => literal(JSON.stringify(value))))
  const types = typesOf(schema)
  if (types === null) return anyValue(at, at.bounds.depth)
  return oneOf(types.map(type => at.rules.add(ofType(type, schema, at))))
}

function combine(schema: Schema, keyword: string, at: Build): string {
  const beside = constraints.find(other => other !== keyword && schema[other] !== undefined)
  if (beside !== undefined) throw unsupported(`'${beside}' beside '${keyword}'`, at)
  if (keyword === '$ref') return reference(schema['$ref'], at)
  const branches = list(schema[keyword], inside(at, keyword))
  if (keyword === 'allOf' && branches.length > 1) throw unsupported("'allOf' of more than one schema", at)
  if (keyword === 'oneOf' && !apart(branches)) throw unsupported("'oneOf' whose branches may overlap (use 'anyOf')", at)
  return oneOf(branches.map((branch, index) => at.rules.add(build(branch, inside(at, `${keyword}/${index}`)))))
}

function reference(target: unknown, at: Build): string {
  if (typeof target !== 'string' || !target.startsWith('#')) throw unsupported("a '$ref' outside the schema", at)
  const known = at.refs.get(target)
  if (known !== undefined) return known
  let found: unknown = at.root
  for (const part of target.slice(1).split('/').slice(1)) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
    found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined
  }
  if (found === undefined) throw invalid(`'${target}' is not in the schema`, at)
  const name = at.rules.reserve()
  at.refs.set(target, name)
  const body = build(found, { ...at, path: target })
  if (body === name) throw invalid(`'${target}' refers to nothing but itself`, at)
  at.rules.define(name, body)
  return name
}

function ofType(type: string, schema: Schema, at: Build): string {
  switch (type) {
    case 'object':
      return object(schema, at)
    case 'array':
      return array(schema, at)
    case 'string':
      return string(schema, at)
    case 'integer':
      return integer(schema, at)
    case 'number':
      return number(schema, at)
    case 'boolean':
      return '"true" | "false"'
    case 'null':
      return '"null"'
    default:
      throw invalid(`the type '${type}' does not exist`, at)
  }
}

type Member = { text: string; required: boolean }

function object(schema: Schema, at: Build): string {
  const properties = isObject(schema['properties']) ? schema['properties'] : {}
  const extra = schema['additionalProperties'] ?? true
  const required = new Set(Array.isArray(schema['required']) ? schema['required'].map(String) : [])
  const schemas = new Map(Object.entries(properties))
  for (const name of required) {
    if (schemas.has(name)) continue
    if (extra === false) throw invalid(`'${name}' is required, but not among the properties`, at)
    schemas.set(name, extra)
  }
  if (schemas.size === 0)
    return extra === false ? '"{}"' : members(build(extra, inside(at, 'additionalProperties')), at)
  const all = [...schemas].map(([name, value]): Member => ({
    text: `${literal(`${JSON.stringify(name)}:`)} ${gap(at.rules)} ${at.rules.add(build(value, inside(at, `properties/${name}`)))}`,
    required: required.has(name),
  }))
  return `"{" ${orderedMembers(all, at.rules)} "}"`
}

/** Members in the schema's order, optional ones present or not. One rule a member for «none before», one for «some before». */
function orderedMembers(all: readonly Member[], rules: Rules): string {
  const comma = `"," ${gap(rules)}`
  let first = '""'
  let later = '""'
  for (const member of all.toReversed()) {
    const after = later
    const text = rules.add(member.text)
    first = rules.add(member.required ? `${text} ${after}` : `${text} ${after} | ${first}`)
    later = rules.add(member.required ? `${comma} ${text} ${after}` : `${comma} ${text} ${after} | ${after}`)
  }
  return first
}

function array(schema: Schema, at: Build): string {
  const min = count(schema, 'minItems', at) ?? 0
  const asked = count(schema, 'maxItems', at)
  const bound = at.bounds.items === null ? null : Math.max(min, at.bounds.items)
  const max = asked === null ? bound : Math.min(asked, bound ?? longestRepeat)
  if (min > longestRepeat || (asked !== null && min > asked)) throw unsupported(`'minItems' of ${min}`, at)
  if (max === 0) return '"[]"'
  const item = at.rules.add(build(schema['items'] ?? true, inside(at, 'items')))
  const more = at.rules.add(`"," ${gap(at.rules)} ${item}`)
  const some = `"[" ${item} ${repeat(more, Math.max(0, min - 1), max === null ? null : max - 1)} "]"`
  return min === 0 ? `"[]" | ${some}` : some
}

function string(schema: Schema, at: Build): string {
  const format = schema['format']
  if (format !== undefined) {
    const shape = typeof format === 'string' ? formats[format] : undefined
    if (shape === undefined) throw unsupported(`the string format '${String(format)}'`, at)
    if (schema['minLength'] !== undefined || schema['maxLength'] !== undefined)
      throw unsupported("a length beside 'format'", at)
    return `"\\"" ${shape} "\\""`
  }
  const min = count(schema, 'minLength', at) ?? 0
  const asked = count(schema, 'maxLength', at)
  if (min > longestRepeat || (asked !== null && min > asked)) throw unsupported(`'minLength' of ${min}`, at)
  const bound = at.bounds.chars === null ? null : Math.max(min, at.bounds.chars)
  const max = asked === null ? bound : Math.min(asked, bound ?? longestRepeat)
  return `"\\"" ${repeat(jsonChar(at.rules), min, max)} "\\""`
}

// Days and months are not matched to each other further than the 28th, which every month has.
const date = '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | "1" [0-9] | "2" [0-8])'
const time =
  '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,3})? ("Z" | [+-] ("0" [0-9] | "1" [0-3]) ":" [0-5] [0-9])'
const formats: { readonly [name: string]: string } = {
  'date': date,
  'time': time,
  'date-time': `${date} "T" ${time}`,
  'uuid': '[0-9a-f]{8} "-" [0-9a-f]{4} "-4" [0-9a-f]{3} "-" [89ab] [0-9a-f]{3} "-" [0-9a-f]{12}',
}

function integer(schema: Schema, at: Build): string {
  const { min, max } = range(schema)
  if (min === -Infinity && max === Infinity) return `"0" | "-"? [1-9] [0-9]{0,${integerDigits - 1}}`
  const text = integersWithin(min, max)
  if (text === null) throw unsupported(`a range that no integer of ${integerDigits} digits is in`, at)
  return text
}

/** A bounded number is whole, or a fraction between two whole numbers of the range: fewer than the schema allows, never others. */
function number(schema: Schema, at: Build): string {
  const { min, max } = range(schema)
  const fraction = `"." [0-9]{1,${integerDigits}}`
  if (min === -Infinity && max === Infinity) {
    return `"-"? ("0" | [1-9] [0-9]{0,${integerDigits - 1}}) (${fraction})? ([eE] [+-]? [0-9]{1,2})?`
  }
  const whole = integersWithin(min, max)
  if (whole === null) throw unsupported('a range of numbers with no whole number in it', at)
  const floors = integersWithin(Math.max(0, min), Math.floor(max) - 1)
  return floors === null ? whole : `${whole} | ${floors} ${fraction}`
}

/** Inclusive whole-number edges of the range. */
function range(schema: Schema): { min: number; max: number } {
  const edge = (keyword: string): number | null => (typeof schema[keyword] === 'number' ? schema[keyword] : null)
  const above = edge('exclusiveMinimum')
  const below = edge('exclusiveMaximum')
  return {
    min: Math.max(edge('minimum') ?? -Infinity, above === null ? -Infinity : Math.floor(above) + 1),
    max: Math.min(edge('maximum') ?? Infinity, below === null ? Infinity : Math.ceil(below) - 1),
  }
}

/** `depth` is how many objects and lists may still be opened; `null`: any number. */
function anyValue(at: Build, depth: number | null): string {
  return at.rules.shared(`value ${depth}`, () => {
    const flat = [string({}, at), number({}, at), '"true" | "false" | "null"']
    if (depth === 0) return flat.join(' | ')
    const inner = anyValue(at, depth === null ? null : depth - 1)
    const more = at.rules.add(`"," ${gap(at.rules)} ${inner}`)
    const items = repeat(more, 0, at.bounds.items)
    return [...flat, `"[]" | "[" ${inner} ${items} "]"`, anyObject(at, depth)].join(' | ')
  })
}

const anyObject = (at: Build, depth: number | null): string =>
  at.rules.shared(`object ${depth}`, () => members(anyValue(at, depth === null ? null : Math.max(0, depth - 1)), at))

function members(value: string, at: Build): string {
  const key = `"\\"" ${repeat(jsonChar(at.rules), 1, Math.min(at.bounds.chars ?? 64, 64))} "\\""`
  const member = at.rules.add(`${key} ":" ${gap(at.rules)} ${value}`)
  const more = at.rules.add(`"," ${gap(at.rules)} ${member}`)
  return `"{}" | "{" ${member} ${repeat(more, 0, at.bounds.items)} "}"`
}

function typesOf(schema: Schema): string[] | null {
  const type = schema['type']
  if (typeof type === 'string') return [type]
  if (Array.isArray(type) && type.length > 0) return type.map(String)
  if (schema['properties'] !== undefined || schema['required'] !== undefined) return ['object']
  if (schema['items'] !== undefined) return ['array']
  return null
}

/** Whether no value can hold two of these: they differ in type, or in a required property that has one value in each. */
function apart(branches: readonly unknown[]): boolean {
  const schemas = branches.filter(isObject)
  if (schemas.length !== branches.length) return false
  const kinds = schemas.map(schema =>
    schema['const'] === undefined && schema['enum'] === undefined ? typesOf(schema) : null,
  )
  const flat = kinds.flatMap(types => types ?? ['?'])
  if (
    !flat.includes('?') &&
    new Set(flat).size === flat.length &&
    !(flat.includes('integer') && flat.includes('number'))
  )
    return true
  const first = schemas[0]
  const names = first !== undefined && isObject(first['properties']) ? Object.keys(first['properties']) : []
  return names.some(name => {
    const marks = schemas.map(schema => {
      const required = Array.isArray(schema['required']) && schema['required'].includes(name)
      const property = isObject(schema['properties']) ? schema['properties'][name] : undefined
      if (!required || !isObject(property)) return undefined
      const single = Array.isArray(property['enum']) && property['enum'].length === 1 ? property['enum'][0] : undefined
      return JSON.stringify(property['const'] ?? single)
    })
    return !marks.includes(undefined) && new Set(marks).size === marks.length
  })
}

function countStrings(schema: unknown): number {
  if (Array.isArray(schema)) return schema.reduce((sum: number, part) => sum + countStrings(part), 0)
  if (!isObject(schema)) return 0
  const own = schema['type'] === 'string' && schema['enum'] === undefined && schema['const'] === undefined ? 1 : 0
  return own + Object.values(schema).reduce((sum: number, part) => sum + countStrings(part), 0)
}

function count(schema: Schema, keyword: string, at: Build): number | null {
  const value = schema[keyword]
  if (value === undefined) return null
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
    throw invalid(`'${keyword}' must be a whole number`, at)
  return value
}

function list(value: unknown, at: Build): unknown[] {
  if (!Array.isArray(value) || value.length === 0) throw invalid('a list with at least one entry is needed', at)
  return value
}

const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const unsupported = (what: string, { path }: Build): FaultError =>
  new FaultError({
    kind: 'unsupported',
    what: `In the JSON schema${path === '' ? '' : ` at ${path}`}: ${what}`,
    instead: 'Leave it out of the schema and check the answer yourself.',
  })

const invalid = (problem: string, { path }: Build): FaultError =>
  new FaultError({
    kind: 'request-invalid',
    param: 'response_format',
    problem: `The JSON schema is not valid${path === '' ? '' : ` at ${path}`}: ${problem}.`,
  })

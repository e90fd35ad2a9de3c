/** Does a value fit a JSON Schema? The usual keywords of draft 2020-12; a keyword that is not known is a problem of the schema, not a pass. */
import { canonicalJson } from './canonical.ts'
import { compileLinear } from './linear-regex.ts'

type Schema = boolean | Record<string, unknown>

/** They say something about a value and hold for every one. `format` is one of them, as the draft has it. */
const annotations =
  '$schema $id $comment $defs definitions title description default examples deprecated readOnly writeOnly format'
const keywords =
  '$ref type enum const properties required additionalProperties patternProperties propertyNames minProperties maxProperties items prefixItems minItems maxItems uniqueItems contains minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf allOf anyOf oneOf not if then else dependentRequired'
const known = new Set([...annotations.split(' '), ...keywords.split(' ')])
const types = new Set(['string', 'number', 'integer', 'boolean', 'object', 'array', 'null'])
const deepest = 200
/** Steps for one value: a schema of nested alternatives can ask for more than anybody waits for. */
const mostSteps = 200_000

class TooMuch extends Error {}

/** What is wrong with the schema itself, with its places. Empty: it can be used. */
export function problemsOfSchema(schema: unknown, path = '', root: unknown = schema): string[] {
  if (typeof schema === 'boolean') return []
  const fields = recordOf(schema)
  const at = path === '' ? 'the schema' : path
  if (fields === null) return [`${at} is neither an object nor true or false`]
  if (path.split('/').length > deepest) return [`${at} is nested too deep`]
  const strange = Object.keys(fields).filter(name => !known.has(name))
  return [
    ...strange.map(name => `${at}: the keyword '${name}' is not known here`),
    ...problemsOfType(fields['type'], at),
    ...['pattern'].flatMap(name => problemsOfPattern(fields[name], `${at}/${name}`)),
    ...Object.keys(recordOf(fields['patternProperties']) ?? {}).flatMap(pattern => problemsOfPattern(pattern, at)),
    ...problemsOfReference(fields['$ref'], { at, root }),
    ...below(fields).flatMap(([name, sub]) => problemsOfSchema(sub, `${path}/${name}`, root)),
  ]
}

/** What does not fit, with places (`/items/0/name`); at most five. Empty: it fits. */
export function misfits(schema: unknown, value: unknown): string[] {
  try {
    return check({ schema: toSchema(schema), root: schema, steps: { left: mostSteps }, depth: 0 }, value, '').slice(
      0,
      5,
    )
  } catch (error) {
    if (error instanceof TooMuch)
      return ['checking takes too long: the schema goes round in circles, or its alternatives are too many']
    throw error
  }
}

type At = { schema: Schema; root: unknown; steps: { left: number }; depth: number }

function check(at: At, value: unknown, path: string): string[] {
  if (at.steps.left-- <= 0 || at.depth > deepest) throw new TooMuch()
  const { schema } = at
  if (schema === true) return []
  if (schema === false) return [`${place(path)} should not be there`]
  return [
    ...checkReference(at, value, path),
    ...checkValue(schema, value, path),
    ...(typeof value === 'string' ? checkText(schema, value, path) : []),
    ...(typeof value === 'number' ? checkNumber(schema, value, path) : []),
    ...(Array.isArray(value) ? checkList(at, value, path) : []),
    ...(recordOf(value) === null ? [] : checkObject(at, recordOf(value) ?? {}, path)),
    ...checkCombined(at, value, path),
  ]
}

const into = (at: At, schema: unknown): At => ({ ...at, schema: toSchema(schema), depth: at.depth + 1 })
const fits = (at: At, schema: unknown, value: unknown): boolean => check(into(at, schema), value, '').length === 0

function checkReference(at: At, value: unknown, path: string): string[] {
  const reference = at.schema === true || at.schema === false ? undefined : at.schema['$ref']
  if (typeof reference !== 'string') return []
  // A schema that refers to itself without going down would go on for ever: the depth ends it.
  return check(into(at, resolve(at.root, reference)), value, path)
}

function checkValue(schema: Record<string, unknown>, value: unknown, path: string): string[] {
  const wanted = schema['type'] === undefined ? null : [schema['type']].flat().map(String)
  const choices = schema['enum']
  const problems: string[] = []
  if (wanted !== null && !wanted.some(type => isOfType(value, type)))
    problems.push(`${place(path)} is ${typeOf(value)}, not ${wanted.join(' or ')}`)
  if (Array.isArray(choices) && !choices.some(choice => isSame(choice, value)))
    problems.push(`${place(path)} is none of the values allowed`)
  if ('const' in schema && !isSame(schema['const'], value)) problems.push(`${place(path)} is not the value wanted`)
  return problems
}

function checkText(schema: Record<string, unknown>, value: string, path: string): string[] {
  const length = [...value].length
  const pattern = schema['pattern']
  const isMatched = typeof pattern !== 'string' || matches(pattern, value)
  return [
    ...bound(length >= least(schema, 'minLength'), `${place(path)} is shorter than ${String(schema['minLength'])}`),
    ...bound(length <= most(schema, 'maxLength'), `${place(path)} is longer than ${String(schema['maxLength'])}`),
    ...bound(isMatched, `${place(path)} does not match ${String(pattern)}`),
  ]
}

function checkNumber(schema: Record<string, unknown>, value: number, path: string): string[] {
  const step = schema['multipleOf']
  // Decimal steps (0.1) have no exact binary form: the quotient is compared, not the rest.
  const quotient = typeof step === 'number' ? value / step : 0
  return [
    ...bound(value >= least(schema, 'minimum'), `${place(path)} is less than ${String(schema['minimum'])}`),
    ...bound(value <= most(schema, 'maximum'), `${place(path)} is more than ${String(schema['maximum'])}`),
    ...bound(
      value > least(schema, 'exclusiveMinimum'),
      `${place(path)} is not more than ${String(schema['exclusiveMinimum'])}`,
    ),
    ...bound(
      value < most(schema, 'exclusiveMaximum'),
      `${place(path)} is not less than ${String(schema['exclusiveMaximum'])}`,
    ),
    ...bound(
      Math.abs(quotient - Math.round(quotient)) <= 1e-9 * Math.max(1, Math.abs(quotient)),
      `${place(path)} is no multiple of ${String(step)}`,
    ),
  ]
}

function checkList(at: At, value: readonly unknown[], path: string): string[] {
  const schema = recordOf(at.schema) ?? {}
  const first = Array.isArray(schema['prefixItems']) ? schema['prefixItems'] : []
  const contains = schema['contains']
  const isUnique =
    schema['uniqueItems'] !== true || new Set(value.map(item => canonicalJson(item))).size === value.length
  return [
    ...bound(
      value.length >= least(schema, 'minItems'),
      `${place(path)} has fewer than ${String(schema['minItems'])} items`,
    ),
    ...bound(
      value.length <= most(schema, 'maxItems'),
      `${place(path)} has more than ${String(schema['maxItems'])} items`,
    ),
    ...bound(isUnique, `${place(path)} has an item twice`),
    ...bound(
      contains === undefined || value.some(item => fits(at, contains, item)),
      `${place(path)} has no item of the kind wanted`,
    ),
    ...value.flatMap((item, index) => {
      const own = index < first.length ? first[index] : schema['items']
      return own === undefined ? [] : check(into(at, own), item, `${path}/${index}`)
    }),
  ]
}

function checkObject(at: At, value: Record<string, unknown>, path: string): string[] {
  const schema = recordOf(at.schema) ?? {}
  const properties = recordOf(schema['properties']) ?? {}
  const patterns = Object.entries(recordOf(schema['patternProperties']) ?? {})
  const dependent = Object.entries(recordOf(schema['dependentRequired']) ?? {})
  const names = Object.keys(value)
  const required = [
    ...textsOf(schema['required']),
    ...dependent.flatMap(([name, needs]) => (Object.hasOwn(value, name) ? textsOf(needs) : [])),
  ]
  const missing = required.filter(name => !Object.hasOwn(value, name))
  const rest = schema['additionalProperties']
  return [
    ...missing.map(name => `${place(path)} lacks '${name}'`),
    ...bound(names.length >= least(schema, 'minProperties'), `${place(path)} has too few properties`),
    ...bound(names.length <= most(schema, 'maxProperties'), `${place(path)} has too many properties`),
    ...names.flatMap(name => {
      const under = `${path}/${name}`
      const own = Object.hasOwn(properties, name) ? [properties[name]] : []
      const matched = patterns.filter(([pattern]) => matches(pattern, name)).map(([, sub]) => sub)
      const others = own.length + matched.length === 0 && rest !== undefined ? [rest] : []
      const named = schema['propertyNames']
      return [
        ...[...own, ...matched, ...others].flatMap(sub => check(into(at, sub), value[name], under)),
        ...bound(named === undefined || fits(at, named, name), `${place(under)} has a name that is not allowed`),
      ]
    }),
  ]
}

function checkCombined(at: At, value: unknown, path: string): string[] {
  const schema = recordOf(at.schema) ?? {}
  const [all, any, one] = ['allOf', 'anyOf', 'oneOf'].map(name => (Array.isArray(schema[name]) ? schema[name] : null))
  const count = (one ?? []).filter(sub => fits(at, sub, value)).length
  const branch = schema['if'] === undefined ? undefined : schema[fits(at, schema['if'], value) ? 'then' : 'else']
  return [
    ...(all ?? []).flatMap(sub => check(into(at, sub), value, path)),
    ...bound(!any || any.some(sub => fits(at, sub, value)), `${place(path)} fits none of anyOf`),
    ...bound(!one || count === 1, `${place(path)} fits ${count} of oneOf, not one`),
    ...bound(schema['not'] === undefined || !fits(at, schema['not'], value), `${place(path)} fits what it must not`),
    ...(branch === undefined ? [] : check(into(at, branch), value, path)),
  ]
}

function problemsOfType(type: unknown, at: string): string[] {
  if (type === undefined) return []
  const wrong = [type].flat().filter(name => typeof name !== 'string' || !types.has(name))
  return wrong.map(name => `${at}: there is no type ${JSON.stringify(name)}`)
}

function problemsOfPattern(pattern: unknown, at: string): string[] {
  if (pattern === undefined) return []
  const read = typeof pattern === 'string' ? compileLinear(pattern) : { ok: false as const, problem: 'it is no text' }
  return read.ok ? [] : [`${at}: the pattern can’t be used: ${read.problem}`]
}

function problemsOfReference(reference: unknown, { at, root }: { at: string; root: unknown }): string[] {
  if (reference === undefined) return []
  return resolve(root, reference) === undefined ? [`${at}: $ref leads nowhere inside the schema`] : []
}

/** The schemas inside a schema, with their places. */
function below(fields: Record<string, unknown>): [string, unknown][] {
  const single = ['additionalProperties', 'propertyNames', 'items', 'contains', 'not', 'if', 'then', 'else']
  const lists = ['allOf', 'anyOf', 'oneOf', 'prefixItems']
  const maps = ['properties', 'patternProperties', '$defs', 'definitions']
  return [
    ...single.flatMap((name): [string, unknown][] => (name in fields ? [[name, fields[name]]] : [])),
    ...[...lists, ...maps].flatMap(name =>
      Object.entries(fields[name] ?? {}).map(([key, sub]): [string, unknown] => [`${name}/${key}`, sub]),
    ),
  ]
}

function resolve(root: unknown, reference: unknown): unknown {
  if (typeof reference !== 'string' || !reference.startsWith('#')) return undefined
  const steps = reference.slice(1).split('/').slice(1)
  return steps.reduce<unknown>((value, step) => {
    const name = decode(step).replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(value)) return value[Number(name)]
    const fields = recordOf(value)
    return fields !== null && Object.hasOwn(fields, name) ? fields[name] : undefined
  }, root)
}

function decode(text: string): string {
  return text.replaceAll(/%([0-7][0-9A-Fa-f])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function matches(pattern: string, text: string): boolean {
  const read = compileLinear(pattern)
  return read.ok && read.pattern.found(text)
}

/** Schemas are read for problems before they are used; what is no schema lets nothing pass. */
const toSchema = (value: unknown): Schema => (typeof value === 'boolean' ? value : (recordOf(value) ?? false))
const bound = (isWithin: boolean, otherwise: string): string[] => (isWithin ? [] : [otherwise])
const least = (schema: Record<string, unknown>, name: string): number => numberOr(schema[name], -Infinity)
const most = (schema: Record<string, unknown>, name: string): number => numberOr(schema[name], Infinity)
const numberOr = (value: unknown, otherwise: number): number => (typeof value === 'number' ? value : otherwise)
const textsOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])
const place = (path: string): string => (path === '' ? 'the value' : path)

function isOfType(value: unknown, type: string): boolean {
  if (type === 'number') return typeof value === 'number'
  if (type === 'integer') return Number.isInteger(value)
  return typeOf(value) === type
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

const isSame = (a: unknown, b: unknown): boolean => canonicalJson(a) === canonicalJson(b)

function recordOf(value: unknown): Record<string, unknown> | null {
  // A record after the check; its fields stay unknown.
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null
}

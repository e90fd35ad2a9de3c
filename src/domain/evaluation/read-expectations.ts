/** `expect` of a golden case: which checks an answer must pass. All that are named count together. */
import { isRecord, type Tell } from './fields.ts'
import { checkKinds, type Expectations } from './golden-case.ts'
import { problemsOfSchema } from './json-schema.ts'
import { compileLinear } from './linear-regex.ts'

const usualSimilarity = 0.8
/** «Correct and useful; small things are missing»: the anchors of the judge's marks are in rubric-prompt.ts. */
const usualMark = 7

export function readExpectations(value: unknown, tell: Tell): Expectations {
  if (value === undefined) return {}
  if (!isRecord(value)) {
    tell('expect must be an object, such as {"contains": "Paris"}')
    return {}
  }
  const known: readonly string[] = checkKinds
  for (const name of Object.keys(value).filter(key => !known.includes(key)))
    tell(`expect: unknown check '${name.slice(0, 60)}'; known: ${checkKinds.join(', ')}`)
  return {
    ...readExact(value['exact'], tell),
    ...readContains(value['contains'], tell),
    ...readRegex(value['regex'], tell),
    ...readSchema(value['json_schema'], tell),
    ...readToolCall(value['tool_call'], tell),
    ...readSimilar(value['similar'], tell),
    ...readRubric(value['rubric'], tell),
  }
}

function readExact(value: unknown, tell: Tell): Pick<Expectations, 'exact'> {
  if (value === undefined) return {}
  if (typeof value === 'string') return { exact: value }
  tell('expect.exact must be text')
  return {}
}

function readContains(value: unknown, tell: Tell): Pick<Expectations, 'contains'> {
  if (value === undefined) return {}
  const texts = [value].flat()
  if (texts.length > 0 && texts.every(text => typeof text === 'string' && text !== ''))
    return { contains: texts.map(String) }
  tell('expect.contains must be a text, or a list of texts that must all occur')
  return {}
}

function readRegex(value: unknown, tell: Tell): Pick<Expectations, 'regex'> {
  if (value === undefined) return {}
  if (typeof value !== 'string') {
    tell('expect.regex must be text; (?i) in front ignores case')
    return {}
  }
  const read = compileLinear(value)
  if (read.ok) return { regex: { source: value, pattern: read.pattern } }
  tell(`expect.regex can’t be used: ${read.problem}`)
  return {}
}

function readSchema(value: unknown, tell: Tell): Pick<Expectations, 'jsonSchema'> {
  if (value === undefined) return {}
  const problems = problemsOfSchema(value)
  for (const problem of problems) tell(`expect.json_schema: ${problem}`)
  return problems.length === 0 ? { jsonSchema: value } : {}
}

function readToolCall(value: unknown, tell: Tell): Pick<Expectations, 'toolCall'> {
  if (value === undefined) return {}
  const given = isRecord(value) ? value : {}
  const name = given['name']
  const wanted = given['arguments'] ?? {}
  if (typeof name === 'string' && isRecord(wanted)) return { toolCall: { name, arguments: wanted } }
  tell('expect.tool_call must be {"name": …, "arguments": {…}}; only the arguments that are named are compared')
  return {}
}

function readSimilar(value: unknown, tell: Tell): Pick<Expectations, 'similar'> {
  if (value === undefined) return {}
  const given = isRecord(value) ? value : { to: value }
  const to = given['to']
  const atLeast = given['atLeast'] ?? usualSimilarity
  if (typeof to === 'string' && to !== '' && typeof atLeast === 'number' && atLeast > 0 && atLeast <= 1)
    return { similar: { to, atLeast } }
  tell('expect.similar must be {"to": text, "atLeast": more than 0, at most 1}')
  return {}
}

function readRubric(value: unknown, tell: Tell): Pick<Expectations, 'rubric'> {
  if (value === undefined) return {}
  const given = isRecord(value) ? value : { criteria: value }
  const criteria = given['criteria']
  const atLeast = given['atLeast'] ?? usualMark
  if (typeof criteria === 'string' && criteria !== '' && typeof atLeast === 'number' && atLeast >= 1 && atLeast <= 10)
    return { rubric: { criteria, atLeast } }
  tell('expect.rubric must be text, or {"criteria": text, "atLeast": a mark from 1 to 10}')
  return {}
}

/** Does one answer hold what its case expects? Each check passes or not, with a score from 0 to 1 and the reason. Rules: C1–C10 in SPEC.md. */
import { normalise, type GivenAnswer } from './answer.ts'
import { isRecord } from './fields.ts'
import type { CheckKind, Expectations } from './golden-case.ts'
import { misfits } from './json-schema.ts'
import { toScore } from './judge/rubric-prompt.ts'
import { canonicalJson } from './canonical.ts'
import type { Similarity } from './similarity.ts'

export type CheckResult =
  | { check: CheckKind; measured: true; passes: boolean; score: number; why: string }
  /** Neither passed nor failed: whoever should have measured could not. */
  | { check: CheckKind; measured: false; why: string }

/** All checks that need nothing but the answer. */
export function checkAnswer(expect: Expectations, answer: Pick<GivenAnswer, 'text' | 'toolCalls'>): CheckResult[] {
  const { exact, contains, regex, jsonSchema, toolCall } = expect
  return [
    ...(exact === undefined ? [] : [checkExact(exact, answer.text)]),
    ...(contains === undefined ? [] : [checkContains(contains, answer.text)]),
    ...(regex === undefined ? [] : [checkRegex(regex, answer.text)]),
    ...(jsonSchema === undefined ? [] : [checkSchema(jsonSchema, answer.text)]),
    ...(toolCall === undefined ? [] : [checkToolCall(toolCall, answer.toolCalls)]),
  ]
}

export function checkSimilar({ atLeast }: { atLeast: number }, { value, by }: Similarity): CheckResult {
  if (Number.isNaN(value))
    return {
      check: 'similar',
      measured: false,
      why: 'nothing to compare: a text without words, or vectors of another length',
    }
  const how = by === 'embeddings' ? 'cosine of embeddings' : 'cosine of word counts: lexical, no embedding model'
  const why = `${value.toFixed(3)} (${how}), at least ${atLeast}`
  return { check: 'similar', measured: true, passes: value >= atLeast, score: clip(value), why }
}

export function checkMark({ atLeast }: { atLeast: number }, mark: number, reason: string): CheckResult {
  const why = `mark ${mark.toFixed(1)}, at least ${atLeast}${reason === '' ? '' : `: ${reason}`}`
  return { check: 'rubric', measured: true, passes: mark >= atLeast, score: toScore(mark), why }
}

function checkExact(wanted: string, text: string): CheckResult {
  const isSame = normalise(wanted) === normalise(text)
  return yesOrNo('exact', isSame, isSame ? 'the same text' : `it says ${shown(text)}, not ${shown(wanted)}`)
}

function checkContains(wanted: readonly string[], text: string): CheckResult {
  const said = normalise(text)
  const missing = wanted.filter(part => !said.includes(normalise(part)))
  const why = missing.length === 0 ? 'all there' : `${shown(text)} lacks ${missing.map(shown).join(', ')}`
  const score = (wanted.length - missing.length) / wanted.length
  return { check: 'contains', measured: true, passes: missing.length === 0, score, why }
}

function checkRegex({ source, pattern }: NonNullable<Expectations['regex']>, text: string): CheckResult {
  if (text.length > pattern.longest) {
    const why = `the answer has ${text.length} characters; this pattern reads at most ${pattern.longest}`
    return yesOrNo('regex', false, why)
  }
  const isFound = pattern.found(text)
  return yesOrNo('regex', isFound, `${isFound ? 'it matches' : `${shown(text)} does not match`} ${source}`)
}

function checkSchema(schema: unknown, text: string): CheckResult {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    const isFenced = text.trimStart().startsWith('```')
    return yesOrNo(
      'json_schema',
      false,
      isFenced ? 'it is a fenced block, not JSON alone' : `it is no JSON: ${shown(text)}`,
    )
  }
  const wrong = misfits(schema, value)
  return yesOrNo('json_schema', wrong.length === 0, wrong.length === 0 ? 'it fits' : wrong.join('; '))
}

function checkToolCall(wanted: NonNullable<Expectations['toolCall']>, calls: GivenAnswer['toolCalls']): CheckResult {
  const named = calls.filter(call => call.function.name === wanted.name)
  if (named.length === 0) {
    const made = calls.map(call => call.function.name).join(', ')
    return yesOrNo('tool_call', false, `it calls ${made === '' ? 'nothing' : made}, not ${wanted.name}`)
  }
  const tries = named.map(call => differences(wanted.arguments, parse(call.function.arguments), ''))
  const [best = []] = tries.toSorted((a, b) => a.length - b.length)
  const passes = best.length === 0
  const why = passes ? `it calls ${wanted.name} as expected` : `it calls ${wanted.name}, but ${best.join('; ')}`
  return { check: 'tool_call', measured: true, passes, score: passes ? 1 : 0.5, why }
}

/** What of `wanted` is not in `given`. Objects may have more than was asked for; lists and plain values must be equal. */
function differences(wanted: unknown, given: unknown, path: string): string[] {
  if (!isRecord(wanted)) {
    const isSame = canonicalJson(wanted) === canonicalJson(given)
    return isSame ? [] : [`${path} is ${canonicalJson(given).slice(0, 80)}, not ${canonicalJson(wanted).slice(0, 80)}`]
  }
  if (!isRecord(given)) return [`${path === '' ? 'its arguments are' : `${path} is`} no object`]
  return Object.entries(wanted).flatMap(([name, value]) => {
    const under = path === '' ? name : `${path}.${name}`
    return Object.hasOwn(given, name) ? differences(value, given[name], under) : [`${under} is missing`]
  })
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return null
  }
}

function yesOrNo(check: CheckKind, passes: boolean, why: string): CheckResult {
  return { check, measured: true, passes, score: Number(passes), why }
}

const clip = (value: number): number => Math.min(1, Math.max(0, value))

function shown(text: string): string {
  const one = normalise(text)
  return JSON.stringify(one.length > 120 ? `${one.slice(0, 120)}…` : one)
}

/** Problems with a spec: where, what, and what was probably meant. */
import type { z } from 'zod'
import { valueAt } from './document.ts'
import type { Path } from './document.ts'
import { keysAt } from './json-schema.ts'
import { nearest } from './nearest.ts'

export type SpecProblem = { path: Path; message: string; suggestion?: string }

type Issue = z.core.$ZodIssue

/** Says each thing that the schema found wrong in the spec's own words. Values are never repeated: one may be a secret. */
export function toProblems(issues: readonly Issue[], document: unknown): SpecProblem[] {
  return issues.flatMap(issue => {
    const path = issue.path.map(step => (typeof step === 'number' ? step : String(step)))
    if (issue.code === 'unrecognized_keys') {
      const known = keysAt(path)
      return issue.keys.map(key => unknownKey(path, key, known))
    }
    return [toProblem(issue, path, valueAt(document, path))]
  })
}

/** A problem whose suggestion may be missing. */
export function problem(path: Path, message: string, suggestion: string | null = null): SpecProblem {
  return suggestion === null ? { path, message } : { path, message, suggestion }
}

function unknownKey(path: Path, key: string, known: readonly string[]): SpecProblem {
  const meant = nearest(key, known)
  const message = `unknown key "${clip(key)}"${meant === null ? `; known here: ${known.join(', ')}` : ''}`
  return problem([...path, key], message, meant)
}

function toProblem(issue: Issue, path: Path, value: unknown): SpecProblem {
  if (value === undefined && issue.code !== 'invalid_key') return problem(path, 'is missing')
  if (value === null) return problem(path, 'is empty: give it a value, or leave the key out')
  switch (issue.code) {
    case 'invalid_type':
      return problem(path, own(issue) ?? `expected ${kinds[issue.expected] ?? issue.expected}, got ${kindOf(value)}`)
    case 'invalid_value': {
      const values = issue.values.map(String)
      if (values.length === 1) return problem(path, `must be ${values[0]}`)
      return problem(
        path,
        `expected one of ${values.join(', ')}`,
        typeof value === 'string' ? nearest(value, values) : null,
      )
    }
    case 'invalid_key':
      return problem(path, issue.issues[0]?.message ?? issue.message)
    case 'too_small':
      return problem(
        path,
        own(issue) ?? `must ${bound(issue.origin)} ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`,
      )
    case 'too_big':
      return problem(
        path,
        own(issue) ?? `must ${bound(issue.origin)} ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`,
      )
    case 'invalid_union':
      return problem(path, own(issue) ?? `expected a plain value, got ${kindOf(value)}`)
    default:
      return problem(path, issue.message)
  }
}

/** The schema's own message, where it has one. */
const own = (issue: Issue): string | null =>
  /^(Invalid|Too|Unrecognized)\b/.test(issue.message) ? null : issue.message

const bound = (origin: string): string => (origin === 'array' ? 'have' : 'be')

const kinds: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number' && !Number.isInteger(value)) return 'a fraction'
  return kinds[typeof value] ?? typeof value
}

export const clip = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}…` : text)

/** Reads a golden set: JSON lines, one case each; all that is wrong at once, with line numbers. Rules: G1–G6 in SPEC.md. */
import type { GoldenCase, GoldenSet } from './golden-case.ts'
import { readCase } from './read-case.ts'

/** `line` counts from 1. */
export type GoldenProblem = { line: number; problem: string }
export type GoldenReading = { ok: true; set: GoldenSet } | { ok: false; problems: readonly GoldenProblem[] }

const mostCases = 10_000
const longestLine = 1_000_000
/** More problems than anybody reads at once. */
const mostProblems = 100

export function parseGoldenSet(text: string): GoldenReading {
  const problems: GoldenProblem[] = []
  const cases: GoldenCase[] = []
  const seen = new Map<string, number>()
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  for (const [index, content] of lines.entries()) {
    const line = index + 1
    if (content.trim() === '') continue
    if (cases.length >= mostCases) {
      problems.push({ line, problem: `a set has at most ${mostCases} cases: split it` })
      break
    }
    const read = readLine(content)
    problems.push(...read.problems.map(problem => ({ line, problem })))
    if (read.id !== null) {
      const first = seen.get(read.id)
      if (first !== undefined) problems.push({ line, problem: `the id '${read.id}' is taken by line ${first}` })
      else seen.set(read.id, line)
    }
    if (read.made !== null) cases.push(read.made)
  }
  if (cases.length === 0 && problems.length === 0) problems.push({ line: 1, problem: 'there is no case in it' })
  if (problems.length === 0) return { ok: true, set: { cases } }
  const told = problems.slice(0, mostProblems)
  const more = problems.length - told.length
  const last = told.at(-1)?.line ?? 1
  return { ok: false, problems: more === 0 ? told : [...told, { line: last, problem: `and ${more} more problems` }] }
}

function readLine(content: string): { made: GoldenCase | null; id: string | null; problems: readonly string[] } {
  const none = { made: null, id: null }
  if (content.length > longestLine)
    return { ...none, problems: [`a line has at most ${longestLine} characters; this one has ${content.length}`] }
  let value: unknown
  try {
    value = JSON.parse(content)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { ...none, problems: [`this is no JSON: ${why.slice(0, 120)}`] }
  }
  return readCase(value)
}

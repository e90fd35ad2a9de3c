/** A run as JUnit XML, as CI systems read it: a test for each case, and one for the verdict. */
import { standingOf, type CaseRow } from '../../../domain/evaluation/index.ts'
import { whyOf } from './report.ts'
import type { Results } from './results.ts'

type Test = { name: string; seconds: number; result: { kind: 'failure' | 'skipped'; message: string } | null }

export function renderJunit({ rows, outcome, model, set }: Results): string {
  const verdict: Test = {
    ...{ name: 'verdict', seconds: 0 },
    result:
      outcome.verdict === 'pass'
        ? null
        : { kind: 'failure', message: `${outcome.verdict}: ${outcome.reasons.join('; ')}` },
  }
  const tests = [...rows.map(toTest), verdict]
  const count = (kind: string): number => tests.filter(test => test.result?.kind === kind).length
  const counts = `tests="${tests.length}" failures="${count('failure')}" errors="0" skipped="${count('skipped')}"`
  const seconds = tests.reduce((sum, test) => sum + test.seconds, 0).toFixed(3)
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts} time="${seconds}">`,
    `  <testsuite name="${escape(set.name)}" ${counts} time="${seconds}">`,
    ...tests.map(test => renderTest(test, model)),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n')
}

/** Where there is another arm, a case fails by being worse than there; what both fail says nothing about a change. */
function toTest(row: CaseRow): Test {
  const seconds =
    row.candidate.reduce((sum, trial) => sum + (trial.kind === 'answered' ? trial.latencyMs : 0), 0) / 1000
  const { passes } = standingOf(row, row.candidate, { marks: true })
  const before = row.live === null ? null : standingOf(row, row.live, { marks: true }).passes
  const test = { name: row.id, seconds }
  if (!row.expects) return { ...test, result: { kind: 'skipped', message: 'it expects nothing' } }
  if (passes === null) return { ...test, result: { kind: 'skipped', message: `not measured: ${whyOf(row.candidate)}` } }
  if (passes) return { ...test, result: null }
  if (before === false)
    return { ...test, result: { kind: 'skipped', message: `both fail it: ${whyOf(row.candidate)}` } }
  return { ...test, result: { kind: 'failure', message: whyOf(row.candidate) } }
}

function renderTest({ name, seconds, result }: Test, model: string): string {
  const head = `    <testcase name="${escape(name)}" classname="${escape(model)}" time="${seconds.toFixed(3)}"`
  if (result === null) return `${head}/>`
  return `${head}><${result.kind} message="${escape(result.message)}"/></testcase>`
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
  '\t': '&#9;',
}

/** XML 1.0 has no way to write other control characters and lone surrogates, so they are replaced. */
function escape(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[^\P{Cc}\n\t]|[\uFFFE\uFFFF]/gu, '\uFFFD')
    .replaceAll(/[&<>"\n\t]/g, char => entities[char] ?? char)
}

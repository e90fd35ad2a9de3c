/** A run for people: both arms in numbers, the verdict, and the cases that matter. */
import { standingOf, type ArmFigures, type CaseRow, type Trial } from '../../../domain/evaluation/index.ts'
import { percent, renderTable } from '../output.ts'
import type { Results } from './results.ts'

const mostCases = 20

export function renderReport(results: Results, { out }: { out: string | null }): string {
  const { outcome, set, model, against, rows, kinship } = results
  const { live, candidate } = outcome.arms
  const head = ['', 'PASSED', 'OF', '95 %', 'SCORE', 'STABLE', 'UNSUPPORTED', 'MEDIAN']
  const arms = [...(live === null || against === null ? [] : [toCells(against, live)]), toCells(model, candidate)]
  return [
    `${set.name}: ${rows.length} cases.`,
    '',
    renderTable(head, arms),
    '',
    ...casesOf(rows),
    ...differenceOf(results),
    ...[...outcome.warnings, ...kinship].map(warning => `Note: ${warning}`),
    `Verdict: ${outcome.verdict}. ${outcome.reasons.map(sentence).join(' ')}`,
    ...(out === null ? ['Keep it for comparison with --out results.json.'] : [`Kept; compare with --baseline ${out}.`]),
  ]
    .map(printable)
    .join('\n')
}

function toCells(name: string, figures: ArmFigures): string[] {
  const { passed, measured, passRate, score, stability, claims, medianMs } = figures
  const interval = passRate === null ? '-' : passRate.interval.map(end => Math.round(end * 100)).join('–')
  return [
    name,
    ...[String(passed), String(measured), interval],
    score === null ? '-' : score.toFixed(3),
    stability === null ? '-' : percent(stability),
    claims === null || claims.all === 0 ? '-' : `${percent(claims.rate)} (${claims.unsupported} of ${claims.all})`,
    medianMs === null ? '-' : `${Math.round(medianMs)} ms`,
  ]
}

function casesOf(rows: readonly CaseRow[]): string[] {
  const failing = rows.filter(row => row.expects && standingOf(row, row.candidate, { marks: true }).passes !== true)
  if (failing.length === 0) return []
  const told = failing.slice(0, mostCases).flatMap(row => {
    const before = row.live === null ? null : standingOf(row, row.live, { marks: true }).passes
    const marks = [row.critical ? 'critical' : '', before === true ? 'the other one passes it' : ''].filter(Boolean)
    return [`  ${row.id}${marks.length > 0 ? ` (${marks.join(', ')})` : ''}`, `    ${whyOf(row.candidate)}`]
  })
  const more = failing.length - mostCases
  return ['Not passed:', ...told, ...(more > 0 ? [`  and ${more} more (--json has all)`] : []), '']
}

/** Of the first repeat that did not pass. */
export function whyOf(trials: readonly Trial[]): string {
  for (const trial of trials) {
    if (trial.kind === 'failed') return trial.why
    const wrong = trial.checks.filter(result => !result.measured || !result.passes)
    const cut = trial.cut ? ' (the answer was cut off by its token limit)' : ''
    if (wrong.length > 0) return `${wrong.map(({ check, why }) => `${check}: ${why}`).join('; ')}${cut}`
  }
  return ''
}

function differenceOf({ outcome }: Results): string[] {
  const { difference, discordant, closeness } = outcome
  if (difference === null || discordant === null) return []
  const { mean, lower, upper, smallestSeen, clusters } = difference
  return [
    `Difference of scores: ${signed(mean)} (95 % bounds ${signed(lower)} and ${signed(upper)}), over ${outcome.compared} cases in ${clusters} clusters.`,
    `Only the other one passes ${discordant.worse}, only this one ${discordant.better} (McNemar p ${discordant.p.toFixed(3)}).`,
    `The smallest regression that this run could see: ${percent(smallestSeen)}.`,
    ...(closeness === null
      ? []
      : [
          `Answers of both are ${closeness.mean.toFixed(3)} close (${closeness.by === 'words' ? 'by words: lexical, no --embed' : 'cosine of embeddings'}).`,
        ]),
    '',
  ]
}

const signed = (value: number): string => (Number.isFinite(value) ? `${value < 0 ? '' : '+'}${value.toFixed(3)}` : '-')

function sentence(text: string): string {
  const ended = /[.!?]$/.test(text) ? text : `${text}.`
  return `${ended.charAt(0).toUpperCase()}${ended.slice(1)}`
}

/** Answers may hold anything; a terminal's control sequences stay out of the output. */
const printable = (text: string): string => text.replace(/[^\P{C}\n\t]/gu, '\uFFFD')

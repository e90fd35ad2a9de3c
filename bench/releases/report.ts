/** The simulations as tables: what was found, beside what the defaults were chosen by and what must hold. */
import type { CanaryCase } from './canary.ts'
import { medianOf, percentOf } from './found.ts'
import type { Found } from './found.ts'
import type { JudgeCase } from './judge.ts'
import type { StepCase } from './steps.ts'

export type CanaryRow = { one: CanaryCase; found: Found }
export type JudgeRow = { one: JudgeCase; promoted: Found; regressed: Found }
export type StepRow = { one: StepCase; found: Found }

export function renderCanaries(rows: readonly CanaryRow[]): string {
  return renderTable(
    ['errors of live → candidate', 'share', 'rolled back %', 'chosen by %', 'median requests', 'chosen by'],
    rows.map(({ one, found }) => [
      one.title,
      String(one.share),
      percent(found),
      String(one.chosenBy?.found ?? '—'),
      median(found),
      String(one.chosenBy?.median ?? '—'),
    ]),
  )
}

export function renderJudges(rows: readonly JudgeRow[]): string {
  return renderTable(
    [
      'truth, wins/losses in 100',
      'δ',
      'promoted %',
      'chosen by %',
      'worse %',
      'chosen by %',
      'median pairs',
      'chosen by',
    ],
    rows.map(({ one, promoted, regressed }) => [
      one.title,
      String(one.margin),
      percent(promoted),
      String(one.chosenBy.promoted),
      percent(regressed),
      String(one.chosenBy.regressed),
      median(promoted.ends.length >= regressed.ends.length ? promoted : regressed),
      String(one.chosenBy.median ?? '—'),
    ]),
  )
}

export function renderSteps(rows: readonly StepRow[]): string {
  return renderTable(
    ['evidence: truth', 'α', 'found %', 'must be', 'median requests'],
    rows.map(({ one, found }) => [
      one.title,
      String(one.alpha),
      percent(found),
      one.found.atMost === undefined ? `≥ ${(one.found.atLeast ?? 0) * 100} %` : `≤ ${one.found.atMost * 100} %`,
      median(found),
    ]),
  )
}

function renderTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  return [titles, titles.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

function percent(found: Found): string {
  return String(Number(percentOf(found).toFixed(2)))
}

function median(found: Found): string {
  return String(medianOf(found) ?? '—')
}

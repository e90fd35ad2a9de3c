/** The report: everything that a release was decided by, as one page that needs nothing else. */
import type { CaseRow, GoldenOutcome } from '../../evaluation/index.ts'
import { standingOf } from '../../evaluation/index.ts'
import type { Instant } from '../../units.ts'
import { percent } from '../figures.ts'
import { isOverFor, shareOf } from '../plan.ts'
import type { KeptResult } from '../ports.ts'
import { recompute, type Recomputed } from '../recompute.ts'
import type { Decision, EvidenceEvent, JudgedPair, Release } from '../release.ts'
import { renderChart, type Line } from './chart.ts'
import { html, type Node } from './html.ts'
import { style } from './style.ts'
import { timelineOf, type Timeline } from './timeline.ts'

export type ReportParts = {
  release: Release
  decisions: readonly Decision[]
  /** All of them, in order. */
  events: readonly EvidenceEvent[]
  kept: readonly KeptResult[]
  /** What to be wary of, told in words. */
  warnings: readonly string[]
  now: Instant
  /** A moment as people read it. */
  timeOf: (at: Instant) => string
}

/** Rows of a table that anybody reads. */
const mostRows = 200

export function renderReport(parts: ReportParts): string {
  const { release, warnings, now, timeOf } = parts
  const { model, from, to, phase, verdict, why, policy, by, id, startedAt } = release
  const timeline = timelineOf(release, parts.events)
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
        <title>${model}: ${to}</title>
        <style>
          ${{ raw: style }}
        </style>
      </head>
      <body>
        <h1>${model}</h1>
        <p class="path"><code>${from}</code> → <code>${to}</code></p>
        <p class="verdict ${verdict}"><strong>${phase}</strong> · ${verdict} · ${why}</p>
        ${warnings.map(warning => html`<p class="warning">${warning}</p>`)}
        <dl>
          <dt>Release</dt>
          <dd><code>${id}</code>${release.same ? ' (the same version under two names: to calibrate)' : ''}</dd>
          <dt>Began</dt>
          <dd>${timeOf(startedAt)}, by ${by.alias ?? by.who}: ${by.reason}</dd>
          <dt>Policy</dt>
          <dd>${policy.name ?? 'none'}</dd>
          <dt>Share now</dt>
          <dd>${percent(shareOf(release))}</dd>
          <dt>Evidence</dt>
          <dd>${parts.events.length} events</dd>
        </dl>
        ${gatesSection(release)} ${shareSection(parts)} ${eValueSection(timeline, timeOf)} ${timesSection(timeline)}
        ${pairsSection(parts.events)} ${resultsSection(release, parts.kept)} ${decisionsSection(parts)}
        <footer>Made ${timeOf(now)}.</footer>
      </body>
    </html> `
  return page.raw
}

function gatesSection({ gates }: Release): Node {
  if (gates.length === 0)
    return html`<h2>Gates</h2>
      <p>None was looked at yet.</p>`
  return html`<h2>Gates</h2>
    <div class="wide">
      <table>
        <tr>
          <th>Gate</th>
          <th>Verdict</th>
          <th class="n">E-value</th>
          <th class="n">Fails at</th>
          <th class="n">Not worse</th>
          <th class="n">Passes at</th>
          <th class="n">Needed</th>
          <th>Evidence</th>
        </tr>
        ${gates.map(
          gate =>
            html`<tr>
              <td class="s">${gate.name}</td>
              <td class="v ${gate.verdict}">${gate.verdict}</td>
              <td class="n">${short(gate.eValue)}</td>
              <td class="n">${short(gate.threshold)}</td>
              <td class="n">${short(gate.notWorse?.eValue)}</td>
              <td class="n">${short(gate.notWorse?.threshold)}</td>
              <td class="n">${short(gate.needed)}</td>
              <td class="t">${gate.evidence}</td>
            </tr>`,
        )}
      </table>
    </div>`
}

function shareSection({ release, decisions, now, timeOf }: ReportParts): Node {
  const last = decisions.at(-1)
  const until = isOverFor(release) ? (last?.at ?? now) : now
  const points: [number, number][] = [
    [release.startedAt, 0],
    ...decisions.map(({ at, share }): [number, number] => [at, share]),
    [until, last?.share ?? 0],
  ]
  return html`<h2>Share of the traffic</h2>
    ${renderChart({
      lines: [{ name: 'candidate', kind: 1, points }],
      x: { from: release.startedAt, to: until, label: value => clock(value, timeOf) },
      y: { from: 0, to: 1, label: percent },
      stepped: true,
    })}`
}

function eValueSection({ eValues, span }: Timeline, timeOf: ReportParts['timeOf']): Node {
  if (eValues.length === 0 || span === null) return html``
  const values = eValues.flatMap(({ threshold, points }) => [Math.log10(threshold), ...points.map(p => p[1])])
  const lowest = Math.floor(Math.min(0, ...values))
  const highest = Math.ceil(Math.max(...values) + 0.2)
  const every = Math.max(1, Math.ceil((highest - lowest) / 6))
  return html`<h2>Evidence that the candidate is worse</h2>
    <p>
      E-values: the odds that it is worse than its gate allows. Where a line reaches its threshold, all traffic goes
      back; for sample-ratio, nothing is believed any more, and the release is held.
    </p>
    ${renderChart({
      lines: eValues.map(({ gate, points }, at) => ({ name: gate, kind: kindAt(at), points })),
      x: { ...span, label: value => clock(value, timeOf) },
      y: {
        from: lowest,
        to: highest,
        label: value => (value < 5 ? `${short(10 ** value)} : 1` : `1e${value} : 1`),
        ticks: Array.from({ length: Math.floor((highest - lowest) / every) + 1 }, (_, n) => lowest + n * every),
      },
      marks: [...new Map(eValues.map(({ gate, threshold }) => [threshold, gate]))].map(([threshold, gate]) => ({
        at: Math.log10(threshold),
        label: `${gate}: ${short(threshold)}`,
      })),
    })}`
}

function timesSection({ times }: Timeline): Node {
  const { live, candidate } = times
  if (live.requests + candidate.requests === 0) return html``
  const row = (name: string, pick: (arm: Timeline['times']['live']) => string): Node =>
    html`<tr>
      <td>${name}</td>
      <td class="n">${pick(live)}</td>
      <td class="n">${pick(candidate)}</td>
    </tr>`
  const at = (values: readonly number[], part: number): string =>
    values.length === 0 ? '-' : `${short(values[Math.min(values.length - 1, Math.floor(values.length * part))])} ms`
  return html`<h2>Requests</h2>
    <div class="wide">
      <table>
        <tr>
          <th></th>
          <th class="n">Live</th>
          <th class="n">Candidate</th>
        </tr>
        ${row('Requests', arm => String(arm.requests))}
        ${row('Failed', arm => `${arm.failed} (${percent(arm.requests === 0 ? 0 : arm.failed / arm.requests)})`)}
        ${row('First token, half are faster than', arm => at(arm.firstToken, 0.5))}
        ${row('First token, 95 % are faster than', arm => at(arm.firstToken, 0.95))}
        ${row('Each token after it, half', arm => at(arm.perToken, 0.5))}
        ${row('Each token after it, 95 %', arm => at(arm.perToken, 0.95))}
      </table>
    </div>
    ${speedChart('Time to the first token', live.firstToken, candidate.firstToken)}
    ${speedChart('Time for each token after it', live.perToken, candidate.perToken)}`
}

function speedChart(title: string, live: readonly number[], candidate: readonly number[]): Node {
  const slowest = Math.max(at(live, 0.99), at(candidate, 0.99))
  if (live.length + candidate.length === 0 || slowest <= 0) return html``
  const line = (name: string, values: readonly number[], kind: Line['kind']): Line => ({
    ...{ name, kind },
    // The slowest of a hundred would press all the others together.
    points: Array.from({ length: values.length === 0 ? 0 : 100 }, (_, part) => [at(values, part / 100), part / 100]),
  })
  return html`<h3>${title}</h3>
    ${renderChart({
      lines: [line('live', live, 2), line('candidate', candidate, 1)],
      x: { from: 0, to: slowest, label: value => `${short(value)} ms` },
      y: { from: 0, to: 1, label: percent },
    })}`

  function at(values: readonly number[], part: number): number {
    return values[Math.min(values.length - 1, Math.floor(values.length * part))] ?? 0
  }
}

function pairsSection(events: readonly EvidenceEvent[]): Node {
  const pairs = events.flatMap(event => (event.kind === 'pair' ? [event.pair] : []))
  if (pairs.length === 0) return html``
  const judged = pairs.filter(({ verdicts }) => verdicts.length > 0)
  return html`<h2>Judged pairs</h2>
    <p>
      ${pairs.length} pairs: ${judged.length} judged in both orders, ${pairs.filter(pair => pair.identical).length} with
      equal answers, ${pairs.filter(pair => pair.failed === true).length} without an answer of the candidate. What was
      said is not kept unless the spec captures texts.
    </p>
    <div class="wide">
      <table>
        <tr>
          <th class="n">#</th>
          <th>Candidate first</th>
          <th>Live first</th>
          <th>Counts as</th>
          <th class="n">Characters live</th>
          <th class="n">candidate</th>
          <th>Reasons</th>
        </tr>
        ${judged.slice(-mostRows).map((pair, n) => pairRow(pair, n + 1))}
      </table>
    </div>`
}

function pairRow({ verdicts, lengths }: JudgedPair, n: number): Node {
  const said = (slot: 'A' | 'B'): string => {
    const verdict = verdicts.find(({ candidateIn }) => candidateIn === slot)
    return verdict === undefined ? '-' : (verdict.winner ?? 'not readable')
  }
  const agree = said('A') === said('B')
  const reasons = verdicts.map(({ reason }) => reason).filter(reason => reason !== '')
  return html`<tr>
    <td class="n">${n}</td>
    <td>${said('A')}</td>
    <td>${said('B')}</td>
    <td>${agree ? said('A') : 'tie'}</td>
    <td class="n">${lengths.live}</td>
    <td class="n">${lengths.candidate}</td>
    <td>${reasons.join(' / ')}</td>
  </tr>`
}

function resultsSection({ smoke }: Release, kept: readonly KeptResult[]): Node {
  const golden = kept.find(({ kind }) => kind === 'golden')
  return html`${
    smoke === null
      ? ''
      : html`<h2>Smoke</h2>
          <div class="wide">
            <table>
              <tr>
                <th>Check</th>
                <th></th>
                <th>Detail</th>
              </tr>
              ${smoke.checks.map(
                ({ name, passed, detail }) =>
                  html`<tr>
                    <td class="s">${name}</td>
                    <td class="v ${passed ? 'promote' : 'rollback'}">${passed ? 'passed' : 'failed'}</td>
                    <td class="t">${detail}</td>
                  </tr>`,
              )}
            </table>
          </div>`
  }${golden === undefined ? '' : goldenSection(golden.content)}`
}

function goldenSection(content: unknown): Node {
  // Kept by the release's own run of the set.
  const { outcome, rows } = content as { outcome?: GoldenOutcome; rows?: readonly CaseRow[] }
  if (outcome === undefined || rows === undefined) return html``
  const mark = (trials: CaseRow['live'], row: CaseRow): Node => {
    if (trials === null) return '-'
    const { passes, score } = standingOf(row, trials, { marks: true })
    const word = passes === null ? 'not measured' : wordOf[passes ? 'yes' : 'no']
    return html`<span class="v ${passes === false ? 'rollback' : 'promote'}">${word}</span>
      ${score === null ? '' : percent(score)}`
  }
  const answer = (trials: CaseRow['live']): string => {
    const first = trials?.[0]
    if (first === undefined) return ''
    return first.kind === 'answered' ? first.answer.slice(0, 300) : first.why
  }
  return html`<h2>Golden set</h2>
    <p>
      ${outcome.verdict}:
      ${outcome.reasons.join('; ')}${outcome.difference === null ? '' : `. Difference ${percent(outcome.difference.mean)}, at least ${percent(outcome.difference.lower)} with 95 % confidence; the smallest regression that this set could see is ${percent(outcome.difference.smallestSeen)}`}.
    </p>
    <div class="wide">
      <table>
        <tr>
          <th>Case</th>
          <th>Live</th>
          <th>Candidate</th>
          <th>Answer of the live version</th>
          <th>Answer of the candidate</th>
        </tr>
        ${rows.slice(0, mostRows).map(
          row =>
            html`<tr>
              <td>${row.id}${row.critical ? ' (critical)' : ''}</td>
              <td>${mark(row.live, row)}</td>
              <td>${mark(row.candidate, row)}</td>
              <td>${answer(row.live)}</td>
              <td>${answer(row.candidate)}</td>
            </tr>`,
        )}
      </table>
    </div>`
}

function decisionsSection({ release, decisions, events, timeOf }: ReportParts): Node {
  const again = new Map(recompute(release, decisions, events).map(each => [each.n, each]))
  const isGone = (events[0]?.seq ?? Infinity) > 1 && decisions.some(({ seq }) => seq > 0)
  return html`<h2>Decisions</h2>
    <p>«Again»: what comes out when it is decided once more from the stored evidence. Times are UTC.</p>
    <div class="wide">
      <table>
        <tr>
          <th class="n">#</th>
          <th>When</th>
          <th>From</th>
          <th>To</th>
          <th class="n">Share</th>
          <th>Verdict</th>
          <th>Why</th>
          <th>By</th>
          <th>Again</th>
        </tr>
        ${decisions.map(({ n, at, from, to, share, verdict, why, by }) => {
          const found = again.get(n)
          const status = isGone ? 'its evidence is gone (capture.retention)' : againOf(found)
          return html`<tr>
            <td class="n">${n}</td>
            <td class="s">${timeOf(at).replace('T', ' ').slice(0, 19)}</td>
            <td class="s">${place(from)}</td>
            <td class="s">${place(to)}</td>
            <td class="n">${percent(share)}</td>
            <td class="v ${verdict}">${verdict}</td>
            <td class="t">${why}</td>
            <td class="s">${by.alias ?? by.who}</td>
            <td class="${isGone || found?.agrees === true ? 's' : 'rollback'}">${status}</td>
          </tr>`
        })}
      </table>
    </div>`
}

function againOf(found: Recomputed | undefined): string {
  if (found === undefined) return 'not computed'
  return found.agrees ? 'the same' : found.differences.join('; ')
}

const wordOf = { yes: 'passes', no: 'fails' } as const

const place = ({ phase, step }: { phase: string; step: number }): string =>
  phase === 'canary' ? `canary ${step}` : phase

const clock = (value: number, timeOf: ReportParts['timeOf']): string =>
  // A place between two moments is a moment.
  timeOf(Math.round(value) as Instant).slice(11, 19)

const kinds = [3, 4, 5, 6, 1, 2] as const
const kindAt = (at: number): Line['kind'] => kinds[at % kinds.length] ?? 1

function short(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '-'
  if (Math.abs(value) >= 100_000) return value.toExponential(1)
  return String(Number(value.toPrecision(3)))
}

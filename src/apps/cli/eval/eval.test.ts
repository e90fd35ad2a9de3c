import { InvalidArgumentError } from 'commander'
import { expect, test } from 'vitest'
import type { CaseRow, Trial } from '../../../domain/evaluation/index.ts'
import { renderJunit } from './junit.ts'
import { tellProgress } from './progress.ts'
import { renderReport } from './report.ts'
import type { Results } from './results.ts'
import { margin, sharePassed, temperature } from './share-option.ts'

const trial = (passes: boolean, why: string): Trial => ({
  ...{ kind: 'answered', answer: 'x', claims: null, cut: false, latencyMs: 1_500 },
  checks: [{ check: 'contains', measured: true, passes, score: Number(passes), why }],
})
const row = (id: string, live: boolean | null, candidate: boolean, why = 'why'): CaseRow => ({
  ...{ id, cluster: id, critical: false, tags: [], expects: true, closeness: null },
  live: live === null ? null : [trial(live, '')],
  candidate: [trial(candidate, why)],
})
const arm = {
  ...{ measured: 2, passed: 1, passRate: { value: 0.5, interval: [0.1, 0.9] as const }, score: 0.5, stability: null },
  ...{ wavering: 0, claims: null, failed: 0, medianMs: 3 },
}
const results = (...rows: CaseRow[]): Results => ({
  ...{
    format: 'holdfast.eval/1',
    at: '',
    set: { name: 'a<b>&"c"', cases: {} },
    model: 'm',
    against: null,
    kinship: [],
  },
  ...{ settings: { repeats: 1, seed: 1, temperature: null }, rows, judge: null, versions: { live: [], candidate: [] } },
  outcome: {
    ...{ verdict: 'fail', reasons: ['it is worse'], warnings: [], cases: rows.length, compared: 0 },
    ...{
      arms: { live: null, candidate: arm },
      difference: null,
      discordant: null,
      broken: [],
      closeness: null,
      judge: null,
    },
  },
})

test('a case fails in JUnit by being worse than beside; what both fail is skipped', () => {
  const xml = renderJunit(
    results(row('good', true, true), row('worse', true, false), row('both', false, false), row('one', null, false)),
  )
  expect(xml).toContain('tests="5" failures="3" errors="0" skipped="1" time="6.000"')
  expect(xml).toContain('name="good" classname="m" time="1.500"/>')
  expect(xml).toMatch(/name="worse".*<failure message="contains: why"/)
  expect(xml).toMatch(/name="both".*<skipped message="both fail it/)
  expect(xml).toMatch(/name="verdict".*<failure message="fail: it is worse"/)
})

test('what an answer holds can’t break the XML, nor the terminal', () => {
  const nasty = 'a<b>&"c"\n\u0000\u001b[31m\uD800\uFFFE'
  const xml = renderJunit(results(row('x', null, false, nasty)))
  expect(xml).toContain('message="contains: a&lt;b&gt;&amp;&quot;c&quot;&#10;\uFFFD\uFFFD[31m\uFFFD\uFFFD"')
  expect(xml).toContain('name="a&lt;b&gt;&amp;&quot;c&quot;"')
  expect(renderReport(results(row('x', null, false, nasty)), { out: null })).not.toContain('\u001b')
})

test('shares are read as people write them', () => {
  expect(['2%', '0.5pp', '0.02', '100%', '0'].map(margin)).toEqual([0.02, 0.005, 0.02, 1, 0])
  for (const text of ['2', '-1%', '101%', '', 'x', '1%%'])
    expect(() => margin(text), text).toThrow(InvalidArgumentError)
  expect(() => sharePassed('0')).toThrow(InvalidArgumentError)
  expect(temperature('0.7')).toBe(0.7)
  expect(() => temperature('3')).toThrow(InvalidArgumentError)
})

test('progress is one line on a terminal, and a line for each quarter elsewhere', () => {
  const said: string[] = []
  const tell = tellProgress({ write: text => said.push(text) })
  for (let done = 1; done <= 8; done++) tell({ done, all: 8, what: 'answers' })
  tell({ done: 1, all: 1, what: 'controls' })
  expect(said).toEqual(
    ['2', '4', '6', '8'].map(n => `${n} of 8 answers\n`).concat('1 of 1 questions to the judge itself\n'),
  )
})

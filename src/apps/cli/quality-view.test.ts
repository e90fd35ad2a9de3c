import { expect, test } from 'vitest'
import { renderQuality, type QualityView } from './quality-view.ts'

type Model = QualityView['models'][number]
const version = 'dev-v1-a-q8-0-p0'
const row = (more: Partial<Model['rows'][number]> = {}): Model['rows'][number] => ({
  ...{ version, day: null, n: 120, mean: 7.25, interval: [7.1, 7.4], unread: 2, up: 3, down: 1 },
  ...more,
})
const view = (more: Partial<Model> = {}): QualityView => ({
  since: '2026-01-01T00:00:00.000Z',
  cut: false,
  models: [
    {
      ...{ model: 'coder', rows: [row()], otherJudges: 0 },
      trend: {
        ...{ verdict: 'worse', last: { n: 120, mean: 7.25 }, before: { n: 150, mean: 8 }, interval: [-0.9, -0.6] },
        why: 'means of 120 and 150 marks',
      },
      judge: {
        name: 'judge-1',
        digest: 'd',
        prompt: 'rubric-1',
        admissible: true,
        why: '',
        warnings: ['It is small.'],
      },
      ...more,
    },
  ],
})
const days = view({
  rows: [
    row({ day: '2026-01-01', mean: 1 }),
    row({ day: '2026-01-02', mean: null }),
    row({ day: '2026-01-03', mean: 10 }),
  ],
})

test('a version has its figures and a curve over its days with marks', () => {
  const text = renderQuality(view(), days)
  expect(text).toMatch(/MODEL +VERSION +DAYS +MARKS +MEAN +95 % +UNREAD +UP +DOWN/)
  expect(text).toMatch(/coder +dev-v1-a-q8-0-p0 +▁█ +120 +7\.25 +7\.10 … 7\.40 +2 +3 +1/)
  expect(text).toContain(
    'coder: WORSE than the week before (7.25 in the last 7 days, 8.00 before, difference -0.90 … -0.60): means of 120 and 150 marks',
  )
  expect(text).toContain('judge judge-1: admissible\n  It is small.')
})

test('by day each day has its row', () => {
  expect(renderQuality(days, days)).toMatch(/coder +dev-v1-a-q8-0-p0 +2026-01-02 +120 +- /)
})

test('a judge that may not judge, and one that has not proved itself, are shown as that', () => {
  const judge = { name: 'judge-1', digest: null, prompt: 'rubric-1', why: 'it obeys', warnings: [] }
  expect(renderQuality(view({ judge: { ...judge, admissible: false } }), days)).toContain('INADMISSIBLE: it obeys')
  expect(renderQuality(view({ judge: { ...judge, admissible: null } }), days)).toContain('unproven: it obeys')
  expect(renderQuality(view({ judge: null, rows: [row({ n: 0, mean: null, interval: null })] }), days)).not.toContain(
    'judge ',
  )
})

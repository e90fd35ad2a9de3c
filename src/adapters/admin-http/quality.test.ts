import { expect, test } from 'vitest'
import type { ModelQuality } from '../../domain/quality/index.ts'
import { instant, modelName, versionName } from '../../domain/units.ts'
import { qualityRoutes, type QualityAdmin } from './quality.ts'
import { openAdminServer } from './server.ts'

const dayMs = 86_400_000
const found: ModelQuality = {
  model: modelName('coder'),
  rows: [
    {
      ...{ version: versionName('dev-v1-a-q8-0-p0'), day: instant(20_000 * dayMs), n: 12, mean: 7.5, unread: 1 },
      ...{ interval: [7, 8], up: 2, down: 1 },
    },
  ],
  trend: {
    ...{ verdict: 'too-few', last: { n: 12, mean: 7.5 }, before: { n: 0, mean: null }, interval: null },
    why: '12 marks',
  },
  judge: {
    ...{ name: 'j', digest: null, prompt: 'rubric-1', warnings: ['It is small.'] },
    admissibility: { kind: 'inadmissible', why: ['it obeys', 'it can’t be read'] },
  },
  otherJudges: 3,
}

async function open() {
  const asked: Parameters<QualityAdmin['read']>[0][] = []
  const app = await openAdminServer({ version: '0.1.0', log: { error: () => {} } })
  const read: QualityAdmin['read'] = async ask => {
    asked.push(ask)
    return { since: instant(0), models: [found], cut: false }
  }
  await app.register(qualityRoutes({ quality: { read } }))
  return { asked, get: (url: string) => app.inject({ url }) }
}

test('quality is told by version over a week, unless it is asked for otherwise', async () => {
  const { asked, get } = await open()
  await get('/quality')
  await get('/quality?model=coder&since=12h&by=day')
  expect(asked).toEqual([
    { sinceMs: 7 * dayMs, by: 'version' },
    { model: 'coder', sinceMs: dayMs / 2, by: 'day' },
  ])
  expect((await get('/quality?by=hour')).statusCode).toBe(400)
  expect((await get('/quality?since=soon')).statusCode).toBe(400)
})

test('its answer names days, intervals, and whether the judge may judge', async () => {
  const { get } = await open()
  expect((await get('/quality')).json()).toMatchObject({
    since: '1970-01-01T00:00:00.000Z',
    models: [
      {
        model: 'coder',
        rows: [{ day: '2024-10-04', n: 12, mean: 7.5, interval: [7, 8], unread: 1, up: 2, down: 1 }],
        trend: { verdict: 'too-few', interval: null },
        judge: { admissible: false, why: 'it obeys; it can’t be read', warnings: ['It is small.'] },
        otherJudges: 3,
      },
    ],
  })
})

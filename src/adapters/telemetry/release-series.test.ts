import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import type { CloseRecord, ReleaseMark } from '../../domain/journal/index.ts'
import { modelName, releaseId, versionName } from '../../domain/units.ts'
import { openReleaseSeries } from './release-series.ts'

const mark: ReleaseMark = {
  id: releaseId('r'),
  step: 1,
  arm: 'candidate',
  version: versionName('v2'),
  unit: '0123456789abcdef',
}
/** Of a record, only what is counted. */
const closed = (parts: Partial<CloseRecord>) =>
  ({ model: modelName('coder'), version: versionName('v2'), outcome: 'ok', ...parts }) as CloseRecord

test('requests are counted by the arm they were assigned, and an answer by another version as a fall-back', async () => {
  const registry = new Registry()
  const series = openReleaseSeries(registry, () => [{ model: 'coder', candidate: 'v2', share: 0.25 }])
  series.finished(closed({ release: mark }))
  series.finished(closed({ release: mark, version: versionName('v1') }))
  series.finished(closed({ release: mark, outcome: 'failed' }))
  series.finished(closed({ release: { ...mark, arm: 'live', version: versionName('v1') }, version: versionName('v1') }))
  series.finished(closed({}))
  series.shadow(modelName('coder'), 'compared')
  const lines = (await registry.metrics()).split('\n').filter(line => line.startsWith('holdfast_'))
  expect(lines.toSorted()).toEqual([
    'holdfast_release_requests_total{model="coder",version="v1",arm="live",outcome="ok"} 1',
    'holdfast_release_requests_total{model="coder",version="v2",arm="candidate",outcome="failed"} 1',
    'holdfast_release_requests_total{model="coder",version="v2",arm="candidate",outcome="fell-back"} 1',
    'holdfast_release_requests_total{model="coder",version="v2",arm="candidate",outcome="ok"} 1',
    'holdfast_release_share{model="coder",candidate="v2"} 0.25',
    'holdfast_shadow_total{model="coder",outcome="compared"} 1',
  ])
})

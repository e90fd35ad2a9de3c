import { expect, test } from 'vitest'
import { instant, millis, modelName, releaseId, share, versionName } from '../../units.ts'
import { beginRelease } from '../begin.ts'
import type { EvidenceEvent, Policy, Release } from '../release.ts'
import { openEvidence, takeIn } from '../evidence.ts'
import { step } from '../step.ts'
import { renderReport, type ReportParts } from './report.ts'

const policy: Policy = {
  ...{
    name: 'careful',
    room: 'beside',
    smoke: { prompts: 1 },
    golden: null,
    shadow: null,
    hooks: [],
    onTimeout: 'hold',
  },
  canary: {
    steps: [share(0.5), share(1)],
    minTime: millis(1_000),
    minRequests: 5,
    maxTime: millis(60_000),
    bake: millis(1_000),
    stick: 'request',
  },
  gates: { errors: { margin: 0.01 }, firstToken: null, perToken: null, feedback: null },
}

function begun(): Release {
  return beginRelease({
    ...{ id: releaseId('r1'), model: modelName('chat'), policy, now: instant(0), same: false, salt: 's' },
    ...{ from: versionName('dev-v1-a-q8-0-p0'), to: versionName('dev-v2-a-q8-0-p0') },
    origin: { kind: 'command' },
    by: { who: 'admin', alias: null, reason: 'try <b>this</b>' },
  })
}

/** A release whose candidate fails often, played until it is rolled back. */
function played(): Pick<ReportParts, 'release' | 'decisions' | 'events'> {
  let release = begun()
  const decisions: ReportParts['decisions'][number][] = []
  const events: EvidenceEvent[] = []
  const evidence = openEvidence(policy)
  const feed = (event: Parameters<typeof step>[1]): void => {
    const { next, decision } = step(release, event)
    release = next
    // As the store keeps them.
    if (decision !== null) decisions.push(JSON.parse(JSON.stringify({ ...decision, n: decisions.length + 1 })))
  }
  const baseline = { at: instant(0), requests: 1_000, errorRate: 0.01, slow: {} }
  const ready = { state: 'ready', why: 'it answers' } as const
  const look = (now: number): void =>
    feed({ kind: 'look', now: instant(now), evidence, candidate: ready, live: ready, idle: false, baseline })
  look(10)
  const checks = [{ name: 'answers', passed: true, detail: '1 of 1' }]
  feed({ kind: 'smoke-done', now: instant(20), result: { at: instant(20), passed: true, checks } })
  look(30)
  for (let n = 1; n <= 400 && release.phase === 'canary'; n++) {
    const arm = n % 2 === 0 ? ('candidate' as const) : ('live' as const)
    const event: EvidenceEvent = {
      ...{ kind: 'request', seq: n, at: instant(1_000 + n), step: release.step, arm, unit: `u${n}`, cancelled: false },
      ...{ stratum: 'stream, up to 256', firstTokenMs: 20 + n, perTokenMs: 5 },
      failed: arm === 'candidate' && n % 6 === 0,
    }
    events.push(event)
    takeIn(evidence, event, release.baseline)
    look(1_000 + n)
  }
  return { release, decisions, events }
}

const rendered = (more: Partial<ReportParts> = {}): string =>
  renderReport({
    ...played(),
    kept: [],
    warnings: [],
    now: instant(100_000),
    timeOf: at => new Date(at).toISOString(),
    ...more,
  })

test('it tells the verdict, the gates, every decision, and that each comes out the same again', () => {
  const { release, decisions } = played()
  expect(release.phase).toBe('rolled-back')
  const page = rendered()
  expect(page).toContain('rolled-back')
  expect(page).toContain('errors')
  expect(page.match(/the same<\/td>/g)).toHaveLength(decisions.length)
  expect(page.match(/<svg/g)?.length).toBeGreaterThanOrEqual(3)
})

test('evidence that was changed afterwards is told by the decision that it no longer leads to', () => {
  const { release, decisions, events } = played()
  const mended = events.map(event => (event.kind === 'request' ? { ...event, failed: false } : event))
  const page = rendered({ release, decisions, events: mended })
  expect(page).toMatch(/stored .*, recomputed /)
})

test('evidence that retention took is told as such, not as another decision', () => {
  const { release, decisions } = played()
  const page = rendered({ release, decisions, events: [] })
  expect(page.match(/its evidence is gone/g)).toHaveLength(decisions.length)
  expect(page).not.toContain('recomputed')
})

test('what people and models wrote stays text', () => {
  const page = rendered({ warnings: ['</style><script>alert(1)</script>'] })
  expect(page).toContain('try &lt;b&gt;this&lt;/b&gt;')
  expect(page).not.toContain('<script')
})

test('it asks nobody for anything', () => {
  const page = rendered()
  expect(page).toContain(`default-src &#39;none&#39;`.replaceAll('&#39;', "'"))
  expect(page).not.toMatch(/(src|href|url)\s*[=(]\s*["']?(https?:)?\/\//)
})

test('one that has just begun has a report too', () => {
  const page = rendered({ release: begun(), decisions: [], events: [] })
  expect(page).toContain('None was looked at yet')
})

/** What every release store does: the same sentences over each adapter. */
import { afterEach, describe, expect, test } from 'vitest'
import type { AuditStore, CloseRecord, RequestStore } from '../../src/domain/journal/index.ts'
import type { Decision, JudgedPair, Release, ReleaseStore } from '../../src/domain/release/index.ts'
import type { FlagStore } from '../../src/domain/serving/index.ts'
import {
  instant,
  millis,
  modelName,
  releaseId,
  requestId,
  share,
  teamName,
  tokens,
  versionName,
} from '../../src/domain/units.ts'
import { aClose } from './records.ts'

type Opened = {
  audit: AuditStore
  releases: ReleaseStore
  flags: FlagStore
  requests: RequestStore
  close: () => Promise<void>
}

const id = releaseId('0199f0c8-0000-7000-8000-000000000001')
const [from, to] = [versionName('dev-v1-a-q8-0-p0'), versionName('dev-v2-a-q8-0-p0')]
const model = modelName('coder')

const release = (more: Partial<Release> = {}): Release => ({
  ...{ id, model, from, to, startedAt: instant(1_000), since: instant(1_000), same: false, salt: 's', step: 0 },
  policy: {
    ...{ name: 'careful', room: 'beside', smoke: null, golden: null, shadow: null, canary: null, hooks: [] },
    gates: { errors: null, firstToken: null, perToken: null, feedback: null },
    onTimeout: 'hold',
  },
  origin: { kind: 'command' },
  by: { who: 'admin', alias: null, reason: 'better' },
  ...{ phase: 'canary', heldIn: null, baseline: null, smoke: null, golden: null, verdict: 'hold', why: 'it began' },
  gates: [],
  ...more,
})

const decision = (n: number): Decision => ({
  ...{ release: id, n, at: instant(2_000 + n), verdict: 'hold', why: `step ${n}`, gates: [], seq: n, inputs: { n } },
  from: { phase: 'draft', step: 0 },
  to: { phase: 'canary', step: n },
  share: share(0.5),
  by: { who: 'controller', alias: null, reason: 'evidence' },
})

const pair: JudgedPair = {
  verdicts: [{ winner: 'candidate', candidateIn: 'A', critical: false, reason: 'shorter' }],
  identical: false,
  lengths: { live: 10, candidate: 8 },
  judge: 'dev-v1-judge-q8-0-p0',
}

const closeOf = (n: number, more: Partial<CloseRecord> = {}): CloseRecord => ({
  ...aClose(requestId(`0199f0c8-0000-7000-8000-1000000000${String(n).padStart(2, '0')}`)),
  at: instant(3_000 + n),
  model,
  version: to,
  attempts: 1,
  release: { id, step: 1, arm: 'candidate', version: to, unit: `u${n}` },
  ...more,
})

const batch = (records: CloseRecord[], at = 0) => ({
  ...{ epoch: 'e1', from: { segment: 1, offset: at }, to: { segment: 1, offset: at + 10 } },
  ...{ anchors: [], ended: false, records },
})

export function releaseStoreContract(name: string, openStore: () => Promise<Opened>): void {
  describe(`the release store contract, over ${name}`, () => {
    let opened: Opened[] = []
    afterEach(async () => {
      for (const one of opened) await one.close()
      opened = []
    })
    async function open(): Promise<Opened> {
      const one = await openStore()
      opened.push(one)
      return one
    }

    test('a release is what was saved last, and its decisions are all of them, in order', async () => {
      const { releases } = await open()
      await releases.save(release(), null)
      await releases.save(release({ step: 1 }), decision(1))
      await releases.save(release({ phase: 'bake' }), decision(2))
      expect(await releases.find(id)).toEqual(release({ phase: 'bake' }))
      expect(await releases.decisions(id)).toEqual([decision(1), decision(2)])
      expect(await releases.find(releaseId('another'))).toBeNull()
    })

    test('a state whose decision was saved before is not saved either', async () => {
      const { releases } = await open()
      await releases.save(release(), decision(1))
      await expect(releases.save(release({ phase: 'live' }), decision(1))).rejects.toThrow()
      expect(await releases.find(id)).toMatchObject({ phase: 'canary' })
    })

    test('they are listed newest first, by model or all', async () => {
      const { releases } = await open()
      const other = release({ id: releaseId('other'), model: modelName('general'), startedAt: instant(2_000) })
      await releases.save(release(), null)
      await releases.save(other, null)
      expect((await releases.list({ limit: 10 })).map(each => each.id)).toEqual(['other', id])
      expect((await releases.list({ model, limit: 10 })).map(each => each.id)).toEqual([id])
      expect(await releases.list({ limit: 1 })).toHaveLength(1)
    })

    test('what the journal tells of a release is there once, in order, whatever is taken in twice', async () => {
      const { releases, requests } = await open()
      await releases.save(release(), null)
      const failed = closeOf(2, { outcome: 'failed', status: 502 })
      await requests.ingest(batch([closeOf(1), failed]))
      await requests.ingest(batch([closeOf(1), failed]))
      // The same record once more, from a segment that was copied back.
      await requests.ingest(batch([failed, closeOf(3)], 10))
      const events = await releases.events(id, { after: 0, limit: 10 })
      expect(events).toMatchObject([
        { kind: 'request', seq: 1, unit: 'u1', arm: 'candidate', step: 1, failed: false },
        { kind: 'request', seq: 2, unit: 'u2', failed: true },
        { kind: 'request', seq: 3, unit: 'u3', failed: false },
      ])
      expect(await releases.events(id, { after: 1, limit: 1 })).toEqual([events[1]])
    })

    test('an answer by another version is the arm’s failure, and what asked no engine says nothing', async () => {
      const { releases, requests } = await open()
      await releases.save(release(), null)
      const records = [closeOf(1, { version: from }), closeOf(2, { attempts: 0, outcome: 'refused', status: 429 })]
      await requests.ingest(batch(records))
      expect(await releases.events(id, { after: 0, limit: 10 })).toMatchObject([{ unit: 'u1', failed: true }])
    })

    test('a release that the store does not know keeps no record from being taken in', async () => {
      const { releases, requests } = await open()
      expect(await requests.ingest(batch([closeOf(1)]))).toEqual({ applied: true })
      expect(await requests.list({ limit: 10 })).toHaveLength(1)
      expect(await releases.events(id, { after: 0, limit: 10 })).toEqual([])
    })

    test('pairs and requests share one order, also when both are written at once', async () => {
      const { releases, requests } = await open()
      await releases.save(release(), null)
      const judged = [1, 2, 3].map(n => releases.addPairs(id, [{ at: instant(n), pair }]))
      await Promise.all([...judged, requests.ingest(batch([closeOf(1), closeOf(2)]))])
      const events = await releases.events(id, { after: 0, limit: 10 })
      expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5])
      expect(events.filter(({ kind }) => kind === 'pair')).toHaveLength(3)
      expect(events).toContainEqual(expect.objectContaining({ kind: 'pair', pair }))
    })

    test('whole results are kept beside it, the last of each kind', async () => {
      const { releases } = await open()
      await releases.save(release(), null)
      await releases.keep(id, { kind: 'golden', at: instant(1), content: { rows: [1] } })
      await releases.keep(id, { kind: 'golden', at: instant(2), content: { rows: [2] } })
      expect(await releases.kept(id)).toEqual([{ kind: 'golden', at: 2, content: { rows: [2] } }])
    })

    test('what a version served before tells how it usually does', async () => {
      const { releases, requests } = await open()
      const times = { stream: true, ttftMs: millis(50), totalMs: millis(250), inputTokens: tokens(300) }
      const streamed = closeOf(1, { ...times, version: from, outputTokens: tokens(11) })
      const ended = closeOf(2, { version: from, outcome: 'failed', status: 500, stream: false })
      await requests.ingest(batch([streamed, ended, closeOf(3)]))
      expect(await releases.served({ model, version: from, since: instant(3_000), limit: 10 })).toMatchObject([
        { failed: true },
        { failed: false, stratum: 'stream, up to 1024', firstTokenMs: 50, perTokenMs: 20 },
      ])
      expect(await releases.served({ model, version: from, since: instant(3_002), limit: 10 })).toHaveLength(1)
      expect(await releases.served({ model, version: from, since: instant(0), limit: 1 })).toHaveLength(1)
    })

    test('evidence goes with the records of its time once its release is over; decisions stay', async () => {
      const { releases, requests, audit } = await open()
      await releases.save(release(), decision(1))
      await requests.ingest(batch([closeOf(1), closeOf(2)]))
      const left = async () => (await releases.events(id, { after: 0, limit: 10 })).map(({ seq }) => seq)
      await audit.deleteBefore(instant(3_002), 100)
      expect(await left()).toEqual([1, 2])
      await releases.save(release({ phase: 'rolled-back' }), null)
      await audit.deleteBefore(instant(3_002), 100)
      expect(await left()).toEqual([2])
      expect(await releases.decisions(id)).toHaveLength(1)
    })

    test('a flag is as it was set last, until it is reset', async () => {
      const { flags } = await open()
      const setting = { name: 'fast', teams: [teamName('dev')], share: share(0.25), at: instant(5) }
      await flags.set({ ...setting, share: share(1) })
      await flags.set(setting)
      expect(await flags.settings()).toEqual([setting])
      expect([await flags.reset('fast'), await flags.reset('fast')]).toEqual([true, false])
      expect(await flags.settings()).toEqual([])
    })

    test('which version really answers, and what was asked for, is as it was set last', async () => {
      const { releases } = await open()
      const other = { model: modelName('a-first'), live: to, asked: { live: to, digest: null } }
      await releases.setReal([{ model, live: from, asked: { live: to, digest: 'd1' } }, other])
      await releases.setReal([{ model, live: to, asked: { live: to, digest: null } }])
      expect(await releases.real()).toEqual([other, { model, live: to, asked: { live: to, digest: null } }])
    })
  })
}

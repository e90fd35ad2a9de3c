/** What every audit store does: the same sentences over each adapter. */
import { afterEach, describe, expect, test } from 'vitest'
import type { AccessStore } from '../../src/domain/access/index.ts'
import type { ActRecord, AuditFilter, AuditStore, Batch, RequestStore } from '../../src/domain/journal/index.ts'
import { actId, instant, keyId, modelName, teamName } from '../../src/domain/units.ts'
import { aKey } from './access-store.ts'
import { aClose, anOpen, noon } from './records.ts'

type Opened = { requests: RequestStore; audit: AuditStore; access: AccessStore; close: () => Promise<void> }

const hourMs = 3_600_000
/** An id as they are made at that moment; `n` tells those of one moment apart. */
const idAt = (at: number, n = 0): string => {
  const time = at.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${String(n).padStart(12, '0')}`
}
const anAct = (at: number, change: Partial<ActRecord> = {}): ActRecord => ({
  t: 'act',
  id: actId(idAt(at, 1)),
  at: instant(at),
  who: 'admin',
  alias: null,
  from: '10.0.0.1',
  what: 'key.create',
  target: 'k1',
  decision: 'done',
  why: null,
  detail: { after: { alias: 'bot' } },
  ...change,
})
const request = (at: number, change: Parameters<typeof aClose>[1] = {}) =>
  aClose(idAt(at), { at: instant(at), ...change })

export function auditStoreContract(name: string, openStore: () => Promise<Opened>): void {
  describe(`the audit store contract, over ${name}`, () => {
    let opened: Opened[] = []
    afterEach(async () => {
      for (const one of opened) await one.close()
      opened = []
    })
    async function open(): Promise<Opened & { take: (records: Batch['records'], epoch?: string) => Promise<void> }> {
      const one = await openStore()
      opened.push(one)
      await one.audit.beginActs('e1')
      const at = new Map<string, number>()
      return {
        ...one,
        async take(records, epoch = 'e1') {
          const offset = at.get(epoch) ?? 0
          at.set(epoch, offset + 1)
          const [from, to] = [offset, offset + 1].map(each => ({ segment: 1, offset: each }))
          if (!from || !to) return
          await one.requests.ingest({ epoch, from, to, records, anchors: [], ended: false })
        },
      }
    }
    const finder = (store: AuditStore) => async (filter: Partial<AuditFilter>) =>
      (await store.search({ limit: 100, kinds: ['request', 'act'], ...filter })).map(entry =>
        entry.kind === 'act' ? `${entry.act.what} ${entry.act.target}` : `request ${entry.request.key}`,
      )

    test('an act is read back whole, and once however often it is told', async () => {
      const { audit, take } = await open()
      await take([anAct(noon)])
      await take([anAct(noon)])
      const { t: _, at: __, ...act } = anAct(noon)
      expect(await audit.search({ limit: 10, kinds: ['act'] })).toEqual([
        { kind: 'act', act: { ...act, time: '2026-01-05T12:00:00.000Z' } },
      ])
      expect(await audit.hasAct(act.id)).toBe(true)
      expect(await audit.hasAct(actId('none'))).toBe(false)
    })

    test('acts in an epoch that no controller began are passed over', async () => {
      const { audit, take } = await open()
      await take([anAct(noon)], 'e2')
      expect(await audit.search({ limit: 10, kinds: ['act'] })).toEqual([])
      expect(await audit.epochsOfActs()).toEqual(['e1'])
    })

    test('requests and acts come together, the newest first, in pages', async () => {
      const { audit, take } = await open()
      await take([request(noon), anAct(noon + 1), request(noon + 2), anAct(noon + 3)])
      const seen: string[] = []
      for (let before: string | undefined; ;) {
        const page = await audit.search({
          limit: 3,
          kinds: ['request', 'act'],
          ...(before === undefined ? {} : { before }),
        })
        seen.push(...page.map(entry => (entry.kind === 'act' ? entry.act.id : entry.request.id)))
        before = seen.at(-1)
        if (page.length < 3) break
      }
      expect(seen).toEqual([idAt(noon + 3, 1), idAt(noon + 2), idAt(noon + 1, 1), idAt(noon)])
    })

    test('each bound bounds', async () => {
      const { audit, take } = await open()
      await take([
        request(noon, { fault: 'model-unknown', outcome: 'refused' }),
        request(noon + hourMs, { key: keyId('k2'), alias: 'anna', team: teamName('dev'), from: '10.9.9.9' }),
        request(noon + 2 * hourMs, { model: modelName('coder'), choice: 'affinity 100%' }),
        anAct(noon + 3 * hourMs),
        anAct(noon + 4 * hourMs, { what: 'team.update', target: 'dev', decision: 'refused', why: "conflict: it's so" }),
        anAct(noon + 5 * hourMs, { what: 'keyring.open', target: 'k2', who: keyId('k1'), alias: 'bot', from: null }),
      ])
      const find = finder(audit)
      expect(await find({ since: instant(noon + 4 * hourMs) })).toEqual(['keyring.open k2', 'team.update dev'])
      expect(await find({ until: instant(noon + hourMs) })).toEqual(['request k1'])
      expect(await find({ who: { ids: ['k2'], alias: 'k2' } })).toEqual(['keyring.open k2', 'request k2'])
      expect(await find({ who: { ids: [], alias: 'anna' } })).toEqual(['request k2'])
      expect(await find({ team: teamName('dev') })).toEqual(['team.update dev', 'request k2'])
      expect(await find({ model: modelName('coder'), kinds: ['request'] })).toEqual(['request k1'])
      expect(await find({ from: '10.9.9.9' })).toEqual(['request k2'])
      expect(await find({ what: 'key.*', kinds: ['act'] })).toEqual(['key.create k1'])
      expect(await find({ what: 'team.update', kinds: ['act'] })).toEqual(['team.update dev'])
      expect(await find({ decision: 'refused' })).toEqual(['team.update dev', 'request k1'])
      expect(await find({ decision: 'done', kinds: ['request'] })).toHaveLength(2)
      expect(await find({ decision: 'open' })).toEqual([])
      expect(await find({ text: 'MODEL-unknown' })).toEqual(['request k1'])
      expect(await find({ text: '100%' })).toEqual(['request k1'])
      expect(await find({ text: '1_0' })).toEqual([])
      expect(await find({ text: "it's" })).toEqual(['team.update dev'])
    })

    test('what is old goes, a bounded piece at a time; open requests, later ones and sums stay', async () => {
      const { audit, requests, take } = await open()
      await take([
        ...Array.from({ length: 5 }, (_, n) => request(noon + n)),
        anOpen(idAt(noon, 7), { at: instant(noon) }),
        anAct(noon),
        request(noon + hourMs),
      ])
      await take([{ t: 'gap', at: instant(noon), until: instant(noon + 1), lost: 2 }])
      const pieces: number[] = []
      for (let gone = 1; gone > 0; pieces.push(gone)) gone = await audit.deleteBefore(instant(noon + hourMs), 3)
      expect(Math.max(...pieces)).toBeLessThanOrEqual(5)
      expect(pieces.reduce((sum, gone) => sum + gone, 0)).toBe(7)
      expect((await requests.list({ limit: 100 })).map(row => row.outcome)).toEqual(['ok', 'open'])
      expect(await audit.search({ limit: 10, kinds: ['act'] })).toEqual([])
      expect(await requests.gaps()).toEqual([])
      expect(await requests.usage({ by: 'key' })).toMatchObject([{ name: 'k1', requests: 6 }])
    })

    test('who is erased is nobody in rows and sums, which still add up; others stay as they are', async () => {
      const { audit, requests, take } = await open()
      await take([
        request(noon, { key: keyId('k1'), alias: 'anna', from: '10.0.0.7' }),
        request(noon + 1, { key: keyId('k3'), alias: 'anna2' }),
        request(noon + 2, { key: keyId('k2'), alias: 'bob' }),
        request(noon + 3 * hourMs, { key: keyId('k1'), alias: 'anna' }),
        anAct(noon + 4, { target: 'k1', detail: { after: { alias: 'anna' } } }),
        anAct(noon + 5, { who: keyId('k1'), alias: 'anna', what: 'team.update', target: 'ops', decision: 'refused' }),
        anAct(noon + 6, { target: 'k2' }),
        anAct(noon + 7, { what: 'audit.erased', target: 'k1' }),
      ])
      const subject = { ids: ['k1', 'k3'], names: ['anna'], until: instant(noon + hourMs) }
      expect(await audit.countAbout(subject)).toEqual({ requests: 2, acts: 2 })
      let rows = 0
      for (let gone = 1; gone > 0; rows += gone) gone = await audit.eraseAbout(subject, 1)
      expect(rows).toBe(4)
      expect(await audit.countAbout(subject)).toEqual({ requests: 0, acts: 0 })
      const found = await audit.search({ limit: 100, kinds: ['request', 'act'], until: instant(noon + hourMs) })
      expect(JSON.stringify(found)).not.toMatch(/anna|k3|10\.0\.0\.7/)
      expect(await finder(audit)({ until: instant(noon + hourMs) })).toEqual([
        'audit.erased k1',
        'key.create k2',
        'team.update erased',
        'key.create erased',
        'request k2',
        'request erased',
        'request erased',
      ])
      const usage = await requests.usage({ by: 'key' })
      expect(usage.map(row => `${row.name} ${row.requests}`).toSorted()).toEqual(['erased 2', 'k1 1', 'k2 1'])
      expect(usage.reduce((sum, row) => sum + row.inputTokens, 0)).toBe(40)
    })

    test('erased sums of one hour that meet the sums of others add up', async () => {
      const { audit, requests, take } = await open()
      for (const key of ['k1', 'k2', 'k3']) {
        await take([request(noon + Number(key[1]), { key: keyId(key) })])
        const subject = { ids: [key], names: [], until: instant(noon + hourMs) }
        while ((await audit.eraseAbout(subject, 10)) > 0);
      }
      expect(await requests.usage({ by: 'key' })).toMatchObject([{ name: 'erased', requests: 3, inputTokens: 30 }])
    })

    test('a removal moves on, forgets the anchors it goes beyond, and never comes back', async () => {
      const { audit, requests } = await open()
      const anchors = [1, 2, 3].map(segment => ({ segment, n: segment, hash: `h${segment}` }))
      const [from, to] = [
        { segment: 1, offset: 0 },
        { segment: 3, offset: 9 },
      ]
      await requests.ingest({ epoch: 'e1', from, to, records: [], anchors, ended: false })
      const removal = (segment: number) => ({
        ...{ epoch: 'e1', segment, n: segment, hash: `h${segment}`, at: instant(noon), rule: 'r', whole: false },
      })
      await audit.putRemovals([removal(2)])
      await audit.putRemovals([removal(1)])
      expect(await audit.removals()).toEqual([removal(2)])
      expect((await requests.anchors()).map(anchor => anchor.segment)).toEqual([3])
    })

    test('a database that was lost learns from the acts what retention had taken', async () => {
      const { audit, take } = await open()
      const removed = [{ epoch: 'e9', segment: 4, n: 7, hash: 'h', whole: true }]
      await take([anAct(noon, { what: 'audit.retained', who: 'controller', detail: { rule: 'r', removed } })])
      expect(await audit.removals()).toEqual([{ ...removed[0], at: noon, rule: 'r' }])
    })

    test('an erasure is kept until it is done, and a while longer', async () => {
      const { audit } = await open()
      const erasure = {
        ...{ id: 'a', at: instant(noon), progress: { e1: 3 }, finished: ['e0'] },
        ...{ rows: 1, lines: 2, older: 0, waiting: 4, passedAt: null, doneAt: null },
        subject: { ids: ['k1'], names: ['anna'], until: instant(noon) },
      }
      await audit.putErasure(erasure)
      expect(await audit.erasures()).toEqual([erasure])
      await audit.putErasure({ ...erasure, subject: null, doneAt: instant(noon + 1) })
      expect(await audit.erasures()).toMatchObject([{ subject: null, doneAt: noon + 1 }])
      await audit.putErasure({ ...erasure, id: 'b', at: instant(noon + 100 * 24 * hourMs) })
      expect((await audit.erasures()).map(each => each.id)).toEqual(['b'])
    })

    test('the kept changes of access say nothing of an erased key any more, and are still told', async () => {
      const { access, audit } = await open()
      const key = aKey('key_1', { alias: 'anna', owner: { kind: 'person', name: 'Anna' }, metadata: { mail: 'a@b' } })
      await access.commit([
        { put: 'key', key },
        { put: 'key', key: aKey('key_12', { alias: 'bob' }) },
      ])
      await audit.eraseKeyChanges(['key_1'])
      const changes = JSON.stringify(await access.changesSince(0))
      expect(changes).not.toMatch(/anna|Anna|a@b/)
      expect(changes).toContain('bob')
      expect(changes).toContain('"id":"key_1"')
    })

    test('who was known by an alias only, and what a key was called, is found', async () => {
      const { audit, take } = await open()
      await take([request(noon, { key: keyId('jwt:7'), alias: 'anna' }), anOpen(idAt(noon, 5), { at: instant(noon) })])
      expect(await audit.idsByAlias('anna')).toEqual(['jwt:7'])
      expect(await audit.aliasesOf(['jwt:7'])).toEqual(['anna'])
      expect(await audit.aliasesOf([])).toEqual([])
      expect(await audit.hasOpen('e1', instant(noon))).toBe(true)
      expect(await audit.hasOpen('e1', instant(noon - 1))).toBe(false)
      expect(await audit.hasOpen('e2', instant(noon))).toBe(false)
    })
  })
}

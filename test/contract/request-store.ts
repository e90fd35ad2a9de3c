/** What every request store does: the same sentences over each adapter. */
import { afterEach, describe, expect, test } from 'vitest'
import type { Batch, RequestStore } from '../../src/domain/journal/index.ts'
import { instant, keyId, millis, modelName, requestId, teamName, tokens, versionName } from '../../src/domain/units.ts'
import { aClose, anOpen, noon } from './records.ts'

type Opened = { requests: RequestStore; close: () => Promise<void> }
/** `beside`: another connection to the same store, as another process has it. */
export type OpenRequestStore = () => Promise<Opened & { beside: () => Promise<Opened> }>

const hourMs = 3_600_000

/** Batches of one epoch, one after the other, 100 bytes each. */
function player(store: RequestStore, epoch = 'e1') {
  let offset = 0
  return {
    async take(records: Batch['records'], change: Partial<Batch> = {}): Promise<Batch> {
      const batch: Batch = {
        epoch,
        from: { segment: 1, offset },
        to: { segment: 1, offset: offset + 100 },
        records,
        anchors: [],
        ended: false,
        ...change,
      }
      expect(await store.ingest(batch)).toEqual({ applied: true })
      offset += 100
      return batch
    },
  }
}

export function requestStoreContract(name: string, openStore: OpenRequestStore): void {
  describe(`the request store contract, over ${name}`, () => {
    let opened: Opened[] = []
    afterEach(async () => {
      for (const one of opened.toReversed()) await one.close()
      opened = []
    })
    async function openTwo(): Promise<[RequestStore, RequestStore]> {
      const one = await openStore()
      opened.push(one)
      const two = await one.beside()
      opened.push(two)
      return [one.requests, two.requests]
    }
    async function open(): Promise<RequestStore> {
      const one = await openStore()
      opened.push(one)
      return one.requests
    }
    const outcomes = async (store: RequestStore) =>
      Object.fromEntries((await store.list({ limit: 100 })).map(row => [row.id, row.outcome]))
    const total = async (store: RequestStore) =>
      (await store.usage({ by: 'key' })).reduce((sum, row) => sum + row.requests, 0)

    test('an epoch that was never seen has no position; a batch moves it', async () => {
      const store = await open()
      expect(await store.position('e1')).toBeNull()
      await player(store).take([])
      expect(await store.position('e1')).toEqual({ segment: 1, offset: 100 })
      expect(await store.epochs()).toEqual([{ epoch: 'e1', position: { segment: 1, offset: 100 }, ended: false }])
    })

    test('a batch that does not begin at the position does nothing', async () => {
      const store = await open()
      const batch = await player(store).take([aClose('1')])
      expect(await store.ingest(batch)).toEqual({ applied: false, position: { segment: 1, offset: 100 } })
      expect(await store.ingest({ ...batch, epoch: 'e2', from: { segment: 1, offset: 7 } })).toEqual({
        applied: false,
        position: null,
      })
      expect(await total(store)).toBe(1)
    })

    test('a close is read back whole', async () => {
      const store = await open()
      await player(store).take([aClose('1')])
      expect(await store.list({ limit: 1 })).toEqual([
        {
          id: '1',
          time: '2026-01-05T12:00:00.000Z',
          key: 'k1',
          alias: 'bot',
          team: 'ops',
          model: 'chat',
          version: 'chat-v1',
          replica: 'r1',
          route: '/v1/chat/completions',
          stream: true,
          status: 200,
          outcome: 'ok',
          fault: null,
          inputTokens: 10,
          outputTokens: 20,
          ttftMs: 12.5,
          totalMs: 250.25,
          attempts: 1,
          gpuMs: null,
          cost: null,
          currency: null,
          clientId: 'mine',
          from: '127.0.0.1',
          choice: 'least loaded',
        },
      ])
    })

    test('an open request shows as open and does not count yet', async () => {
      const store = await open()
      await player(store).take([anOpen('1')])
      expect(await store.list({ limit: 1 })).toMatchObject([
        { id: '1', outcome: 'open', status: null, version: null, totalMs: null },
      ])
      expect(await total(store)).toBe(0)
    })

    test.each([
      ['in one batch', 1],
      ['in two batches', 2],
    ])('an open and its close %s are one request', async (_name, batches) => {
      const store = await open()
      const { take } = player(store)
      if (batches === 1) await take([anOpen('1'), aClose('1')])
      else for (const record of [anOpen('1'), aClose('1')]) await take([record])
      expect(await store.list({ limit: 10 })).toMatchObject([{ id: '1', outcome: 'ok', status: 200 }])
      expect(await total(store)).toBe(1)
    })

    test('nothing lowers a closed request, and a second close does not count', async () => {
      const store = await open()
      const { take } = player(store)
      await take([aClose('1')])
      await take([anOpen('1'), aClose('1', { outcome: 'failed', status: 502 })])
      expect(await store.list({ limit: 10 })).toMatchObject([{ id: '1', outcome: 'ok', status: 200 }])
      expect(await total(store)).toBe(1)
    })

    test('when an epoch ends, what it left open was interrupted, and counts so', async () => {
      const store = await open()
      const one = player(store)
      await player(store, 'e2').take([anOpen('elsewhere')])
      await one.take([anOpen('1'), anOpen('2')])
      await one.take([aClose('2'), anOpen('3')], { ended: true })
      expect(await outcomes(store)).toEqual({ 1: 'interrupted', 2: 'ok', 3: 'interrupted', elsewhere: 'open' })
      expect(await store.list({ limit: 1, outcome: 'interrupted' })).toMatchObject([{ status: null }])
      expect(await store.usage({ by: 'key' })).toMatchObject([{ requests: 3, ok: 1, interrupted: 2 }])
      expect(await store.epochs()).toMatchObject([
        { epoch: 'e1', ended: true },
        { epoch: 'e2', ended: false },
      ])
    })

    test('a close that comes after all takes the place of interrupted', async () => {
      const store = await open()
      await player(store).take([anOpen('1')], { ended: true })
      await player(store, 'e2').take([aClose('1')])
      expect(await outcomes(store)).toEqual({ 1: 'ok' })
      expect(await store.usage({ by: 'key' })).toMatchObject([{ requests: 1, ok: 1, interrupted: 0, inputTokens: 10 }])
      expect(await store.usage({ by: 'version' })).toHaveLength(1)
    })

    test('usage sums outcomes and tokens, most requests first, with the alias of a key that is kept', async () => {
      const store = await open()
      await player(store).take([
        aClose('1'),
        aClose('2', { outcome: 'cancelled', outputTokens: null }),
        aClose('3', { outcome: 'failed', version: versionName('chat-v2') }),
        aClose('4', {
          key: null,
          team: null,
          model: null,
          version: null,
          outcome: 'refused',
          inputTokens: null,
          outputTokens: null,
        }),
      ])
      expect(await store.usage({ by: 'key' })).toEqual([
        {
          name: 'k1',
          alias: null,
          requests: 3,
          ok: 1,
          refused: 0,
          failed: 1,
          cancelled: 1,
          interrupted: 0,
          inputTokens: 30,
          outputTokens: 40,
          gpuMs: 0,
          costs: [],
        },
        {
          name: null,
          alias: null,
          requests: 1,
          ok: 0,
          refused: 1,
          failed: 0,
          cancelled: 0,
          interrupted: 0,
          inputTokens: 0,
          outputTokens: 0,
          gpuMs: 0,
          costs: [],
        },
      ])
      expect((await store.usage({ by: 'version' })).map(row => [row.name, row.requests])).toEqual([
        ['chat-v1', 2],
        [null, 1],
        ['chat-v2', 1],
      ])
      expect((await store.usage({ by: 'team' })).map(row => row.name)).toEqual(['ops', null])
      expect((await store.usage({ by: 'model' })).map(row => row.name)).toEqual(['chat', null])
    })

    test('usage sums the engines’ time and the costs, each currency for itself', async () => {
      const store = await open()
      await player(store).take([
        aClose('1', { gpuMs: millis(1500), cost: 0.25, currency: 'EUR' }),
        aClose('2', { gpuMs: millis(500), cost: 0.5, currency: 'EUR' }),
        aClose('3', { gpuMs: millis(250), cost: 2, currency: 'USD' }),
        aClose('4', { outcome: 'refused' }),
      ])
      expect(await store.list({ limit: 1, id: requestId('1') })).toMatchObject([
        { gpuMs: 1500, cost: 0.25, currency: 'EUR' },
      ])
      expect(await store.usage({ by: 'team' })).toMatchObject([
        {
          ...{ name: 'ops', requests: 4, ok: 3, refused: 1, gpuMs: 2250 },
          costs: [
            { currency: 'EUR', amount: 0.75 },
            { currency: 'USD', amount: 2 },
          ],
        },
      ])
    })

    const spent = (store: RequestStore, ask: Partial<Parameters<RequestStore['spent']>[0]> = {}) =>
      store.spent({
        ...{ span: 'minute', from: instant(noon), until: instant(noon + hourMs), keys: ['k1'], teams: ['ops'] },
        ...ask,
      })

    test('B11 what requests took is summed up for their key and their team, by epoch and currency', async () => {
      const store = await open()
      await player(store).take([
        aClose('1', { gpuMs: millis(1500), cost: 0.25, currency: 'EUR' }),
        aClose('2', { gpuMs: millis(500), cost: 0.5, currency: 'EUR', team: null }),
        aClose('3', { key: keyId('k2') }),
      ])
      await player(store, 'e2').take([aClose('4', { gpuMs: millis(100), cost: 1, currency: 'EUR' })])
      const eur = { subject: 'key', name: 'k1', currency: 'EUR' }
      expect(await spent(store, { teams: [] })).toEqual([
        { ...eur, epoch: 'e1', tokens: 60, gpuMs: 2000, money: 0.75 },
        { ...eur, epoch: 'e2', tokens: 30, gpuMs: 100, money: 1 },
      ])
      expect(await spent(store, { keys: [] })).toEqual([
        { subject: 'team', name: 'ops', currency: null, epoch: 'e1', tokens: 30, gpuMs: 0, money: 0 },
        { subject: 'team', name: 'ops', currency: 'EUR', epoch: 'e1', tokens: 30, gpuMs: 1500, money: 0.25 },
        { subject: 'team', name: 'ops', currency: 'EUR', epoch: 'e2', tokens: 30, gpuMs: 100, money: 1 },
      ])
      expect(await spent(store, { keys: ['nobody'], teams: ['none'] })).toEqual([])
    })

    test('B11 a request counts once, however often its records are read and whatever it was thought before', async () => {
      const store = await open()
      const one = player(store)
      await one.take([anOpen('1'), aClose('1'), aClose('1')])
      const again = await one.take([aClose('1', { outcome: 'failed' }), anOpen('2')], { ended: true })
      expect(await store.ingest(again)).toMatchObject({ applied: false })
      await player(store, 'e2').take([aClose('2')])
      const sums = await spent(store, { teams: [] })
      expect(sums.reduce((sum, row) => sum + row.tokens, 0)).toBe(60)
    })

    test('B11 tokens that the engine did not tell are those that were estimated, else what is known of them', async () => {
      const store = await open()
      await player(store).take([
        aClose('1', { inputTokens: null, outputTokens: null, estimatedTokens: tokens(7) }),
        aClose('2', { outputTokens: null }),
        aClose('3', { inputTokens: null, outputTokens: null, outcome: 'refused' }),
      ])
      expect(await spent(store, { teams: [] })).toMatchObject([{ tokens: 17 }])
    })

    test('B11 sums are by minute, hour and day, of those that arrived from the first moment on and before the last', async () => {
      const store = await open()
      const minuteMs = 60_000
      await player(store).take(
        [0, minuteMs - 1, minuteMs, hourMs, 25 * hourMs].map((after, n) =>
          aClose(`r${n}`, { at: instant(noon + after) }),
        ),
      )
      const counted = async (span: 'minute' | 'hour' | 'day', from: number, until: number) =>
        ((await spent(store, { span, from: instant(from), until: instant(until), teams: [] }))[0]?.tokens ?? 0) / 30
      const midnight = noon - 12 * hourMs
      expect(await counted('minute', noon, noon + minuteMs)).toBe(2)
      expect(await counted('minute', noon + minuteMs, noon + hourMs)).toBe(1)
      expect(await counted('hour', noon, noon + hourMs)).toBe(3)
      expect(await counted('hour', noon, noon + 2 * hourMs)).toBe(4)
      expect(await counted('day', midnight, midnight + 24 * hourMs)).toBe(4)
      expect(await counted('day', midnight, midnight + 48 * hourMs)).toBe(5)
    })

    test('B11 sums by the minute go after two days, those by the day stay', async () => {
      const store = await open()
      const one = player(store)
      await one.take([aClose('1')])
      await one.take([aClose('2', { at: instant(noon + 49 * hourMs) })])
      const all = { from: instant(0), until: instant(noon + 100 * hourMs), teams: [] }
      expect(await spent(store, { ...all, span: 'minute' })).toMatchObject([{ tokens: 30 }])
      expect(await spent(store, { ...all, span: 'day' })).toMatchObject([{ tokens: 60 }])
    })

    test('usage counts whole hours between since and until', async () => {
      const store = await open()
      await player(store).take([0, 1, 2].map(hour => aClose(`r${hour}`, { at: instant(noon + hour * hourMs + 1000) })))
      const count = async (ask: { since?: number; until?: number }) =>
        (
          await store.usage({
            by: 'key',
            ...(ask.since === undefined ? {} : { since: instant(ask.since) }),
            ...(ask.until === undefined ? {} : { until: instant(ask.until) }),
          })
        )[0]?.requests ?? 0
      expect(await count({ since: noon + hourMs + 5 })).toBe(2)
      expect(await count({ until: noon + hourMs + 5 })).toBe(2)
      expect(await count({ since: noon + hourMs, until: noon + 2 * hourMs })).toBe(1)
      expect(await count({ since: noon + 3 * hourMs })).toBe(0)
    })

    test('the list is newest first, in pages, by key, team, model and outcome', async () => {
      const store = await open()
      await player(store).take([
        aClose('a1'),
        aClose('a2', { key: 'admin', team: null }),
        aClose('a3', { model: modelName('coder') }),
        aClose('a4', { outcome: 'failed' }),
      ])
      const ids = async (filter: Omit<Parameters<RequestStore['list']>[0], 'limit'>, limit = 10) =>
        (await store.list({ limit, ...filter })).map(row => row.id)
      expect(await ids({})).toEqual(['a4', 'a3', 'a2', 'a1'])
      expect(await ids({}, 2)).toEqual(['a4', 'a3'])
      expect(await ids({ before: requestId('a3') })).toEqual(['a2', 'a1'])
      expect(await ids({ key: 'admin' })).toEqual(['a2'])
      expect(await ids({ team: teamName('ops') })).toEqual(['a4', 'a3', 'a1'])
      expect(await ids({ model: modelName('coder') })).toEqual(['a3'])
      expect(await ids({ outcome: 'failed' })).toEqual(['a4'])
      expect(await ids({ outcome: 'failed', key: 'admin' })).toEqual([])
    })

    test('the list is by moments, by one id and by some keys', async () => {
      const store = await open()
      const idAt = (at: number) => {
        const time = at.toString(16).padStart(12, '0')
        return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`
      }
      const moments = [noon - 1, noon, noon + hourMs - 1, noon + hourMs]
      await player(store).take(
        moments.map((at, n) => aClose(idAt(at - 1), { at: instant(at), key: keyId(`k${n}`), totalMs: millis(n) })),
      )
      const found = async (filter: object) =>
        (await store.list({ limit: 10, ...filter })).map(row => moments.indexOf(Date.parse(row.time)))
      expect(await found({ since: instant(noon) })).toEqual([3, 2, 1])
      expect(await found({ until: instant(noon + hourMs) })).toEqual([2, 1, 0])
      expect(await found({ since: instant(noon), until: instant(noon + hourMs) })).toEqual([2, 1])
      expect(await found({ since: instant(0), until: instant(0) })).toEqual([])
      expect(await found({ id: requestId(idAt(noon - 1)) })).toEqual([1])
      expect(await found({ id: requestId('none') })).toEqual([])
      expect(await found({ keys: [keyId('k3'), keyId('k1'), 'admin'] })).toEqual([3, 1])
      expect(await found({ keys: [] })).toEqual([])
    })

    test('of each segment the last block is the anchor', async () => {
      const store = await open()
      const { take } = player(store)
      await take([], {
        anchors: [
          { segment: 1, n: 1, hash: 'h1' },
          { segment: 1, n: 2, hash: 'h2' },
        ],
      })
      await take([], {
        anchors: [
          { segment: 1, n: 3, hash: 'h3' },
          { segment: 2, n: 4, hash: 'h4' },
        ],
      })
      expect(await store.anchors()).toEqual([
        { epoch: 'e1', segment: 1, n: 3, hash: 'h3' },
        { epoch: 'e1', segment: 2, n: 4, hash: 'h4' },
      ])
    })

    test('gaps are kept', async () => {
      const store = await open()
      await player(store).take([{ t: 'gap', at: instant(1), until: instant(2), lost: 3 }])
      expect(await store.gaps()).toEqual([{ epoch: 'e1', at: 1, until: 2, lost: 3 }])
    })

    test('a batch of thousands of requests is taken in whole', async () => {
      const store = await open()
      const ids = Array.from({ length: 2500 }, (_, at) => String(at).padStart(5, '0'))
      await player(store).take(ids.flatMap(id => [anOpen(id), aClose(id)]))
      expect(await total(store)).toBe(2500)
      expect(await store.usage({ by: 'model' })).toMatchObject([{ inputTokens: 25_000, outputTokens: 50_000 }])
    })

    test('a batch that two connections take in at once counts once', async () => {
      const [one, two] = await openTwo()
      for (let at = 0; at < 20; at++) {
        const batch: Batch = {
          epoch: 'e1',
          from: { segment: 1, offset: at },
          to: { segment: 1, offset: at + 1 },
          records: [aClose(`${at}-a`), aClose(`${at}-b`)],
          anchors: [],
          ended: false,
        }
        const taken = await Promise.all([one.ingest(batch), two.ingest(batch)])
        expect(taken.map(({ applied }) => applied).sort()).toEqual([false, true])
      }
      expect(await total(one)).toBe(40)
      expect(await two.list({ limit: 100 })).toHaveLength(40)
    })

    test('what a client sent can’t stop ingestion, whatever is in it', async () => {
      const store = await open()
      const model = modelName('a\0b \ud800 \u{1F600} \' "; drop table requests')
      await player(store).take([aClose('1', { model, clientId: '\0' })])
      expect(await store.list({ limit: 10 })).toMatchObject([{ id: '1', outcome: 'ok' }])
      expect(await store.list({ limit: 10, model })).toHaveLength(1)
      expect(await total(store)).toBe(1)
    })

    test('counts beyond 32 bits stay exact', async () => {
      const store = await open()
      const inputTokens = tokens(3_000_000_000_001)
      await player(store).take([aClose('1', { inputTokens }), aClose('2', { inputTokens })])
      expect((await store.list({ limit: 1 }))[0]?.inputTokens).toBe(3_000_000_000_001)
      expect(await store.usage({ by: 'key' })).toMatchObject([{ inputTokens: 6_000_000_000_002 }])
    })
  })
}

/** The store in a real PostgreSQL: the same contract as SQLite's, and what only a server can do. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openPool } from '../../src/adapters/store/postgres/connect.ts'
import { openPostgresStore, parseAddress, takeTurn } from '../../src/adapters/store/postgres/index.ts'
import type { Turn } from '../../src/adapters/store/postgres/index.ts'
import { FaultError } from '../../src/domain/fault.ts'
import type { Fault } from '../../src/domain/fault.ts'
import { postgresPassword, startPostgres, withoutPostgres, type Postgres } from '../support/postgres.ts'
import { accessStoreContract, aKey } from './access-store.ts'
import { auditStoreContract } from './audit-store.ts'
import { gatewayStoreContract } from './gateway-store.ts'
import { aClose } from './records.ts'
import { qualityStoreContract } from './quality-store.ts'
import { releaseStoreContract } from './release-store.ts'
import { requestStoreContract } from './request-store.ts'

describe.skipIf(withoutPostgres)('PostgreSQL', () => {
  let postgres: Postgres
  beforeAll(async () => {
    postgres = await startPostgres()
  }, 90_000)
  afterAll(() => postgres.close())

  async function openNew({ kept }: { kept?: number } = {}) {
    const url = await postgres.newSchema()
    const turn = await take(url)
    const store = openPostgresStore({ url, term: turn.term, keptChanges: kept })
    return {
      ...store,
      url,
      turn,
      beside: async () => openPostgresStore({ url, term: turn.term, keptChanges: kept }),
      async close() {
        await store.close()
        await turn.release()
      },
    }
  }
  async function openForTest() {
    const opened = await openNew()
    onTestFinished(opened.close)
    return opened
  }
  async function take(url: string, holder = 'one'): Promise<Turn> {
    const turn = await takeTurn({ url, holder, signal: new AbortController().signal, onState: () => undefined })
    if (turn === null) throw new Error('nobody stopped it')
    return turn
  }
  /** Waits for its turn in the background, as a controller on standby does. */
  function wait(url: string, holder = 'two') {
    const stop = new AbortController()
    const states: (Fault | null)[] = []
    const turn = takeTurn({ url, holder, signal: stop.signal, onState: state => states.push(state) })
    onTestFinished(async () => {
      stop.abort()
      await (await turn.catch(() => null))?.release()
    })
    return { turn, states, stop }
  }
  const faultOf = async (work: Promise<unknown>): Promise<Fault | string> =>
    work.then(
      () => 'done',
      (error: unknown) => (error instanceof FaultError ? error.fault : String(error)),
    )

  accessStoreContract('PostgreSQL', openNew)
  gatewayStoreContract('PostgreSQL', openNew)
  requestStoreContract('PostgreSQL', openNew)
  releaseStoreContract('PostgreSQL', openNew)
  qualityStoreContract('PostgreSQL', openNew)
  auditStoreContract('PostgreSQL', openNew)

  describe('a store in PostgreSQL', () => {
    test('what was committed is there for the next controller, with the same epoch', async () => {
      const { access, url, turn } = await openForTest()
      await access.commit([{ put: 'key', key: aKey('k1') }])
      const image = await access.image()
      await turn.release()
      const next = await take(url)
      const store = openPostgresStore({ url, term: next.term })
      expect(await store.access.image()).toEqual(image)
      await store.close()
      await next.release()
    })

    test('its sessions are durable, bounded in time and in number, and write only where a turn is looked at', async () => {
      const url = await postgres.newDatabase()
      await postgres.ask(url, `alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`)
      const pool = openPool(parseAddress(url))
      const clients = await Promise.all([1, 2, 3, 4].map(() => pool.connect()))
      const show = async (name: string) =>
        Object.values((await clients[0]?.query(`show ${name}`, []))?.rows[0] ?? {})[0]
      expect(await show('synchronous_commit')).toBe('on')
      expect(await show('statement_timeout')).toBe('30s')
      expect(await show('lock_timeout')).toBe('10s')
      await expect(clients[1]?.query('create table t (n integer)', [])).rejects.toThrow('read-only transaction')
      const fifth = pool.connect()
      expect(await Promise.race([fifth, Promise.resolve('waits')])).toBe('waits')
      for (const client of clients) client.release()
      ;(await fifth).release()
      await pool.end()
    })

    test('a database of a newer program is refused', async () => {
      const { url, close } = await openNew()
      await postgres.ask(url, `insert into schema_migrations (n, name, at) values (999, 'from the future', 0)`)
      await expect(wait(url).turn).rejects.toThrow(/schema 999.*newer/)
      await close()
      await expect(take(url)).rejects.toThrow(/schema 999.*newer/)
    })

    test('an address that is none is refused without being repeated', () => {
      for (const bad of ['mysql://u:canary-secret@h/d', 'postgres://u:canary#secret/x@h:x/d', 'canary-secret']) {
        expect(() => parseAddress(bad)).toThrow(/postgres:\/\/user:password@host/)
        expect(() => parseAddress(bad)).not.toThrow(/canary/)
      }
      expect(parseAddress('postgres://u:canary@db.example/holdfast?sslmode=verify-full').name).toBe(
        'PostgreSQL at db.example:5432/holdfast',
      )
    })

    test('a wrong password or database is told at once, and no password with it', async () => {
      const good = await postgres.newSchema()
      const wrong = good.replace(postgresPassword, 'canary-of-a-wrong-password')
      const told = await faultOf(take(wrong))
      expect(told).toMatchObject({
        kind: 'store-unavailable',
        problem: expect.stringContaining('does not let this user in'),
      })
      expect(JSON.stringify(told)).not.toMatch(/canary/)
      const none = new URL(good)
      none.pathname = '/nowhere'
      expect(await faultOf(take(none.href))).toMatchObject({
        problem: expect.stringContaining('"nowhere" does not exist'),
      })
    })
  })

  describe('turns', () => {
    test('of several that start at once on an empty database one migrates it and is active, the others say who', async () => {
      const url = await postgres.newSchema()
      const waiting = ['a', 'b', 'c', 'd'].map(holder => wait(url, holder))
      const turns: Turn[] = []
      for (const { turn } of waiting) void turn.then(got => got !== null && turns.push(got))
      await vi.waitUntil(
        () =>
          waiting.filter(({ states }) => states.some(state => state?.kind === 'standby' && state.since)).length === 3,
        { timeout: 20_000 },
      )
      expect(turns.map(({ term }) => term)).toEqual([1])
      const [row] = await postgres.ask(url, 'select holder from active_controller')
      for (const { states } of waiting.filter(one => one.states.length > 0))
        expect(states.at(-1)).toMatchObject({ kind: 'standby', active: row?.['holder'] })
      const applied = await postgres.ask(url, 'select n from schema_migrations order by n')
      expect(applied.length).toBeGreaterThan(3)
    })

    test('who waits is let in when the active one ends, with the next term', async () => {
      const { url, turn } = await openForTest()
      const next = wait(url)
      await vi.waitUntil(() => next.states.length > 0)
      await turn.release()
      expect(await next.turn).toMatchObject({ term: 2 })
      expect(next.states).toMatchObject([
        { kind: 'standby', active: 'one', since: expect.stringMatching(/^20.*Z$/) },
        null,
      ])
    })

    test('who waits can be stopped', async () => {
      const { url } = await openForTest()
      const next = wait(url)
      await vi.waitUntil(() => next.states.length > 0)
      next.stop.abort()
      expect(await next.turn).toBeNull()
    })

    test('a controller whose turn is over writes nothing any more, not even in a transaction that had begun to wait', async () => {
      const { url, access, requests, gateways, turn } = await openForTest()
      const batch = {
        epoch: 'e1',
        from: { segment: 1, offset: 0 },
        to: { segment: 1, offset: 1 },
        anchors: [],
        ended: false,
      }
      expect(await requests.ingest({ ...batch, records: [aClose('1')] })).toEqual({ applied: true })
      await loseSession(url)
      const next = await take(url, 'two')
      onTestFinished(() => next.release())
      const refused = { kind: 'standby', active: 'two' }
      expect(await faultOf(access.commit([{ put: 'key', key: aKey('k1') }]))).toMatchObject(refused)
      expect(await faultOf(requests.ingest({ ...batch, records: [aClose('2')] }))).toMatchObject(refused)
      expect(await faultOf(gateways.remove('gw', 0 as never))).toMatchObject(refused)
      // It may still look.
      expect(await access.keys()).toEqual([])
      expect(await turn.ended).toMatchObject(refused)
    })

    test('a write that is under way when a term begins is finished first', async () => {
      const { url, access } = await openForTest()
      let done = 0
      let next: Turn | null = null
      const commits = (async () => {
        while (next === null) {
          const fault = await faultOf(
            access.commit([{ put: 'key', key: aKey(`k${done}`, { alias: null, secrets: [] }) }]),
          )
          if (fault !== 'done') break
          done++
        }
      })()
      await vi.waitUntil(() => done > 10)
      await loseSession(url)
      next = await take(url, 'two')
      await commits
      const store = openPostgresStore({ url, term: next.term })
      const image = await store.access.image()
      expect(image.seq).toBe(done)
      expect(image.keys).toHaveLength(done)
      await store.close()
      await next.release()
    })

    test('a session that breaks while nobody else waits costs nothing: the turn goes on in the same term', async () => {
      const { url, access, turn } = await openForTest()
      await loseSession(url)
      await vi.waitUntil(async () => (await lockHolders(url)).length === 1, { timeout: 10_000, interval: 100 })
      await access.commit([{ put: 'key', key: aKey('k1') }])
      expect(await Promise.race([turn.ended, Promise.resolve('goes on')])).toBe('goes on')
    })

    test('two services in two schemas of one database do not stand in each other’s way', async () => {
      const [one, two] = await Promise.all([take(await postgres.newSchema()), take(await postgres.newSchema())])
      expect([one.term, two.term]).toEqual([1, 1])
      await one.release()
      await two.release()
    })

    const lockHolders = (url: string) =>
      postgres.ask(
        url,
        `select pid from pg_locks where locktype = 'advisory' and objid = hashtext(current_schema())::oid`,
      )
    /** As when the network between a controller and its database breaks. */
    async function loseSession(url: string): Promise<void> {
      const [row] = await lockHolders(url)
      await postgres.ask(url, `select pg_terminate_backend(${Number(row?.['pid'])})`)
      await vi.waitUntil(async () => (await lockHolders(url)).every(({ pid }) => pid !== row?.['pid']))
    }
  })

  describe('a server that goes away', () => {
    test(
      'is told in words, and used again when it is back, by everybody that was connected',
      { timeout: 60_000 },
      async () => {
        const { url, access, requests } = await openForTest()
        const told: (Fault | null)[] = []
        await access.commit([{ put: 'key', key: aKey('k1') }])
        await postgres.stop('SIGKILL')
        expect(await faultOf(access.commit([{ put: 'key', key: aKey('k2') }]))).toMatchObject({
          kind: 'store-unavailable',
          store: `PostgreSQL at 127.0.0.1:${postgres.port}${new URL(url).pathname}`,
          inDoubt: false,
        })
        const fault = await faultOf(requests.list({ limit: 1 }))
        expect(fault).toMatchObject({ problem: expect.stringContaining('nothing listens there') })
        expect(JSON.stringify(fault)).not.toContain(postgresPassword)
        const { turn, states } = wait(url)
        void turn.then(() => told.push(null))
        await vi.waitUntil(() => states.length > 0)
        expect(states[0]).toMatchObject({ kind: 'store-unavailable' })
        await postgres.start()
        await vi.waitUntil(async () => (await faultOf(access.epoch())) === 'done', { timeout: 20_000, interval: 100 })
        expect(await access.keys()).toEqual([aKey('k1')])
      },
    )
  })
})

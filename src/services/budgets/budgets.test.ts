import { expect, test } from 'vitest'
import type { Budget, Key, Team } from '../../domain/access/index.ts'
import { fakeAccessStore } from '../../domain/access/fake.ts'
import type { Holder, Most } from '../../domain/budgets/index.ts'
import { FaultError, toHttp } from '../../domain/fault.ts'
import type { SpentAsk, SpentRow } from '../../domain/journal/index.ts'
import { instant, keyId, millis, teamName, tokens, versionName } from '../../domain/units.ts'
import type { VersionRoute } from '../../domain/serving/index.ts'
import { emptyBook, openBudgets, openEstimates, openTallies, turnPage } from './index.ts'

const day = 86_400_000
const at = instant(10 * day + day / 4)
const daily = (amount: number, unit: Budget['unit'] = 'tokens'): Budget => ({
  ...{ amount, unit, currency: unit === 'money' ? 'EUR' : null, every: millis(day) },
})
const holder = (budget: Budget): Holder => ({ subject: 'key', id: 'key_1', name: 'bot', budget })
const most = (amount: number): Most => ({
  ...{ tokens: tokens(amount), gpuMs: millis(amount), money: { amount, currency: 'EUR' } },
})

function refusal(work: () => unknown) {
  try {
    work()
  } catch (error) {
    if (error instanceof FaultError) return { fault: error.fault, ...toHttp(error.fault) }
    throw error
  }
  throw new Error('expected a fault')
}

test('B4 what does not fit is refused, with what is spent, what is set aside and when the next period begins', () => {
  const budgets = openBudgets()
  budgets.reserve([holder(daily(100, 'money'))], most(20), at).settle({ tokens: null, gpuMs: null, money: 12.5 })
  budgets.reserve([holder(daily(100, 'money'))], most(30), at)
  const { fault, status, body, retryAfterSeconds } = refusal(() =>
    budgets.reserve([holder(daily(100, 'money'))], most(60), at),
  )
  expect(fault).toMatchObject({ kind: 'budget-spent', by: { subject: 'key', name: 'bot' }, amount: '100 EUR/1d' })
  expect(status).toBe(429)
  expect(retryAfterSeconds).toBe((day * 3) / 4 / 1000)
  expect(body.error.message).toContain('12.50 EUR (and 30 EUR are set aside for requests under way)')
})

test('B9 a budget in another currency is refused by name', () => {
  const dollars = { ...daily(5, 'money'), currency: 'USD' }
  const { status, body } = refusal(() => openBudgets().reserve([holder(dollars)], most(1), at))
  expect(status).toBe(403)
  expect(body.error.message).toMatch(/key 'bot' is in USD.*in EUR.*key update --budget/)
})

test('B4 without a budget everything is admitted, and a lease that does nothing comes back', () => {
  const lease = openBudgets().reserve([{ subject: 'key', id: 'k', name: 'k', budget: null }], most(1e9), at)
  lease.settle({ tokens: null, gpuMs: null, money: null })
  lease.cancel()
})

test('B10 each version learns for itself', () => {
  const estimates = openEstimates()
  // Only what estimates look at.
  const version = (name: string) =>
    ({ name: versionName(name), cost: { hourly: 1, currency: 'EUR', gpus: 1, estimated: true } }) as VersionRoute
  const ask = { prompt: tokens(0), bound: tokens(100) }
  const before = estimates.most(version('a'), ask)
  estimates.learn(version('a'), { input: tokens(0), output: tokens(100), gpuMs: millis(9_000), bounded: true })
  expect(estimates.most(version('a'), ask).gpuMs).toBe(9_000)
  expect(estimates.most(version('b'), ask)).toEqual(before)
})

const aKey = (id: string, change: Partial<Key> = {}): Key => ({
  ...{ id: keyId(id), alias: null, team: null, owner: null, models: null, routes: null, addresses: null, secrets: [] },
  ...{ createdAt: instant(1), expiresAt: null, blockedAt: null, revokedAt: null, metadata: {} },
  ...change,
})
const aTeam = (name: string, budget: Budget): Team => ({
  ...{ name: teamName(name), models: null, metadata: {}, createdAt: instant(1), source: 'api', budget },
})
const row = (name: string, change: Partial<SpentRow> = {}): SpentRow => ({
  ...{ subject: 'key', name, epoch: 'e1', currency: 'EUR', tokens: tokens(10), gpuMs: millis(2_000), money: 0.5 },
  ...change,
})

async function openCounted(rows: SpentRow[]) {
  const access = fakeAccessStore()
  const asked: SpentAsk[] = []
  const spent = async (ask: SpentAsk) => {
    asked.push(ask)
    return rows.filter(({ subject, name }) => (subject === 'key' ? ask.keys : ask.teams).includes(name))
  }
  let images = 0
  const counting = {
    changesSince: access.changesSince,
    image: () => {
      images++
      return access.image()
    },
  }
  return {
    access,
    asked,
    tallies: openTallies({ access: counting, requests: { spent }, now: () => at }),
    images: () => images,
  }
}

test('B11 a tally is in the unit and the currency of the budget, of its present period', async () => {
  const { access, tallies, asked } = await openCounted([
    row('k1'),
    row('k1', { currency: 'USD' }),
    row('k2', { epoch: 'e2' }),
    row('k2'),
    row('dev', { subject: 'team' }),
  ])
  await access.commit([
    { put: 'key', key: aKey('k1', { budget: daily(5, 'money') }) },
    { put: 'key', key: aKey('k2', { alias: 'two', budget: daily(5) }) },
    { put: 'key', key: aKey('k3') },
    { put: 'key', key: aKey('k4', { budget: daily(5), revokedAt: instant(2) }) },
    { put: 'team', team: aTeam('dev', { ...daily(5, 'gpu-seconds'), every: millis(day / 24) }) },
  ])
  expect(await tallies.now()).toEqual([
    {
      ...{ holder: { subject: 'key', id: 'k1', name: 'k1', budget: daily(5, 'money') }, spent: 0.5 },
      ...{ period: { start: 10 * day, end: 11 * day }, byEpoch: new Map([['e1', 0.5]]) },
    },
    expect.objectContaining({
      ...{ holder: { subject: 'key', id: 'k2', name: 'two', budget: daily(5) }, spent: 20 },
      byEpoch: new Map([
        ['e2', 10],
        ['e1', 10],
      ]),
    }),
    expect.objectContaining({ spent: 2, period: { start: at, end: at + day / 24 } }),
  ])
  expect(asked).toEqual([
    { span: 'day', from: 10 * day, until: 11 * day, keys: ['k1', 'k2'], teams: [] },
    { span: 'hour', from: at, until: at + day / 24, keys: [], teams: ['dev'] },
  ])
})

test('B11 keys and teams are read anew only when something about them changed', async () => {
  const { access, tallies, images } = await openCounted([row('k1')])
  expect(await tallies.now()).toEqual([])
  await tallies.now()
  expect(images()).toBe(1)
  await access.commit([{ put: 'key', key: aKey('k1', { budget: daily(5) }) }])
  expect(await tallies.now()).toHaveLength(1)
  await tallies.now()
  expect(images()).toBe(2)
})

const told = (spent: number, parts: [string, number][], budget = daily(5)) => ({
  ...{ holder: holder(budget), period: { start: instant(10 * day), end: instant(11 * day) } },
  ...{ spent, byEpoch: new Map(parts) },
})

test('B7 a gateway is told all, and which part of it is its own journal’s', () => {
  const book = turnPage(emptyBook, [
    told(9, [
      ['e1', 4],
      ['e2', 5],
    ]),
  ])
  const frame = { subject: 'key', name: 'key_1', unit: 'tokens', currency: null, every: day, period: 10 * day, all: 9 }
  expect(book.since(0, 'e2')).toEqual([{ ...frame, own: 5 }])
  expect(book.since(0, 'new')).toEqual([{ ...frame, own: 0 }])
  expect(book.since(0, null)).toEqual([{ ...frame, own: 0 }])
})

test('each hears what is new to it, once, and nothing new is no new page', () => {
  const other = told(1, [['e1', 1]], daily(5, 'gpu-seconds'))
  const first = turnPage(emptyBook, [told(4, [['e1', 4]]), other])
  expect(turnPage(first, [told(4, [['e1', 4]]), other])).toBe(first)
  const second = turnPage(first, [told(9, [['e1', 9]]), other])
  expect(second.since(first.n, null)).toMatchObject([{ unit: 'tokens', all: 9 }])
  expect(second.since(0, null)).toHaveLength(2)
  expect(second.since(second.n, null)).toEqual([])
})

test('a change of whose journal it was is told too', () => {
  const first = turnPage(emptyBook, [told(4, [['e1', 4]])])
  expect(turnPage(first, [told(4, [['e2', 4]])]).since(first.n, 'e2')).toMatchObject([{ all: 4, own: 4 }])
})

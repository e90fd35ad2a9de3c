import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Budget } from '../access/index.ts'
import type { Spend } from '../serving/index.ts'
import { instant, millis, tokens } from '../units.ts'
import { openLedger, type Actual, type Holder, type Ledger, type Most, type Reserved } from './ledger.ts'

const day = 86_400_000
const at = instant(10 * day + 5)
const period = instant(10 * day)

const budget = (amount: number, unit: Budget['unit'] = 'tokens'): Budget => ({
  amount,
  unit,
  currency: unit === 'money' ? 'EUR' : null,
  every: millis(day),
})
const key = (of: Budget, id = 'k'): Holder => ({ subject: 'key', id, name: `key ${id}`, budget: of })
const team = (of: Budget): Holder => ({ subject: 'team', id: 't', name: 't', budget: of })
const most = (amount: number, money = 0): Most => ({
  tokens: tokens(amount),
  gpuMs: millis(amount * 1000),
  money: { amount: money, currency: 'EUR' },
})
const took = (amount: number | null, money = 0): Actual => ({
  tokens: amount === null ? null : tokens(amount),
  gpuMs: null,
  money,
})
const spend = (all: number, own: number, of: Partial<Spend> = {}): Spend => ({
  ...{ subject: 'key', name: 'k', unit: 'tokens', currency: null, every: millis(day), period, all, own },
  ...of,
})

function taken(reserved: ReturnType<Ledger['reserve']>): Reserved {
  if (!reserved.ok) throw new Error(`refused: ${reserved.why}`)
  return reserved
}
const fits = (ledger: Ledger, holder: Holder, amount: number, when = at): boolean => {
  const reserved = ledger.reserve([holder], most(amount), when)
  if (reserved.ok) reserved.cancel()
  return reserved.ok
}

test('B4 requests side by side see what each other set aside', () => {
  const ledger = openLedger()
  const holder = key(budget(30))
  const answers = Array.from({ length: 99 }, () => ledger.reserve([holder], most(1), at))
  expect(answers.filter(({ ok }) => ok)).toHaveLength(30)
})

test('B4 of both budgets or of neither, and the refusal says whose and how much', () => {
  const ledger = openLedger()
  const holders = [key(budget(100)), team(budget(10))]
  expect(ledger.reserve(holders, most(11), at)).toMatchObject({
    ...{ ok: false, why: 'spent', spent: 0, held: 0 },
    ...{ holder: { subject: 'team' }, period: { start: period, end: period + day } },
  })
  expect(fits(ledger, key(budget(100)), 100)).toBe(true)
})

test('B5 what was set aside is given back, and what it did cost is counted', () => {
  const ledger = openLedger()
  const holder = key(budget(100))
  taken(ledger.reserve([holder], most(90), at)).settle(took(10))
  expect(fits(ledger, holder, 90)).toBe(true)
  expect(fits(ledger, holder, 91)).toBe(false)
})

test('B5 a lease ends once, whoever ends it again and how', () => {
  const ledger = openLedger()
  const holder = key(budget(100))
  const lease = taken(ledger.reserve([holder], most(50), at))
  lease.settle(took(20))
  lease.cancel()
  lease.settle(took(20))
  expect(fits(ledger, holder, 80)).toBe(true)
  expect(fits(ledger, holder, 81)).toBe(false)
})

test('B6 what nobody knows counts as it was set aside, and what was cancelled costs nothing', () => {
  const ledger = openLedger()
  const holder = key(budget(100))
  taken(ledger.reserve([holder], most(40), at)).settle(took(null))
  taken(ledger.reserve([holder], most(40), at)).cancel()
  expect(fits(ledger, holder, 60)).toBe(true)
  expect(fits(ledger, holder, 61)).toBe(false)
})

test('B3 a new period begins with nothing spent, and a late request counts for its own', () => {
  const ledger = openLedger()
  const holder = key(budget(100))
  const late = taken(ledger.reserve([holder], most(100), at))
  const next = instant(at + day)
  expect(fits(ledger, holder, 100, next)).toBe(true)
  late.settle(took(100))
  expect(fits(ledger, holder, 100, next)).toBe(true)
  expect(fits(ledger, holder, 1)).toBe(false)
})

test('B7 own requests that the controller has read are not counted twice', () => {
  const ledger = openLedger()
  const holder = key(budget(100))
  taken(ledger.reserve([holder], most(30), at)).settle(took(30))
  ledger.told([spend(50, 20)])
  // 30 own, of which 20 are in the 50: 60 in all.
  expect(fits(ledger, holder, 40)).toBe(true)
  expect(fits(ledger, holder, 41)).toBe(false)
})

test('B7 a gateway that starts again counts what others say of its life before', () => {
  const ledger = openLedger()
  const holder = key(budget(100))
  ledger.told([spend(95, 0)])
  expect(fits(ledger, holder, 5)).toBe(true)
  expect(fits(ledger, holder, 6)).toBe(false)
})

test('B8 of a budget given within its period nothing is forgotten that the controller knows', () => {
  const ledger = openLedger()
  const holder = key(budget(100))
  ledger.told([spend(80, 80)])
  taken(ledger.reserve([holder], most(15), at)).settle(took(15))
  expect(fits(ledger, holder, 21)).toBe(false)
  ledger.told([spend(95, 95)])
  expect(fits(ledger, holder, 6)).toBe(false)
})

test('B9 another amount goes on with the same sum; another unit or period has its own', () => {
  const ledger = openLedger()
  taken(ledger.reserve([key(budget(100))], most(90), at)).settle({ tokens: tokens(90), gpuMs: millis(1_000), money: 0 })
  expect(fits(ledger, key(budget(120)), 30)).toBe(true)
  expect(fits(ledger, key(budget(120)), 31)).toBe(false)
  expect(fits(ledger, key(budget(50, 'gpu-seconds')), 50)).toBe(true)
  expect(fits(ledger, key({ ...budget(50), every: millis(day / 2) }), 50)).toBe(true)
})

test('B9 a budget in a currency that costs are not told in admits nothing', () => {
  const holder = key({ ...budget(5, 'money'), currency: 'USD' })
  expect(openLedger().reserve([holder], most(1, 0.1), at)).toMatchObject({ ok: false, why: 'currency', costs: 'EUR' })
})

test('B4 a budget that is used up to the last cent admits nothing, and fractions do not keep the last one out', () => {
  const ledger = openLedger()
  const holder = key(budget(1, 'money'))
  for (let n = 0; n < 10; n++)
    taken(ledger.reserve([holder], most(0, 0.1), at)).settle({ tokens: null, gpuMs: null, money: 0.1 })
  expect(ledger.reserve([holder], most(0, 0), at).ok).toBe(false)
})

/** One gateway's lives, and a controller that reads its journal when it likes, as far as it likes. */
const event = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('ask' as const), most: fc.integer({ min: 0, max: 20 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      which: fc.nat(30),
      part: fc.integer({ min: 0, max: 130 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read' as const), part: fc.integer({ min: 0, max: 100 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
)

test('B7 B8 whatever happens when, one gateway spends no more than its budget and what went beyond the reservations', () => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 20, maxLength: 300, size: 'max' }), events => {
      const holder = key(budget(100))
      let ledger = openLedger()
      let running: { lease: Reserved; most: number }[] = []
      const journal: { life: number; cost: number }[] = []
      let life = 0
      let read = 0
      let beyond = 0
      const sum = (records: typeof journal) => records.reduce((all, { cost }) => all + cost, 0)
      const tell = () => {
        const known = journal.slice(0, read)
        ledger.told([spend(sum(known), sum(known.filter(each => each.life === life)))])
      }
      for (const each of events) {
        if (each.kind === 'ask') {
          const held = running.reduce((all, { most: amount }) => all + amount, 0)
          // What an earlier life wrote and nobody has read yet, nobody knows.
          const known = sum(journal.filter((record, n) => n < read || record.life === life))
          const answer = ledger.reserve([holder], most(each.most), at)
          // Neither refused without need nor admitted beyond the budget.
          expect(answer.ok).toBe(known + held < 100 && known + held + each.most <= 100)
          if (answer.ok) running.push({ lease: answer, most: each.most })
        } else if (each.kind === 'end') {
          const [ended] = running.splice(each.which % Math.max(1, running.length), 1)
          if (ended === undefined) continue
          const cost = Math.floor((ended.most * each.part) / 100)
          ended.lease.settle(took(cost))
          journal.push({ life, cost })
          beyond += Math.max(0, cost - ended.most)
        } else if (each.kind === 'read') {
          read += Math.ceil(((journal.length - read) * each.part) / 100)
          tell()
        } else {
          // What was running is lost with it, and the controller tells as soon as it is back.
          beyond += sum(journal.slice(read))
          ledger = openLedger()
          running = []
          life++
          tell()
        }
        expect(sum(journal)).toBeLessThanOrEqual(100 + beyond)
      }
    }),
  )
})

test('B8 several gateways go beyond by no more than the others admitted since the controller told', () => {
  const step = fc.record({ gateway: fc.nat(2), amount: fc.integer({ min: 1, max: 20 }), tells: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 200, size: 'max' }), steps => {
      const holder = key(budget(100))
      const ledgers = [openLedger(), openLedger(), openLedger()]
      const own = [0, 0, 0]
      let spent = 0
      let sinceTold = 0
      let lag = 0
      for (const { gateway, amount, tells } of steps) {
        const answer = ledgers[gateway]?.reserve([holder], most(amount), at)
        if (answer?.ok === true) {
          answer.settle(took(amount))
          own[gateway] = (own[gateway] ?? 0) + amount
          spent += amount
          sinceTold += amount
          lag = Math.max(lag, sinceTold)
        }
        expect(spent).toBeLessThanOrEqual(100 + lag)
        if (!tells) continue
        sinceTold = 0
        for (const [n, ledger] of ledgers.entries()) ledger.told([spend(spent, own[n] ?? 0)])
      }
    }),
  )
})

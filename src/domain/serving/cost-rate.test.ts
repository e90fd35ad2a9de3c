import { expect, test } from 'vitest'
import { parseSpec, type Spec } from '../spec/index.ts'
import { cardOf } from './cards.ts'
import { costRate, currencyOf } from './cost-rate.ts'
import { unknownCost } from './earlier-snapshot.ts'

const name = 'dev-v1-a-awq-p0'
const url = 'http://127.0.0.1:9001/v1'

function rateOf(hosts: object[], replicas: object[], more: object = {}) {
  const spec = toSpec({
    hosts,
    versions: [
      { name, engine: { kind: 'vllm' }, replicas: replicas.map((replica, at) => ({ id: `r${at}`, url, ...replica })) },
    ],
    models: [{ name: 'chat', live: name }],
    ...more,
  })
  const [version] = spec.versions
  if (version === undefined) throw new Error('no version')
  return costRate(spec, version)
}

function toSpec(document: object): Spec {
  const reading = parseSpec(document)
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems))
  return reading.spec
}

const twoCards = {
  name: 'h',
  gpus: [
    { id: 'big', power: '600W' },
    { id: 'small', power: '300W' },
  ],
  power: { supply: '1600W', rest: '200W' },
  cost: { hourly: 1, perKwh: 0.2 },
}

test('B2 a replica costs its GPUs’ part of the host’s hour, their watts, and its part of the watts beside them', () => {
  expect(rateOf([twoCards], [{ host: 'h', gpus: ['big'] }])).toEqual({
    ...{ currency: 'EUR', gpus: 1, estimated: false },
    hourly: 0.5 + 0.2 * (0.6 + 0.1),
  })
})

test('B2 a replica that names no GPU may use all of its host’s', () => {
  expect(rateOf([twoCards], [{ host: 'h' }])).toMatchObject({ gpus: 2, hourly: 1 + 0.2 * 1.1 })
})

test('B2 without a host it costs what is usual, in the service’s currency, and says that it is estimated', () => {
  expect(rateOf([], [{}])).toEqual(unknownCost)
  const budget = { amount: 5, currency: 'USD' }
  expect(rateOf([], [{}], { teams: [{ name: 't', budget }] })).toEqual({ ...unknownCost, currency: 'USD' })
})

test('B2 what the spec does not say of a known card is taken from it: written off in three years, at its most', () => {
  const host = { name: 'h', gpus: [{ id: 'g', product: 'NVIDIA GeForce RTX 4090' }], cost: { perKwh: 0.4 } }
  const rate = rateOf([host], [{ host: 'h', gpus: ['g'] }])
  expect(rate.estimated).toBe(true)
  expect(rate.hourly).toBeCloseTo(1_800 / 26_280 + 0.4 * 0.45, 9)
})

test('B2 an hour is never free, whatever is left out', () => {
  const hosts = [{ name: 'h' }, { name: 'i', gpus: [{ id: 'g' }] }, { name: 'j', cost: { hourly: 0.01 } }]
  for (const host of ['h', 'i', 'j']) {
    const rate = rateOf(hosts, [{ host }])
    expect(rate.hourly).toBeGreaterThan(0)
    expect(rate.estimated).toBe(true)
  }
})

test('B2 of replicas on different hosts the mean counts, and backups only when there is nothing else', () => {
  const [a, b] = [1, 3].map(hourly => ({ name: `h${hourly}`, cost: { hourly, perKwh: 0.1 } }))
  const hosts = [a ?? {}, b ?? {}]
  const alone = (host: string, more: object = {}) => rateOf(hosts, [{ host, ...more }]).hourly
  expect(rateOf(hosts, [{ host: 'h1' }, { host: 'h3' }]).hourly).toBeCloseTo((alone('h1') + alone('h3')) / 2, 9)
  expect(rateOf(hosts, [{ host: 'h1' }, { host: 'h3', backup: true }]).hourly).toBe(alone('h1'))
  expect(alone('h3', { backup: true })).toBe(alone('h3'))
})

test('the currency is the hosts’, else the first budget’s, else EUR', () => {
  expect(currencyOf(toSpec({}))).toBe('EUR')
  expect(currencyOf(toSpec({ hosts: [{ name: 'h', cost: { currency: 'CHF' } }] }))).toBe('CHF')
})

test('cards are known by their words, the longer name first', () => {
  expect(cardOf('NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition')?.watts).toBe(300)
  expect(cardOf('NVIDIA RTX PRO 6000 Blackwell')?.watts).toBe(600)
  expect(cardOf('NVIDIA H100 80GB HBM3')?.watts).toBe(700)
  expect(cardOf('Tesla T4')?.watts).toBe(70)
  expect(cardOf('Voodoo 2')).toBeNull()
  expect(cardOf('')).toBeNull()
})

/** Chaos, the short form of `npm run chaos`: what hurts most, once each, in an order that the seed decides. */
import { beforeAll, expect, test } from 'vitest'
import { runChaos, type ChaosReport } from '../chaos/chaos.ts'

const faults = ['replica-killed', 'replica-hung', 'replica-cutting', 'gateway-killed', 'controller-killed']
const seed = Number(process.env['HOLDFAST_TEST_SEED'] ?? Date.now() % 1_000_000)
let report: ChaosReport

beforeAll(async () => {
  report = await runChaos({ seed, minutes: 0, faults })
}, 400_000)

test(`five faults under load break no promise (HOLDFAST_TEST_SEED=${seed})`, () => {
  expect(report.findings.flatMap(({ promise, violations }) => violations.map(text => `${promise}: ${text}`))).toEqual(
    [],
  )
  expect(report.findings).toHaveLength(8)
})

test('there was a load under every fault', () => {
  expect(report.lines.map(({ fault }) => fault).toSorted()).toEqual(faults.toSorted())
  expect(report.lines.filter(({ requests }) => requests === 0)).toEqual([])
})

/** Soak, the short form of `npm run soak`: every tenth client leaves, and nothing is left behind. */
import { beforeAll, expect, test } from 'vitest'
import { runSoak, type SoakReport } from '../chaos/soak.ts'

const [requests, aborts] = [20_000, 2_000]
let report: SoakReport

beforeAll(async () => {
  report = await runSoak({ requests, aborts })
}, 600_000)

test('22,000 requests, 2,000 of them given up, break no promise', () => {
  expect(report.findings.flatMap(({ promise, violations }) => violations.map(text => `${promise}: ${text}`))).toEqual(
    [],
  )
  expect(report.findings).toHaveLength(6)
})

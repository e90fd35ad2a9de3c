/** `npm run soak`. */
import { z } from 'zod'
import { readArguments } from '../../scripts/arguments.ts'
import { renderFindings } from './finding.ts'
import { runSoak } from './soak.ts'
import { untilStopped } from './stopped.ts'

const count = z.coerce.number().int().min(0)
const { requests, aborts, minutes, json } = readArguments({
  usage: `npm run soak [-- --requests N] [--aborts M] [--minutes T] [--json]

A million requests and 100,000 clients who leave, unless told otherwise; --minutes: no longer than that.`,
  switches: ['json'],
  values: {
    requests: count.min(1).default(1_000_000),
    aborts: count.default(100_000),
    minutes: z.coerce.number().positive().optional(),
  },
})

const report = await untilStopped(signal =>
  runSoak({
    requests,
    aborts,
    ...(minutes === undefined ? {} : { minutes }),
    signal,
    onSample: ({ requests: done, heap, resident }) => {
      if (!json)
        console.log(`${done} requests: heap ${toMib(heap)} MiB after collection, ${toMib(resident)} MiB resident`)
    },
  }),
)
if (json) console.log(JSON.stringify(report))
else
  console.log(
    `\n${report.requests + report.aborts} requests in ${report.seconds} s\n${renderFindings(report.findings)}`,
  )
const isBroken = report.findings.some(({ violations }) => violations.length > 0)
process.exitCode = isBroken ? 1 : 0

function toMib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}

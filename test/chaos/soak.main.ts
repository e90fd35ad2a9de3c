/** `npm run soak [-- --requests N --aborts M --minutes T] [--json]`: a million requests and 100,000 clients who leave, unless told otherwise. */
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { renderFindings } from './finding.ts'
import { runSoak } from './soak.ts'
import { untilStopped } from './stopped.ts'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000000' },
    aborts: { type: 'string', default: '100000' },
    minutes: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const count = z.coerce.number().int().min(0)

const report = await untilStopped(signal =>
  runSoak({
    requests: count.min(1).parse(values.requests),
    aborts: count.parse(values.aborts),
    ...(values.minutes === undefined ? {} : { minutes: z.coerce.number().positive().parse(values.minutes) }),
    signal,
    onSample: ({ requests, heap, resident }) => {
      if (!values.json)
        console.log(`${requests} requests: heap ${toMib(heap)} MiB after collection, ${toMib(resident)} MiB resident`)
    },
  }),
)
if (values.json) console.log(JSON.stringify(report))
else
  console.log(
    `\n${report.requests + report.aborts} requests in ${report.seconds} s\n${renderFindings(report.findings)}`,
  )
const isBroken = report.findings.some(({ violations }) => violations.length > 0)
process.exitCode = isBroken ? 1 : 0

function toMib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}

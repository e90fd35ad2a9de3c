/** `npm run chaos [-- --minutes N] [--seed S] [--faults a,b] [--json]`: about five minutes, unless told otherwise. */
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { faultNames, runChaos, type FaultLine } from './chaos.ts'
import { renderFindings } from './finding.ts'
import { untilStopped } from './stopped.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    faults: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const unknown = values.faults?.split(',').find(name => !faultNames.includes(name))
if (unknown !== undefined) {
  console.error(`There is no fault '${unknown}'. Faults: ${faultNames.join(', ')}`)
  process.exit(2)
}
const seed = z.coerce.number().int().parse(values.seed)
if (!values.json) console.log(`seed ${seed}`)
const report = await untilStopped(signal =>
  runChaos({
    seed,
    minutes: z.coerce.number().min(0).parse(values.minutes),
    signal,
    ...(values.faults === undefined ? {} : { faults: values.faults.split(',') }),
    onFault: ({ fault, struck }) => {
      if (!values.json) console.log(`… ${fault} (${struck})`)
    },
  }),
)
if (values.json) console.log(JSON.stringify(report))
else
  console.log(
    `\n${[null, ...report.lines].map(renderLine).join('\n')}\n\n${report.seconds} s, seed ${seed}\n${renderFindings(report.findings)}`,
  )
if (!values.json && report.skipped.length > 0)
  console.log(
    `skipped, as redis-server, PostgreSQL or the right to mount a small disk is missing here: ${report.skipped.join(', ')}`,
  )
process.exitCode = report.findings.some(({ violations }) => violations.length > 0) ? 1 : 0

function renderLine(line: FaultLine | null): string {
  if (line === null) return 'fault                struck       requests  retried  failed  recovered in'
  const recovered = line.recoveredMs === null ? 'not in a minute' : `${(line.recoveredMs / 1000).toFixed(1)} s`
  const counts = `${pad(line.requests, 8)} ${pad(line.retried, 8)} ${pad(line.failed, 7)}`
  return `${line.fault.padEnd(20)} ${line.struck.padEnd(12)} ${counts}  ${recovered}`
}

function pad(value: number, width: number): string {
  return String(value).padStart(width)
}

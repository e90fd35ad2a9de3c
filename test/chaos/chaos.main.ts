/** `npm run chaos`. */
import { z } from 'zod'
import { commaList, readArguments } from '../../scripts/arguments.ts'
import { faultNames, runChaos, type FaultLine } from './chaos.ts'
import { renderFindings } from './finding.ts'
import { untilStopped } from './stopped.ts'

const { minutes, seed, faults, json } = readArguments({
  usage: `npm run chaos [-- --minutes N] [--seed S] [--faults a,b] [--json]

A real service under load, one thing broken after another, its promises judged; about five minutes, unless told otherwise.
--seed: the same faults in the same order. --faults: only these, of
${faultNames.join(', ')}`,
  switches: ['json'],
  values: {
    minutes: z.coerce.number().min(0).default(5),
    seed: z.coerce
      .number()
      .int()
      .default(Date.now() % 1_000_000),
    faults: commaList(z.string().refine(name => faultNames.includes(name), 'there is no such fault')).optional(),
  },
})
if (!json) console.log(`seed ${seed}`)
const report = await untilStopped(signal =>
  runChaos({
    seed,
    minutes,
    signal,
    ...(faults === undefined ? {} : { faults }),
    onFault: ({ fault, struck }) => {
      if (!json) console.log(`… ${fault} (${struck})`)
    },
  }),
)
if (json) console.log(JSON.stringify(report))
else
  console.log(
    `\n${[null, ...report.lines].map(renderLine).join('\n')}\n\n${report.seconds} s, seed ${seed}\n${renderFindings(report.findings)}`,
  )
if (!json && report.skipped.length > 0)
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

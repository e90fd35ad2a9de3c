/** `npm run bench:releases`: how often the evidence of a release is right, how often wrong, and how soon. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { readArguments } from '../../scripts/arguments.ts'
import { seededRandom } from '../../src/domain/evaluation/statistics/index.ts'
import { canaryCases, runCanary } from './canary.ts'
import { foundIn, repeat } from './found.ts'
import { judgeCases, runJudge, verdictsIn } from './judge.ts'
import { renderCanaries, renderJudges, renderSteps } from './report.ts'
import type { CanaryRow, JudgeRow, StepRow } from './report.ts'
import { isWithinBounds, runSteps, stepCases } from './steps.ts'

const values = readArguments({
  usage: `npm run bench:releases [-- --quick] [--seed N]

How often the evidence of a release is right, how often wrong, and how soon, over thousands of simulated ones; a minute or
two. Writes bench/releases/last.md; --quick: a tenth of it, and nothing written. Answers 1 when a bound does not hold.`,
  switches: ['quick'],
  values: { seed: z.coerce.number().int().default(1) },
})
const part = values.quick ? 0.1 : 1
const runs = { canary: 2000 * part, judge: 4000 * part, steps: 2000 * part }
const random = seededRandom(values.seed)
const begun = performance.now()

const canaries = canaryCases.map((one): CanaryRow => ({
  one,
  found: foundIn(repeat(runs.canary, () => runCanary(one, random))),
}))
console.log(`${renderCanaries(canaries)}\n`)

const judges = judgeCases.map((one): JudgeRow => {
  const seen = repeat(runs.judge, () => runJudge(one, random))
  return { one, promoted: verdictsIn(seen, 'promoted'), regressed: verdictsIn(seen, 'regressed') }
})
console.log(`${renderJudges(judges)}\n`)

const steps = stepCases.map((one): StepRow => ({
  one,
  found: foundIn(repeat(runs.steps, () => runSteps(one, random))),
}))
console.log(`${renderSteps(steps)}\n`)

const broken = steps.filter(row => !isWithinBounds(row.one, row.found))
for (const { one } of broken) console.error(`Out of its bounds: ${one.title}`)
if (!values.quick) writeFileSync(fileURLToPath(new URL('last.md', import.meta.url)), renderDocument())
process.exitCode = broken.length === 0 ? 0 : 1

function renderDocument(): string {
  return [
    '# Releases bench: last numbers',
    '',
    'Written by `npm run bench:releases`. «Chosen by» is the simulation that the defaults were chosen by, before this code was.',
    '',
    `**Counts**, «worse», one-sided, k = 10, α = 0.01: ${runs.canary} canaries of 20,000 requests a row, a look every 50.`,
    '',
    renderCanaries(canaries),
    '',
    `**Judged pairs**, α = 0.05: ${runs.judge} releases of up to 1,500 pairs a row, a look at each pair. The median is of the commoner verdict.`,
    '',
    renderJudges(judges),
    '',
    `**Growing shares** (1, 5, 25, 50 %, 5,000 requests each, unless a title says otherwise 20,000 at one share), a look every 100: ${runs.steps} runs a row.`,
    'Rates that wave go from a fifth of 0.6 % to five times as much, when the share is large.',
    '',
    renderSteps(steps),
    '',
    `${new Date().toISOString().slice(0, 10)} · seed ${values.seed} · Node ${process.versions.node} · ${((performance.now() - begun) / 1000).toFixed(0)} s`,
    '',
  ].join('\n')
}

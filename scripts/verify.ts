/**
 * Everything that must hold, in one command: `npm test` (all), `npm run check` (`--static`: without whole services),
 * `npm run e2e` (`--only e2e`). Its last line is `N passed, N failed, N skipped`.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { commaList, readArguments } from './arguments.ts'
import { ensureTools } from './tools.ts'

type Count = { passed: number; failed: number; skipped: number }
type Step = { name: string; suite?: true; run: () => Promise<Count> }

const none: Count = { passed: 0, failed: 0, skipped: 0 }
const oneFailed: Count = { ...none, failed: 1 }
// Longer than any step takes on a slow machine: a step that hangs is a failure with a name, not a silent night.
const stepMinutesMax = 20

const bin = {
  oxfmt: 'node_modules/oxfmt/bin/oxfmt',
  oxlint: 'node_modules/oxlint/bin/oxlint',
  tsc: 'node_modules/typescript/bin/tsc',
  depcruise: 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs',
  knip: 'node_modules/knip/bin/knip.js',
  vitest: 'node_modules/vitest/vitest.mjs',
}

/** What is read of vitest's JSON report. */
const Report = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int(),
  numTodoTests: z.int(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
})

const steps: readonly Step[] = [
  { name: 'tools', run: checkTools },
  check('format', [bin.oxfmt, '--check']),
  check('lint', [bin.oxlint]),
  check('types', [bin.tsc, '-p', 'tsconfig.json'], [bin.tsc, '-p', 'src/domain']),
  check('boundaries', [
    bin.depcruise,
    '--config',
    '.dependency-cruiser.mjs',
    'src',
    'tools',
    'scripts',
    'bench',
    'test',
  ]),
  check('unused', [bin.knip, '--no-progress']),
  check('docs', ['scripts/docs.ts', '--check']),
  suite('unit'),
  suite('contract'),
  suite('conformance'),
  suite('e2e'),
]

/** Suites that start whole services and the clients that people have. */
const wholeServices = ['conformance', 'e2e']

const children = new Set<ChildProcess>()
let interrupted: NodeJS.Signals | null = null

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted = signal
    for (const child of children) child.kill('SIGTERM')
  })
}

await verify(pickSteps())

async function verify(chosen: readonly Step[]): Promise<void> {
  const total = { ...none }
  const failures: string[] = []
  for (const step of chosen) {
    if (interrupted) break
    console.log(`\n── ${step.name} ${'─'.repeat(Math.max(0, 70 - step.name.length))}`)
    const start = performance.now()
    const count = await step.run()
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    console.log(`${step.name}: ${count.failed > 0 ? 'FAILED' : 'ok'} (${seconds} s)`)
    if (count.failed > 0) failures.push(step.name)
    total.passed += count.passed
    total.failed += count.failed
    total.skipped += count.skipped
  }
  const ranTests = total.passed + total.skipped > 0 || !chosen.some(step => step.suite)
  if (interrupted) failures.push(`stopped by ${interrupted}`)
  if (!ranTests) failures.push('no test ran')
  if ((interrupted || !ranTests) && total.failed === 0) total.failed = 1
  console.log(failures.length > 0 ? `\nFailed: ${failures.join(', ')}` : '\nAll good.')
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
  process.exitCode = failures.length > 0 ? 1 : 0
}

function pickSteps(): readonly Step[] {
  const stepNames = steps.map(step => step.name)
  const { static: isStatic, only: names } = readArguments({
    usage: `npm test · npm run check · npm run e2e · bin/node24 scripts/verify.ts [--static] [--only a,b]

Everything that must hold; the last line is \`N passed, N failed, N skipped\`. --static: without whole services.
--only: these steps, of
${stepNames.join(', ')}`,
    switches: ['static'],
    values: {
      only: commaList(z.string().refine(name => stepNames.includes(name), 'there is no such step')).optional(),
    },
  })
  if (names === undefined) return steps.filter(step => !(isStatic && wholeServices.includes(step.name)))
  // Suites skip what needs a missing tool, so they need to know.
  return steps.filter(
    step => names.includes(step.name) || (step.name === 'tools' && wholeServices.some(name => names.includes(name))),
  )
}

async function checkTools(): Promise<Count> {
  const missing = ensureTools()
  // Tests that need one of these skip themselves, by name.
  process.env['HOLDFAST_MISSING_TOOLS'] = missing.join(',')
  return missing.length > 0 && process.env['CI'] === 'true' ? oneFailed : none
}

/** A step that passes when all its commands do; they run side by side, and all problems are seen at once. */
function check(name: string, ...commands: string[][]): Step {
  return {
    name,
    run: async () => {
      const codes = await Promise.all(commands.map(run))
      return codes.every(code => code === 0) ? none : oneFailed
    },
  }
}

function suite(name: string): Step {
  return {
    name,
    suite: true,
    run: async () => {
      const folder = mkdtempSync(join(tmpdir(), 'holdfast-verify-'))
      try {
        const report = join(folder, 'report.json')
        const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
        // `unit` is two projects: the domain's tests and the others'.
        const code = await run([bin.vitest, 'run', '--project', `${name}*`, '--passWithNoTests', ...reporters])
        return readReport(report, code)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
  }
}

function readReport(path: string, code: number): Count {
  let report: z.output<typeof Report>
  try {
    report = Report.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    console.error(`vitest left no report: ${String(error)}`)
    return oneFailed
  }
  for (const test of report.testResults.flatMap(file => file.assertionResults)) {
    if (test.status !== 'passed' && test.status !== 'failed') console.log(`skipped: ${test.fullName}`)
  }
  // A file that can't be loaded, or whose set-up failed, has no failed test to count.
  const brokenFiles = report.testResults.filter(
    file => file.status === 'failed' && !file.assertionResults.some(test => test.status === 'failed'),
  )
  const failed = report.numFailedTests + brokenFiles.length
  return {
    passed: report.numPassedTests,
    // An error outside any test fails the run too.
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  }
}

/** Runs a program of ours on this Node; resolves with its exit code (1 when it was killed). */
function run(command: readonly string[]): Promise<number> {
  return new Promise(resolve => {
    const started = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...command], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    children.add(started)
    const timer = setTimeout(() => {
      console.error(`Still running after ${stepMinutesMax} minutes; stopping it.`)
      started.kill('SIGKILL')
    }, stepMinutesMax * 60_000)
    const over = (code: number): void => {
      clearTimeout(timer)
      children.delete(started)
      resolve(code)
    }
    started.once('error', error => {
      console.error(String(error))
      over(1)
    })
    started.once('exit', code => over(code ?? 1))
  })
}

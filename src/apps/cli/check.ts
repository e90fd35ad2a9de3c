/** `holdfast check`: everything that is wrong with a spec, at once, and what of it this release does not act on. */
import type { Command } from 'commander'
import { formatProblem, readSpecFile } from '../../adapters/spec-file/index.ts'
import { examples } from './output.ts'

export function registerCheck(program: Command): void {
  program
    .command('check')
    .description('Validate a spec: every problem at once, with file, line, column and what to do.')
    .argument('[spec]', 'The spec.', 'holdfast.yaml')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('check', 'check examples/two-replicas/holdfast.yaml'))
    .action(async (spec: string, options: { json?: boolean }) => {
      const { exitCode, output } = await checkSpec(spec, { json: options.json === true })
      process.stdout.write(output)
      process.exitCode = exitCode
    })
}

/** `exitCode`: 0 the spec is good, 1 it is not. `output` ends with a line break. */
export async function checkSpec(
  path: string,
  { json }: { json: boolean },
): Promise<{ exitCode: 0 | 1; output: string }> {
  const read = await readSpecFile(path)
  if (json) {
    const { ok } = read
    const report = read.ok ? { ok, notActedOn: read.notes } : { ok, problems: read.problems }
    return { exitCode: ok ? 0 : 1, output: `${JSON.stringify(report, null, 2)}\n` }
  }
  const lines = read.ok
    ? sayGood(path, read.notes)
    : [...read.problems.map(formatProblem), `${countOf(read.problems.length, 'problem')}.`]
  return { exitCode: read.ok ? 0 : 1, output: `${lines.join('\n')}\n` }
}

function sayGood(path: string, notes: readonly string[]): string[] {
  const next = `Start it with: holdfast up ${path}`
  if (notes.length === 0) return [`${path}: ok`, next]
  return [`${path}: ok`, 'Accepted, not acted on yet:', ...notes.map(note => `  ${note}`), next]
}

const countOf = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

/** `holdfast import litellm`: from LiteLLM Proxy's config.yaml to a spec. */
import { existsSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { printYaml, readYamlFile } from '../../adapters/spec-file/index.ts'
import { importLiteLlm, type LeftOut } from '../../domain/import-litellm/index.ts'
import { notActedOn } from '../../domain/spec/index.ts'
import { CliError } from './client.ts'
import { examples, processIo, type CliIo } from './output.ts'

type Flags = { out?: string; force?: boolean; json?: boolean }
type ImportIo = CliIo & {
  /** Beside the answer: what a person should know of it. */
  tell: (text: string) => void
}

const usualIo: ImportIo = {
  ...processIo,
  tell: text => {
    process.stderr.write(`${text}\n`)
  },
}

export function registerImport(program: Command, io: ImportIo = usualIo): void {
  program
    .command('import')
    .description('Come from another gateway.')
    .command('litellm')
    .description('Turn LiteLLM Proxy’s config.yaml into a spec, and tell all that is left out.')
    .argument('<config>', 'LiteLLM’s config.yaml.')
    .option('--out <file>', 'Write the spec there (default: to standard output).')
    .option('--force', 'Replace the file if there is one.')
    .option('--json', 'The spec and what was left out, as JSON.')
    .addHelpText(
      'after',
      `
What is left out is told on standard error, with its reason. Addresses that the config takes from the environment
(os.environ/NAME) are looked up there; keys are not: the spec refers to them. Exit code 1: nothing could be carried over.
${examples('import litellm config.yaml', 'import litellm config.yaml --out holdfast.yaml')}`,
    )
    .action(async (config: string, flags: Flags) => {
      process.exitCode = await runImport(config, flags, io)
    })
}

async function runImport(config: string, { out, force = false, json = false }: Flags, io: ImportIo): Promise<0 | 1> {
  if (out !== undefined && !force && existsSync(out))
    throw new CliError(`There is a file ${out} already. Choose another name, or replace it with --force.`)
  const read = await readYamlFile(config)
  if (!read.ok) throw new CliError([...read.problems, 'Nothing was imported.'].join('\n'))
  const { spec, leftOut } = importLiteLlm(read.value, name => io.env[name])
  const carried = spec.models?.length ?? 0
  const text = printYaml(spec, ['From a config of LiteLLM Proxy, by holdfast import litellm.'])
  const written = out !== undefined && carried > 0
  if (written) write(out, text, force)
  if (json)
    io.out(JSON.stringify({ spec, leftOut, notActedOn: notActedOn(spec), written: written ? out : null }, null, 2))
  else if (carried > 0 && out === undefined) io.out(text.trimEnd())
  if (!json)
    io.tell(
      sayImport({ carried, leftOut, notYet: notActedOn(spec), out: out ?? null })
        .map(printable)
        .join('\n'),
    )
  return carried > 0 ? 0 : 1
}

/** `wx` refuses a file that came to be after the look. */
function write(path: string, text: string, force: boolean): void {
  try {
    writeFileSync(path, text, { flag: force ? 'w' : 'wx' })
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new CliError(`${path} can't be written (${why}).`, 1, { cause: error })
  }
}

type Told = { carried: number; leftOut: readonly LeftOut[]; notYet: readonly string[]; out: string | null }

function sayImport({ carried, leftOut, notYet, out }: Told): string[] {
  const left = leftOut.flatMap(({ path, why, instead }) => [`  ${path}: ${why}`, `    ${instead}`])
  const list = left.length === 0 ? [] : ['Left out, or not as it was:', ...left, '']
  if (carried === 0) return [...list, 'Nothing could be carried over: no model of this config is an engine of yours.']
  const later =
    notYet.length === 0 ? [] : ['In the spec, and not acted on yet:', ...notYet.map(note => `  ${note}`), '']
  return [
    ...list,
    ...later,
    `Carried over: ${carried} model${carried === 1 ? '' : 's'}. A version’s name says fp16 where the model’s name told no quantisation: correct it now, names stay.`,
    out === null ? 'Keep it with --out holdfast.yaml.' : `Check it with: holdfast check ${out}`,
  ]
}

/** Keys of a config may hold anything; a terminal's control sequences stay out of the output. */
const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, '\uFFFD')

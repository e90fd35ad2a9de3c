/** `holdfast model quantise`: the same model in fewer bits. */
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { openQuantiser } from '../../../adapters/llama-library/index.ts'
import { openLocalPlace } from '../../../adapters/model-files/index.ts'
import { openNewFile } from '../../../adapters/new-file/index.ts'
import { spellQuantisation, toQuantisation, type Quantisation } from '../../../domain/catalog/index.ts'
import type { Inspection } from '../../../services/inspect-model.ts'
import { nameForQuantised, quantiseModel, readImportance, type Quantised } from '../../../services/quantise/index.ts'
import { size } from '../../../domain/size.ts'
import { CliError } from '../client.ts'
import { examples, type CliIo } from '../output.ts'
import { stopOnSignals } from '../stop-on-signals.ts'
import { wholeNumber } from '../whole-number.ts'
import { readLocalModel, sayingNo } from './local-gguf.ts'
import { tellSteps } from '../steps.ts'

type Flags = {
  to: string
  out?: string
  imatrix?: string
  threads?: number
  allowRequantise?: boolean
  json?: boolean
}

const entry = fileURLToPath(new URL('../../main.ts', import.meta.url))

export function registerQuantise(model: Command, io: CliIo): void {
  model
    .command('quantise')
    .description('Make the same model in fewer bits: a GGUF in another quantisation, by llama.cpp’s own library.')
    .argument('<gguf>', 'A file, any part of a split one, or a folder.')
    .requiredOption(
      '--to <quantisation>',
      'Q8_0, Q6_K, Q5_K_M, Q4_K_M, IQ4_XS, Q3_K_M, Q2_K, F16, … (--to ? lists all).',
    )
    .option('--out <file>', 'What to write (default: beside the input, with the quantisation in its name).')
    .option('--imatrix <file>', 'How much each input matters, as llama.cpp’s llama-imatrix measured it (GGUF).')
    .option('--threads <n>', 'Threads to work with (default: as many as there are cores).', wholeNumber(1, 1024))
    .option('--allow-requantise', 'Take weights that were quantised before, too; it costs quality.')
    .option('--json', 'As JSON.')
    .addHelpText(
      'after',
      `
The file appears under its name once it is whole; what is stopped or killed leaves nothing under that name. Nothing is
replaced. Exit code 1: it can't be made, and nothing was written.
${examples(
  'model quantise coder-f16.gguf --to Q4_K_M',
  'model quantise coder-f16.gguf --to IQ3_XXS --imatrix coder.imatrix.gguf --out /models/coder-small.gguf',
  'model compare coder-f16.gguf coder-Q4_K_M.gguf --text manual.txt',
)}`,
    )
    .action(async (gguf: string, flags: Flags) => {
      const signal = stopOnSignals()
      await sayingNo(signal, () => runQuantise(gguf, flags, { io, signal }))
    })
}

async function runQuantise(
  named: string,
  flags: Flags,
  { io, signal }: { io: CliIo; signal: AbortSignal },
): Promise<void> {
  const quantiser = openQuantiser({ entry, env: io.env })
  const to = readTarget(flags.to, quantiser.makes)
  const input = await readLocalModel(named, signal)
  const importance =
    flags.imatrix === undefined ? null : await readImportance(await openLocalPlace(flags.imatrix), signal)
  const output = await openNewFile(flags.out ?? nameForQuantised(input.path, to))
  const quantised = await quantiseModel({
    ...{ input, to, importance, quantiser, output, signal },
    threads: flags.threads ?? availableParallelism(),
    requantise: flags.allowRequantise === true,
    inspect: async path => (await readLocalModel(path, signal)).inspection,
    onTensor: tellSteps(process.stderr, 'tensors'),
  })
  const made = { from: input.inspection, path: output.path, ...quantised }
  io.out(flags.json === true ? JSON.stringify(toJson(made), null, 2) : render(made, named))
}

type Made = Quantised & { from: Inspection; path: string }

function toJson({ made, from, path, fallBacks }: Made): object {
  const of = ({ quantisation, bytes, tensorTypes }: Inspection) => ({ quantisation, bytes, tensorTypes })
  return { path, ...of(made), from: { path: from.source, ...of(from) }, fallBacks }
}

function render({ made, from, path, fallBacks }: Made, named: string): string {
  const types = made.tensorTypes.map(({ type, tensors }) => `${tensors} ${type}`).join(', ')
  const bits = (of: Inspection): string => `${of.quantisation?.bitsPerWeight.toFixed(2) ?? '?'} bits per weight`
  const tensors = made.tensorTypes.reduce((sum, each) => sum + each.tensors, 0)
  const again = from.tensorTypes.some(({ type }) => !/^(B?F|I)\d+$/i.test(type))
  return [
    `${path}: ${size(made.bytes)}, ${bits(made)} (${basename(from.source)}: ${size(from.bytes)}, ${bits(from)}).`,
    `Tensors: ${types}.`,
    ...(fallBacks.length === 0
      ? []
      : [
          `${fallBacks.length} of ${tensors} tensors took a larger type, because their rows do not divide into the blocks of the one that was asked for: ${tally(fallBacks)}.`,
        ]),
    ...(again
      ? ['It was made from weights that were quantised before: compare it with the original, if there is one.']
      : []),
    `What it costs: holdfast model compare ${named} ${path} --text <a text of your own>`,
  ].join('\n')
}

function tally(fallBacks: Quantised['fallBacks']): string {
  const counts = new Map<string, number>()
  for (const { wanted, got } of fallBacks) counts.set(`${wanted} → ${got}`, (counts.get(`${wanted} → ${got}`) ?? 0) + 1)
  return [...counts].map(([change, count]) => `${change} (${count})`).join(', ')
}

function readTarget(text: string, makes: readonly Quantisation[]): Quantisation {
  const all = makes.map(spellQuantisation).join(', ')
  const to = toQuantisation(text)
  if (to !== null && makes.includes(to)) return to
  const known = to === null ? `'${text}' is no quantisation that is known here` : `llama.cpp does not make ${text}`
  throw new CliError(`${text === '?' ? 'Quantisations' : `${known}; it makes`}: ${all}.`, 2)
}

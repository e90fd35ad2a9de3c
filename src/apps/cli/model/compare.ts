/** `holdfast model compare`: what a quantisation of a model lost against another one, measured. */
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { InvalidArgumentError, type Command } from 'commander'
import { openScorer } from '../../../adapters/llama-library/index.ts'
import { checkSameModel, compareModels, type Comparison } from '../../../services/compare/index.ts'
import { CliError } from '../client.ts'
import { examples, type CliIo } from '../output.ts'
import { stopOnSignals } from '../stop-on-signals.ts'
import { wholeNumber } from '../whole-number.ts'
import { compareGolden, readGoldenSet } from './compare-golden.ts'
import { renderComparison, type Measured } from './compare-report.ts'
import { readLocalModel, sayingNo, type LocalModel } from './local-gguf.ts'
import { tellSteps } from '../steps.ts'
import { readText } from './text-file.ts'

type Flags = {
  text?: string
  context?: number
  chunks?: number
  golden?: string
  worst?: number
  threads?: number
  json?: boolean
}

const entry = fileURLToPath(new URL('../../main.ts', import.meta.url))

/** Up to this size a second thread costs more than it brings (docs/design/0002-embedded-engine.md). */
const oneThreadBytes = 64 * 1024 * 1024

export function registerCompare(model: Command, io: CliIo): void {
  model
    .command('compare')
    .description('Measure what quantising lost: two quantisations of one model, on a text and on a golden set.')
    .argument('<reference>', 'A GGUF of the model, in the higher precision.')
    .argument('<quantised>', 'A GGUF of the same model.')
    .option('--text <file>', 'A text of the kind that the model works on, UTF-8; 50 windows or more tell something.')
    .option(
      '--context <tokens>',
      'Tokens of a window (default: 512, or what the model has).',
      wholeNumber(16, 1_048_576),
    )
    .option('--chunks <n>', 'At most so many windows (default: all that the text has).', wholeNumber(2, 1_000_000))
    .option('--golden <set>', 'Ask both this golden set, too: JSON lines, one case each.')
    .option('--worst <percent>', 'Exit with 1 unless the loss of perplexity is shown to be at most this.', percentage)
    .option(
      '--threads <n>',
      'Threads to work with (default: all cores but one; one for small models).',
      wholeNumber(1, 1024),
    )
    .option('--json', 'As JSON.')
    .addHelpText(
      'after',
      `
Perplexity is what llama.cpp's llama-perplexity measures: of each window the second half is scored. Both models see the
same tokens, so the difference is far surer than either number. What it means: docs/quantising.md.
Exit codes: 0 measured; 1 it can't be measured, or the loss may be more than --worst; 2 wrong usage.
${examples(
  'model compare coder-f16.gguf coder-Q4_K_M.gguf --text manual.txt',
  'model compare coder-f16.gguf coder-Q4_K_M.gguf --text manual.txt --worst 3 --json',
  'model compare coder-f16.gguf coder-Q4_K_M.gguf --golden golden.jsonl',
)}`,
    )
    .action(async (reference: string, quantised: string, flags: Flags) => {
      if (flags.text === undefined && flags.golden === undefined)
        throw new CliError('Name what to measure on: --text <file>, --golden <set>, or both.', 2)
      if (flags.worst !== undefined && flags.text === undefined)
        throw new CliError('--worst is about perplexity: bring a --text.', 2)
      const signal = stopOnSignals()
      const measured = await sayingNo(signal, () => measure({ reference, quantised }, flags, { io, signal }))
      io.out(flags.json === true ? JSON.stringify(toJson(measured), null, 2) : renderComparison(measured))
      process.exitCode = measured.isWithin === false ? 1 : 0
    })
}

async function measure(
  named: { reference: string; quantised: string },
  flags: Flags,
  { io, signal }: { io: CliIo; signal: AbortSignal },
): Promise<Measured> {
  // What is wrong with either is told before hours of work.
  const text = flags.text === undefined ? null : await readText(flags.text)
  const set = flags.golden === undefined ? null : readGoldenSet(flags.golden)
  const reference = await readLocalModel(named.reference, signal)
  const other = await readLocalModel(named.quantised, signal)
  checkSameModel(reference.inspection, other.inspection)
  const loss = text === null ? null : await compareText({ reference, other, text }, flags, { io, signal })
  const parts = { entry, env: io.env, signal, onProgress: tellSteps(process.stderr, 'answers') }
  const golden = set === null ? null : await compareGolden({ set, reference, other }, parts)
  const worst = flags.worst ?? null
  return {
    ...{ reference: reference.inspection, other: other.inspection, loss, golden, worst },
    textFile: flags.text ?? null,
    isWithin: worst === null || loss === null ? null : loss.loss.upper <= worst / 100,
  }
}

function compareText(
  { reference, other, text }: { reference: LocalModel; other: LocalModel; text: string },
  flags: Flags,
  { io, signal }: { io: CliIo; signal: AbortSignal },
): Promise<Comparison> {
  const bytes = reference.inspection.bytes + other.inspection.bytes
  const free = process.availableMemory()
  if (bytes > free)
    process.stderr.write(
      `The two models take ${bytes} bytes, and ${free} of memory are free: they are read from the disk again and again, which is slow.\n`,
    )
  const threads = flags.threads ?? (bytes / 2 < oneThreadBytes ? 1 : Math.max(1, availableParallelism() - 1))
  return compareModels({
    ...{ reference, other, text, threads, signal },
    ...{ context: flags.context ?? null, windows: flags.chunks ?? null },
    scorer: openScorer({ entry, env: io.env }),
    onWindow: tellSteps(process.stderr, 'windows'),
  })
}

function toJson({ reference, other, loss, golden, textFile, worst, isWithin }: Measured): object {
  const of = ({ source, quantisation, bytes }: Measured['reference']) => ({ path: source, quantisation, bytes })
  return {
    reference: of(reference),
    quantised: of(other),
    perplexity: loss === null ? null : { ...loss, text: { file: textFile, ...loss.text } },
    golden,
    worst,
    isWithin,
  }
}

function percentage(text: string): number {
  const value = Number(text.replace(/\s*%$/, ''))
  if (/^\d+(\.\d+)?\s*%?$/.test(text) && value <= 1000) return value
  throw new InvalidArgumentError('It must be a number of percent, such as 3 or 0.5.')
}

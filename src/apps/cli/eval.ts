/** `holdfast eval run`: a golden set against any OpenAI-compatible address, for people and for CI. */
import { readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Command } from 'commander'
import { askAt, embedAt, type Address, type ListedModel } from '../../adapters/openai-client/index.ts'
import { parseGoldenSet, warnOfKinship, type GoldenSet } from '../../domain/evaluation/index.ts'
import { evaluateGolden, type GoldenEvaluation } from '../../services/evaluate/index.ts'
import { CliError } from './client.ts'
import { addressOf, codeOf, findModels, nameOf, newNonce } from './eval/address.ts'
import type { EvalIo } from './eval/io.ts'
import { registerEvalJudge } from './eval/judge.ts'
import { renderJunit } from './eval/junit.ts'
import { tellProgress } from './eval/progress.ts'
import { renderReport } from './eval/report.ts'
import { digestsOf, readBaseline, toResults, type Results } from './eval/results.ts'
import { margin, sharePassed, temperature } from './eval/share-option.ts'
import { examples, processIo, type CliIo } from './output.ts'
import { stopOnSignals } from './stop-on-signals.ts'
import { wholeNumber } from './whole-number.ts'

type Flags = {
  model: string
  against?: string
  baseline?: string
  url?: string
  key?: string
  judge?: string
  embed?: string
  repeats: number
  margin: number
  passing: number
  temperature?: number
  maxTokens?: number
  seed: number
  concurrency: number
  timeout: number
  junit?: string
  out?: string
  json?: boolean
}

const usualIo: EvalIo = { ...processIo, progress: tellProgress(process.stderr), stop: () => stopOnSignals() }

export function registerEval(program: Command, io: EvalIo = usualIo): void {
  const evaluation = program.command('eval').description('Measure models with evidence.')
  registerEvalJudge(evaluation, io)
  evaluation
    .command('run')
    .description('Run a golden set against a model: alone, against another one, or against an earlier run.')
    .argument('<set>', 'The golden set: JSON lines, one case each.')
    .requiredOption('--model <name>', 'The model to measure, as the address names it.')
    .option('--against <name>', 'Ask this model too, and measure the difference.')
    .option('--baseline <file>', 'Measure the difference to an earlier run, kept with --out.')
    .option('--url <url>', 'The address (default: the service of this state folder).')
    .option('--key <key>', 'Its key (default: HOLDFAST_KEY; without --url also the admin key).')
    .option(
      '--judge <name>',
      'The model that gives marks, for cases with a rubric, and checks claims against a context.',
    )
    .option('--embed <name>', 'The embedding model, for closeness (default: by words, which the report says).')
    .option('--repeats <n>', 'Answers to each case.', wholeNumber(1, 20), 1)
    .option('--margin <share>', 'How much worse than the other it may be.', margin, 0.02)
    .option('--passing <share>', 'Alone: how many of the cases must pass.', sharePassed, 1)
    .option('--temperature <t>', 'Temperature of the answers (default: the version’s own).', temperature)
    .option('--max-tokens <n>', 'Longest answer, in tokens.', wholeNumber(1, 1_000_000))
    .option('--seed <n>', 'Seed of the first repeat; the next has the next one.', wholeNumber(0, 2 ** 31 - 1), 1)
    .option('--concurrency <n>', 'Answers awaited at once.', wholeNumber(1, 256), 4)
    .option('--timeout <seconds>', 'Longest wait for one answer.', wholeNumber(1, 86_400), 300)
    .option('--junit <file>', 'Write the result as JUnit XML.')
    .option('--out <file>', 'Write everything as JSON: the next run’s --baseline.')
    .option('--json', 'Print everything as JSON.')
    .addHelpText(
      'after',
      `
Exit codes: 0 it passes; 1 it does not, or nobody can tell; 2 wrong usage, or a set with mistakes.
${examples(
  'eval run examples/golden/smoke.jsonl --model smoke',
  'eval run golden.jsonl --model coder-next --against coder --repeats 3',
  'eval run golden.jsonl --model coder --out baseline.json',
  'eval run golden.jsonl --model coder --baseline baseline.json --junit eval.xml',
  'eval run golden.jsonl --url http://10.0.0.5:8000 --model qwen3 --judge referee --embed embed',
)}`,
    )
    .action(async (file: string, flags: Flags) => {
      process.exitCode = await runEval(file, flags, io)
    })
}

async function runEval(file: string, flags: Flags, io: EvalIo): Promise<0 | 1> {
  if (flags.against !== undefined && flags.baseline !== undefined)
    throw new CliError('--against and --baseline exclude each other: both say what to compare with.', 2)
  const set = readSet(file)
  const text = { digests: digestsOf(set), name: basename(file) }
  const unjudged = flags.judge === undefined ? set.cases.filter(each => each.expect.rubric !== undefined) : []
  if (unjudged.length > 0)
    throw new CliError(
      `${unjudged.length} cases have a rubric, such as '${unjudged[0]?.id}': name a judge with --judge.`,
      2,
    )
  const baseline = flags.baseline === undefined ? null : readBaseline(flags.baseline, text.digests)
  const signal = io.stop()
  const address = addressOf(flags, io)
  const named = [flags.model, flags.against, flags.judge, flags.embed]
  const listed = await findModels(address, named, signal)
  const judgeName = nameOf(flags.judge, listed)
  if (baseline !== null) checkJudge(baseline.judge, judgeName)
  const at = (model: string): Address => ({ ...address, model })
  const run: GoldenEvaluation = {
    set,
    arms: {
      candidate: askAt(at(flags.model)),
      ...(flags.against === undefined ? {} : { live: askAt(at(flags.against)) }),
      ...(baseline === null ? {} : { live: baseline.trials }),
    },
    standard:
      flags.against === undefined && baseline === null
        ? { kind: 'alone', atLeast: flags.passing }
        : { kind: 'against', margin: flags.margin },
    ...(flags.judge === undefined || judgeName === null
      ? {}
      : { judge: { ask: askAt(at(flags.judge)), name: judgeName, digest: null, seed: flags.seed, nonce: newNonce } }),
    ...(flags.embed === undefined ? {} : { embed: embedAt(at(flags.embed)) }),
    ...(flags.temperature === undefined ? {} : { temperature: flags.temperature }),
    ...(flags.maxTokens === undefined ? {} : { maxTokens: flags.maxTokens }),
    ...{ repeats: flags.repeats, concurrency: flags.concurrency, seed: flags.seed, signal },
    onProgress: io.progress,
  }
  const found = await evaluateGolden(run).catch((error: unknown) => {
    if (signal.aborted)
      throw new CliError('Stopped: there is no verdict, and nothing was written.', 1, { cause: error })
    throw error
  })
  const against = flags.against ?? (flags.baseline === undefined ? null : `${baseline?.model} (${flags.baseline})`)
  const results = toResults({
    ...{ set: text, model: flags.model, against, found },
    settings: { repeats: flags.repeats, seed: flags.seed, temperature: flags.temperature ?? null },
    kinship: kinshipOf({ judgeName, flags, listed, seen: found.versions }),
  })
  publish(results, flags, io)
  return found.outcome.verdict === 'pass' ? 0 : 1
}

function publish(results: Results, { junit, out, json }: Flags, io: CliIo): void {
  if (junit !== undefined) write(junit, renderJunit(results))
  if (out !== undefined) write(out, `${JSON.stringify(results, null, 1)}\n`)
  io.out(json === true ? JSON.stringify(results) : renderReport(results, { out: out ?? null }))
}

function readSet(file: string): GoldenSet {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new CliError(`${file} can’t be read (${codeOf(error)}).`, 2, { cause: error })
  }
  const read = parseGoldenSet(text)
  if (read.ok) return read.set
  const lines = read.problems.map(({ line, problem }) => `${file}:${line}: ${problem}`)
  throw new CliError([...lines, 'Nothing was run. What a case may hold: docs/evaluation.md.'].join('\n'), 2)
}

/** Another judge is another scale. */
function checkJudge(before: string | null, now: string | null): void {
  if (before === now) return
  const say = (name: string | null): string => name ?? 'nobody'
  throw new CliError(
    `The baseline was judged by ${say(before)}, this run by ${say(now)}: their marks can’t be compared. Take the same --judge, or make a new baseline with --out.`,
    2,
  )
}

type Kinship = {
  judgeName: string | null
  flags: Flags
  listed: readonly ListedModel[]
  seen: { live: readonly string[]; candidate: readonly string[] }
}

function kinshipOf({ judgeName, flags, listed, seen }: Kinship): string[] {
  if (judgeName === null) return []
  const judged = [...seen.candidate, ...seen.live, nameOf(flags.model, listed) ?? flags.model]
  return warnOfKinship(
    { name: judgeName },
    [...new Set(judged)].map(name => ({ name })),
  )
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw new CliError(`${path} can’t be written (${codeOf(error)}).`, 1, { cause: error })
  }
}

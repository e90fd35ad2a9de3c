/** `holdfast eval judge`: whether a judge may judge, by pairs that people judged. */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { askAt } from '../../../adapters/openai-client/index.ts'
import { parseLabelledPairs, type JudgeProof, type LabelledPair } from '../../../domain/evaluation/index.ts'
import { proveJudge } from '../../../services/evaluate/index.ts'
import { CliError } from '../client.ts'
import { examples, percent, renderTable } from '../output.ts'
import { wholeNumber } from '../whole-number.ts'
import { addressOf, codeOf, findModels, nameOf, newNonce } from './address.ts'
import type { EvalIo } from './io.ts'

type Flags = { judge: string; url?: string; key?: string; seed: number; timeout: number; json?: boolean }

export function registerEvalJudge(evaluation: Command, io: EvalIo): void {
  evaluation
    .command('judge')
    .description(
      'Put pairs that people judged to a judge: how often it agrees, beyond chance, and whether it may judge.',
    )
    .argument('<pairs>', 'JSON lines: {"id", "messages", "a", "b", "winner": "a" | "b" | "tie"}.')
    .requiredOption('--judge <name>', 'The judge, as the address names it.')
    .option('--url <url>', 'The address (default: the service of this state folder).')
    .option('--key <key>', 'Its key (default: HOLDFAST_KEY; without --url also the admin key).')
    .option('--seed <n>', 'Seed of the judge, and of the interval.', wholeNumber(0, 2 ** 31 - 1), 1)
    .option('--timeout <seconds>', 'Longest wait for one verdict.', wholeNumber(1, 86_400), 300)
    .option('--json', 'Print everything as JSON.')
    .addHelpText(
      'after',
      `
Exit codes: 0 it may judge; 1 it may not, or too few pairs tell; 2 wrong usage, or pairs with mistakes.
${examples('eval judge labelled.jsonl --judge referee', 'eval judge labelled.jsonl --judge referee --json')}`,
    )
    .action(async (file: string, flags: Flags) => {
      process.exitCode = await proveBy(readPairs(file), flags, io)
    })
}

async function proveBy(pairs: readonly LabelledPair[], flags: Flags, io: EvalIo): Promise<0 | 1> {
  const signal = io.stop()
  const address = addressOf(flags, io)
  const listed = await findModels(address, [flags.judge], signal)
  const name = nameOf(flags.judge, listed) ?? flags.judge
  const ask = askAt({ ...address, model: flags.judge })
  const { proof, pin } = await proveJudge({
    judge: { ask, name, digest: null, seed: flags.seed, nonce: newNonce },
    ...{ pairs, signal, onProgress: io.progress },
  }).catch((error: unknown) => {
    if (signal.aborted) throw new CliError('Stopped: there is no verdict.', 1, { cause: error })
    throw error
  })
  io.out(
    flags.json === true ? JSON.stringify({ pin, pairs: pairs.length, ...proof }) : renderProof(proof, pairs.length),
  )
  return proof.admissibility.kind === 'admissible' ? 0 : 1
}

function renderProof(proof: JudgeProof, pairs: number): string {
  const { admissibility, figures, labelled, table, kappa } = proof
  const says = ['a', 'tie', 'b']
  const rows = table.map((row, at) => [`judge says ${says[at] ?? ''}`, ...row.map(String)])
  return [
    renderTable(['', 'PEOPLE SAY a', 'tie', 'b'], rows),
    '',
    `${labelled} of ${pairs} pairs have a verdict of both.`,
    `The same verdict: ${percent(proof.agreement)}; beyond chance: kappa ${two(kappa.value)} (95 %: ${two(kappa.interval[0])} to ${two(kappa.interval[1])}), Gwet's AC1 ${two(proof.ac1)}.`,
    `Of its verdicts ${percent(figures.flipRate)} turn when the answers change places; ${percent(figures.tieRate)} are ties; position bias ${two(figures.positionBias)}; ${percent(figures.parseFailureRate)} can't be read.`,
    verdictOf(admissibility),
  ].join('\n')
}

function verdictOf(admissibility: JudgeProof['admissibility']): string {
  switch (admissibility.kind) {
    case 'admissible':
      return [`Verdict: it may judge.`, ...admissibility.warnings.map(warning => `Note: ${warning}`)].join('\n')
    case 'inadmissible':
      return `Verdict: it may not judge: ${admissibility.why.join('; ')}.`
    case 'unproven':
      return `Verdict: too few pairs tell: ${admissibility.why}; ${admissibility.needed} more needed.`
    default:
      return admissibility satisfies never
  }
}

function readPairs(file: string): readonly LabelledPair[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new CliError(`${file} can’t be read (${codeOf(error)}).`, 2, { cause: error })
  }
  const read = parseLabelledPairs(text)
  if (read.ok) return read.pairs
  const lines = read.problems.map(({ line, problem }) => `${file}:${line}: ${problem}`)
  throw new CliError([...lines, 'Nothing was asked. What a pair holds: docs/evaluation.md.'].join('\n'), 2)
}

const two = (value: number): string => (Number.isNaN(value) ? '-' : value.toFixed(2))

/** A golden set for two files of one model: an embedded engine for each, and the gate's own arithmetic. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { askAt } from '../../../adapters/openai-client/index.ts'
import { ArtifactError } from '../../../domain/catalog/index.ts'
import { parseGoldenSet, type GoldenOutcome, type GoldenSet } from '../../../domain/evaluation/index.ts'
import { evaluateGolden, type Ask } from '../../../services/evaluate/index.ts'
import { startLocalEngine } from '../../local-engine.ts'
import { CliError } from '../client.ts'
import { codeOf } from '../eval/address.ts'
import type { LocalModel } from './local-gguf.ts'

export type GoldenComparison = { set: string; outcome: GoldenOutcome }

const longestContext = 8192
const answerMs = 600_000
/** As the golden gate has it where a spec says nothing else. */
const margin = 0.02
const seed = 1

/** Throws CliError where it can't be asked by an engine alone. */
export function readGoldenSet(path: string): { name: string; set: GoldenSet } {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new CliError(`${path} can’t be read (${codeOf(error)}).`, 2, { cause: error })
  }
  const read = parseGoldenSet(text)
  if (!read.ok)
    throw new CliError(read.problems.map(({ line, problem }) => `${path}:${line}: ${problem}`).join('\n'), 2)
  const judged = read.set.cases.find(({ expect }) => expect.rubric !== undefined)
  if (judged !== undefined)
    throw new CliError(
      `${path}: '${judged.id}' has a rubric, which takes a judge: serve both versions, and use holdfast eval run --judge.`,
      2,
    )
  return { name: basename(path), set: read.set }
}

type Parts = {
  entry: string
  env: NodeJS.ProcessEnv
  signal: AbortSignal
  onProgress: (done: number, all: number) => void
}

/** Greedy, one answer at a time to each: what differs is the weights. */
export async function compareGolden(
  { set, reference, other }: { set: ReturnType<typeof readGoldenSet>; reference: LocalModel; other: LocalModel },
  { entry, env, signal, onProgress }: Parts,
): Promise<GoldenComparison> {
  const start = ({ path, inspection }: LocalModel) => {
    const context = Math.min(longestContext, inspection.contextLength ?? longestContext)
    return startLocalEngine({ entry, env, gguf: path, context, signal })
  }
  const engines = await Promise.allSettled([start(reference), start(other)])
  try {
    const [live, candidate] = engines.map(engine => {
      if (engine.status === 'rejected') {
        signal.throwIfAborted()
        throw new ArtifactError('never', `the golden set can’t be asked: ${String(engine.reason)}`, {
          cause: engine.reason,
        })
      }
      return askAt({ url: 'http://engine', key: null, model: 'local', timeoutMs: answerMs, reach: engine.value.reach })
    }) satisfies Ask[]
    if (live === undefined || candidate === undefined) throw new TypeError('two engines were started')
    const { outcome } = await evaluateGolden({
      set: set.set,
      arms: { live, candidate },
      standard: { kind: 'against', margin },
      ...{ repeats: 1, concurrency: 2, seed, temperature: 0, signal },
      onProgress: ({ done, all }) => onProgress(done, all),
    })
    return { set: set.name, outcome }
  } finally {
    await Promise.all(engines.map(engine => (engine.status === 'fulfilled' ? engine.value.close() : null)))
  }
}

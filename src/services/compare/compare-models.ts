/** Compares two quantisations of one model on a text: the same tokens in the same windows, scored by both. */
import { ArtifactError } from '../../domain/catalog/index.ts'
import { judgeLoss, type Loss } from '../../domain/evaluation/index.ts'
import type { Inspection } from '../inspect-model.ts'
import type { Scorer } from './ports.ts'

export type Comparison = Loss & {
  /** Tokens of a window; the second half of each is scored. */
  context: number
  /** Of the whole text, and its bytes. */
  text: { tokens: number; bytes: number }
}

export type Compared = { inspection: Inspection; path: string }

export type Comparing = {
  reference: Compared
  other: Compared
  text: string
  /** `null`: 512, or what the model was made for where that is less. */
  context: number | null
  /** At most so many windows; `null`: all. */
  windows: number | null
  threads: number
  scorer: Scorer
  signal: AbortSignal
  onWindow: (done: number, all: number) => void
}

const usualContext = 512
const shortestContext = 16
/** Of one window nobody can tell how much the next one differs. */
const fewestWindows = 2

/** Rejects with an ArtifactError that says why it can't be measured, or with the signal's reason. */
export async function compareModels(asked: Comparing): Promise<Comparison> {
  const { reference, other, text, scorer, signal, threads, onWindow } = asked
  checkSameModel(reference.inspection, other.inspection)
  const context = contextOf(asked)
  const order = { reference: reference.path, other: other.path, text, context, windows: asked.windows, threads }
  const { windows, tokens } = await scorer.score(order, { signal, onWindow })
  const bytes = new TextEncoder().encode(text).length
  if (windows.length < fewestWindows)
    throw new ArtifactError(
      'never',
      `the text has ${tokens} tokens, which ${windows.length === 1 ? 'is one window' : 'are no whole window'} of ${context}, and how much windows differ takes ${fewestWindows} at least, better 50: bring ${sayKilobytes((bytes / Math.max(1, tokens)) * context * 50)} of text, or say --context ${Math.max(shortestContext, Math.floor(tokens / 50))}`,
    )
  const judged = judgeLoss(windows)
  for (const [{ inspection }, perplexity] of [
    [reference, judged.perplexity.reference],
    [other, judged.perplexity.other],
  ] as const)
    if (!Number.isFinite(perplexity))
      throw new ArtifactError(
        'never',
        `${inspection.source} gives chances that are no numbers: its weights are damaged, or were quantised without the file of importance that they want. Make it again`,
      )
  return { ...judged, context, text: { tokens, bytes } }
}

/** Throws an ArtifactError that names every difference: a comparison of two models says nothing of quantisation. */
export function checkSameModel(reference: Inspection, other: Inspection): void {
  for (const { format, source } of [reference, other])
    if (format !== 'gguf')
      throw new ArtifactError('never', `${source} is ${format}, and llama.cpp compares GGUF: name a GGUF of this model`)
  const facts = (of: Inspection): [what: string, value: string | number | null][] => [
    ['architecture', of.architecture],
    ['layers', of.layers],
    ['width', of.hidden],
    ['heads', of.heads],
    ['experts', of.experts?.count ?? 0],
    ['parameters', of.parameters?.total ?? null],
    ['vocabulary', of.vocabulary],
    ['tokenizer', of.tokenizer?.kind ?? null],
  ]
  const others = facts(other)
  const differences = facts(reference).flatMap(([what, value], at) => {
    const second = others[at]?.[1] ?? null
    return value === second ? [] : [`${what} ${String(value)} and ${String(second)}`]
  })
  if (differences.length === 0) return
  throw new ArtifactError(
    'never',
    `${reference.source} and ${other.source} are not one model in two quantisations: they differ in ${differences.join(', ')}. Name two files of one model`,
  )
}

function contextOf({ context, reference }: Comparing): number {
  const longest = reference.inspection.contextLength
  const asked = context ?? Math.min(usualContext, longest ?? usualContext)
  if (longest !== null && asked > longest)
    throw new ArtifactError('never', `--context is ${asked}, and this model was made for ${longest} tokens at most`)
  return asked
}

const sayKilobytes = (bytes: number): string => `${Math.max(1, Math.ceil(bytes / 1000))} kB`

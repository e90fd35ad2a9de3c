/** Scores a text with two models, window by window, as llama.cpp's own perplexity program does. */
import { scoreToken, type WindowScore } from '../../domain/evaluation/index.ts'
import type { Context, Library, Vocabulary } from './library.ts'
import type { Order, Said } from './orders.ts'

/** Tokens that are computed at once; logits of so many are held, of both models. */
const batchTokens = 512

/** Throws an Error in words for a person when it can't be done. */
export async function score(
  library: Library,
  order: Extract<Order, { do: 'score' }>,
  say: (said: Said) => void,
): Promise<void> {
  const reference = await openModel(library, order.reference, order)
  const other = await openModel(library, order.other, order)
  const vocabularySize = checkVocabularies(library, reference.vocabulary, other.vocabulary)
  const tokens = library.tokenize(reference.vocabulary, order.text)
  if (!sameTokens(tokens, library.tokenize(other.vocabulary, order.text)))
    throw new Error('they split this text into different tokens: they have different tokenizers')
  const inText = Math.floor(tokens.length / order.context)
  const windows = Math.min(inText, order.windows ?? inText)
  say({ say: 'started', windows, tokens: tokens.length })
  const beginning = library.beginning(reference.vocabulary)
  for (let at = 0; at < windows; at++) {
    const window = tokens.slice(at * order.context, (at + 1) * order.context)
    const contexts = { reference: reference.context, other: other.context }
    say({ say: 'window', score: await scoreWindow(library, { window, beginning, contexts, vocabularySize }) })
  }
}

type Window = {
  window: Int32Array
  beginning: number | null
  contexts: { reference: Context; other: Context }
  vocabularySize: number
}

/** The second half is scored: every token of it has at least half a window before it. */
async function scoreWindow(
  library: Library,
  { window, beginning, contexts, vocabularySize }: Window,
): Promise<WindowScore> {
  const first = Math.floor(window.length / 2)
  const divergences = new Float64Array(window.length - 1 - first)
  const sums = { reference: 0, other: 0, sameTop: 0 }
  const fed = window.slice()
  if (beginning !== null) fed[0] = beginning
  library.forget(contexts.reference)
  library.forget(contexts.other)
  for (let from = 0; from < fed.length; from += batchTokens) {
    const tokens = fed.slice(from, from + batchTokens)
    // Each token's logits are chances of the next one; after the last there is none.
    const wanted = Int8Array.from(tokens, (_, i) => Number(from + i >= first && from + i < fed.length - 1))
    await feed(library, contexts.reference, { tokens, wanted })
    await feed(library, contexts.other, { tokens, wanted })
    for (let i = 0; i < tokens.length; i++) {
      if (wanted[i] === 0) continue
      const token = window[from + i + 1] ?? 0
      const scored = scoreToken(
        library.logits(contexts.reference, i, vocabularySize),
        library.logits(contexts.other, i, vocabularySize),
        token,
      )
      sums.reference += scored.reference
      sums.other += scored.other
      sums.sameTop += Number(scored.sameTop)
      divergences[from + i - first] = scored.divergence
    }
  }
  return { ...sums, divergences }
}

async function feed(
  library: Library,
  context: Context,
  { tokens, wanted }: { tokens: Int32Array; wanted: Int8Array },
): Promise<void> {
  const code = await library.decode(context, tokens, wanted)
  if (code !== 0) throw new Error(`llama.cpp can’t compute this window (${code})`)
}

async function openModel(library: Library, path: string, { context, threads }: { context: number; threads: number }) {
  const model = await library.loadModel(path)
  if (model === null) throw new Error(`llama.cpp can’t load ${path}`)
  const opened = library.openContext(model, { context, batch: Math.min(context, batchTokens), threads })
  if (opened === null) throw new Error(`llama.cpp can’t open a context of ${context} tokens for ${path}`)
  return { vocabulary: library.vocabularyOf(model), context: opened }
}

/** Their common size. Throws when any token is another one: chances of different things can't be compared. */
function checkVocabularies(library: Library, reference: Vocabulary, other: Vocabulary): number {
  const size = library.vocabularySize(reference)
  const otherSize = library.vocabularySize(other)
  if (size !== otherSize) throw new Error(`one knows ${size} tokens, the other ${otherSize}: they are different models`)
  for (let token = 0; token < size; token++) {
    const [a, b] = [library.textOf(reference, token), library.textOf(other, token)]
    if (a !== b)
      throw new Error(
        `token ${token} is ${JSON.stringify(a)} in one and ${JSON.stringify(b)} in the other: they are different models`,
      )
  }
  return size
}

const sameTokens = (a: Int32Array, b: Int32Array): boolean => a.length === b.length && a.every((one, i) => one === b[i])

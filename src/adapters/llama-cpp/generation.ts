/** One generation on one sequence: prompt tokens in, text out as it comes. */
import { LlamaGrammarEvaluationState } from 'node-llama-cpp'
import type { LlamaContextSequence, LlamaGrammar, LlamaModel, Token, TokenBias } from 'node-llama-cpp'
import type { Sampling } from './request.ts'
import { openStopScanner } from './stops.ts'
import { openTokenText } from './token-text.ts'

export type Ask = {
  prompt: readonly Token[]
  maxTokens: number
  stops: readonly string[]
  sampling: Sampling
  grammar: LlamaGrammar | null
  bias: TokenBias | null
  /** Control tokens are part of the text: some models mark their calls with them. */
  withControlTokens: boolean
}

/** `enough`: the answer ends here. */
export type OnText = (text: string) => Promise<'more' | 'enough'>

export type Generated = {
  /** `length`: the limit came first. */
  finish: 'stop' | 'length'
  /** Tokens sampled, the one that ends the answer included. */
  tokens: number
}

type Listener = {
  signal: AbortSignal
  onText: OnText
  /** So many of the prompt's tokens are evaluated, or are next. */
  onPrompt: (tokens: number) => void
  onToken: () => void
}

/** Between two pieces of a prompt the client's leaving is noticed, and other sequences get their turn. */
const promptPiece = 128

/**
 * Resolves when the answer is whole; throws the signal's reason within a token of an abort. The caller has made sure
 * that prompt and answer fit the sequence, so its context never shifts; and clears the sequence afterwards.
 */
export async function generate(
  { model, sequence }: { model: LlamaModel; sequence: LlamaContextSequence },
  ask: Ask,
  { signal, onText, onPrompt, onToken }: Listener,
): Promise<Generated> {
  const lastPiece = Math.floor((ask.prompt.length - 1) / promptPiece) * promptPiece
  for (let at = 0; at < lastPiece; at += promptPiece) {
    signal.throwIfAborted()
    await sequence.evaluateWithoutGeneratingNewTokens(ask.prompt.slice(at, at + promptPiece))
    onPrompt(promptPiece)
  }
  signal.throwIfAborted()
  onPrompt(ask.prompt.length - lastPiece)

  const { sampling } = ask
  const made: Token[] = []
  const text = openTokenText(model, { before: ask.prompt, withControlTokens: ask.withControlTokens })
  const scanner = openStopScanner(ask.stops)
  const iterator = sequence.evaluate(ask.prompt.slice(lastPiece), {
    temperature: sampling.temperature,
    topP: sampling.topP,
    topK: sampling.topK,
    minP: sampling.minP,
    seed: sampling.seed,
    ...(isPenalised(sampling) && {
      repeatPenalty: {
        punishTokens: () => made,
        maxPunishTokens: ask.maxTokens,
        penalty: sampling.repeatPenalty,
        frequencyPenalty: sampling.frequencyPenalty,
        presencePenalty: sampling.presencePenalty,
      },
    }),
    ...(ask.bias !== null && { tokenBias: ask.bias }),
    ...(ask.grammar !== null && {
      grammarEvaluationState: new LlamaGrammarEvaluationState({ model, grammar: ask.grammar }),
    }),
    // The end token is counted as llama-server counts it, so it has to be seen.
    yieldEogToken: true,
  })

  let finish: Generated['finish'] = 'length'
  for await (const token of iterator) {
    signal.throwIfAborted()
    made.push(token)
    onToken()
    if (model.isEogToken(token)) {
      finish = 'stop'
      break
    }
    const scanned = scanner.push(text.push(token))
    const isEnough = scanned.text !== '' && (await onText(scanned.text)) === 'enough'
    if (scanned.stopped || isEnough) return { finish: 'stop', tokens: made.length }
    if (made.length >= ask.maxTokens) break
  }
  const rest = scanner.flush()
  if (rest !== '') await onText(rest)
  return { finish, tokens: made.length }
}

const isPenalised = (sampling: Sampling): boolean =>
  sampling.frequencyPenalty !== 0 || sampling.presencePenalty !== 0 || sampling.repeatPenalty !== 1

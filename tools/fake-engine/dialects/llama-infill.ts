/** llama-server's own answers, which `/infill` gives: no choices, and counts in every event. */
import { toTokenId } from '../answer.ts'
import type { Tally } from './dialect.ts'
import { renderTimings } from './llama-cpp.ts'

export function renderInfillPiece(piece: string, made: number, promptTokens: number) {
  return {
    index: 0,
    content: piece,
    tokens: [toTokenId(piece)],
    stop: false,
    id_slot: 0,
    tokens_predicted: made,
    tokens_evaluated: promptTokens,
  }
}

/** Streams end with one that has no content. */
export function renderInfillEnd(
  content: string,
  tally: Tally,
  { model, prompt, wasCut }: { model: string; prompt: string; wasCut: boolean },
) {
  return {
    index: 0,
    content,
    tokens: [],
    id_slot: 0,
    stop: true,
    model,
    tokens_predicted: tally.completion,
    tokens_evaluated: tally.prompt,
    generation_settings: { n_predict: -1, stream: content === '' },
    prompt,
    has_new_line: content.includes('\n'),
    truncated: false,
    stop_type: wasCut ? 'limit' : 'eos',
    stopping_word: '',
    tokens_cached: tally.prompt + tally.completion - 1,
    ...renderTimings(tally),
  }
}

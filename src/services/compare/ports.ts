/** What comparing needs from outside: who computes the chances that two models give the same tokens. */
import type { WindowScore } from '../../domain/evaluation/index.ts'

export type ScoreOrder = {
  /** Files; of split models the first part. */
  reference: string
  other: string
  text: string
  /** Tokens of a window. */
  context: number
  /** At most so many; `null`: all that the text has. */
  windows: number | null
  threads: number
}

export type Scorer = {
  /**
   * Every window, in order, and how many tokens the text has. Rejects with an ArtifactError, also where the two have
   * different vocabularies, or with the signal's reason.
   */
  score(
    order: ScoreOrder,
    on: { signal: AbortSignal; onWindow: (done: number, all: number) => void },
  ): Promise<{ windows: WindowScore[]; tokens: number }>
}

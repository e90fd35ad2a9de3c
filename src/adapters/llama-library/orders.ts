/** What the process with the library is told to do, and what it answers. Both ends are this program: nothing is parsed. */
import type { WindowScore } from '../../domain/evaluation/index.ts'
import type { ScoreOrder } from '../../services/compare/index.ts'

export type Order =
  | {
      do: 'quantise'
      from: string
      to: string
      fileType: number
      threads: number
      requantise: boolean
      /** Only tell what would be made. */
      dryRun: boolean
      /** Of a file of importance: a mean square of the inputs of each tensor, by its name. */
      importance: ReadonlyMap<string, Float32Array> | null
    }
  | ({ do: 'score' } & ScoreOrder)

export type Said =
  /** It listens. */
  | { say: 'ready' }
  | { say: 'started'; windows: number; tokens: number }
  | { say: 'window'; score: WindowScore }
  | { say: 'done' }
  /** In words that a person can use. */
  | { say: 'refused'; why: string }

/** What measuring needs of the terminal beside its output. */
import type { Progress } from '../../../services/evaluate/index.ts'
import type { CliIo } from '../output.ts'

export type EvalIo = CliIo & {
  progress: (progress: Progress) => void
  /** Aborted when the run should end; asked for once a run begins. */
  stop: () => AbortSignal
}

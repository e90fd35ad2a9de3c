/** Patience: does again what may work soon, after growing waits, until it has failed too often in a row. */
import { ArtifactError } from '../domain/catalog/index.ts'

export type Patience = {
  signal: AbortSignal
  pause: (waitMs: number, signal: AbortSignal) => Promise<void>
  /** What is waited for. */
  tell: (why: string) => void
  /** How far it got: further than before, and failures are forgotten. */
  reached?: () => number
}

/** In a row, without one byte more than before. */
const mostFailures = 5
const firstWaitMs = 1_000
const longestWaitMs = 16_000
/** A registry's limits are over windows of five minutes. */
const longestAskedMs = 300_000

/** What failed too often is for `later`. */
export async function patiently<T>(
  work: () => Promise<T>,
  { signal, pause, tell, reached = () => 0 }: Patience,
): Promise<T> {
  let furthest = reached()
  for (let failures = 0; ;) {
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ArtifactError) || error.retry !== 'soon') throw error
      const far = reached()
      failures = far > furthest ? 1 : failures + 1
      furthest = Math.max(far, furthest)
      if (failures > mostFailures)
        throw new ArtifactError('later', error.message, { afterMs: error.afterMs, cause: error })
      const growingMs = Math.min(longestWaitMs, firstWaitMs * 2 ** (failures - 1))
      const waitMs = Math.min(longestAskedMs, error.afterMs ?? growingMs)
      tell(`${error.message}; again in ${Math.ceil(waitMs / 1000)} s`)
      await pause(waitMs, signal)
    }
  }
}

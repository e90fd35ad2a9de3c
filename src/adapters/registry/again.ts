/** Again, after a pause, what may be over soon: a cut, a busy store. */
import { setTimeout as pause } from 'node:timers/promises'
import { ArtifactError } from '../../domain/catalog/index.ts'

export type Patience = {
  /** Tries in a row without one byte more than before. */
  tries: number
  /** The first pause; each further one is twice as long. */
  pauseMs: number
}

/** For blips: who calls has a longer one for all places. */
export const usualPatience: Patience = { tries: 4, pauseMs: 250 }
const longestPauseMs = 20_000

export async function again<T>(work: () => Promise<T>, patience: Patience, signal: AbortSignal): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await work()
    } catch (error) {
      await waitAfter(error, { tried, patience, signal })
    }
  }
}

/** Bytes of a range; a cut goes on behind the last byte that came. */
export async function* readOn(
  open: (from: number) => AsyncIterable<Uint8Array>,
  { from, to, patience, signal }: { from: number; to: number; patience: Patience; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  let at = from
  for (let tried = 1; at < to; tried++) {
    const before = at
    try {
      for await (const piece of open(at)) {
        at += piece.length
        yield piece
      }
      return
    } catch (error) {
      if (at > before) tried = 1
      await waitAfter(error, { tried, patience, signal })
    }
  }
}

/** Throws what no pause mends. */
async function waitAfter(
  error: unknown,
  { tried, patience, signal }: { tried: number; patience: Patience; signal: AbortSignal },
): Promise<void> {
  signal.throwIfAborted()
  if (!(error instanceof ArtifactError) || error.retry !== 'soon' || tried >= patience.tries) throw error
  const usual = patience.pauseMs * 2 ** (tried - 1) * (0.75 + Math.random() / 2)
  await pause(Math.min(longestPauseMs, error.afterMs ?? usual), undefined, { signal })
}

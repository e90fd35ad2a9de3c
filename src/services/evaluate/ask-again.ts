/** Bounded retries: an engine that is busy or restarts gets another chance, one that refuses does not. */
import { setTimeout as delay } from 'node:timers/promises'
import { AskError } from './ports.ts'

const tries = 3
const firstPauseMs = 250
/** What an engine may ask to wait. */
const longestPauseMs = 10_000

export type Tried<T> = { ok: true; value: T } | { ok: false; why: string }

/** Resolves with why there is nothing, except when `signal` ended it: that is nobody's failure, and rejects. */
export async function askAgain<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<Tried<T>> {
  for (let tried = 1; ; tried++) {
    try {
      return { ok: true, value: await ask() }
    } catch (error) {
      signal.throwIfAborted()
      const why = error instanceof Error ? error.message : String(error)
      const mayRetry = !(error instanceof AskError) || error.again
      if (!mayRetry || tried === tries) return { ok: false, why }
      const asked = error instanceof AskError ? error.afterMs : 0
      await delay(Math.min(longestPauseMs, Math.max(asked, firstPauseMs * 2 ** (tried - 1))), null, { signal })
    }
  }
}

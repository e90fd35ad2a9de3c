/** Supervise: keeps one process running, with a growing wait between starts while it keeps dying. */

import { setTimeout as pause } from 'node:timers/promises'

/** A started process. `ended` resolves when it is gone, however it went. */
export type Running = { pid: number; ended: Promise<string>; stop(): void }

export type SuperviseParts<R extends Running = Running> = {
  /** Starts the process, or takes over one that runs already. */
  start: () => R
  /** `restarts`: how often it had to be started again. */
  onStarted: (running: R, restarts: number) => void
  /** `why` for people: `exit code 1`, `SIGKILL`. */
  onEnded: (why: string, againInMs: number) => void
  signal: AbortSignal
}

export type Kept<R extends Running> = {
  /** Resolves after `signal`, when the process has ended. */
  over: Promise<void>
  /** The one that runs, or ran last. */
  running(): R
  /** From now on `next`, which runs already, is kept; the one before is let go of, and stopped by nobody here. */
  replace(next: R): void
}

const firstWaitMs = 100
const longestWaitMs = 5_000
/** Up for so long means that the last start worked. */
const settledMs = 10_000

/** Runs until `signal`; then stops the process and resolves when it has ended. */
export async function supervise(parts: SuperviseParts): Promise<void> {
  if (!parts.signal.aborted) await keepRunning(parts).over
}

/** The same, of a process that can be replaced by another while it runs. */
export function keepRunning<R extends Running>({ start, onStarted, onEnded, signal }: SuperviseParts<R>): Kept<R> {
  let running = start()
  let next: R | null = null
  let wake = Promise.withResolvers<void>()
  return {
    over: loop(),
    running: () => running,
    replace(by) {
      next = by
      wake.resolve()
    },
  }

  async function loop(): Promise<void> {
    let waitMs = firstWaitMs
    for (let restarts = 0; ;) {
      const startedMs = performance.now()
      onStarted(running, restarts)
      const why = await untilOver()
      if (why !== null) {
        if (signal.aborted) return
        waitMs = performance.now() - startedMs > settledMs ? firstWaitMs : waitMs
        onEnded(why, waitMs)
        // Woken early when it is to stop, or when another has come.
        await Promise.race([pause(waitMs, undefined, { signal }).catch(() => {}), wake.promise])
        waitMs = Math.min(longestWaitMs, waitMs * 2)
      }
      if (next !== null) {
        running = next
        next = null
        wake = Promise.withResolvers()
      } else if (signal.aborted) return
      else {
        running = start()
        restarts++
      }
    }
  }

  /** Why it ended; `null`: it goes on, and another is kept from now on. */
  async function untilOver(): Promise<string | null> {
    const stop = (): void => running.stop()
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    const why = await Promise.race([running.ended, wake.promise.then(() => null)])
    signal.removeEventListener('abort', stop)
    return why
  }
}

/** Supervise: keeps one process running, with a growing wait between starts while it keeps dying. */

import { setTimeout as pause } from 'node:timers/promises'

/** A started process. `ended` resolves when it is gone, however it went. */
export type Running = { pid: number; ended: Promise<string>; stop(): void }

export type SuperviseParts = {
  /** Starts the process, or takes over one that runs already. */
  start: () => Running
  /** `restarts`: how often it had to be started again. */
  onStarted: (running: Running, restarts: number) => void
  /** `why` for people: `exit code 1`, `SIGKILL`. */
  onEnded: (why: string, againInMs: number) => void
  signal: AbortSignal
}

const firstWaitMs = 100
const longestWaitMs = 5_000
/** Up for so long means that the last start worked. */
const settledMs = 10_000

/** Runs until `signal`; then stops the process and resolves when it has ended. */
export async function supervise({ start, onStarted, onEnded, signal }: SuperviseParts): Promise<void> {
  let waitMs = firstWaitMs
  for (let restarts = 0; !signal.aborted; restarts++) {
    const startedMs = performance.now()
    const running = start()
    onStarted(running, restarts)
    const stop = (): void => running.stop()
    signal.addEventListener('abort', stop, { once: true })
    const why = await running.ended
    signal.removeEventListener('abort', stop)
    if (signal.aborted) return
    waitMs = performance.now() - startedMs > settledMs ? firstWaitMs : waitMs
    onEnded(why, waitMs)
    // Woken early when it is to stop.
    await pause(waitMs, undefined, { signal }).catch(() => {})
    waitMs = Math.min(longestWaitMs, waitMs * 2)
  }
}

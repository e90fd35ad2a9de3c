/** Whose time an engine's time was: requests that run side by side share it equally. Rules B1 and B2. */
import { millis, type Millis } from '../units.ts'

export type WorkClock = {
  /** A request runs on the engine from now on. `at`: a clock that never goes back. */
  begin(at: Millis): Work
}

export type Work = {
  /** The request has left the engine: its share of the time since it began. Ending it again answers the same. */
  end(at: Millis): Millis
}

/**
 * One for each replica. Its clock stands still while the engine has nothing to do, and runs at 1/n of the time while n requests
 * run; a request's share is how far it moved meanwhile, so beginning and ending cost the same however many run.
 */
export function openWorkClock(): WorkClock {
  let reading = 0
  let running = 0
  let readAt = 0

  function read(at: Millis): number {
    if (running > 0) reading += Math.max(0, at - readAt) / running
    readAt = Math.max(readAt, at)
    return reading
  }

  return {
    begin(at) {
      // Small readings are exact ones: a clock that has run for months would lose the microseconds.
      if (running === 0) reading = 0
      const began = read(at)
      let share: Millis | null = null
      running++
      return {
        end(endedAt) {
          if (share !== null) return share
          share = millis(read(endedAt) - began)
          running--
          return share
        },
      }
    },
  }
}

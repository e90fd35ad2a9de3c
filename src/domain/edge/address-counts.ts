/** How often each address was let in within the last minute, in bounded memory. Rules D7–D10 in SPEC.md. */
import { addTo, leavesAt, openWindow, sliceSpan, totalOf, windowSpan, type Window } from '../limits/index.ts'
import { openGenerations } from '../generations.ts'
import { millis, type Millis } from '../units.ts'

export interface AddressCounts {
  /** Counts a request and answers `null`, or answers how long until it would be let in. `now`: of a clock that never goes back. */
  take(subscriber: string, limit: number, now: number): Millis | null
  readonly remembered: number
}

const mostRemembered = 65_536

/** Two generations: who does not come during one is forgotten with the next. One ends with a minute, or when it is full. */
export function openAddressCounts(most = mostRemembered): AddressCounts {
  const windows = openGenerations<string, Window>(most)
  let startedAt = -Infinity

  return {
    get remembered() {
      return windows.size
    },
    take(subscriber, limit, now) {
      if (now - startedAt >= windowSpan + sliceSpan) {
        windows.turn()
        startedAt = now
      }
      const window = windowOf(subscriber)
      if (totalOf(window, now) < limit) {
        addTo(window, now, 1)
        return null
      }
      return millis(Math.max(1, leavesAt(window.slices[window.first] ?? 0) - now))
    },
  }

  function windowOf(subscriber: string): Window {
    const known = windows.find(subscriber)
    if (known !== undefined) return known
    const window = openWindow()
    windows.set(subscriber, window)
    return window
  }
}

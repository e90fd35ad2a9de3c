/**
 * Deadlines: what ends when nothing has come in time. One timer looks through all of them ten times a second, so that a
 * request sets no timer of its own and a piece of its answer only writes a number; a deadline passes up to 100 ms late.
 */
import { openRoster, type Seat } from '../../domain/roster.ts'

export type Deadline = {
  /** On the clock that never goes back, in milliseconds; may change at any time. */
  dueMs: number
  /** Told when it is past, and at each look after that until it is moved or dropped. */
  onDue(): void
}

export type Deadlines = {
  add(deadline: Deadline): Seat<Deadline>
  /** It is told nothing more. Twice does no harm. */
  drop(seat: Seat<Deadline>): void
}

const lookEveryMs = 100

export function openDeadlines(): Deadlines {
  const running = openRoster<Deadline>()
  let timer: NodeJS.Timeout | null = null

  function look(): void {
    if (running.size === 0) {
      timer = null
      return
    }
    // First, since one that throws must not stop the looks at the others.
    timer?.refresh()
    const nowMs = performance.now()
    for (const deadline of running.items()) if (deadline.dueMs <= nowMs) deadline.onDue()
  }

  return {
    add(deadline) {
      timer ??= setTimeout(look, lookEveryMs)
      return running.enter(deadline)
    },
    drop(seat) {
      // It may be on the list of a look that is under way.
      seat.item.dueMs = Infinity
      running.leave(seat)
    },
  }
}

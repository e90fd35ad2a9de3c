/**
 * Roster: what is under way now, where something comes and goes with every request. Not a Set: one that is written to all the
 * time is rebuilt all the time, and each outgrown table points to the next. Once one of them is old, all that follow
 * survive every short collection, with what was in them (docs/design/0013-data-plane.md).
 */
export type Seat<T> = { readonly item: T; at: number }

export type Roster<T> = {
  readonly size: number
  enter(item: T): Seat<T>
  /** Twice does no harm. */
  leave(seat: Seat<T>): void
  /** A copy, in no order: who is called may leave. */
  items(): T[]
}

export function openRoster<T>(): Roster<T> {
  const seats: Seat<T>[] = []
  return {
    get size() {
      return seats.length
    },
    enter(item) {
      const seat = { item, at: seats.length }
      seats.push(seat)
      return seat
    },
    leave(seat) {
      if (seat.at === -1) return
      const last = seats.pop()
      if (last !== undefined && last !== seat) {
        seats[seat.at] = last
        last.at = seat.at
      }
      seat.at = -1
    },
    items: () => seats.map(({ item }) => item),
  }
}

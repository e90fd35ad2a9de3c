/**
 * The lane: a front on `net` for plain requests to models. Whatever does not plainly begin with one goes to node:http, the
 * connection with all its unread bytes, for the rest of its life (docs/design/0013).
 */
import type { Socket } from 'node:net'
import { openRoster, type Seat } from '../../domain/roster.ts'
import { LaneConnection, type LaneConnectionParts } from './lane-connection.ts'

export type LaneParts = Omit<LaneConnectionParts, 'onLeft'>

export interface Lane {
  take(socket: Socket): void
  /** Drops connections between two requests. */
  closeIdle(): void
  closeAll(): void
  /** Looks after no connection any more. */
  close(): void
}

const lookEveryMs = 1_000

export function openLane(parts: LaneParts): Lane {
  const connections = openRoster<LaneConnection>()
  const looking = setInterval(dropLate, lookEveryMs).unref()
  return {
    take(socket) {
      const onLeft = (): void => connections.leave(seat)
      const seat: Seat<LaneConnection> = connections.enter(new LaneConnection(socket, { ...parts, onLeft }))
    },
    closeIdle() {
      for (const connection of connections.items()) connection.closeIfIdle()
    },
    closeAll() {
      for (const connection of connections.items()) connection.destroy()
    },
    close: () => clearInterval(looking),
  }

  /** One look at all of them a second costs less than a timer for each request. */
  function dropLate(): void {
    const nowMs = performance.now()
    for (const connection of connections.items()) connection.dropIfLate(nowMs)
  }
}

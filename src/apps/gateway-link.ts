/** How a gateway is tied to its controller: beside it, over the Unix socket; or elsewhere, by its own certificate. */
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { socketLine, tell, type Line } from '../adapters/link/index.ts'
import type { Snapshot } from '../domain/serving/index.ts'
import type { Home } from './paths.ts'

export interface GatewayLink {
  /** The same through restarts, so that the controller knows who has come back. */
  id: string
  line: Line
  /** What of a snapshot can be used on this machine. */
  usable(snapshot: Snapshot): Snapshot
  /** Something in the spec that this machine lacks: the controller is told. */
  problem(text: string): void
  /** The stream has come: a controller that was away may have forgotten what it was told. */
  linked(): void
  /** Until `signal`: what goes to the controller beside the stream. The journal's folder exists by then. */
  start(signal: AbortSignal): void
  /**
   * After the journal was closed: its last words, and that this gateway's process `run` stops; `null`: another process
   * goes on as this gateway, and there is nothing to say. Takes a few seconds at most.
   */
  end(run: string | null): Promise<void>
}

/** For the gateway on the controller's machine: its journal is the controller's own, and so are its engines and secrets. */
export function openBeside(home: Home): GatewayLink {
  const line = socketLine(home.controllerSocket)
  const id = gatewayId(join(home.gateway, 'id'))
  return {
    id,
    line,
    usable: snapshot => snapshot,
    problem() {},
    linked() {},
    start() {},
    end: async run => (run === null ? undefined : sayGoodbye(line, { gateway: id, run })),
  }
}

const goodbyeMs = 1_000

/** The controller need not wait for this gateway any more. When it is away too, it finds out by itself. */
export async function sayGoodbye(line: Line, leaving: { gateway: string; run: string }): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, goodbyeMs)
  await Promise.race([tell(line, '/link/v1/leave', leaving), late]).catch(() => {})
  clearTimeout(timer)
}

function gatewayId(file: string): string {
  if (!existsSync(file)) writeFileSync(file, `gateway-${randomUUID().slice(0, 8)}`, { mode: 0o600 })
  return readFileSync(file, 'utf8')
}

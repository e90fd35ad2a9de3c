/** The agent process: one a host. Starts the engines the controller assigns, takes over those that run, brings back those that die. */
import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { keepDialling, socketLine } from '../adapters/link/index.ts'
import { adopt, spawnIndependent, startTimeOf } from '../adapters/processes/index.ts'
import { openLog, type Log } from '../adapters/log/index.ts'
import type { AgentFrame, EngineAssignment } from '../domain/serving/index.ts'
import { supervise, type Running } from '../services/supervise.ts'
import { openAgentWeights } from './agent-weights.ts'
import { engineEnv } from './engine-env.ts'
import { readEngines, writeEngines, type EngineProcess } from './engines-file.ts'
import type { Home } from './paths.ts'

export type AgentOptions = { home: Home; env: NodeJS.ProcessEnv; entry: string; onReady: () => void }

/** The reason of a stop that is for good: the whole service ends. */
export const stopEngines = 'stop-engines'

/**
 * Resolves after `signal`. Engines go on, for the next agent to take over; they end with the parent, with their
 * assignment, or when the signal's reason is `stopEngines`.
 */
export async function runAgent({ home, env, entry, onReady }: AgentOptions, signal: AbortSignal): Promise<void> {
  const log = openLog('agent', env['HOLDFAST_LOG_LEVEL'])
  const haveWeights = openAgentWeights({ home, env, log })
  const kept = readEngines(home.engines)
  const processes = new Map(kept.processes.map(process => [process.replica, process]))
  const running = new Map<string, Engine>()
  let assignments = kept.engines
  // One reconciliation at a time; the latest assignments win.
  let reconciling = reconcile()
  onReady()

  await keepDialling<AgentFrame>({
    line: socketLine(home.controllerSocket),
    path: () => '/link/v1/agent',
    onFrame: frame => {
      if (frame.type !== 'engines') return
      assignments = frame.engines
      reconciling = reconciling.then(reconcile)
    },
    onLost: why => log.info({ why }, 'the link to the controller is down; engines go on'),
    signal,
  })
  await reconciling
  if (signal.reason === stopEngines) {
    assignments = []
    await Promise.all(
      [...running.values()].map(async engine => {
        engine.stop.abort()
        await engine.over
      }),
    )
    processes.clear()
  }

  async function reconcile(): Promise<void> {
    const wanted = new Map(assignments.map(assignment => [assignment.replica as string, assignment]))
    for (const [replica, engine] of running) {
      if (isWanted(engine, wanted.get(replica))) continue
      const known = processes.get(replica)
      engine.stop.abort()
      // It finishes what it has, and nobody waits for that but who needs its socket.
      if (known !== undefined) await untilFree(known.socket, engine.over)
      running.delete(replica)
      processes.delete(replica)
    }
    for (const assignment of wanted.values()) if (!running.has(assignment.replica)) run(assignment)
    keep()
  }

  function run(assignment: EngineAssignment): void {
    const stop = new AbortController()
    // Left alone, a download would go on while the agent ends.
    const wanted = AbortSignal.any([stop.signal, signal])
    const engine: Engine = { assignment, stop, over: Promise.resolve() }
    engine.over = haveWeights(assignment, wanted).then(async gguf => {
      engine.hasWeights = gguf !== null
      if (gguf !== null) await keepRunning({ ...assignment, gguf }, stop.signal)
    })
    running.set(assignment.replica, engine)
  }

  function keepRunning(assignment: EngineAssignment, stopped: AbortSignal): Promise<void> {
    const { replica, digest } = assignment
    return supervise({
      start: () => takeOver(processes.get(replica), assignment, log) ?? spawnEngine(assignment),
      onStarted: ({ pid }, restarts) => {
        processes.set(replica, {
          replica,
          version: assignment.version,
          pid,
          socket: assignment.socket,
          digest,
          restarts,
          startedAt: processes.get(replica)?.pid === pid ? (processes.get(replica)?.startedAt ?? now()) : now(),
          startTime: startTimeOf(pid),
        })
        keep()
      },
      onEnded: (why, againInMs) => log.warn({ replica, why, againInMs }, 'an engine ended; it is started again'),
      signal: stopped,
    })
  }

  function spawnEngine(assignment: EngineAssignment): Running {
    return spawnIndependent({
      entry,
      role: 'engine',
      env: {
        ...engineEnv(env, assignments),
        HOLDFAST_ENGINE: JSON.stringify(assignment),
        HOLDFAST_PARENT_SOCKET: home.parentSocket,
      },
    })
  }

  function keep(): void {
    writeEngines(home.engines, { engines: assignments, processes: [...processes.values()] })
  }
}

type Engine = { assignment: EngineAssignment; stop: AbortController; over: Promise<void>; hasWeights?: boolean }

/** Where weights come from counts until they are there. */
function isWanted({ assignment, hasWeights = false }: Engine, wanted: EngineAssignment | undefined): boolean {
  if (wanted?.digest !== assignment.digest) return false
  return hasWeights || JSON.stringify(wanted.registry) === JSON.stringify(assignment.registry)
}

/** An engine that takes nothing more has removed its socket. */
async function untilFree(socket: string, over: Promise<void>): Promise<void> {
  let isOver = false
  void over.then(() => {
    isOver = true
  })
  while (!isOver && existsSync(socket)) await pause(socketLookMs)
}

const socketLookMs = 50

function takeOver(known: EngineProcess | undefined, assignment: EngineAssignment, log: Log): Running | null {
  if (known === undefined || known.digest !== assignment.digest || known.startTime === null) return null
  if (startTimeOf(known.pid) !== known.startTime) return null
  log.info({ replica: known.replica, engine: known.pid }, 'took over a running engine')
  return adopt(known.pid, known.startTime)
}

const now = (): string => new Date().toISOString()

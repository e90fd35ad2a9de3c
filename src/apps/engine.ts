/** The engine process: wires the embedded engine to its assignment, its signals and its parent. */
import { once } from 'node:events'
import { connect } from 'node:net'
import pino from 'pino'
import { z } from 'zod'
import { openCounters, openServer, openWeights } from '../adapters/llama-cpp/index.ts'
import type { EngineAssignment } from '../domain/serving/index.ts'
import { replicaId, versionName } from '../domain/units.ts'

/** Running requests have this long once the engine is asked to stop: as long as requests may take where the spec says nothing else. */
const graceMs = 900_000

const Assignment = z.object({
  replica: z.string().transform(replicaId),
  version: z.string().transform(versionName),
  digest: z.string(),
  socket: z.string().min(1),
  gguf: z.string().min(1),
  source: z.string().nullable().default(null),
  context: z.int().positive().nullable(),
  sequences: z.int().min(1).max(256),
  threads: z.int().min(1).nullable(),
}) satisfies z.ZodType<EngineAssignment>

/**
 * Runs one embedded engine until SIGTERM or SIGINT, or until the parent is gone, then ends the process: 0 when it was
 * asked to stop, 1 when it could not run. `HOLDFAST_ENGINE` holds the EngineAssignment as JSON, `HOLDFAST_PARENT_SOCKET`
 * the socket to live as long as (none: no lifeline), `HOLDFAST_LOG_LEVEL` the level of the JSON lines on stderr.
 */
export async function runEngine(env: NodeJS.ProcessEnv = process.env): Promise<never> {
  const log = pino(
    { name: 'engine', level: env['HOLDFAST_LOG_LEVEL'] || 'warn' },
    pino.destination({ dest: 2, sync: true }),
  )
  const end = new AbortController()
  const stop = (why: string): void => end.abort(why)
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => stop('SIGINT'))
  try {
    const assignment = Assignment.parse(JSON.parse(env['HOLDFAST_ENGINE'] ?? ''))
    const parent = env['HOLDFAST_PARENT_SOCKET']
    if (parent) followParent(parent, () => stop('parent gone'))
    const counters = openCounters()
    const server = await openServer({ socket: assignment.socket, version: assignment.version, counters, log })
    log.info({ replica: assignment.replica, version: assignment.version, socket: assignment.socket }, 'listening')
    const ended = end.signal.aborted ? Promise.resolve() : once(end.signal, 'abort')
    const loading = openWeights(assignment, { log, counters })
    const loaded = await Promise.race([loading, ended.then(() => null)])
    if (loaded !== null) {
      server.ready(loaded)
      log.info({ context: loaded.context, sequences: loaded.sequences.size }, 'ready')
    }
    await ended
    log.info({ why: end.signal.reason }, 'ending')
    // Without a parent nobody will read the answers: there is no reason to finish them.
    await server.close(end.signal.reason === 'parent gone' ? 0 : graceMs)
    await loaded?.close()
    process.exit(0)
  } catch (error) {
    log.fatal({ err: error }, 'the engine could not run')
    process.exit(1)
  }
}

/** Calls `gone` once the connection to the parent ends, or can't be made. */
function followParent(path: string, gone: () => void): void {
  const lifeline = connect(path)
  lifeline.resume()
  lifeline.on('error', () => {})
  lifeline.on('close', gone)
}

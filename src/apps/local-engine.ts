/** An embedded engine for the length of one command: nobody else's, gone with it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { holdLifeline, spawnRole } from '../adapters/processes/index.ts'
import type { EngineAssignment } from '../domain/serving/index.ts'
import { replicaId, versionName } from '../domain/units.ts'
import { engineEnv } from './engine-env.ts'
import { fetchAtSocket } from './reach-gateway.ts'

export type LocalEngine = {
  /** As `fetch` does it. */
  reach: (path: string, init: RequestInit) => Promise<Response>
  close(): Promise<void>
}

type Wanted = { entry: string; env: NodeJS.ProcessEnv; gguf: string; context: number; signal: AbortSignal }

const lookMs = 50

/** Rejects when it ends before it has loaded its weights, and with the signal's reason. */
export async function startLocalEngine({ entry, env, gguf, context, signal }: Wanted): Promise<LocalEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-engine-'))
  const lifeline = await holdLifeline(join(folder, 'parent.sock'))
  const name = 'dev-v1.0-local-fp32-p0'
  const assignment: EngineAssignment = {
    ...{ replica: replicaId(`${name}/0`), version: versionName(name), digest: '', source: null },
    ...{ socket: join(folder, 'engine.sock'), gguf, context, sequences: 1, threads: null },
  }
  const engine = spawnRole({
    entry,
    role: 'engine',
    env: {
      ...engineEnv(env, []),
      HOLDFAST_ENGINE: JSON.stringify(assignment),
      HOLDFAST_PARENT_SOCKET: join(folder, 'parent.sock'),
    },
  })
  const ended: { why: string | null } = { why: null }
  void engine.ended.then(why => (ended.why = why))
  const reach: LocalEngine['reach'] = (path, init) => fetchAtSocket(assignment.socket, path, init)
  async function close(): Promise<void> {
    engine.kill('SIGKILL')
    await engine.ended
    await lifeline.close()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    while (!(await isReady(reach))) {
      if (ended.why !== null) throw new Error(`the embedded engine for ${gguf} ended with ${ended.why}`)
      await pause(lookMs, undefined, { signal })
    }
    return { reach, close }
  } catch (error) {
    await close()
    throw error
  }
}

const isReady = (reach: LocalEngine['reach']): Promise<boolean> =>
  reach('/health', {}).then(
    async answer => {
      await answer.body?.cancel()
      return answer.status === 200
    },
    () => false,
  )

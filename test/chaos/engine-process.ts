/** A fake engine in a process of its own, at one address for as long as a run lasts, however often it dies. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import type { BehaviourChange, FakeState } from '../../tools/fake-engine/index.ts'
import { repository } from '../support/service.ts'

export type EngineProcess = Awaited<ReturnType<typeof startEngineProcess>>

const answersWithinMs = 20_000

export async function startEngineProcess(id: string, behaviour: BehaviourChange = {}) {
  let { child, url } = await launch('0')

  async function launch(port: string): Promise<{ child: ChildProcess; url: string }> {
    const program = join(repository, 'tools/fake-engine/main.ts')
    const started = spawn(
      join(repository, 'bin/node24'),
      [program, '--port', port, '--name', 'fake', '--behave', JSON.stringify(behaviour)],
      { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_OPTIONS: '' } },
    )
    const ended = once(started, 'exit').then(([code]) => {
      throw new Error(`engine ${id} ended with ${String(code)} before it listened`)
    })
    const [line] = (await Promise.race([once(createInterface(started.stdout), 'line'), ended])) as [string]
    ended.catch(() => {})
    return { child: started, url: (JSON.parse(line) as { url: string }).url }
  }

  async function ask<T>(path: string, body?: unknown): Promise<T> {
    const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
    const signal = AbortSignal.timeout(answersWithinMs)
    return (await (await fetch(`${url}${path}`, { ...init, signal })).json()) as T
  }

  async function kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    // Else a stopped process would never hear of it.
    child.kill('SIGCONT')
    await gone
  }

  return {
    id,
    get url(): string {
      return url
    },
    state: (): Promise<FakeState> => ask('/fake/state'),
    behave: async (change: BehaviourChange): Promise<void> => void (await ask('/fake/behave', change)),
    kill: () => kill(),
    /** At the same address, with nothing in hand. */
    async restart(): Promise<void> {
      await kill()
      ;({ child, url } = await launch(new URL(url).port))
    },
    freeze: (): void => void child.kill('SIGSTOP'),
    thaw: (): void => void child.kill('SIGCONT'),
    stop: () => kill('SIGTERM'),
  }
}

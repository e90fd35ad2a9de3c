/** The service's own processes, as its parent writes them down for `holdfast status`. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../support/settled.ts'

export type Role = 'gateway' | 'controller' | 'agent'

const backWithinMs = 60_000

export function pidOf(home: string, role: Role): number | null {
  return pidsOf(home, role)[0] ?? null
}

/** Several while one takes the place of another. */
export function pidsOf(home: string, role: Role): number[] {
  // Replaced whole by the parent, which has one form for it.
  const facts = JSON.parse(readFileSync(join(home, 'run', 'service.json'), 'utf8')) as {
    processes: { role: string; pid: number }[]
  }
  return facts.processes.filter(process => process.role === role).map(({ pid }) => pid)
}

/** SIGKILL; resolves when its parent has another one. */
export async function killRole(home: string, role: Role): Promise<void> {
  const pid = pidOf(home, role)
  if (pid === null) throw new Error(`no process has the role ${role}`)
  process.kill(pid, 'SIGKILL')
  const isBack = (): boolean => {
    const now = pidOf(home, role)
    return now !== null && now !== pid
  }
  await until(`a new ${role}`, isBack, backWithinMs)
}

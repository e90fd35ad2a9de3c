/** What a service looks like from outside its protocol: its processes and their memory. */
import { readFileSync } from 'node:fs'
import type { Process, Service } from './service.ts'

/** Resident memory in MiB. */
export function residentMib(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kib) / 1024)
}

export async function processOf(service: Service, role: string): Promise<Process> {
  const found = (await service.processes()).find(process => process.role === role)
  if (found === undefined) throw new Error(`no process has the role ${role}`)
  return found
}

/**
 * How long a test waits for a process that was killed to be there again: as long as the service itself gives a new one to
 * get ready. Against hanging; a slow machine beside other tests may need much of it.
 */
export const backMs = 30_000

/** Waits for something that has no event of its own. Throws, naming it, after `withinMs`. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const deadlineMs = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 25))
  }
}

/** Who writes an epoch: a process, by its id and when it began, so that a reused id is not taken for it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { writerFile } from './layout.ts'

/** Each role repairs its own, so that two that start at once don't repair the same epoch. */
export type WriterRole = 'gateway' | 'controller'
const Mark = z.object({
  pid: z.int().positive(),
  began: z.string().nullable(),
  role: z.enum(['gateway', 'controller']).default('gateway'),
})
export type Mark = z.infer<typeof Mark>

export const ownMark = (role: WriterRole): Mark => ({ pid: process.pid, began: beginning(process.pid), role })

/** A mark that says nothing is a gateway's to mend. */
export const roleOf = (mark: Mark | 'unreadable'): WriterRole => (mark === 'unreadable' ? 'gateway' : mark.role)

/** `null`: nobody is marked, so the epoch has ended. `unreadable`: a mark that says nothing. */
export function readMark(epochFolder: string): Mark | 'unreadable' | null {
  let text: string
  try {
    text = readFileSync(join(epochFolder, writerFile), 'utf8')
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? null : 'unreadable'
  }
  try {
    return Mark.parse(JSON.parse(text))
  } catch {
    return 'unreadable'
  }
}

export function isAlive(mark: Mark | 'unreadable'): boolean {
  if (mark === 'unreadable') return false
  if (mark.began !== null) return beginning(mark.pid) === mark.began
  try {
    process.kill(mark.pid, 0)
    return true
  } catch {
    return false
  }
}

/** This boot and the process's start tick in it (proc(5), field 22); `null` without such a process, or without /proc. */
function beginning(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command's name, in parentheses, may itself hold spaces and parentheses: fields are counted after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie (its parent has not waited for it yet) writes nothing any more.
    if (fields[0] === 'Z' || fields[0] === 'X') return null
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot}/${fields[19] ?? ''}`
  } catch {
    return null
  }
}

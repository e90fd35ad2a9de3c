/** The log of a process: JSON lines on standard error. Prompts, answers and secrets never go into it. */
import { destination, pino, type Logger } from 'pino'

export type Log = Logger

/** `level` as pino names it; anything else is taken as `warn`. */
export function openLog(role: string, level: string | undefined): Log {
  const known = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']
  return pino(
    {
      name: role,
      level: level !== undefined && known.includes(level) ? level : 'warn',
      base: { role, pid: process.pid },
    },
    // Written at once: what a dying process said last matters most.
    destination({ dest: 2, sync: true }),
  )
}

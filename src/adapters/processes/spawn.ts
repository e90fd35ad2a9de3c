/** Starts processes of this program, one role each, and takes over those that outlived their parent. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Running } from '../../services/supervise.ts'

export type SpawnParts = {
  /** The program's entry file. */
  entry: string
  role: string
  env: Record<string, string | undefined>
  /** A descriptor to inherit as 3. */
  fd?: number
  onMessage?: (message: unknown) => void
  /** How it is asked to stop; left out: SIGTERM. */
  stopMessage?: { type: string }
}

/** Not this process's own flags: with `node -e …` among them a child would run its parent's program again, and again. */
const flags = ['--disable-warning=ExperimentalWarning']

/** A process of this program that can be spoken with. */
export type RoleProcess = Running & {
  /** Resolves with what it says, or has said, of this type; `null`: it ended before, or the time was up. */
  said(type: string, withinMs: number): Promise<object | null>
  /** What can't be sent any more is lost. */
  send(message: { type: string }): void
  kill(signal: 'SIGTERM' | 'SIGKILL'): void
}

/** A child with an IPC channel: when this process ends, the channel closes, and the child ends too. */
export function spawnRole({ entry, role, env, fd, onMessage, stopMessage }: SpawnParts): RoleProcess {
  const child = spawn(process.execPath, [...flags, entry, role], {
    env,
    stdio: ['ignore', 'inherit', 'inherit', fd ?? 'ignore', 'ipc'],
    // A group of its own: Ctrl-C reaches the parent alone, which decides the order of stopping.
    detached: true,
  })
  if (onMessage !== undefined) child.on('message', onMessage)
  const running = toRunning(child)
  const heard = new Map<string, object>()
  const waiting = new Set<() => void>()
  child.on('message', message => {
    if (typeof message !== 'object' || message === null || !('type' in message)) return
    heard.set(String(message.type), message)
    for (const look of [...waiting]) look()
  })
  const send = (message: { type: string }): void => {
    if (child.connected) child.send(message, () => {})
  }
  return {
    ...running,
    stop: stopMessage === undefined ? running.stop : () => send(stopMessage),
    said(type, withinMs) {
      const { promise, resolve } = Promise.withResolvers<object | null>()
      const look = (): void => {
        const message = heard.get(type)
        if (message !== undefined) resolve(message)
      }
      waiting.add(look)
      const timer = setTimeout(() => resolve(null), withinMs)
      void running.ended.then(() => resolve(null))
      look()
      return promise.finally(() => {
        waiting.delete(look)
        clearTimeout(timer)
      })
    },
    send,
    kill: signal => void child.kill(signal),
  }
}

/** A process that outlives this one: no channel, nothing inherited but standard error. */
export function spawnIndependent({ entry, role, env }: SpawnParts): Running {
  const child = spawn(process.execPath, [...flags, entry, role], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  })
  child.unref()
  return toRunning(child)
}

/** Watches a process that somebody else started. It ends when its pid is gone or means another process. */
export function adopt(pid: number, startTime: string): Running {
  const { promise, resolve } = Promise.withResolvers<string>()
  const timer = setInterval(() => {
    if (startTimeOf(pid) === startTime) return
    clearInterval(timer)
    resolve('gone')
  }, adoptedLookMs)
  return { pid, ended: promise, stop: () => kill(pid) }
}

const adoptedLookMs = 200

/** When a process started, in the system's own words: with its pid it names one process for ever. `null`: not running. */
export function startTimeOf(pid: number): string | null {
  try {
    // Field 22 of /proc/PID/stat; the name in field 2 may hold spaces and brackets, so the count starts after it.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state] = fields
    return state === 'Z' || state === 'X' ? null : (fields[19] ?? null)
  } catch {
    return isAlive(pid) && process.platform !== 'linux' ? 'unknown' : null
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM')
  } catch {
    // Gone already, which is what was wanted.
  }
}

function toRunning(child: ChildProcess): Running {
  const { promise, resolve } = Promise.withResolvers<string>()
  child.once('error', error => resolve(`it did not start: ${error.message}`))
  child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  return { pid: child.pid ?? -1, ended: promise, stop: () => child.kill('SIGTERM') }
}

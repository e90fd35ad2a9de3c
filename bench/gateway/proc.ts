/** Processes of a bench: started on a core, measured through /proc, stopped by the id they were started with. */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'

/** What is measured runs on the first core; load and mock on the second. */
export const cores = { measured: 0, rest: 1 }
export const canPin = spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status === 0

export type Started = { pid: number; child: ChildProcess; stop: () => Promise<void> }
type StartOptions = { core: number; env?: NodeJS.ProcessEnv; quiet?: boolean; cwd?: string; input?: boolean }

/** Starts a long-lived process. `stop` sends SIGTERM, after 10 s SIGKILL. */
export function start(command: readonly string[], options: StartOptions): Started {
  const [program = '', ...args] = pinned(command, options.core)
  const child = spawn(program, args, {
    stdio: [options.input ? 'pipe' : 'ignore', 'pipe', options.quiet ? 'ignore' : 'inherit'],
    env: options.env ?? process.env,
    cwd: options.cwd,
  })
  const exited = once(child, 'exit')
  exited.catch(() => {})
  const stop = async (): Promise<void> => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await exited
    clearTimeout(timer)
  }
  return { pid: child.pid ?? 0, child, stop }
}

/** Runs a program to its end and gives its standard output. Throws, with what it said, when it fails or takes too long. */
export function runToEnd(
  command: readonly string[],
  options: { core: number; withinMs: number; env?: NodeJS.ProcessEnv },
): Promise<string> {
  const [program = '', ...args] = pinned(command, options.core)
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: options.env ?? process.env })
    let out = ''
    let errors = ''
    child.stdout.on('data', data => (out += String(data)))
    child.stderr.on('data', data => (errors += String(data)))
    const timer = setTimeout(() => child.kill('SIGKILL'), options.withinMs)
    child.once('error', reject)
    child.once('close', code => {
      clearTimeout(timer)
      if (code === 0) resolve(out)
      else reject(new Error(`${command.join(' ').slice(0, 200)} ended with ${code}: ${errors || out}`))
    })
  })
}

/** The first line a process prints. Rejects when it ends, or says nothing in time. */
export function firstLine({ child }: Started, withinMs = 30_000): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = ''
    const timer = setTimeout(() => reject(new Error(`Nothing was printed within ${withinMs} ms: ${seen}`)), withinMs)
    child.stdout?.on('data', data => {
      seen += String(data)
      const end = seen.indexOf('\n')
      if (end === -1) return
      clearTimeout(timer)
      resolve(seen.slice(0, end))
    })
    child.once('exit', code => {
      clearTimeout(timer)
      reject(new Error(`It ended with ${code}: ${seen}`))
    })
  })
}

/** Moves every thread of a running process to a core. */
export function pin(pid: number, core: number): void {
  if (canPin) spawnSync('taskset', ['-a', '-p', '-c', String(core), String(pid)], { stdio: 'ignore' })
}

/** CPU time in µs that the scheduler has given to the threads of these processes: waiting for a core is not in it. */
export function cpuMicros(pids: readonly number[]): number {
  let nanos = 0
  for (const pid of pids) {
    for (const thread of threadsOf(pid)) {
      nanos += Number(readOr(`/proc/${pid}/task/${thread}/schedstat`, '0').split(' ')[0])
    }
  }
  return nanos / 1000
}

/** Resident memory in MB. */
export function residentMegabytes(pids: readonly number[]): number {
  const kilobytes = pids.map(pid => Number(/^VmRSS:\s+(\d+)/m.exec(readOr(`/proc/${pid}/status`, ''))?.[1] ?? 0))
  return kilobytes.reduce((sum, each) => sum + each, 0) / 1024
}

export function childrenOf(pid: number): number[] {
  return readOr(`/proc/${pid}/task/${pid}/children`, '')
    .split(' ')
    .filter(text => text !== '')
    .map(Number)
}

/** Ends everything that this process has started, what was still starting too. Resolves when it is gone, or after 15 s. */
export async function stopChildren(): Promise<void> {
  for (const pid of childrenOf(process.pid)) {
    try {
      process.kill(pid, 'SIGTERM')
    } catch {
      // It has ended by itself.
    }
  }
  const deadline = Date.now() + 15_000
  while (childrenOf(process.pid).length > 0 && Date.now() < deadline) await new Promise(next => setTimeout(next, 50))
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

function pinned(command: readonly string[], core: number): readonly string[] {
  return canPin ? ['taskset', '-c', String(core), ...command] : command
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}

/** A whole service as a person starts it: `holdfast up` in a process of its own, with a state folder of its own. */
import { execFile, spawn, type ChildProcess, type ExecFileException } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const repository = fileURLToPath(new URL('../../', import.meta.url))

export type ServiceOptions = {
  /** The spec's text; left out: none, the smoke model on the embedded engine. */
  spec?: string
  /** Flags for `up` besides `--port 0 --json`. */
  flags?: string[]
  env?: Record<string, string>
  /** A state folder to go on with; left out: a new one, removed by `stop`. */
  home?: string
  /** Where what it says is gathered, for whoever watches it before it serves. */
  said?: { stdout: string; stderr: string }
}

export type Process = { role: string; pid: number; restarts: number; startedAt: string }
export type Service = Awaited<ReturnType<typeof startService>>
export type CliAnswer = { exitCode: number; stdout: string; stderr: string }

/** At least 32 characters, and easy to search for. */
export const adminKey = 'canary-admin-key-of-the-test-suite-0123456789'

const startMs = 60_000
const stopMs = 45_000

/** Resolves when the service has printed that it serves. Rejects with everything it said when it ends before. */
export async function startService(options: ServiceOptions = {}) {
  const { spec, flags = [], env = {}, home, said = { stdout: '', stderr: '' } } = options
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'))
  const state = home ?? join(folder, 'home')
  const specFile = join(folder, 'holdfast.yaml')
  if (spec !== undefined) writeFileSync(specFile, spec)
  const environment = {
    ...process.env,
    HOLDFAST_HOME: state,
    HOLDFAST_ADMIN_KEY: adminKey,
    HOLDFAST_URL: '',
    HOLDFAST_KEY: '',
    ...env,
  }
  const child = spawn(
    join(repository, 'bin/holdfast'),
    ['up', ...(spec === undefined ? [] : [specFile]), '--port', '0', '--json', ...flags],
    { env: environment, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text
  })
  const { url } = await untilReady(child, said).catch((error: unknown) => {
    rmSync(folder, { recursive: true, force: true })
    throw error
  })

  async function cli(...args: string[]): Promise<CliAnswer> {
    return runCli(args, environment)
  }

  return {
    url,
    home: state,
    folder,
    said,
    pid: child.pid ?? -1,
    env: environment,
    specFile,
    cli,
    /** As `holdfast status --json` lists them. */
    async processes(): Promise<Process[]> {
      const { stdout, stderr, exitCode } = await cli('status', '--json')
      if (exitCode !== 0) throw new Error(`status failed: ${stderr}`)
      return (JSON.parse(stdout) as { processes: Process[] }).processes
    },
    /** Calls with the admin key unless `headers` says otherwise. */
    call(path: string, body?: unknown, init: RequestInit = {}): Promise<Response> {
      return fetch(`${url}${path}`, {
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
        headers: { 'authorization': `Bearer ${adminKey}`, 'content-type': 'application/json' },
        ...init,
      })
    },
    /** SIGTERM, as a service manager stops it. Resolves with how it ended. */
    async stop(): Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }> {
      const ended = endOf(child)
      child.kill('SIGTERM')
      const deadline = setTimeout(() => child.kill('SIGKILL'), stopMs)
      const end = await ended
      clearTimeout(deadline)
      rmSync(folder, { recursive: true, force: true })
      return end
    },
  }
}

/** Runs `holdfast` to its end. */
export function runCli(args: string[], env: Record<string, string | undefined>): Promise<CliAnswer> {
  const { promise, resolve } = Promise.withResolvers<CliAnswer>()
  execFile(
    join(repository, 'bin/holdfast'),
    args,
    { env, timeout: startMs, maxBuffer: 64 * 1024 * 1024 },
    (error, stdout, stderr) => {
      resolve({ exitCode: exitCodeOf(error), stdout, stderr })
    },
  )
  return promise
}

/** -1: it was killed, or could not be started. */
function exitCodeOf(error: ExecFileException | null): number {
  if (error === null) return 0
  return typeof error.code === 'number' ? error.code : -1
}

function untilReady(child: ChildProcess, said: { stdout: string; stderr: string }): Promise<{ url: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ url: string }>()
  const fail = (why: string): void =>
    reject(new Error(`the service did not start: ${why}\n${said.stdout}\n${said.stderr}`))
  const deadline = setTimeout(() => {
    child.kill('SIGKILL')
    fail(`not within ${startMs} ms`)
  }, startMs)
  child.stdout?.on('data', () => {
    const line = said.stdout
      .split('\n')
      .slice(0, -1)
      .find(text => text.startsWith('{'))
    if (line === undefined) return
    clearTimeout(deadline)
    resolve(JSON.parse(line) as { url: string })
  })
  child.once('exit', code => {
    clearTimeout(deadline)
    fail(`it ended with ${code}`)
  })
  return promise
}

function endOf(child: ChildProcess): Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }> {
  const { promise, resolve } = Promise.withResolvers<{ exitCode: number | null; signal: NodeJS.Signals | null }>()
  if (child.exitCode !== null || child.signalCode !== null)
    resolve({ exitCode: child.exitCode, signal: child.signalCode })
  child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
  return promise
}

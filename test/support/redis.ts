/** A real redis-server on a free port, in a temporary folder, that can be killed, stopped and started again empty. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type Redis = Awaited<ReturnType<typeof startRedis>>

/** `args`: more of its settings, such as `--requirepass`. */
export async function startRedis(args: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-redis-'))
  const port = await freePort()
  let child = await start()

  async function start(): Promise<ChildProcess> {
    const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...args]
    const started = spawn('redis-server', options, { stdio: 'ignore' })
    const failed = once(started, 'error').then(([error]: unknown[]) => {
      throw error
    })
    while (!(await Promise.race([listens(port), failed]))) {
      if (started.exitCode !== null) throw new Error(`redis-server ended with ${started.exitCode}`)
    }
    return started
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill,
    /** As after a crash without a disk: it remembers nothing. */
    async restart(): Promise<void> {
      await kill()
      child = await start()
    },
    /** It takes connections and answers nothing. */
    hang: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    async stop(): Promise<void> {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/**
 * Below the ports that the kernel gives to connections: one that is tried while nothing listens there could be connected
 * to itself, and keep the port from the server that is to come back.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const server = createServer().listen(port, '127.0.0.1')
    const { promise, resolve } = Promise.withResolvers<boolean>()
    server.on('listening', () => resolve(true))
    server.on('error', () => resolve(false))
    if (!(await promise)) continue
    server.close()
    await once(server, 'close')
    return port
  }
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const { promise, resolve } = Promise.withResolvers<boolean>()
  socket.on('connect', () => resolve(true))
  socket.on('error', () => setTimeout(() => resolve(false), 20))
  const does = await promise
  socket.destroy()
  return does
}

/** The real llama-server, when it was built (`scripts/llama-server.ts`), serving the smoke model. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'

/** The release of llama.cpp that node-llama-cpp carries is part of the name: another one is built anew. */
export const llamaServerPath = join('.tools', 'llama-server-v0.5.0', 'llama-server')
export const hasLlamaServer = (): boolean => existsSync(llamaServerPath)

const startMs = 30_000

export type LlamaServer = { url: string; close(): Promise<void> }

/** Resolves once it answers its health route. */
export async function startLlamaServer(...more: string[]): Promise<LlamaServer> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const args = ['-m', 'weights/smoke/smoke.gguf', '--alias', 'smoke', '--host', '127.0.0.1', '--port', String(port)]
  const bounded = ['-c', '2048', '-np', '4', '-t', '1', '-tb', '1', '--metrics', '--no-warmup', ...more]
  const child = spawn(llamaServerPath, [...args, ...bounded], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-4_000)))
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const deadline = AbortSignal.timeout(startMs)
  try {
    while (!(await isHealthy(url))) {
      if (deadline.aborted || child.exitCode !== null) throw new Error(`llama-server did not start:\n${said}`)
      await Promise.race([ended, new Promise(resolve => setTimeout(resolve, 50))])
    }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  return {
    url,
    async close() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) })).ok
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

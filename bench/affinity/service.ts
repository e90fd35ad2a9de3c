/** `holdfast up` before four engines of one version, as a user would start it, with one way of routing. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cores, start } from '../gateway/proc.ts'
import { freePort, listening } from '../gateway/systems.ts'
import type { Target } from './drive.ts'

export type Way = 'round-robin' | 'prefix-affinity'
export type Service = Target & { stop: () => Promise<void> }

const program = resolve(fileURLToPath(new URL('../../bin/holdfast', import.meta.url)))
const startMs = 60_000

/** Resolves when it serves. `folder` is its own. */
export async function openService(
  way: Way,
  { urls, folder }: { urls: readonly string[]; folder: string },
): Promise<Service> {
  mkdirSync(folder, { recursive: true })
  const port = await freePort()
  const key = `bench-${randomUUID()}`
  const spec = join(folder, 'holdfast.yaml')
  writeFileSync(spec, renderSpec(way, urls))
  const env = { PATH: process.env['PATH'], HOLDFAST_HOME: join(folder, 'home'), HOLDFAST_ADMIN_KEY: key }
  const up = start([program, 'up', spec, '--port', String(port)], {
    core: cores.measured,
    env,
    cwd: folder,
    quiet: true,
  })
  up.child.stdout?.resume()
  try {
    await listening(port, startMs)
    return { url: `http://127.0.0.1:${port}`, key, model: 'smoke', stop: up.stop }
  } catch (error) {
    await up.stop()
    throw error
  }
}

/** No canaries: they would put something else into the caches. */
function renderSpec(way: Way, urls: readonly string[]): string {
  return [
    'apiVersion: holdfast/v1',
    'name: affinity',
    'gateway: { health: { canary: off } }',
    'versions:',
    '  - name: dev-v1.0-smoke-2m-q8-0-p0',
    '    engine: { kind: llama-cpp }',
    '    replicas:',
    ...urls.map((url, index) => `      - { id: r${index + 1}, url: "${url}/v1" }`),
    'models:',
    `  - { name: smoke, live: dev-v1.0-smoke-2m-q8-0-p0, routing: ${way} }`,
    '',
  ].join('\n')
}

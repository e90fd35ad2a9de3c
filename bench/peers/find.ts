/** Where the others' programs are: installed by their own package managers into `.tools/`, never into our dependencies. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cores, runToEnd } from '../gateway/proc.ts'

export type Found = { program: string; version: string } | { problem: string }

const tools = resolve(fileURLToPath(new URL('../../.tools', import.meta.url)))
const installMs = 420_000
const portkey = '1.15.2'
const litellm = '1.106.2'

export async function findHaproxy(): Promise<Found> {
  const script = 'PATH="$PATH:/usr/sbin"; command -v haproxy && haproxy -v'
  const said = await runToEnd(['sh', '-c', script], { core: cores.rest, withinMs: 5000 }).catch(() => null)
  const program = said?.split('\n')[0]
  if (program === undefined) return { problem: 'haproxy is not installed (on Debian: apt-get install haproxy)' }
  return { program, version: /version (\d[\d.]*)/.exec(said ?? '')?.[1] ?? '' }
}

/** With the server library of its own time: with what npm resolves today it answers streams with 500. */
export async function findPortkey(): Promise<Found> {
  const found = await installed(`portkey-${portkey}`, async folder => {
    const manifest = {
      private: true,
      dependencies: { '@portkey-ai/gateway': portkey },
      overrides: { '@hono/node-server': '1.13.8', 'hono': '4.9.7' },
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
    await run(['npm', 'install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--silent'])
  })
  if ('problem' in found) return found
  return { program: join(found.folder, 'node_modules/@portkey-ai/gateway/build/start-server.js'), version: portkey }
}

export async function findLitellm(): Promise<Found> {
  const found = await installed(`litellm-${litellm}`, async folder => {
    await run(['python3', '-m', 'venv', folder])
    const pip = [join(folder, 'bin/python'), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    await run([...pip, `litellm[proxy]==${litellm}`])
  })
  if ('problem' in found) return found
  return { program: join(found.folder, 'bin/litellm'), version: litellm }
}

/** The last thing written is the mark: what was stopped half-way is begun again. */
async function installed(
  name: string,
  install: (folder: string) => Promise<void>,
): Promise<{ folder: string } | { problem: string }> {
  const folder = join(tools, name)
  const mark = join(folder, 'complete')
  if (existsSync(mark)) return { folder }
  console.log(`Installing ${name} into .tools (once).`)
  try {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    await install(folder)
    writeFileSync(mark, '')
    return { folder }
  } catch (error) {
    return { problem: firstLineOf(error) }
  }
}

async function run(command: readonly string[]): Promise<void> {
  await runToEnd(command, { core: cores.rest, withinMs: installMs })
}

function firstLineOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replace(/\s+/g, ' ').replaceAll('|', '/').slice(0, 160)
}

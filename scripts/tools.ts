/**
 * The programs that tests and benches use beside Node. Installs what is missing where that needs no question (root
 * on Debian); elsewhere says what is missing. By itself: `bin/node24 scripts/tools.ts`.
 */
import { spawnSync } from 'node:child_process'

type Tool = { name: string; debian: string; usedFor: string; probe: readonly [command: string, ...args: string[]] }

const tools: readonly Tool[] = [
  { name: 'curl', debian: 'curl', usedFor: 'the README’s first commands', probe: ['curl', '--version'] },
  {
    name: 'nginx',
    debian: 'nginx-light',
    usedFor: 'the gateway behind a proxy, and the bench’s limit',
    probe: ['nginx', '-v'],
  },
  {
    name: 'postgresql',
    debian: 'postgresql',
    usedFor: 'state that several controllers share',
    // Debian keeps the server's programs out of the path.
    probe: ['sh', '-c', 'ls /usr/lib/postgresql/*/bin/initdb || command -v initdb'],
  },
  { name: 'openssl', debian: 'openssl', usedFor: 'certificates for tests', probe: ['openssl', 'version'] },
  {
    name: 'python3-venv',
    debian: 'python3-venv',
    usedFor: 'official Python clients',
    probe: ['python3', '-c', 'import ensurepip, venv'],
  },
  {
    name: 'redis-server',
    debian: 'redis-server',
    usedFor: 'limits that several gateways share',
    probe: ['redis-server', '--version'],
  },
  {
    name: 'taskset',
    debian: 'util-linux',
    usedFor: 'a core of its own for what a bench measures',
    probe: ['taskset', '--version'],
  },
  {
    name: 'chromium',
    debian: 'chromium-headless-shell',
    usedFor: 'the report of a release, as a browser shows it',
    probe: ['sh', '-c', 'command -v chromium-headless-shell || command -v chromium'],
  },
  { name: 'zsh', debian: 'zsh', usedFor: 'its completion of our commands', probe: ['zsh', '--version'] },
  { name: 'fish', debian: 'fish', usedFor: 'its completion of our commands', probe: ['fish', '--version'] },
  { name: 'wrk', debian: 'wrk', usedFor: 'load that costs little itself', probe: ['sh', '-c', 'command -v wrk'] },
]

// Other installs on the machine finish first; never ask, never wait for an answer.
const apt = ['-o', 'DPkg::Lock::Timeout=400', '-o', 'Acquire::Retries=2']
const minutes = 60_000

/** Names of the tools that are not here after trying. Prints what it does. */
export function ensureTools(): string[] {
  const absent = tools.filter(tool => !isHere(tool))
  if (absent.length > 0 && canInstall()) {
    const packages = absent.map(tool => tool.debian)
    console.log(`Installing ${packages.join(' ')} with apt-get.`)
    // The lists may be older than the packages; fetching them takes a while, so only when it is needed.
    if (!install(packages)) {
      aptGet('update')
      install(packages)
    }
  }
  const missing = absent.filter(tool => !isHere(tool))
  for (const tool of missing)
    console.log(`Missing: ${tool.name} (${tool.usedFor}). On Debian: apt-get install ${tool.debian}`)
  return missing.map(tool => tool.name)
}

function isHere({ probe: [command, ...args] }: Tool): boolean {
  return spawnSync(command, args, { stdio: 'ignore', timeout: minutes / 2 }).status === 0
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0
}

function install(packages: readonly string[]): boolean {
  return aptGet('install', '-y', '--no-install-recommends', ...packages)
}

function aptGet(...args: string[]): boolean {
  const { status } = spawnSync('apt-get', [...apt, '-qq', ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: 10 * minutes,
    // RUNLEVEL 1: a freshly installed nginx is wanted as a program, not as a service on port 80.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  })
  return status === 0
}

if (import.meta.main) {
  process.exitCode = ensureTools().length > 0 ? 1 : 0
}

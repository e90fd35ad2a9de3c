/** The systems compared: no gateway at all, nginx as the limit, Node's bare sockets, and Holdfast with everything it does. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { childrenOf, cores, firstLine, pin, runToEnd, start } from './proc.ts'
import { model, path, renderBody } from './workload.ts'

export const systemNames = ['direct', 'nginx', 'sockets', 'holdfast'] as const
export type SystemName = (typeof systemNames)[number]
export type System = {
  name: SystemName
  port: number
  key: string
  /** What it wants with each request beside the key. */
  headers?: Readonly<Record<string, string>>
  /** The processes on the path of a request. Empty for `direct`. */
  gatewayPids: readonly number[]
  /** Those and the ones that work behind them (journal, parent). */
  allPids: readonly number[]
  stop: () => Promise<void>
}

/** More for `/key/generate`: bounds of Holdfast's key. */
type KeyFields = Readonly<Record<string, unknown>>
type HoldfastPlace = { mockPort: number; folder: string; keyFields: KeyFields }

const root = resolve(fileURLToPath(new URL('../..', import.meta.url)))

/** `folder` is empty and the system's own. Throws when the system can't be started. */
export async function openSystem(
  name: SystemName,
  { mockPort, folder, keyFields = {} }: { mockPort: number; folder: string; keyFields?: KeyFields },
): Promise<System> {
  mkdirSync(folder, { recursive: true })
  const open = {
    direct: () => openDirect(mockPort),
    nginx: () => openNginx(mockPort, folder),
    sockets: () => openSockets(mockPort),
    holdfast: () => openHoldfast({ mockPort, folder, keyFields }),
  }
  const system = await open[name]()
  try {
    await answers(system)
    return system
  } catch (error) {
    await system.stop()
    throw error
  }
}

async function openDirect(mockPort: number): Promise<System> {
  return { name: 'direct', port: mockPort, key: 'none', gatewayPids: [], allPids: [], stop: async () => {} }
}

async function openNginx(mockPort: number, folder: string): Promise<System> {
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, renderNginx({ mockPort, port, folder }))
  const nginx = start(['nginx', '-p', folder, '-c', file, '-e', join(folder, 'error.log')], { core: cores.measured })
  await listening(port)
  const pids = [nginx.pid, ...childrenOf(nginx.pid)]
  return { name: 'nginx', port, key: 'none', gatewayPids: pids, allPids: pids, stop: nginx.stop }
}

function renderNginx({ mockPort, port, folder }: { mockPort: number; port: number; folder: string }): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    part => `  ${part}_temp_path ${folder}/${part};`,
  )
  return [
    'daemon off;',
    // As root, workers would become another user, who may not write here.
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    'worker_processes 1;',
    `pid ${folder}/nginx.pid;`,
    'events { worker_connections 8192; }',
    'http {',
    '  access_log off;',
    ...temporary,
    '  keepalive_requests 100000000;',
    '  upstream engine {',
    `    server 127.0.0.1:${mockPort};`,
    '    keepalive 512;',
    '    keepalive_requests 100000000;',
    '  }',
    '  server {',
    `    listen 127.0.0.1:${port} backlog=4096;`,
    '    location / {',
    '      proxy_pass http://engine;',
    '      proxy_http_version 1.1;',
    '      proxy_set_header Connection "";',
    '      proxy_buffering off;',
    '    }',
    '  }',
    '}',
    '',
  ].join('\n')
}

async function openSockets(mockPort: number): Promise<System> {
  const program = fileURLToPath(new URL('sockets.main.ts', import.meta.url))
  const relay = start([process.execPath, '--disable-warning=ExperimentalWarning', program, String(mockPort)], {
    core: cores.measured,
  })
  const { port } = Listening.parse(JSON.parse(await firstLine(relay)))
  const pids = [relay.pid]
  return { name: 'sockets', port, key: 'none', gatewayPids: pids, allPids: pids, stop: relay.stop }
}

const Listening = z.object({ port: z.int() })
const Status = z.looseObject({ processes: z.array(z.looseObject({ role: z.string(), pid: z.int() })) })
const NewKey = z.looseObject({ key: z.string() })

/** As a user would: `holdfast up` with one engine, and a key that may use one model. */
async function openHoldfast({ mockPort, folder, keyFields }: HoldfastPlace): Promise<System> {
  const port = await freePort()
  const spec = join(folder, 'holdfast.yaml')
  writeFileSync(spec, renderSpec(mockPort))
  // Nothing else of the caller's: a HOLDFAST_URL would have us ask another service for its processes.
  const env = { PATH: process.env['PATH'], HOLDFAST_HOME: join(folder, 'home'), HOLDFAST_ADMIN_KEY: adminKey }
  const program = join(root, 'bin/holdfast')
  // All of it starts on the other core; then the gateway alone gets the measured one.
  const up = start([program, 'up', spec, '--port', String(port)], { core: cores.rest, env, cwd: folder })
  up.child.stdout?.resume()
  try {
    await listening(port)
    const status = Status.parse(
      JSON.parse(await runToEnd([program, 'status', '--json'], { core: cores.rest, withinMs: 30_000, env })),
    )
    const gatewayPids = status.processes.filter(one => one.role === 'gateway').map(one => one.pid)
    if (gatewayPids.length === 0) throw new Error('holdfast status names no gateway process.')
    for (const pid of gatewayPids) pin(pid, cores.measured)
    const allPids = Array.from(new Set([...status.processes.map(one => one.pid), up.pid]))
    return { name: 'holdfast', port, key: await makeKey(port, keyFields), gatewayPids, allPids, stop: up.stop }
  } catch (error) {
    await up.stop()
    throw error
  }
}

/** The one admin key of this run; the service is told it and gone with it. */
const adminKey = `bench-${randomUUID()}`

function renderSpec(mockPort: number): string {
  return [
    'apiVersion: holdfast/v1',
    'name: bench',
    'versions:',
    '  - name: dev-v1.0-bench-1b-q8-0-p0',
    '    engine: { kind: openai }',
    `    replicas: [{ id: mock, url: "http://127.0.0.1:${mockPort}/v1" }]`,
    'models:',
    `  - { name: ${model}, live: dev-v1.0-bench-1b-q8-0-p0 }`,
    '',
  ].join('\n')
}

async function makeKey(port: number, fields: KeyFields): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/key/generate`, {
    method: 'POST',
    headers: { 'authorization': `Bearer ${adminKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ models: [model], key_alias: 'bench', ...fields }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`No key could be made: ${response.status} ${text}`)
  return NewKey.parse(JSON.parse(text)).key
}

type Answering = Pick<System, 'port' | 'key' | 'headers'> & { name: string }

/** Proves that the system answers as the mock does, before anything is timed. Engines may still be found healthy. */
export async function answers({ name, port, key, headers }: Answering): Promise<void> {
  let last = ''
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await new Promise(next => setTimeout(next, 100))) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method: 'POST',
        headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json', ...headers },
        body: renderBody(false),
      })
      last = `${response.status} ${await response.text()}`
      if (response.status === 200 && last.includes('quick brown fox')) return
    } catch (error) {
      last = String(error)
    }
  }
  throw new Error(`${name} did not answer as the mock does: ${last.slice(0, 500)}`)
}

export async function listening(port: number, withinMs = 30_000): Promise<void> {
  for (const deadline = Date.now() + withinMs; Date.now() < deadline; await new Promise(next => setTimeout(next, 50))) {
    const up = await fetch(`http://127.0.0.1:${port}/health`).then(
      response => response.body?.cancel().then(() => true) ?? true,
      () => false,
    )
    if (up) return
  }
  throw new Error(`Nothing listens on port ${port} after ${withinMs / 1000} s.`)
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}

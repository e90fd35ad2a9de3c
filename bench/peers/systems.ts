/** The gateways compared: how each is started as its makers say, before the same mock, with what makes the comparison fair. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start, cores, childrenOf } from '../gateway/proc.ts'
import { answers, freePort, listening, openSystem } from '../gateway/systems.ts'
import type { System } from '../gateway/systems.ts'
import { model } from '../gateway/workload.ts'
import { findHaproxy, findLitellm, findPortkey } from './find.ts'
import type { Found } from './find.ts'

export const peerNames = ['nginx', 'haproxy', 'holdfast', 'portkey', 'litellm', 'bifrost'] as const
export type PeerName = (typeof peerNames)[number]
export type Peer = Omit<System, 'name'> & { name: PeerName; connections?: number; streams?: number }

/** `warmUpMs`: what it takes until a round costs what the one before did; a compiler works behind some. */
export type PeerKind = {
  warmUpMs: number
  /** Connections for whole answers; left out: as many as for all. A slow gateway would only let more of them queue. */
  connections?: number
  /** Streams at once; left out: 200. */
  streams?: number
  does: string
}
export const peerKinds: Readonly<Record<PeerName, PeerKind>> = {
  nginx: { warmUpMs: 1000, does: 'forwards' },
  haproxy: { warmUpMs: 1000, does: 'forwards' },
  holdfast: { warmUpMs: 20_000, does: 'key, limits, routing, token counts, metrics, journal' },
  portkey: { warmUpMs: 40_000, connections: 16, does: 'forwards by its headers; checks no key, counts nothing' },
  litellm: {
    warmUpMs: 6000,
    connections: 16,
    streams: 50,
    does: 'master key, routing; without its database; 50 streams at once instead of 200',
  },
  bifrost: { warmUpMs: 6000, does: '' },
}

/** Bounds that are counted and never reached. */
const keyFields = { rpm_limit: 1_000_000_000, tpm_limit: 1_000_000_000_000, max_parallel_requests: 100_000 }
const startMs = 90_000

type Place = { mockPort: number; folder: string }

/** Where the system's program is; a reason when it can't be had here. May install it, which takes minutes the first time. */
export async function findPeer(name: PeerName): Promise<Found> {
  switch (name) {
    case 'nginx':
    case 'holdfast':
      return { program: name, version: '' }
    case 'haproxy':
      return await findHaproxy()
    case 'portkey':
      return await findPortkey()
    case 'litellm':
      return await findLitellm()
    case 'bifrost':
      return { problem: 'its npm package only fetches the program from its maker, and Go’s proxy has no such module' }
    default:
      return name satisfies never
  }
}

/** `folder` is the system's own. Throws when it can't be started or does not answer as the mock does. */
export async function openPeer(name: PeerName, program: string, place: Place): Promise<Peer> {
  mkdirSync(place.folder, { recursive: true })
  const { connections, streams } = peerKinds[name]
  const peer = await openOne(name, program, place)
  try {
    await answers(peer)
    return { ...peer, ...(connections !== undefined && { connections }), ...(streams !== undefined && { streams }) }
  } catch (error) {
    await peer.stop()
    throw error
  }
}

async function openOne(name: PeerName, program: string, place: Place): Promise<Peer> {
  switch (name) {
    case 'nginx':
    case 'holdfast':
      return { ...(await openSystem(name, { ...place, keyFields })), name }
    case 'haproxy':
      return await openHaproxy(program, place)
    case 'portkey':
      return await openPortkey(program, place)
    case 'litellm':
      return await openLitellm(program, place)
    case 'bifrost':
      throw new Error('Bifrost has no program here.')
    default:
      return name satisfies never
  }
}

async function openHaproxy(program: string, { mockPort, folder }: Place): Promise<Peer> {
  const port = await freePort()
  const file = join(folder, 'haproxy.cfg')
  writeFileSync(file, renderHaproxy(port, mockPort))
  return await openProcess({ name: 'haproxy', port, key: 'none' }, [program, '-db', '-f', file], { folder })
}

/** `http-no-delay`: without it chunks are held back to be sent together, which is cheaper and 90 ms late. */
function renderHaproxy(port: number, mockPort: number): string {
  return [
    'global',
    '  nbthread 1',
    '  maxconn 8192',
    'defaults',
    '  mode http',
    '  option http-no-delay',
    '  http-reuse always',
    '  timeout connect 5s',
    '  timeout client 120s',
    '  timeout server 120s',
    'frontend clients',
    `  bind 127.0.0.1:${port} backlog 4096`,
    '  default_backend engines',
    'backend engines',
    `  server mock 127.0.0.1:${mockPort}`,
    '',
  ].join('\n')
}

async function openPortkey(program: string, { mockPort, folder }: Place): Promise<Peer> {
  const port = await freePort()
  const headers = { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `http://127.0.0.1:${mockPort}/v1` }
  const command = ['node', program, `--port=${port}`, '--headless']
  return await openProcess({ name: 'portkey', port, key: 'none', headers }, command, { folder })
}

async function openLitellm(program: string, { mockPort, folder }: Place): Promise<Peer> {
  const port = await freePort()
  const file = join(folder, 'litellm.yaml')
  const key = 'sk-bench-0123456789'
  writeFileSync(file, renderLitellm(mockPort, key))
  const command = [program, '--config', file, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1']
  // Prices come from its own package: it would fetch them, and report to its maker.
  const env = { LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR', LITELLM_MODE: 'PRODUCTION' }
  return await openProcess({ name: 'litellm', port, key }, command, { folder, env })
}

function renderLitellm(mockPort: number, key: string): string {
  return [
    'model_list:',
    `  - model_name: ${model}`,
    '    litellm_params:',
    `      model: openai/${model}`,
    `      api_base: http://127.0.0.1:${mockPort}/v1`,
    '      api_key: none',
    'general_settings:',
    `  master_key: ${key}`,
    'litellm_settings:',
    '  telemetry: false',
    '  set_verbose: false',
    '',
  ].join('\n')
}

async function openProcess(
  peer: Pick<Peer, 'name' | 'port' | 'key' | 'headers'>,
  command: readonly string[],
  { folder, env = {} }: { folder: string; env?: NodeJS.ProcessEnv },
): Promise<Peer> {
  const { PATH, HOME } = process.env
  const started = start(command, { core: cores.measured, cwd: folder, quiet: true, env: { PATH, HOME, ...env } })
  started.child.stdout?.resume()
  try {
    await listening(peer.port, startMs)
    const pids = [started.pid, ...childrenOf(started.pid)]
    return { ...peer, gatewayPids: pids, allPids: pids, stop: started.stop }
  } catch (error) {
    await started.stop()
    throw error
  }
}

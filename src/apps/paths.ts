/** Where things are in the state folder (`HOLDFAST_HOME`). */
import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export type Home = ReturnType<typeof openHome>

/** `HOLDFAST_HOME`, else `$XDG_STATE_HOME/holdfast`, else `~/.local/state/holdfast`. */
export function homeFolder(env: NodeJS.ProcessEnv): string {
  if (env['HOLDFAST_HOME']) return resolve(env['HOLDFAST_HOME'])
  return join(env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'holdfast')
}

/** A Unix socket's path may have 107 bytes; a deep state folder gets its sockets elsewhere. */
const longestSocketName = '/engine-xxxxxxxxxxxxxxxx.sock'.length
const socketPathBytes = 107

/** The layout. Folders are made (0700) when they are missing. */
export function openHome(root: string) {
  const run = join(root, 'run')
  const home = {
    root,
    adminKey: join(root, 'admin.key'),
    /** Facts of the running service, for the command line: address, processes. */
    service: join(run, 'service.json'),
    /** Running engines, for adoption by the next agent. */
    engines: join(run, 'engines.json'),
    /** What the agent fetches, for status. */
    fetches: join(run, 'fetches.json'),
    /** Weights that were fetched. Larger than everything else together. */
    artifacts: join(root, 'artifacts'),
    sockets: run,
    gateway: join(root, 'gateway'),
    journal: join(root, 'journal'),
    controller: join(root, 'controller'),
    database: join(root, 'controller', 'holdfast.db'),
  }
  for (const folder of [root, run, home.gateway, home.journal, home.controller])
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (Buffer.byteLength(run) + longestSocketName > socketPathBytes) {
    const name = createHash('sha256').update(root).digest('hex').slice(0, 16)
    home.sockets = join(tmpdir(), `holdfast-${process.getuid?.() ?? 0}-${name}`)
    mkdirSync(home.sockets, { recursive: true, mode: 0o700 })
  }
  return {
    ...home,
    /** The parent listens here; engines end when it does. */
    parentSocket: join(home.sockets, 'up.sock'),
    /** And takes orders of this user here. */
    ordersSocket: join(home.sockets, 'orders.sock'),
    controllerSocket: join(home.sockets, 'controller.sock'),
    /** The gateway, for this user's command line, whatever stands at its front door. */
    gatewaySocket: join(home.sockets, 'gateway.sock'),
    engineSocket: (replica: string): string =>
      join(home.sockets, `engine-${createHash('sha256').update(replica).digest('hex').slice(0, 16)}.sock`),
  }
}

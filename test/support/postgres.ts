/** A real PostgreSQL with a folder and a port of its own, for as long as a test file runs. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'

/** In its own words, so that a search for it in logs finds nothing else. */
export const postgresPassword = 'canary-password-of-postgres-0123456789'

/** `false` on CI, where the tool has to be. */
export const withoutPostgres = binFolder() === null && process.env['CI'] !== 'true'

export type Postgres = Awaited<ReturnType<typeof startPostgres>>

const startMs = 60_000

export async function startPostgres() {
  const bin = binFolder()
  if (bin === null) throw new Error('PostgreSQL is not installed. On Debian: apt-get install postgresql')
  const owner = ownerOfServer()
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-postgres-'))
  const data = join(folder, 'data')
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, postgresPassword)
  if ('uid' in owner) for (const path of [folder, passwordFile]) chownSync(path, owner.uid, owner.gid)
  execFileSync(
    join(bin, 'initdb'),
    // English order, not that of bytes: what a distribution's default may be.
    [
      '-D',
      data,
      '-N',
      '-U',
      'holdfast',
      '-A',
      'scram-sha-256',
      `--pwfile=${passwordFile}`,
      '-E',
      'UTF8',
      '--locale-provider=icu',
      '--icu-locale=en-US',
      '--locale=C.UTF-8',
    ],
    { ...owner, stdio: 'pipe', cwd: folder },
  )
  const port = await freePort()
  const said = { text: '' }
  let made = 0
  let server: ChildProcess | null = null

  const urlOf = (database: string): string => `postgres://holdfast:${postgresPassword}@127.0.0.1:${port}/${database}`

  async function start(): Promise<void> {
    const deadline = Date.now() + startMs
    while (server === null) {
      // Files of its own only; the processes of one that was killed may hold its memory for a moment.
      const settings = {
        listen_addresses: '127.0.0.1',
        unix_socket_directories: '',
        fsync: 'off',
        max_connections: '60',
      }
      const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      const child = spawn(join(bin ?? '', 'postgres'), ['-D', data, '-p', String(port), ...flags], {
        ...owner,
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said.text += text
      })
      while (child.exitCode === null && server === null) {
        if (await answers()) server = child
        else await pause(50)
        if (Date.now() > deadline) throw new Error(`PostgreSQL did not start:\n${said.text}`)
      }
    }
  }

  async function answers(): Promise<boolean> {
    const client = new Client({ connectionString: urlOf('postgres') })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return true
    } catch {
      return false
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  /** `SIGQUIT`: as after a crash, with its children; `SIGKILL`: the parent alone, which they notice. */
  async function stop(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL' = 'SIGINT'): Promise<void> {
    if (server === null) return
    const ended = server.exitCode === null && server.signalCode === null ? once(server, 'exit') : null
    server.kill(signal)
    await ended
    server = null
  }

  await start()
  return {
    port,
    urlOf,
    start,
    stop,
    ask,
    /** The address of a schema of its own, which for Holdfast is as good as a database, and much quicker. */
    async newSchema(): Promise<string> {
      const name = `schema_${++made}`
      await ask(urlOf('postgres'), `create schema ${name}`)
      return `${urlOf('postgres')}?options=${encodeURIComponent(`-c search_path=${name}`)}`
    },
    /** The address of a database of its own; `from`: a copy of that one, which nobody may be using. */
    async newDatabase(from?: string): Promise<string> {
      const name = `database_${++made}`
      const template = from === undefined ? '' : ` template ${new URL(from).pathname.slice(1)}`
      await ask(urlOf('postgres'), `create database ${name}${template}`)
      return urlOf(name)
    },
    async close(): Promise<void> {
      await stop('SIGQUIT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** One statement on a connection of its own. */
async function ask(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows
  } finally {
    await client.end()
  }
}

/** Debian keeps the server's programs out of the path. */
function binFolder(): string | null {
  const root = '/usr/lib/postgresql'
  const debian = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...debian.map(version => join(root, version, 'bin')), ...(process.env['PATH'] ?? '').split(':')]
  return folders.find(folder => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres'))) ?? null
}

/** PostgreSQL refuses to run as root. */
function ownerOfServer(): { uid: number; gid: number } | Record<string, never> {
  if (process.getuid?.() !== 0) return {}
  const idOf = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: idOf('-u'), gid: idOf('-g') }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  // Listening on an address, so it is one.
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A gateway as a person starts it on another machine: `holdfast gateway --join`, with a state folder of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { adminKey, repository } from './service.ts'

export type JoinedGateway = Awaited<ReturnType<typeof startJoinedGateway>>

const startMs = 40_000
const stopMs = 45_000

/** Resolves once it serves. Rejects with all it said when it ends before. `home`: to go on as the gateway that it was. */
export async function startJoinedGateway({
  join: joining,
  token,
  home,
  env = {},
}: {
  /** What stands behind `--join`; left out: it has joined before. */
  join?: string
  /** In HOLDFAST_JOIN_TOKEN. */
  token?: string
  home?: string
  env?: Record<string, string>
}) {
  const folder = home ?? mkdtempSync(join(tmpdir(), 'holdfast-gateway-'))
  const child = spawn(
    join(repository, 'bin/holdfast'),
    [
      'gateway',
      ...(joining === undefined ? [] : ['--join', joining]),
      ...['--listen', '127.0.0.1:0', '--home', folder, '--json'],
    ],
    {
      env: {
        ...process.env,
        HOLDFAST_HOME: '',
        HOLDFAST_ADMIN_KEY: adminKey,
        ...(token === undefined ? {} : { HOLDFAST_JOIN_TOKEN: token }),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const said = { stdout: '', stderr: '' }
  const { promise, resolve, reject } = Promise.withResolvers<{ url: string; gateway: string }>()
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text
    const line = said.stdout.split('\n').find(each => each.startsWith('{') && each.endsWith('}'))
    if (line !== undefined) resolve(JSON.parse(line) as { url: string; gateway: string })
  })
  const fail = (why: string): void => reject(new Error(`the gateway did not start: ${why}\n${said.stderr}`))
  child.once('exit', code => fail(`it ended with ${code}`))
  const deadline = setTimeout(() => {
    child.kill('SIGKILL')
    fail(`not within ${startMs} ms`)
  }, startMs)
  const { url, gateway } = await promise.finally(() => clearTimeout(deadline))

  return {
    url,
    gateway,
    home: folder,
    said,
    /** The process that serves, as its parent notes it. */
    servingPid(): number | undefined {
      const { processes } = JSON.parse(readFileSync(join(folder, 'run/service.json'), 'utf8')) as {
        processes: { role: string; pid: number }[]
      }
      return processes.find(({ role }) => role === 'gateway')?.pid
    },
    /** SIGTERM. `keep`: its state folder stays. */
    async stop({ keep = false } = {}): Promise<number | null> {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), stopMs)
      await ended
      clearTimeout(late)
      if (!keep) rmSync(folder, { recursive: true, force: true })
      return child.exitCode
    },
  }
}

/** A cable that can be cut: passes TCP on to a port of this machine. */
export async function startCable(port: number) {
  const sockets = new Set<Socket>()
  let whole = true
  const server = createServer(near => {
    if (!whole) return near.destroy()
    const far = connect(port, '127.0.0.1')
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.on('error', () => other.destroy())
      one.once('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    // A TCP server that listens has an address with a port.
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut(): void {
      whole = false
      for (const socket of sockets) socket.destroy()
    },
    mend(): void {
      whole = true
    },
    async close(): Promise<void> {
      this.cut()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** One that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

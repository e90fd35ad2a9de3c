/** The listening socket: bound by the parent, which never accepts, so that connections wait while a gateway is replaced. */
import * as net from 'node:net'

/**
 * libuv begins to accept as soon as a handle listens, so the parent must bind without listening; the first gateway to
 * inherit the descriptor calls listen(2) on it, and from then on the kernel queues connections for whichever comes.
 * `_createServerHandle` is what node:cluster itself uses for this; there is no public way. docs/design/0006-processes.md.
 */
type Binding = { fd: number; close(): void; getsockname(name: { port?: number }): number }
type CreateServerHandle = (address: string, port: number, addressType: 4 | 6) => Binding | number

export type ListeningSocket = { fd: number; host: string; port: number; close(): void }

/** Port 0: a free one. Throws an Error that says what is in the way. */
export function bindListeningSocket(host: string, port: number): ListeningSocket {
  // An undocumented export: its shape is checked here and by a test.
  const create = (net as unknown as { _createServerHandle?: CreateServerHandle })._createServerHandle
  if (create === undefined)
    throw new Error(
      'this Node can not bind a socket without listening (net._createServerHandle is gone); use systemd socket activation',
    )
  const family = net.isIPv6(host) ? 6 : 4
  const address = host === 'localhost' ? '127.0.0.1' : host
  if (net.isIP(address) === 0) throw new Error(`'${host}' is not an IP address to listen on (127.0.0.1, 0.0.0.0, ::1)`)
  const handle = create(address, port, family)
  if (typeof handle === 'number') throw new Error(explain(handle, host, port))
  const name: { port?: number } = {}
  // libuv keeps a taken port to itself until it is asked again.
  const code = handle.getsockname(name)
  if (code !== 0) {
    handle.close()
    throw new Error(explain(code, host, port))
  }
  return { fd: handle.fd, host, port: name.port ?? port, close: () => handle.close() }
}

/** The socket that systemd passed (sd_listen_fds), if it did. */
export function inheritedSocket(env: Record<string, string | undefined>, pid: number): { fd: number } | null {
  const count = Number(env['LISTEN_FDS'] ?? 0)
  return count >= 1 && Number(env['LISTEN_PID']) === pid ? { fd: 3 } : null
}

function explain(code: number, host: string, port: number): string {
  // libuv gives errno negated.
  const errno: Record<number, string> = {
    [-98]: `port ${port} of ${host} is taken by another program: choose another with --port, or stop it`,
    [-13]: `port ${port} needs more rights than this user has: choose one above 1023 with --port`,
    [-99]: `${host} is not an address of this machine`,
  }
  return errno[code] ?? `cannot listen on ${host}:${port} (error ${code})`
}

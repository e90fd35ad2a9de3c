import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { bindListeningSocket, inheritedSocket, type ListeningSocket } from './listening-socket.ts'

const children: ChildProcess[] = []
const sockets: ListeningSocket[] = []
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  for (const socket of sockets.splice(0)) socket.close()
})

function bind(port = 0): ListeningSocket {
  const socket = bindListeningSocket('127.0.0.1', port)
  sockets.push(socket)
  return socket
}

/** A process that answers its name to everybody who connects to the socket it inherits as 3. */
async function serveIn(socket: ListeningSocket, name: string): Promise<ChildProcess> {
  const program = `require('node:net').createServer(c => c.end('${name}')).listen({ fd: 3 }, () => process.stdout.write('up'))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit', socket.fd] })
  children.push(child)
  if (child.stdout === null) throw new Error('the child has no output')
  await once(child.stdout, 'data')
  return child
}

async function ask(port: number): Promise<string> {
  let text = ''
  for await (const piece of connect(port, '127.0.0.1').setEncoding('utf8')) text += String(piece)
  return text
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('the parent binds a free port and takes no connection itself', () => {
  const socket = bind()
  expect(socket.port).toBeGreaterThan(0)
  expect(socket.fd).toBeGreaterThan(2)
})

test('connections wait while no process listens, and the next one answers them', async () => {
  const socket = bind()
  const first = await serveIn(socket, 'first')
  expect(await ask(socket.port)).toBe('first')
  await kill(first)
  const waiting = Array.from({ length: 20 }, () => ask(socket.port))
  // They are connected, by the kernel alone.
  const probe = connect(socket.port, '127.0.0.1')
  await once(probe, 'connect')
  probe.destroy()
  await serveIn(socket, 'second')
  expect(await Promise.all(waiting)).toEqual(waiting.map(() => 'second'))
})

test('a taken port says so, and with what to do', async () => {
  const other = createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve))
  // A TCP server that listens has an address object.
  const { port } = other.address() as AddressInfo
  expect(() => bindListeningSocket('127.0.0.1', port)).toThrow(new RegExp(`port ${port} of 127.0.0.1 is taken.*--port`))
  await new Promise(resolve => other.close(resolve))
})

test('what is no address of this machine, or no address, says so', () => {
  expect(() => bindListeningSocket('192.0.2.1', 0)).toThrow(/192\.0\.2\.1 is not an address of this machine/)
  expect(() => bindListeningSocket('not an address', 0)).toThrow(/'not an address' is not an IP address/)
})

test('localhost is the loopback address', async () => {
  const socket = bindListeningSocket('localhost', 0)
  sockets.push(socket)
  await serveIn(socket, 'here')
  expect(await ask(socket.port)).toBe('here')
})

test('systemd’s socket is taken only when it was meant for this process', () => {
  expect(inheritedSocket({ LISTEN_FDS: '1', LISTEN_PID: '42' }, 42)).toEqual({ fd: 3 })
  expect(inheritedSocket({ LISTEN_FDS: '1', LISTEN_PID: '41' }, 42)).toBeNull()
  expect(inheritedSocket({ LISTEN_FDS: '0', LISTEN_PID: '42' }, 42)).toBeNull()
  expect(inheritedSocket({ LISTEN_FDS: 'x', LISTEN_PID: '42' }, 42)).toBeNull()
  expect(inheritedSocket({}, 42)).toBeNull()
})

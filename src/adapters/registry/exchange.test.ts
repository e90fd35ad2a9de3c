import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { makeAuthority, makeCertificate } from '../../../test/support/certificates.ts'
import { ArtifactError } from '../../domain/catalog/index.ts'
import { exchange, type Ask } from './exchange.ts'

const { signal } = new AbortController()
const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

/** A server by its bytes. */
async function listen(speak: (socket: Socket) => void) {
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    speak(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  })
  // A TCP server that listens has an address object.
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/a`), sockets }
}

const bodyOf = (bytes: number): NonNullable<Ask['body']> & { opened: number } => ({
  opened: 0,
  bytes,
  async *open() {
    this.opened += 1
    for (let left = bytes; left > 0; left -= 65_536) yield Buffer.alloc(Math.min(left, 65_536), 'x')
  },
})

const megabytes = 4 * 1024 * 1024

async function failure(ask: Ask): Promise<ArtifactError> {
  const error: unknown = await exchange(ask)
    .then(answer => answer.text())
    .catch((caught: unknown) => caught)
  if (!(error instanceof ArtifactError)) throw error instanceof Error ? error : new Error('it was answered')
  return error
}

test('a refusal comes before a large body goes, and the connection is left', async () => {
  const { url, sockets } = await listen(socket =>
    socket.once('data', () => socket.write('HTTP/1.1 403 Not you\r\ncontent-length: 2\r\n\r\nno')),
  )
  const body = bodyOf(megabytes)
  const answer = await exchange({ method: 'PUT', url, body, signal })
  const [socket] = sockets
  if (socket === undefined) throw new Error('nobody came')
  const closed = once(socket, 'close')
  expect([answer.status, answer.reason, await answer.text(), body.opened]).toEqual([403, 'Not you', 'no', 0])
  await closed
})

test('a server that knows no Expect gets the body after a moment, with its length', async () => {
  let heard = ''
  let bytes = 0
  const { url } = await listen(socket =>
    socket.on('data', data => {
      if (bytes === 0) heard = data.toString('latin1')
      bytes += data.length
      if (bytes >= megabytes + heard.indexOf('\r\n\r\n') + 4)
        socket.end('HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n')
    }),
  )
  const answer = await exchange({ method: 'PUT', url, body: bodyOf(megabytes), signal })
  expect(answer.status).toBe(201)
  expect(heard).toMatch(/content-length: 4194304\r\n/i)
  expect(heard).not.toMatch(/transfer-encoding/i)
})

test.each([
  [
    'cuts before its answer',
    'cut the connection (ECONNRESET)',
    (socket: Socket) => socket.once('data', () => socket.destroy()),
  ],
  [
    'cuts within its answer',
    'cut the connection (ECONNRESET)',
    (socket: Socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc')),
  ],
  [
    'speaks something else',
    /^127\.0\.0\.1:\d+ cut the connection \(HPE_/,
    (socket: Socket) => socket.write('SSH-2.0-OpenSSH\r\n'),
  ],
  ['says nothing', 'was silent for 0.05 s', () => undefined],
  [
    'stops within its answer',
    'was silent for 0.05 s',
    (socket: Socket) => socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc')),
  ],
  [
    'takes no more of the body',
    'was silent for 0.05 s',
    (socket: Socket) => socket.once('data', () => void socket.pause().write('HTTP/1.1 100 Continue\r\n\r\n')),
  ],
])('a server that %s is told as what may be over soon', async (_, message, speak) => {
  const { url } = await listen(speak)
  // More than a connection's buffers take.
  const error = await failure({ method: 'PUT', url, body: bodyOf(20 * megabytes), silenceMs: 50, signal })
  expect(error.retry).toBe('soon')
  if (typeof message === 'string') expect(error.message).toContain(message)
  else expect(error.message).toMatch(message)
})

test('a certificate of an unknown authority is not believed, which no second try mends', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-exchange-'))
  closers.push(async () => rmSync(folder, { recursive: true, force: true }))
  const { cert, key } = makeCertificate(folder, 'store', makeAuthority(folder, 'authority'))
  const server = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_, response) => response.end())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => new Promise(resolve => server.close(resolve)))
  // A TCP server that listens has an address object.
  const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/a`)
  const error = await failure({ method: 'GET', url, signal })
  expect(error.retry).toBe('never')
  expect(error.message).toMatch(/not believed here \(\w+\).*NODE_EXTRA_CA_CERTS/)
})

test('an address where nothing listens is told', async () => {
  const { url } = await listen(() => undefined)
  for (const close of closers.splice(0)) await close()
  expect((await failure({ method: 'GET', url, signal })).message).toMatch(/can't be reached \(ECONNREFUSED\)/)
})

test('a body that fails ends the request with its own error; whoever stops is heard', async () => {
  const { url } = await listen(() => undefined)
  const wrong = new ArtifactError('never', 'the file has other bytes')
  const body = {
    bytes: 100,
    async *open() {
      yield Buffer.alloc(10)
      throw wrong
    },
  }
  await expect(exchange({ method: 'PUT', url, body, signal })).rejects.toBe(wrong)
  const stop = new AbortController()
  const asked = exchange({ method: 'GET', url, signal: stop.signal })
  stop.abort(new Error('stopped'))
  await expect(asked).rejects.toThrow('stopped')
})

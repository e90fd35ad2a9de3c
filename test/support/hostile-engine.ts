/** Engines that break the protocol: each has a path of its own (`/html/v1`), and probes find every one of them healthy. */
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'

/** What an engine does once it has the head of a request. */
export type Misbehave = (socket: Socket) => void

export const answer = (status: string, headers: Record<string, string>, body: string | Buffer = ''): Buffer => {
  const head = Object.entries({ 'content-length': String(Buffer.byteLength(body)), ...headers })
  const lines = head.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\n${lines}\r\n`), Buffer.from(body)])
}
const json = { 'content-type': 'application/json' }
const html = { 'content-type': 'text/html' }
const noModels = '{"object":"list","data":[]}'
const page = '<html><body><h1>Bad gateway</h1>secret-of-the-proxy</body></html>'
const good =
  '{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"}}]}'
export const streamHead = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n'
const delta = 'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'

/** Once, and the connection ended. */
export const says =
  (...bytes: (string | Buffer)[]): Misbehave =>
  socket => {
    for (const piece of bytes) socket.write(piece)
    socket.end()
  }
/** Over and over, no faster than it is read, until the other side has had enough. `most` bytes in all. */
export const floods =
  (first: string, piece: Buffer, most = Infinity): Misbehave =>
  socket => {
    let sent = 0
    socket.write(first)
    const go = (): void => {
      while (!socket.destroyed && sent < most) {
        sent += piece.length
        if (!socket.write(piece)) return void socket.once('drain', go)
      }
      if (!socket.destroyed) socket.end()
    }
    go()
  }

/** What is asked of each with `stream: false` unless its name ends in `-stream`. */
export const misbehaviours = {
  'garbage': says(Buffer.from([0, 255, 17, 3, 128, 10, 13, 10, 13, 10, 7])),
  'nothing': says(),
  'endless-headers': floods('HTTP/1.1 200 OK\r\n', Buffer.from(`x-more: ${'y'.repeat(1000)}\r\n`)),
  'endless-continues': floods('', Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'.repeat(100))),
  'html-500': says(answer('500 Internal Server Error', html, page)),
  'html-200': says(answer('200 OK', html, page)),
  'html-400': says(answer('400 Bad Request', html, page)),
  'no-content': says(answer('204 No Content', {})),
  'redirect': says(answer('302 Found', { location: 'http://127.0.0.1:1/v1/chat/completions' })),
  'switching': says('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
  'gzip': says(answer('200 OK', { ...json, 'content-encoding': 'gzip' }, gzipSync(good))),
  'json-array': says(answer('200 OK', json, '[1]')),
  'json-null': says(answer('200 OK', json, 'null')),
  'short-body': says(answer('200 OK', { ...json, 'content-length': '5000' }, good)),
  'two-lengths': says(answer('200 OK', { ...json, 'Content-Length': '5' }, good)),
  'bad-chunks': says('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}'),
  'endless-error': floods('HTTP/1.1 500 No\r\ncontent-type: text/plain\r\n\r\n', Buffer.alloc(64 * 1024, 'e')),
  'one-event-stream': floods(`${streamHead}data: `, Buffer.alloc(64 * 1024, 'a'), 100 * 1024 * 1024),
  'html-200-stream': says(answer('200 OK', html, page)),
  'json-stream': says(answer('200 OK', json, good)),
  'not-json-stream': says(streamHead, delta, 'data: {"error" nonsense\n\n', 'data: [DONE]\n\n'),
  'cut-stream': says(streamHead, delta),
  'no-events-stream': says(streamHead),
  'gzip-stream': says(
    'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n',
    gzipSync(`${delta}data: [DONE]\n\n`),
  ),
  'error-stream': says(
    streamHead,
    delta,
    'data: {"error":{"message":"out of memory","code":500}}\n\n',
    'data: [DONE]\n\n',
  ),
  'comments-stream': floods(streamHead, Buffer.from(': still here\n\n'.repeat(64)), 4 * 1024 * 1024),
} satisfies Record<string, Misbehave>

/** Odd, and to be taken: the client gets its answer. */
export const oddities = {
  'early-hints': says('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n', answer('200 OK', json, good)),
  'bad-utf8-stream': says(
    streamHead,
    Buffer.concat([
      Buffer.from('data: {"choices":[{"index":0,"delta":{"content":"'),
      Buffer.from([0xff, 0xfe, 0xc3]),
      Buffer.from('"}}]}\n\n'),
    ]),
    'data: [DONE]\n\n',
  ),
  'crlf-stream': says(streamHead, delta.replaceAll('\n', '\r\n'), 'data: [DONE]\r\n\r\n'),
} satisfies Record<string, Misbehave>

export type HostileEngine = { url: string; port: number; close(): Promise<void> }

export function startHostileEngine(): Promise<HostileEngine> {
  return startRawEngine(new Map<string, Misbehave>(Object.entries({ ...misbehaviours, ...oddities })))
}

/**
 * An engine with each of `behaviours` under a path of its own (`/name/v1`, for gets under `GET name`). It lists no models,
 * and lets who probes it go on.
 */
export async function startRawEngine(behaviours: ReadonlyMap<string, Misbehave>): Promise<HostileEngine> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    // The gateway hangs up on most of these, which is what is hoped for.
    socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    let text = ''
    let over = false
    socket.on('data', data => {
      if (over) return
      text += data.toString('latin1')
      if (!text.includes('\r\n\r\n')) return
      over = true
      const [method, path = ''] = text.split(' ', 2)
      const name = path.split('/')[1] ?? ''
      const behave = behaviours.get(method === 'GET' ? `GET ${name}` : name)
      if (behave !== undefined) behave(socket)
      else if (method === 'GET') socket.end(answer('200 OK', { ...json, connection: 'close' }, noModels))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

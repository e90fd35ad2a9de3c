import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { socketLine } from './line.ts'
import { keepDialling, tell } from './link-client.ts'

type Frame = { n: number }

let folder: string
let socketPath: string
let server: Server | null
let stop: AbortController
let dialling: Promise<void> | null
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-dial-'))
  socketPath = join(folder, 'c.sock')
  server = null
  stop = new AbortController()
  dialling = null
})
afterEach(async () => {
  stop.abort()
  await dialling
  await hangUp()
  rmSync(folder, { recursive: true, force: true })
})

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<void> {
  server = createServer(handler)
  await new Promise<void>(resolve => server?.listen(socketPath, resolve))
}

async function hangUp(): Promise<void> {
  server?.closeAllConnections()
  await new Promise<void>(resolve => {
    if (server === null) resolve()
    else server.close(() => resolve())
  })
  server = null
}

/** A queue of what happened, to be awaited one by one. */
function happenings<T>() {
  const queue: T[] = []
  const waiting: ((value: T) => void)[] = []
  return {
    add(value: T): void {
      const next = waiting.shift()
      if (next === undefined) queue.push(value)
      else next(value)
    },
    next(): Promise<T> {
      const value = queue.shift()
      return value === undefined ? new Promise(resolve => waiting.push(resolve)) : Promise.resolve(value)
    },
  }
}

function dial(onFrame: (frame: Frame) => Promise<void> | void, path = () => '/link', onFailed = () => {}) {
  const heard = happenings<string>()
  dialling = keepDialling<Frame>({
    line: { ...socketLine(socketPath), next: onFailed },
    path,
    onFrame,
    signal: stop.signal,
    onConnected: () => heard.add('connected'),
    onLost: why => heard.add(`lost: ${why}`),
  })
  return heard
}

test('frames arrive whole and in order, however their bytes are cut, one after another', async () => {
  await listen((_, response) => {
    const bytes = Buffer.from(
      Array.from({ length: 20 }, (_one, n) => `${JSON.stringify({ n, text: 'é😀' })}\n`).join(''),
    )
    void (async () => {
      for (let at = 0; at < bytes.length; at += 7) {
        response.write(bytes.subarray(at, at + 7))
        await new Promise(resolve => setImmediate(resolve))
      }
    })()
  })
  const frames = happenings<number>()
  let running = 0
  dial(async ({ n }) => {
    expect(++running).toBe(1)
    await new Promise(resolve => setImmediate(resolve))
    running--
    frames.add(n)
  })
  for (let n = 0; n < 20; n++) expect(await frames.next()).toBe(n)
})

test('a controller that is away is dialled again, and asked anew for what is held then', async () => {
  const asked = happenings<string>()
  let held = 0
  const heard = dial(
    ({ n }) => {
      held = n
    },
    () => `/link?seq=${held}`,
  )
  expect(await heard.next()).toMatch(/^lost: .*ENOENT/)
  const serve = (n: number) =>
    listen((request, response) => {
      response.write(`{"n":${n}}\n`)
      asked.add(request.url ?? '')
    })
  await serve(5)
  while ((await heard.next()) !== 'connected');
  expect(await asked.next()).toBe('/link?seq=0')
  await hangUp()
  expect(await heard.next()).toMatch(/^lost: /)
  await serve(6)
  while ((await heard.next()) !== 'connected');
  expect(await asked.next()).toBe('/link?seq=5')
})

test('why the line is down is told once, however often the controller is dialled', async () => {
  const failed = happenings<'failed'>()
  const heard = dial(
    () => {},
    () => '/link',
    () => failed.add('failed'),
  )
  for (let times = 0; times < 3; times++) expect(await failed.next()).toBe('failed')
  await listen((_, response) => {
    response.write('{"n":1}\n')
  })
  expect(await heard.next()).toMatch(/^lost: .*ENOENT/)
  expect(await heard.next()).toBe('connected')
  await hangUp()
  expect(await heard.next()).toMatch(/^lost: /)
})

test('a frame that cannot be taken ends the line, and the next call starts from what is held', async () => {
  const asked = happenings<string>()
  let held = 'nothing'
  await listen((request, response) => {
    asked.add(request.url ?? '')
    response.write('{"n":1}\n')
  })
  const heard = dial(
    () => {
      if (held === 'all') return
      held = 'all'
      throw new Error('a hole')
    },
    () => `/link?held=${held}`,
  )
  expect(await asked.next()).toBe('/link?held=nothing')
  expect([await heard.next(), await heard.next()]).toEqual(['connected', 'lost: a hole'])
  expect(await asked.next()).toBe('/link?held=all')
})

test('nonsense and refusals end the line with a reason', async () => {
  let times = 0
  await listen((_, response) => {
    times++
    if (times === 1) response.write('not json\n')
    else response.writeHead(503).end()
  })
  const heard = dial(() => {})
  expect(await heard.next()).toBe('connected')
  expect(await heard.next()).toMatch(/JSON/)
  expect(await heard.next()).toBe('lost: the controller answered 503')
})

test('a line that falls silent is dead after five seconds', async () => {
  await listen((_, response) => {
    response.write('{"n":1}\n')
  })
  const startedMs = performance.now()
  const heard = dial(() => {})
  expect(await heard.next()).toBe('connected')
  expect(await heard.next()).toBe('lost: the controller is silent')
  expect(performance.now() - startedMs).toBeGreaterThan(4_500)
})

test('it ends at once when it is told to, connected or waiting', async () => {
  const heard = dial(() => {})
  await heard.next()
  stop.abort()
  await dialling
  stop = new AbortController()
  await listen((_, response) => {
    response.write('{"n":1}\n')
  })
  const again = dial(() => {})
  expect(await again.next()).toBe('connected')
  stop.abort()
  await dialling
})

test('what is told arrives as JSON; what is not taken rejects', async () => {
  const bodies: unknown[] = []
  await listen((request, response) => {
    let text = ''
    request.on('data', piece => {
      text += String(piece)
    })
    request.on('end', () => {
      bodies.push([request.method, request.url, JSON.parse(text)])
      response.writeHead(bodies.length === 1 ? 204 : 409).end()
    })
  })
  await tell(socketLine(socketPath), '/ack', { seq: 1 })
  await expect(tell(socketLine(socketPath), '/ack', { seq: 2 })).rejects.toThrow('409')
  expect(bodies).toEqual([
    ['POST', '/ack', { seq: 1 }],
    ['POST', '/ack', { seq: 2 }],
  ])
  await hangUp()
  await expect(tell(socketLine(socketPath), '/ack', {})).rejects.toThrow(/ENOENT|ECONNREFUSED|EPIPE|ECONNRESET/)
})

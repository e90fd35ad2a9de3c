/**
 * Floods beside twenty honest clients, each from an address of its own: while an attack is under way they get all their answers
 * whole, the gateway's memory stays bounded, and when it is over nothing of it is left.
 */
import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { floods, startRawEngine, streamHead, type HostileEngine } from '../support/hostile-engine.ts'
import { startLoad, type Ended, type Load } from '../support/load.ts'
import { rawPost } from '../support/raw-http.ts'
import { adminKey, startService, type Service } from '../support/service.ts'
import { processOf, residentMib, until } from '../support/settled.ts'

/** Enough to last through every attack. */
const mostHonest = 100_000
/** So many answers and events the honest clients get while an attack is in full swing. */
const answersEach = 200
const mostMoreMib = 240
const attacker = '127.0.0.2'
const boundedConnections = 50

const spec = (urls: { good: string; endless: string }): string => `
name: floods
gateway: { trustedProxies: [127.0.0.3], perAddress: { connections: ${boundedConnections} } }
versions:
  - { name: dev-v1.0-fake-fp16-p0, engine: { kind: openai }, replicas: [{ id: good, url: "${urls.good}/v1" }] }
  - { name: dev-v1.0-endless-fp16-p0, engine: { kind: openai }, replicas: [{ id: endless, url: "${urls.endless}/it/v1" }] }
models:
  - { name: coder, live: dev-v1.0-fake-fp16-p0 }
  - { name: endless, live: dev-v1.0-endless-fp16-p0 }
`

let engine: FakeEngine
let endless: HostileEngine
let service: Service
let port: number
let gateway: { pid: number; mib: number }
let honest: Load
/** Heads that never end: they need the longest to be given up, so they drip from the first test to the last. */
let dripping: { sockets: Socket[]; stop: () => void }
const opened = new Set<Socket>()

beforeAll(async () => {
  const event = 'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
  engine = await startFakeEngine({ name: 'coder', tokens: 5, gapMs: 5 })
  endless = await startRawEngine(new Map([['it', floods(streamHead, Buffer.from(event.repeat(500)))]]))
  service = await startService({ spec: spec({ good: engine.url, endless: endless.url }) })
  port = Number(new URL(service.url).port)
  const { pid } = await processOf(service, 'gateway')
  honest = startLoad({
    url: service.url,
    clients: 20,
    most: mostHonest,
    make: n => ({ key: adminKey, body: { ...chat('hello'), stream: n % 2 === 0 } }),
    from: client => `127.0.1.${client + 1}`,
  })
  await honest.after(answersEach)
  gateway = { pid, mib: residentMib(pid) }
  dripping = await dripHeads(100)
})
afterEach(() => {
  for (const socket of opened) socket.destroy()
})
afterAll(async () => {
  dripping?.stop()
  await honest?.stop()
  await service?.stop()
  await endless?.close()
  await engine?.close()
})

const chat = (content: string) => ({ model: 'coder', messages: [{ role: 'user', content }] })
const auth = { authorization: `Bearer ${adminKey}` }
const chunkedHead = rawPost('/v1/chat/completions', '', { ...auth, 'transfer-encoding': 'chunked' })

test('two thousand idle connections that were used once', async () => {
  const sockets = await Promise.all(Array.from({ length: 2_000 }, () => open()))
  await Promise.all(sockets.map(socket => ask(socket, 'GET /health HTTP/1.1\r\nhost: x\r\n\r\n')))
  expect(await connections()).toBeGreaterThanOrEqual(2_000)
  await expectHonestServed()
})

test('bodies that come byte by byte', async () => {
  const sockets = await Promise.all(Array.from({ length: 200 }, () => open()))
  const head = rawPost('/v1/chat/completions', '', { ...auth, 'content-length': '100000' })
  for (const socket of sockets) socket.write(head)
  const timer = setInterval(() => sockets.forEach(socket => socket.write('{')), 100)
  try {
    await until('they are being served', async () => (await metric('holdfast_requests_in_flight')) >= 200)
    await expectHonestServed()
  } finally {
    clearInterval(timer)
  }
})

test('endless streams that nobody reads', async () => {
  const sockets = await Promise.all(Array.from({ length: 20 }, () => open()))
  const body = JSON.stringify({ ...chat('go on'), model: 'endless', stream: true })
  for (const socket of sockets) socket.pause().write(rawPost('/v1/chat/completions', body, auth))
  await until('they are being served', async () => (await metric('holdfast_requests_in_flight')) >= 20)
  await expectHonestServed()
})

test('bodies of sixty thousand chunks of one byte', async () => {
  const sockets = await Promise.all(Array.from({ length: 10 }, () => open()))
  const chunks = Buffer.from('1\r\n \r\n'.repeat(60_000))
  for (const socket of sockets) socket.write(Buffer.concat([chunkedHead, chunks]))
  await Promise.all([...sockets.map(untilWritten), expectHonestServed()])
  const body = JSON.stringify(chat('in small pieces'))
  const last = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  for (const answer of await Promise.all(sockets.map(socket => ask(socket, last))))
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
})

test('chunk extensions of a megabyte', async () => {
  const extension = Buffer.concat([chunkedHead, Buffer.from(`1;x=${'y'.repeat(1024 * 1024)}`)])
  await inWaves(100, async () => {
    expect(await ask(await open(), extension)).toMatch(/^HTTP\/1\.1 4(?:00|13|31) /)
  })
})

test('heads of ten thousand headers', async () => {
  const head = `GET /health HTTP/1.1\r\nhost: x\r\n${'x-more: y\r\n'.repeat(10_000)}\r\n`
  await inWaves(200, async () => {
    expect(await ask(await open(), head)).toMatch(/^HTTP\/1\.1 431 /)
  })
})

test('a thousand new connections, a request on each', async () => {
  await inWaves(1_000, async () => {
    const socket = await open()
    expect(await ask(socket, 'GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 401 /)
    socket.destroy()
  })
})

test('two thousand keys that are tried, each once', async () => {
  await inWaves(2_000, async n => {
    const key = n % 2 === 0 ? `sk-guess-${n}` : `sk-hf-${String(n).padStart(38, 'a')}`
    const socket = await open()
    const body = JSON.stringify(chat('let me in'))
    expect(await ask(socket, rawPost('/v1/chat/completions', body, { authorization: `Bearer ${key}` }))).toMatch(
      /^HTTP\/1\.1 401 /,
    )
    socket.destroy()
  })
})

test('five hundred connections of one address behind a trusted proxy: those beyond its own are refused', async () => {
  const greeting = 'PROXY TCP4 203.0.113.9 203.0.113.1 40000 443\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n'
  const answers = await Promise.all(
    Array.from({ length: 500 }, async () => ask(await open('127.0.0.3'), greeting).catch(() => 'closed')),
  )
  const letIn = answers.filter(text => text.startsWith('HTTP/1.1 401 '))
  expect(letIn).toHaveLength(boundedConnections)
  for (const text of answers) expect(text).toMatch(/^(?:HTTP\/1\.1 4(?:01|29) |closed$)/)
  await expectHonestServed()
})

test('heads that come byte by byte are given up', async () => {
  await until('all are closed', () => dripping.sockets.every(socket => socket.destroyed), 20_000)
})

test('after all that every honest client has had all its answers, and nothing is left', async () => {
  const ended = await honest.stop()
  expect(ended.length).toBeLessThan(mostHonest)
  expect(ended.filter(isBroken)).toEqual([])
  expect(new Set(ended.map(({ stream }) => stream))).toEqual(new Set([true, false]))
  // The one that asks.
  await until('no connection is left', async () => (await connections()) === 1)
  for (const name of ['holdfast_requests_in_flight', 'holdfast_requests_waiting', 'holdfast_version_places_taken'])
    expect([name, await metric(name)]).toEqual([name, 0])
  expect(engine.state()).toMatchObject({ running: 0, waiting: 0 })
  expect(await processOf(service, 'gateway')).toMatchObject({ pid: gateway.pid, restarts: 0 })
  expect(service.said.stderr).not.toContain('nobody foresaw')
})

const isBroken = ({ end, status }: Ended): boolean => end !== 'whole' || status !== 200

/** While an attack is held. */
async function expectHonestServed(): Promise<void> {
  await honest.after(answersEach)
  expect(honest.ended.filter(isBroken)).toEqual([])
  expect(residentMib(gateway.pid)).toBeLessThan(gateway.mib + mostMoreMib)
}

/** So often, a hundred at once, while the honest ones are served. */
async function inWaves(count: number, attack: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  const attackOn = async (): Promise<void> => {
    while (next < count) await attack(next++)
  }
  await Promise.all([expectHonestServed(), ...Array.from({ length: 100 }, attackOn)])
}

async function open(from = attacker): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from })
  opened.add(socket)
  // A reset is how many of these should end.
  socket.on('error', () => {}).once('close', () => opened.delete(socket))
  await once(socket, 'connect')
  return socket
}

/** The beginning of what is answered. Rejects when the connection ends without. */
function ask(socket: Socket, bytes: string | Buffer): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  socket.once('data', data => resolve(data.toString('latin1')))
  socket.once('close', () => reject(new Error('closed without an answer')))
  socket.write(bytes)
  return promise
}

const untilWritten = (socket: Socket): Promise<void> =>
  until('the bytes are taken', () => socket.writableLength === 0, 20_000)

async function dripHeads(count: number): Promise<typeof dripping> {
  const sockets = await Promise.all(Array.from({ length: count }, () => open()))
  // They outlive the test that is running.
  for (const socket of sockets) opened.delete(socket)
  const begin = 'GET /health HTTP/1.1\r\nhost: x\r\nx-slow: '
  for (const socket of sockets) socket.resume().write(begin)
  const timer = setInterval(() => sockets.forEach(socket => socket.destroyed || socket.write('z')), 500)
  return {
    sockets,
    stop() {
      clearInterval(timer)
      for (const socket of sockets) socket.destroy()
    },
  }
}

const connections = (): Promise<number> => metric('holdfast_client_connections')

/** Over a connection of its own. */
async function metric(name: string): Promise<number> {
  const call = request({ port, host: '127.0.0.1', path: '/metrics', agent: false, headers: auth }).end()
  // node:http tells its answer as the first argument.
  const [answer] = (await once(call, 'response')) as [AsyncIterable<Buffer>]
  let text = ''
  for await (const part of answer) text += String(part)
  const samples = [...text.matchAll(new RegExp(String.raw`^${name}(?:\{.*\})? (\S+)$`, 'gm'))]
  expect(samples.length, name).toBeGreaterThan(0)
  return samples.reduce((sum, [, value]) => sum + Number(value), 0)
}

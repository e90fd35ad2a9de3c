/** Whichever parser reads a connection: clients that leave are heard of alike, and each way in leads to both. */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { makeAuthority, makeCertificate } from '../../../test/support/certificates.ts'
import { openEdge, type Edge } from '../../domain/serving/index.ts'
import { ClientGone, type Exchange } from '../../services/serve/index.ts'
import { openHttp } from './server.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

/** More than the kernel takes for a client that does not read. */
const largeBytes = 32 * 1024 * 1024

type StartOptions = { edge?: Partial<Edge>; draining?: boolean }

/** Answers with what it is told of a client; one that names itself `held` is never answered, and `stream` never to its end. */
async function start({ edge = {}, draining = false }: StartOptions = {}) {
  const exchanges: Exchange[] = []
  const interrupts: unknown[] = []
  const unread: unknown[] = []
  const reported: unknown[] = []
  const { server, openLocal, connections } = openHttp({
    edge: () => ({ ...openEdge, ...edge }),
    warn: problem => reported.push(problem),
    serve: exchange => {
      if (exchange.head.clientId === 'thrown') throw new TypeError('a bug on purpose')
      return serve(exchange)
    },
    plain: {},
    relayed: [],
    relay: () => {},
    report: error => reported.push(error),
    draining: () => draining,
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => {
    server.closeAllConnections()
    return new Promise(resolve => server.close(resolve))
  })
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo
  return { server, port, exchanges, interrupts, unread, reported, openLocal, connections }

  async function readBody(exchange: Exchange): Promise<Uint8Array> {
    try {
      return await exchange.readBody(1_000_000)
    } catch (error) {
      unread.push(error)
      throw error
    }
  }

  async function serve(exchange: Exchange): Promise<void> {
    exchanges.push(exchange)
    exchange.interrupt = why => interrupts.push(why)
    const { head, reply } = exchange
    const body = Buffer.from(await readBody(exchange))
    if (head.clientId === 'held') return
    for (let turns = Number(head.user ?? 0); turns > 0; turns -= 1) await turn()
    if (head.clientId === 'large') {
      reply.head(200, { 'content-length': String(largeBytes) })
      reply.end(Buffer.alloc(largeBytes))
      return
    }
    if (head.clientId === 'stream') {
      reply.head(200, { 'content-type': 'text/event-stream' })
      reply.write(Buffer.from('data: 1\n\n'))
      return
    }
    const told = Buffer.from(JSON.stringify({ ...head, body: body.toString() }))
    reply.head(200, { 'content-length': String(told.length) })
    reply.end(told)
  }
}

/** A client, and all that it has been told. */
function listenTo(socket: Socket) {
  let text = ''
  closers.push(() => socket.destroy())
  socket.on('error', () => {}).on('data', data => (text += data.toString('latin1')))
  return { socket, told: () => text }
}

const post = (id: string, headers = '', body = '{"a": "b"}'): string =>
  `POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nx-request-id: ${id}\r\ncontent-length: ${body.length}\r\n${headers}\r\n${body}`

/** In front of a connection's first request: plain ones stay in the lane, and behind an empty line they are node:http's. */
const readers = { 'the lane': '', 'node:http': '\r\n' }
const patience = { timeout: 10_000, interval: 5 }

describe.each(Object.entries(readers))('%s', (_reader, before) => {
  const whole = post('held')
  const moments: Record<string, { sent: string; heard: string; begun: number; ended: string }> = {
    'in the middle of a head': { sent: whole.slice(0, 50), heard: '', begun: 0, ended: 'HTTP/1.1 400 Bad Request' },
    'in the middle of a body': { sent: whole.slice(0, -3), heard: '', begun: 1, ended: 'HTTP/1.1 400 Bad Request' },
    'while it is served': { sent: whole, heard: '', begun: 1, ended: '' },
    'behind another answer': { sent: post('first') + whole, heard: '"first"', begun: 2, ended: 'HTTP/1.1 200 OK' },
    'in the middle of a stream': { sent: post('stream'), heard: 'data: 1', begun: 1, ended: 'HTTP/1.1 200 OK' },
  }
  const ways: Record<string, (socket: Socket) => void> = {
    'ends': socket => socket.end(),
    'leaves': socket => socket.destroy(),
    'is cut off': socket => socket.resetAndDestroy(),
  }
  const cases = Object.keys(moments).flatMap(moment => Object.keys(ways).map(way => [way, moment] as const))

  test.each(cases)('a client that %s %s is heard of', async (way, moment) => {
    const { sent, heard, begun, ended } = moments[moment] ?? { sent: '', heard: '', begun: -1, ended: '' }
    const { server, port, exchanges, interrupts, unread, reported, connections } = await start()
    const taken = once(server, 'connection')
    const { socket, told } = listenTo(connect(port, '127.0.0.1'))
    // What the event gives.
    const [accepted] = (await taken) as [Socket]
    socket.write(before + sent)
    await expect
      .poll(() => [accepted.bytesRead, exchanges.length], patience)
      .toEqual([before.length + sent.length, begun])
    await expect.poll(told, patience).toContain(heard)
    ways[way]?.(socket)
    await expect.poll(() => [connections(), socket.closed], patience).toEqual([0, true])
    await expect
      .poll(() => exchanges.map(({ gone }) => gone), patience)
      .toEqual(
        // Of two, the first was answered.
        Array.from({ length: begun }, (_, at) => at === begun - 1),
      )
    expect(interrupts.map(why => why instanceof ClientGone)).toEqual(begun === 0 ? [] : [true])
    expect(unread.map(why => why instanceof ClientGone)).toEqual(moment === 'in the middle of a body' ? [true] : [])
    expect(reported).toEqual([])
    if (way === 'ends') expect(told()).toMatch(new RegExp(`^${ended}`))
    // Writing to nobody is nothing.
    exchanges.at(-1)?.reply.write(Buffer.from('data: 2\n\n'))
    exchanges.at(-1)?.reply.end(null)
  })
})

const normal = (text: string): string =>
  text.replaceAll(/^date: .*$/gim, 'date').replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'id')

/** All that a server says until it ends the connection. */
async function talk(socket: Socket, text: string): Promise<string> {
  const { told } = listenTo(socket)
  socket.write(text)
  await once(socket, 'close')
  return normal(told())
}

test('a bug before anything waits is told to the log, and the connection goes on', async () => {
  const { port, reported } = await start()
  const requests = post('thrown') + post('behind') + post('last', 'connection: close\r\n')
  const [lane, node] = await Promise.all(
    Object.values(readers).map(before => talk(connect(port, '127.0.0.1'), before + requests)),
  )
  expect(lane).toBe(node)
  expect(lane?.match(/HTTP\/1\.1 \d+/g)?.map(line => line.slice(9))).toEqual(['500', '200', '200'])
  expect(lane).not.toContain('on purpose')
  expect(reported).toEqual([expect.any(TypeError), expect.any(TypeError)])
})

test('while the gateway drains, both answer with the connection’s end', async () => {
  const { port } = await start({ draining: true })
  const [lane, node] = await Promise.all(
    Object.values(readers).map(before => talk(connect(port, '127.0.0.1'), before + post('a'))),
  )
  expect(lane).toBe(node)
  expect(lane).toMatch(/\r\nConnection: close\r\n/)
})

describe.each(Object.entries(readers))('%s', (_reader, before) => {
  const cases: [string, StartOptions, (socket: Socket) => void][] = [
    ['the last on its connection, since the gateway drains', { draining: true }, () => {}],
    ['its client will send nothing more', {}, socket => socket.end()],
    ['for longer than a connection may be idle', {}, () => {}],
  ]
  test.each(cases)('an answer that is being read is not cut off (%s)', async (name, options, then) => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
    closers.push(() => vi.useRealTimers())
    const { server, port } = await start(options)
    const taken = once(server, 'connection')
    const client = connect(port, '127.0.0.1').pause()
    let read = 0
    client.on('error', () => {}).on('data', data => (read += data.length))
    closers.push(() => client.destroy())
    // What the event gives.
    const [accepted] = (await taken) as [Socket]
    client.write(before + post('large'))
    await expect.poll(() => accepted.writableLength, patience).toBeGreaterThan(0)
    then(client)
    const seconds = name.startsWith('for longer') ? 100 : 10
    for (let second = 0; second < seconds; second += 1) {
      await turn()
      vi.advanceTimersByTime(1_000)
    }
    expect(accepted.destroyed).toBe(false)
    client.resume()
    await expect.poll(() => read, { timeout: 20_000 }).toBeGreaterThan(largeBytes)
  })
})

test('of many connections with many requests each, every one gets its own answers, in order', async () => {
  const { port, exchanges } = await start()
  const converse = async (connection: number): Promise<void> => {
    const { socket, told } = listenTo(connect(port, '127.0.0.1').setNoDelay(true))
    const ids = Array.from({ length: 20 }, (_, at) => `c${connection}r${at}`)
    const requests = ids.map((id, at) => {
      const turns = `x-openwebui-user-id: ${(connection * 7 + at * 3) % 6}\r\n`
      return post(id, connection % 4 === 3 && at === 15 ? `te: trailers\r\n${turns}` : turns, id.repeat(1 + (at % 90)))
    })
    // What is cut within a head goes to node:http; in groups they stay in the lane. Some leave before their end.
    const [each, size] = [1 + (connection % 3), 40 + connection * 31]
    const isGrouped = connection % 2 === 0
    const text = requests.join('')
    const pieces = isGrouped
      ? requests.flatMap((_, at) => (at % each === 0 ? requests.slice(at, at + each).join('') : []))
      : Array.from({ length: Math.ceil(text.length / size) }, (_, at) => text.slice(at * size, (at + 1) * size))
    const leaves = connection % 5 === 4
    for (const piece of leaves ? pieces.slice(0, pieces.length / 2) : pieces) {
      socket.write(piece)
      await turn()
    }
    const answers = (): string[][] =>
      [...told().matchAll(/"clientId":"(\w+)".*?"body":"(\w*)"/g)].map(([, id = '', body = '']) => [id, body])
    const expected = ids.map((id, at) => [id, id.repeat(1 + (at % 90))])
    if (!leaves) await expect.poll(answers, patience).toHaveLength(ids.length)
    socket.destroy()
    expect(answers()).toEqual(expected.slice(0, answers().length))
  }
  await Promise.all(Array.from({ length: 40 }, (_, connection) => converse(connection)))
  await expect.poll(() => exchanges.length).toBeGreaterThan(32 * 20)
})

test('a connection that was handed over is looked after by node:http alone', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  closers.push(() => vi.useRealTimers())
  const { server, port, exchanges } = await start()
  const taken = once(server, 'connection')
  const client = listenTo(connect(port, '127.0.0.1'))
  // What the event gives.
  const [accepted] = (await taken) as [Socket]
  client.socket.write(post('first') + post('stream', 'te: trailers\r\n'))
  await expect.poll(client.told, patience).toContain('data: 1')
  server.closeIdleConnections()
  vi.advanceTimersByTime(200_000)
  expect(accepted.destroyed).toBe(false)
  exchanges[1]?.reply.end(Buffer.from('data: [DONE]\n\n'))
  await expect.poll(client.told, patience).toContain('[DONE]')
  server.closeIdleConnections()
  await expect.poll(() => accepted.destroyed, patience).toBe(true)
})

describe('each way in', () => {
  const forwarded = 'x-forwarded-for: 192.0.2.1, 203.0.113.9\r\n'
  /** Plain ones, one that node:http reads, and from there on its own. */
  const requests = [
    post('first', forwarded),
    post('second', '', 'x'.repeat(70_000)),
    post('third', 'anthropic-version: 1\r\n'),
    post('odd', `te: trailers\r\n${forwarded}`),
    post('last', `connection: close\r\n${forwarded}`),
  ]
  const idsOf = (text: string): string[] => [...text.matchAll(/"clientId":"(\w+)"/g)].map(([, id]) => id ?? '')
  const addressesOf = (text: string): Set<string> =>
    new Set([...text.matchAll(/"from":"([^"]*)"/g)].map(([, from]) => from ?? ''))

  async function holdTogether(open: () => Socket, head = ''): Promise<string> {
    const lane = await talk(open(), head + requests.join(''))
    const node = await talk(open(), `${head}\r\n${requests.join('')}`)
    expect(lane).toBe(node)
    expect(idsOf(lane)).toEqual(['first', 'second', 'third', 'odd', 'last'])
    return lane
  }

  test('openly', async () => {
    const { port } = await start()
    expect(addressesOf(await holdTogether(() => connect(port, '127.0.0.1')))).toEqual(new Set(['127.0.0.1']))
  })

  test('from a trusted proxy, which names the client in a header', async () => {
    const { port } = await start({ edge: { trustedProxies: ['127.0.0.1'] } })
    const text = await holdTogether(() => connect(port, '127.0.0.1'))
    expect(addressesOf(text)).toEqual(new Set(['127.0.0.1', '203.0.113.9']))
  })

  test('from a trusted proxy, which names the client before HTTP', async () => {
    const { port } = await start({ edge: { trustedProxies: ['127.0.0.1'] } })
    const header = 'PROXY TCP4 198.51.100.7 127.0.0.1 4000 80\r\n'
    const text = await holdTogether(() => connect(port, '127.0.0.1'), header)
    expect(addressesOf(text)).toEqual(new Set(['198.51.100.7']))
  })

  test('from an address that may ask so often', async () => {
    const edge = { trustedProxies: ['127.0.0.1'], perAddress: { requestsPerMinute: 3, connections: null } }
    const texts = []
    for (const before of Object.values(readers)) {
      const { port } = await start({ edge })
      const many = post('a', forwarded).repeat(5) + post('b', `${forwarded}connection: close\r\n`)
      texts.push(await talk(connect(port, '127.0.0.1'), before + many))
    }
    const [lane, node] = texts.map(text => text.replaceAll(/(?<=retry-after: |in )\d+/g, ''))
    expect(lane).toBe(node)
    expect(lane?.match(/HTTP\/1\.1 \d+/g)?.join()).toMatch(/^(?:HTTP\/1\.1 200,){3}(?:HTTP\/1\.1 429,?){3}$/)
  })

  test('at this machine’s own socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-lane-'))
    closers.push(() => rmSync(folder, { recursive: true }))
    const { openLocal } = await start()
    const path = join(folder, 'gateway.sock')
    await openLocal(path)
    await holdTogether(() => connect(path))
  })

  test('inside TLS', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-lane-'))
    closers.push(() => rmSync(folder, { recursive: true }))
    const authority = makeAuthority(folder, 'authority')
    const pair = makeCertificate(folder, 'pair', authority)
    const { port } = await start({ edge: { tls: { ...pair, clientCa: null } } })
    const ca = readFileSync(authority.cert)
    await holdTogether(() => connectTls({ port, host: '127.0.0.1', ca }))
  })
})

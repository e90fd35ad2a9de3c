/** Load from a process of its own, over raw TCP; takes one JSON argument, prints one JSON line. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { chunksPerStream, longChunks, path, renderBody, renderIdleBody, streams } from './workload.ts'

const Job = z.strictObject({
  mode: z.enum(['closed', 'open', 'sse', 'long', 'spread', 'hold']),
  port: z.int(),
  key: z.string(),
  /** What some gateways want beside the key. */
  headers: z.record(z.string(), z.string()).default({}),
  connections: z.int().positive(),
  /** For `open`. */
  perSecond: z.int().positive(),
  ms: z.int().positive(),
  /** How many, for `sse`, `long`, `spread` and `hold`. */
  streams: z.int().positive().default(streams),
})

export const LoadReport = z.object({
  requests: z.int(),
  failed: z.int(),
  seconds: z.number(),
  /** Of an answer (`closed`, `open`), or of a chunk from the mock to here (`sse`, `long`). */
  p50Ms: z.number(),
  p99Ms: z.number(),
  chunks: z.int(),
  firstByteP50Ms: z.number(),
  firstByteP99Ms: z.number(),
})
export type LoadReport = z.output<typeof LoadReport>

const headEnd = '\r\n\r\n'
/** Between the beginnings of two streams of `spread`: all are open before the first ends. */
const spreadMs = 4
/** Streams of `hold` that are asked for and not up yet. */
const atOnce = 100

type Client = { ask: () => Promise<number>; close: () => void }

if (import.meta.main) {
  const job = Job.parse(JSON.parse(process.argv[2] ?? '{}'))
  const stream = { sse: runStreams, long: runStreams, spread: runStreams, hold: holdStreams }
  const run = { closed: runClosed, open: runOpen, ...stream }[job.mode]
  const report = await run(job)
  process.stdout.write(`${JSON.stringify(report)}\n`)
  // What is held can be measured until whoever started this closes its standard input.
  if (job.mode === 'hold') await once(process.stdin.resume(), 'end')
  process.exit(0)
}

type Job = z.output<typeof Job>

/** Each connection asks again as soon as it is answered. */
async function runClosed(job: Job): Promise<LoadReport> {
  const clients = await Promise.all(Array.from({ length: job.connections }, () => openClient(job)))
  const book = openBook()
  const until = performance.now() + job.ms
  await Promise.all(
    clients.map(async client => {
      while (performance.now() < until && (await book.note(client.ask())));
    }),
  )
  for (const client of clients) client.close()
  return book.report()
}

/** Asks at a fixed rate, whether or not earlier asks were answered; each on an idle connection. */
async function runOpen(job: Job): Promise<LoadReport> {
  const idle = await Promise.all(Array.from({ length: job.connections }, () => openClient(job)))
  const all = [...idle]
  const book = openBook()
  const asked: Promise<boolean>[] = []
  const total = Math.floor((job.ms / 1000) * job.perSecond)
  const start = performance.now()
  await new Promise<void>(resolve => {
    // Timers are coarse (1 ms), so each tick sends what is due; latency counts from the write.
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - start) / 1000) * job.perSecond))
      while (asked.length < due) {
        const client = idle.pop()
        asked.push(client ? book.note(client.ask()).finally(() => idle.push(client)) : book.fail())
      }
      if (asked.length < total) return
      clearInterval(timer)
      resolve()
    }, 1)
  })
  await Promise.all(asked)
  for (const client of all) client.close()
  return book.report()
}

/** Reads all streams to their ends. `sse` and `long` ask for them at once, on connections that are open; `spread` one after the other. */
async function runStreams(job: Job): Promise<LoadReport> {
  const sockets = await Promise.all(Array.from({ length: job.streams }, () => open(job.port)))
  const start = performance.now()
  const seen = await Promise.all(
    sockets.map(async (socket, index) => {
      if (job.mode === 'spread') await pause(index * spreadMs)
      return await readStream(socket, job).catch(() => null)
    }),
  )
  const good = seen.filter(stream => stream !== null && stream.delays.length === chunksOf(job))
  const firstBytes = good.map(stream => stream?.firstByteMs ?? 0)
  const delays = seen.flatMap(stream => stream?.delays ?? [])
  return {
    requests: job.streams,
    failed: job.streams - good.length,
    seconds: (performance.now() - start) / 1000,
    p50Ms: quantile(delays, 0.5),
    p99Ms: quantile(delays, 0.99),
    chunks: delays.length,
    firstByteP50Ms: quantile(firstBytes, 0.5),
    firstByteP99Ms: quantile(firstBytes, 0.99),
  }
}

/** Opens streams that fall silent after one chunk, and leaves them open. As many as come up within `ms` are `requests`. */
async function holdStreams(job: Job): Promise<LoadReport> {
  const start = performance.now()
  let up = 0
  let asked = 0
  const inAll = (): boolean => up === job.streams || performance.now() - start > job.ms
  while (!inAll()) {
    // A few at a time: this is about what silence costs, and no listen queue is to overflow.
    while (asked < job.streams && asked - up < atOnce) {
      asked++
      void holdOne(job).then(
        () => up++,
        () => {},
      )
    }
    await pause(2)
  }
  const seconds = (performance.now() - start) / 1000
  const none = { p50Ms: 0, p99Ms: 0, firstByteP50Ms: 0, firstByteP99Ms: 0 }
  return { requests: up, failed: job.streams - up, seconds, chunks: up, ...none }
}

/** Resolves with its first chunk. */
async function holdOne({ port, key, headers }: Job): Promise<void> {
  const socket = await open(port)
  socket.write(renderRequest({ key, headers, body: renderIdleBody() }))
  let text = ''
  await new Promise<void>((resolve, reject) => {
    socket.on('data', data => {
      text = (text + data.toString('latin1')).slice(-4096)
      if (text.includes(' sent:')) resolve()
    })
    socket.on('close', () => reject(new Error('It was closed.')))
  })
}

function openBook() {
  const latencies: number[] = []
  const start = performance.now()
  let failed = 0
  return {
    async note(asked: Promise<number>): Promise<boolean> {
      try {
        latencies.push(await asked)
        return true
      } catch {
        failed++
        return false
      }
    },
    async fail(): Promise<boolean> {
      failed++
      return false
    },
    report: (): LoadReport => ({
      requests: latencies.length,
      failed,
      seconds: (performance.now() - start) / 1000,
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
      chunks: 0,
      firstByteP50Ms: 0,
      firstByteP99Ms: 0,
    }),
  }
}

/** One keep-alive connection, one request at a time. `ask` resolves with milliseconds; rejects on anything but 200. */
async function openClient({ port, key, headers }: Job): Promise<Client> {
  const socket = await open(port)
  const request = renderRequest({ key, headers, body: renderBody(false) })
  let over: ((error: Error | null) => void) | null = null
  let answer = ''
  const settle = (error: Error | null): void => {
    const done = over
    over = null
    answer = ''
    done?.(error)
  }
  socket.on('data', data => {
    answer += data.toString('latin1')
    const end = answer.indexOf(headEnd)
    if (end === -1) return
    const length = /content-length: *(\d+)/i.exec(answer.slice(0, end))?.[1]
    const complete =
      length === undefined ? answer.endsWith(`0${headEnd}`) : answer.length >= end + headEnd.length + Number(length)
    if (complete) settle(answer.startsWith('HTTP/1.1 200') ? null : new Error(answer.slice(0, 300)))
  })
  socket.on('close', () => settle(new Error('The connection was closed.')))
  return {
    ask: () =>
      new Promise((resolve, reject) => {
        const start = performance.now()
        over = error => (error ? reject(error) : resolve(performance.now() - start))
        socket.write(request)
      }),
    close: () => socket.destroy(),
  }
}

function chunksOf({ mode }: Job): number {
  return mode === 'long' ? longChunks : chunksPerStream
}

async function readStream(socket: Socket, job: Job): Promise<{ delays: number[]; firstByteMs: number }> {
  const { key, headers, ms } = job
  const delays: number[] = []
  const start = performance.now()
  let firstByteMs = 0
  let rest = ''
  socket.write(renderRequest({ key, headers, body: renderBody(true, chunksOf(job)) }))
  return new Promise((resolve, reject) => {
    const giveUp = setTimeout(() => socket.destroy(), ms)
    socket.on('data', data => {
      if (firstByteMs === 0) firstByteMs = performance.now() - start
      const now = process.hrtime.bigint()
      rest += data.toString('latin1')
      const marks = Array.from(rest.matchAll(/ sent:(\d+)"/g))
      for (const [, sent = '0'] of marks) delays.push(Number(now - BigInt(sent)) / 1e6)
      if (rest.includes('[DONE]')) socket.destroy()
      const last = marks.at(-1)
      if (last) rest = rest.slice(last.index + last[0].length)
    })
    socket.on('close', () => {
      clearTimeout(giveUp)
      if (delays.length > 0) resolve({ delays, firstByteMs })
      else reject(new Error(`No chunk came: ${rest.slice(0, 300)}`))
    })
  })
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket))
    socket.on('error', reject)
  })
}

function renderRequest({ key, headers, body }: Pick<Job, 'key' | 'headers'> & { body: string }): string {
  const more = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return (
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\n${more.join('')}` +
    `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
}

function quantile(values: readonly number[], at: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? 0
}

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { bytes, millis, type Millis } from '../../domain/units.ts'
import type { Exchange } from './exchange.ts'
import type { Wire, WireListener } from './ports.ts'
import { relay } from './relay.ts'
import type { Lease, Replica } from './replica.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  // A look more, after which the timer of the deadlines is gone.
  vi.advanceTimersByTime(60_000)
  vi.useRealTimers()
})

const limits = {
  body: bytes(1_000),
  inFlight: 1,
  firstByte: millis(1_000),
  idle: millis(500),
  request: millis(5_000),
}
const event = Buffer.from('data: {"choices":[]}\n\n')

/** One attempt whose engine does what the test says. `taken`: whether the client reads what it is sent. */
function attempt(stream: boolean) {
  let engine: WireListener | null = null
  let drained = (): void => {}
  const call = { abort: vi.fn<() => void>(), resume: vi.fn<() => void>() }
  const client = { reads: true }
  const reply = {
    headSent: false,
    sentBytes: 0,
    head() {
      this.headSent = true
    },
    flush() {},
    write: () => client.reads,
    onDrain(listener: () => void) {
      drained = listener
    },
  }
  const lease = { piece: vi.fn<() => void>(), paused: vi.fn<() => void>() }
  const wire: Pick<Wire, 'post'> = {
    post(_target, _request, listener) {
      engine = listener
      return call
    },
  }
  const partial: Record<'exchange' | 'replica' | 'lease' | 'wire', unknown> = {
    exchange: {
      reply,
      startedMs: performance.now(),
      ask: { path: 'chat/completions', stream },
      ...{ translator: null, tee: null, version: null, model: null, mark: null, replica: null },
      ...{ flags: [], attempts: 1, limitHeaders: {}, pieces: 0, firstByteMs: null, lastBytes: null },
    },
    replica: { target: {} },
    lease,
    wire,
  }
  // Only what an attempt looks at.
  const parts = partial as { exchange: Exchange; replica: Replica; lease: Lease; wire: Wire }
  const over = relay({
    ...parts,
    limits,
    request: { path: '/chat/completions', body: '{}', contentType: 'application/json', requestId: 'r' },
    repair: null,
  })
  const outcome = over.then(
    () => 'answered',
    (error: unknown) => (error instanceof Error && 'fault' in error ? error.fault : error),
  )
  if (engine === null) throw new Error('the engine was not asked')
  // Assigned in a callback, which the compiler does not follow.
  return { engine: engine as WireListener, call, client, lease, outcome, drain: () => drained() }
}

const silent = (what: string, waited: Millis) => ({ kind: 'engine-silent', what, waited })

test('a stream that does not begin in time ends, and so does its call', async () => {
  const { outcome, call } = attempt(true)
  vi.advanceTimersByTime(990)
  expect(call.abort).not.toHaveBeenCalled()
  vi.advanceTimersByTime(120)
  expect(call.abort).toHaveBeenCalledOnce()
  expect(await outcome).toEqual(silent('first byte', limits.firstByte))
})

test('a stream goes on as long as pieces come, up to the limit for the whole', async () => {
  const { engine, outcome, call } = attempt(true)
  engine.head(200, 'text/event-stream')
  for (let at = 0; at < 4_800; at += 400) {
    vi.advanceTimersByTime(400)
    engine.data(event)
  }
  expect(call.abort).not.toHaveBeenCalled()
  vi.advanceTimersByTime(400)
  expect(await outcome).toEqual(silent('whole answer', limits.request))
})

test('a client that reads slowly is not a silent engine; once it reads on, the engine is to go on', async () => {
  const { engine, client, call, lease, outcome, drain } = attempt(true)
  engine.head(200, 'text/event-stream')
  client.reads = false
  expect(engine.data(event)).toBe(false)
  expect(lease.paused).toHaveBeenCalledOnce()
  vi.advanceTimersByTime(2_000)
  drain()
  expect(call.resume).toHaveBeenCalledOnce()
  expect(call.abort).not.toHaveBeenCalled()
  vi.advanceTimersByTime(620)
  expect(await outcome).toEqual(silent('next byte', limits.idle))
})

test('a whole answer has the time of the whole request, and no limit before', async () => {
  const { engine, call, outcome } = attempt(false)
  engine.head(200, 'application/json')
  engine.data(Buffer.from('{'))
  vi.advanceTimersByTime(4_900)
  expect(call.abort).not.toHaveBeenCalled()
  vi.advanceTimersByTime(220)
  expect(await outcome).toEqual(silent('whole answer', limits.request))
})

test('an engine that has said [DONE] and does not end is let go after a while; one that ends is kept', async () => {
  const [ending, hanging] = [attempt(true), attempt(true)]
  for (const { engine, outcome } of [ending, hanging]) {
    engine.head(200, 'text/event-stream')
    engine.data(Buffer.from('data: [DONE]\n\n'))
    expect(await outcome).toBe('answered')
  }
  ending.engine.end()
  vi.advanceTimersByTime(4_900)
  expect(hanging.call.abort).not.toHaveBeenCalled()
  vi.advanceTimersByTime(220)
  expect(hanging.call.abort).toHaveBeenCalledOnce()
  expect(ending.call.abort).not.toHaveBeenCalled()
})

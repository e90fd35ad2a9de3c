import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keepRunning, supervise, type Running } from './supervise.ts'

// Node's promises of timers, on the clock that a test can move.
vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number, value: undefined, { signal }: { signal: AbortSignal }) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(resolve, ms, value)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        reject(new Error('aborted'))
      })
    }),
}))

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Starts processes that live until the test ends them, or until they are stopped. */
function scene() {
  const events: string[] = []
  const stop = new AbortController()
  let end: (why: string) => void = () => {}
  let stopEnds = true
  let pid = 0
  const over = supervise({
    start(): Running {
      const { promise, resolve } = Promise.withResolvers<string>()
      end = resolve
      return {
        pid: ++pid,
        ended: promise,
        stop: () => {
          events.push('stop')
          if (stopEnds) resolve('SIGTERM')
        },
      }
    },
    onStarted: ({ pid: started }, restarts) => events.push(`start ${started} restarts ${restarts}`),
    onEnded: (why, againInMs) => events.push(`${why}, again in ${againInMs}`),
    signal: stop.signal,
  })
  return {
    events,
    stop,
    over,
    ignoreStop: () => {
      stopEnds = false
    },
    /** The process ends; resolves when the supervisor has noticed. */
    async die(why = 'exit code 1') {
      end(why)
      await vi.advanceTimersByTimeAsync(0)
    },
  }
}

test('what dies is started again, after a wait that grows to five seconds and no further', async () => {
  const { events, die, stop, over } = scene()
  const waits: string[] = []
  for (let i = 0; i < 9; i++) {
    await die()
    const wait = Number(events.at(-1)?.split(' ').at(-1))
    waits.push(String(wait))
    const before = events.length
    await vi.advanceTimersByTimeAsync(wait - 1)
    expect(events.length).toBe(before)
    await vi.advanceTimersByTimeAsync(1)
    expect(events.at(-1)).toBe(`start ${i + 2} restarts ${i + 1}`)
  }
  expect(waits.join(' ')).toBe('100 200 400 800 1600 3200 5000 5000 5000')
  stop.abort()
  await over
})

test('what ran for more than ten seconds is started again at once', async () => {
  const { events, die, stop, over } = scene()
  for (let i = 0; i < 4; i++) {
    await die()
    await vi.advanceTimersByTimeAsync(5_000)
  }
  await vi.advanceTimersByTimeAsync(10_001)
  await die('SIGKILL')
  expect(events.at(-1)).toBe('SIGKILL, again in 100')
  stop.abort()
  await over
})

test('the end of the service stops the process, waits for its end, and starts no other', async () => {
  const { events, die, stop, over, ignoreStop } = scene()
  ignoreStop()
  let finished = false
  void over.then(() => {
    finished = true
  })
  stop.abort()
  await vi.advanceTimersByTimeAsync(60_000)
  expect([events, finished]).toEqual([['start 1 restarts 0', 'stop'], false])
  await die()
  await over
  expect(events).toEqual(['start 1 restarts 0', 'stop'])
})

test('the end of the service cuts the wait for the next start short', async () => {
  const { events, die, stop, over } = scene()
  await die()
  stop.abort()
  await over
  expect(events).toEqual(['start 1 restarts 0', 'exit code 1, again in 100'])
  expect(vi.getTimerCount()).toBe(0)
})

test('a service that has ended already starts nothing', async () => {
  const start = vi.fn<() => Running>()
  await supervise({ start, onStarted: () => {}, onEnded: () => {}, signal: AbortSignal.abort() })
  expect(start).not.toHaveBeenCalled()
})

test('one that is replaced is let go of, not stopped and not started again; from then on the other is kept', async () => {
  const events: string[] = []
  const ends: ((why: string) => void)[] = []
  const process = (pid: number): Running => {
    const { promise, resolve } = Promise.withResolvers<string>()
    ends[pid] = resolve
    return {
      pid,
      ended: promise,
      stop: () => {
        events.push(`stop ${pid}`)
        resolve('SIGTERM')
      },
    }
  }
  const stop = new AbortController()
  let next = 1
  const kept = keepRunning({
    start: () => process(next++),
    onStarted: ({ pid }, restarts) => events.push(`${pid} runs, ${restarts} restarts`),
    onEnded: why => events.push(why),
    signal: stop.signal,
  })
  kept.replace(process(7))
  await vi.advanceTimersByTimeAsync(0)
  expect(kept.running().pid).toBe(7)
  ends[1]?.('over')
  ends[7]?.('SIGKILL')
  await vi.advanceTimersByTimeAsync(100)
  expect(kept.running().pid).toBe(2)
  stop.abort()
  await kept.over
  expect(events).toEqual(['1 runs, 0 restarts', '7 runs, 0 restarts', 'SIGKILL', '2 runs, 1 restarts', 'stop 2'])
})

test('one that comes while the dead one is waited for is taken instead of a new start', async () => {
  const stop = new AbortController()
  const dead = { pid: 1, ended: Promise.resolve('SIGKILL'), stop() {} }
  const ended = Promise.withResolvers<string>()
  let starts = 0
  const kept = keepRunning<Running>({
    start: () => {
      starts++
      return dead
    },
    onStarted() {},
    onEnded() {},
    signal: stop.signal,
  })
  await vi.advanceTimersByTimeAsync(10)
  kept.replace({ pid: 2, ended: ended.promise, stop: () => ended.resolve('SIGTERM') })
  await vi.advanceTimersByTimeAsync(0)
  expect([kept.running().pid, starts]).toEqual([2, 1])
  stop.abort()
  await kept.over
})

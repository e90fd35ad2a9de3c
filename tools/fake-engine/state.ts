/** What the fake engine has seen and done, and a way to wait for it without sleeping. */
import type { IncomingHttpHeaders } from 'node:http'

/** Every received request is exactly one of waiting, running, finished, aborted and cut. */
export type FakeState = {
  received: number
  /** In the queue that `maxConcurrent` makes. */
  waiting: number
  running: number
  /** Answered to the end, errors included. */
  finished: number
  /** The connection ended before the answer: the client went away, or the engine died. */
  aborted: number
  /** Part of `aborted`: the client had not got a byte. */
  abortedBeforeFirstByte: number
  /** The engine hung up on purpose (`cutAfter`, `cutBody`). */
  cut: number
  /** Taken in, the cached ones included. */
  promptTokens: number
  /** Part of `promptTokens`: those that an earlier prompt began with. */
  cachedTokens: number
  generationTokens: number
  /** Part of `generationTokens`: thought. */
  reasoningTokens: number
  /** Images in the requests. */
  images: number
  /** Answers that got their first token, and how long they waited for it, all together. */
  firstTokens: number
  firstTokenMs: number
  /** Answers made to the end, by why they ended, and how long they took, all together. */
  stopped: number
  cutByLength: number
  answerMs: number
  /** Part of `answerMs` after the first token. */
  generationMs: number
  /** The longest prompt and answer together, in tokens. */
  longestSequence: number
  /** The last 50, oldest first; tests see here what was forwarded. */
  lastRequests: SeenRequest[]
}
export type SeenRequest = { path: string; headers: IncomingHttpHeaders; body: unknown }
/** The parts of the state that are numbers. */
export type Counter = Exclude<keyof FakeState, 'lastRequests'>

export type Ledger = ReturnType<typeof openLedger>

const kept = 50
const nothing = (): FakeState => ({
  received: 0,
  waiting: 0,
  running: 0,
  finished: 0,
  aborted: 0,
  abortedBeforeFirstByte: 0,
  cut: 0,
  promptTokens: 0,
  cachedTokens: 0,
  generationTokens: 0,
  reasoningTokens: 0,
  images: 0,
  firstTokens: 0,
  firstTokenMs: 0,
  stopped: 0,
  cutByLength: 0,
  answerMs: 0,
  generationMs: 0,
  longestSequence: 0,
  lastRequests: [],
})

export function openLedger() {
  let state = nothing()
  const waiters = new Set<() => void>()

  const add = (counter: Counter, by = 1): void => {
    state[counter] += by
    for (const check of [...waiters]) check()
  }
  return {
    add,
    count: (counter: Counter): number => state[counter],
    /** Keeps the largest. */
    reach(counter: 'longestSequence', value: number): void {
      state[counter] = Math.max(state[counter], value)
    },
    state: (): FakeState => structuredClone(state),
    /** The same, not to be kept: it goes on changing. */
    peek: (): Readonly<FakeState> => state,
    see(request: SeenRequest): void {
      state.lastRequests.push(request)
      if (state.lastRequests.length > kept) state.lastRequests.shift()
      add('received')
    },
    /** Forgets the past; requests in flight stay counted as received, and as running or waiting. */
    reset(): void {
      const { running, waiting } = state
      state = { ...nothing(), received: running + waiting, running, waiting }
    },
    /** Resolves as soon as `reached` holds; rejects, telling the state, when it does not within `withinMs`. */
    until(reached: (state: FakeState) => boolean, withinMs = 5000): Promise<FakeState> {
      return new Promise((resolve, reject) => {
        const check = (): void => {
          if (!reached(state)) return
          done()
          resolve(structuredClone(state))
        }
        const timer = setTimeout(() => {
          done()
          const { lastRequests: _, ...counters } = state
          reject(new Error(`The fake engine did not get there within ${withinMs} ms: ${JSON.stringify(counters)}`))
        }, withinMs)
        const done = (): void => {
          clearTimeout(timer)
          waiters.delete(check)
        }
        waiters.add(check)
        check()
      })
    },
  }
}

/** The load while things break: several keys with and without limits, two models, streams and whole answers, clients who leave. */
import { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { ask, type Ended } from '../support/load.ts'

export type Holder = { alias: string; key: string; isLimited: boolean }
/** A request as its client saw it, with its times by the wall clock. */
export type Seen = Ended & { holder: Holder; n: number; from: number; until: number; left: boolean }
type ChaosLoadParts = { url: string; holders: readonly Holder[]; signal: AbortSignal | undefined }

const clients = 12
/** One of so many leaves before its answer is whole. */
const leaver = 17
/** One of so many brings a long prompt. */
const longOne = 5
const refusedPauseMs = 150
const patienceMs = 90_000
const longPrompt = 'Read all of this. '.repeat(120)

export function startChaosLoad({ url, holders, signal }: ChaosLoadParts) {
  const seen: Seen[] = []
  let started = 0
  let stopping = false
  const over = Promise.all(Array.from({ length: clients }, (_, at) => run(at % 2 === 0)))

  async function run(keepsConnection: boolean): Promise<void> {
    const agent = keepsConnection ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined
    while (!stopping && signal?.aborted !== true) {
      const one = await send(started++, agent)
      seen.push(one)
      // As clients do; else a refused one would ask as fast as it can.
      if (one.status !== 200) await pause(refusedPauseMs)
    }
    agent?.destroy()
  }

  async function send(n: number, agent: Agent | undefined): Promise<Seen> {
    const holder = holders[n % holders.length]
    if (holder === undefined) throw new TypeError('the load has no keys')
    const leaving = new AbortController()
    const leaves = n % leaver === leaver - 1
    const from = Date.now()
    const ended = await ask({
      url,
      key: holder.key,
      clientId: `chaos-${n}`,
      patienceMs,
      leaves: leaving.signal,
      ...(agent === undefined ? {} : { agent }),
      ...(leaves ? { onEvent: () => leaving.abort() } : {}),
      body: {
        model: n % 3 === 0 ? 'general' : 'coder',
        stream: n % 2 === 0 || leaves,
        messages: [{ role: 'user', content: n % longOne === 0 ? longPrompt : 'Tell me of chaos.' }],
      },
    })
    return { ...ended, holder, n, from, until: Date.now(), left: ended.code === 'LEFT' }
  }

  return {
    seen: seen as readonly Seen[],
    /** No new requests; resolves when the last has ended. */
    async stop(): Promise<readonly Seen[]> {
      stopping = true
      await over
      return seen
    },
  }
}

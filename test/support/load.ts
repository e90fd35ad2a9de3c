/** A bounded load of model requests, each remembered as its client saw it end. */
import { Agent, request, type IncomingMessage } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

export type Ask = {
  url: string
  key: string
  body: Record<string, unknown>
  agent?: Agent
  onEvent?: () => void
  /** Its own `x-request-id`, by which the journal knows a request whose client never got an answer. */
  clientId?: string
  /** When it aborts, the client goes away: `broken`, with `LEFT`. */
  leaves?: AbortSignal
  /** How long it waits for the whole answer. */
  patienceMs?: number
  /** From which address of this machine. */
  from?: string
}

/**
 * `whole`: a whole body, or a stream up to `[DONE]` · `error-event`: a stream that ended, in order, with an error event ·
 * `silent`: a stream that ended, in order, with neither · `broken`: the connection went away, or never came.
 */
type End = 'whole' | 'error-event' | 'silent' | 'broken'

export type Ended = {
  end: End
  /** `x-request-id`; `null`: no answer began. */
  id: string | null
  status: number | null
  stream: boolean
  key: string
  /** Data events, not counting the error and `[DONE]`. */
  events: number
  /** What the error event or the answer's body said. */
  error: unknown
  usage: { prompt_tokens: number; completion_tokens: number } | null
  /** Why it is `broken`: `ECONNRESET`, `ECONNREFUSED`, `NO_ANSWER` … */
  code: string | null
  totalMs: number
}

/** No request waits longer: a test that hangs tells nothing. */
const longestMs = 30_000

/** Sends one chat request on a connection of its own, or on its agent's. Never rejects. */
export function ask(parts: Ask): Promise<Ended> {
  const { url, key, body, agent, onEvent, clientId, leaves, from, patienceMs = longestMs } = parts
  const startedMs = performance.now()
  const { promise, resolve } = Promise.withResolvers<Ended>()
  const seen: Omit<Ended, 'end' | 'code' | 'totalMs'> = {
    id: null,
    status: null,
    stream: body['stream'] === true,
    key,
    events: 0,
    error: null,
    usage: null,
  }
  let done = false
  const finish = (end: End, code: string | null): void => {
    clearTimeout(deadline)
    // A client that has its last event has its answer, whatever happens to the connection then.
    resolve({ ...seen, end: done ? 'whole' : end, code, totalMs: performance.now() - startedMs })
  }
  const call = request(
    `${url}/v1/chat/completions`,
    {
      method: 'POST',
      agent: agent ?? false,
      ...(from === undefined ? {} : { localAddress: from }),
      headers: {
        'authorization': `Bearer ${key}`,
        'content-type': 'application/json',
        ...(clientId === undefined ? {} : { 'x-request-id': clientId }),
      },
    },
    onAnswer,
  )
  call.on('error', error => finish('broken', codeOf(error)))
  leaves?.addEventListener('abort', () => {
    finish('broken', 'LEFT')
    call.destroy()
  })
  const deadline = setTimeout(() => call.destroy(Object.assign(new Error(), { code: 'NO_ANSWER' })), patienceMs)
  call.end(JSON.stringify(body))
  return promise

  function onAnswer(answer: IncomingMessage): void {
    seen.status = answer.statusCode ?? null
    seen.id = answer.headers['x-request-id']?.toString() ?? null
    const events = answer.headers['content-type']?.startsWith('text/event-stream') === true
    let text = ''
    answer.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (!events) return
      const whole = text.split('\n\n')
      text = whole.pop() ?? ''
      for (const event of whole) onData(event)
    })
    answer.on('error', error => finish('broken', codeOf(error)))
    answer.on('end', () => {
      if (events) return finish(seen.error === null ? 'silent' : 'error-event', null)
      const parsed = JSON.parse(text) as { usage?: Ended['usage']; error?: unknown }
      seen.usage = parsed.usage ?? null
      seen.error = parsed.error ?? null
      finish('whole', null)
    })
  }

  function onData(event: string): void {
    if (!event.startsWith('data: ')) return
    const data = event.slice('data: '.length)
    if (data === '[DONE]') done = true
    else if (data.startsWith('{"error"')) seen.error = (JSON.parse(data) as { error: unknown }).error
    else seen.events++
    onEvent?.()
  }
}

export type LoadParts = {
  url: string
  /** So many requests at once, and so many in all. */
  clients: number
  most: number
  /** The nth request. */
  make: (n: number) => Pick<Ask, 'key' | 'body'>
  /** The address of the nth client. */
  from?: (client: number) => string
}

export type Load = ReturnType<typeof startLoad>

/** A reset before an answer began may be tried again so often, as HTTP clients do. */
const mostRetries = 5
/** Nobody listens: a client that asked on at once would take the machine's time from what is starting there. */
const refusedPauseMs = 20

/** Every other client keeps its connection; the others take a new one for each request. */
export function startLoad({ url, clients, most, make, from }: LoadParts) {
  const ended: Ended[] = []
  const watchers = new Set<() => void>()
  let moments = 0
  let started = 0
  let stopping = false
  const moment = (): void => {
    moments++
    for (const look of [...watchers]) look()
  }
  const over = Promise.all(Array.from({ length: clients }, (_, n) => runClient(n)))

  async function runClient(client: number): Promise<void> {
    const agent = client % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined
    const always = {
      ...(agent === undefined ? {} : { agent }),
      ...(from === undefined ? {} : { from: from(client) }),
    }
    while (!stopping && started < most) {
      const next = { url, onEvent: moment, ...make(started++), ...always }
      for (let tries = 0; tries <= mostRetries; tries++) {
        const outcome = await ask(next)
        ended.push(outcome)
        moment()
        if (outcome.code === 'ECONNREFUSED') await pause(refusedPauseMs)
        if (!isReset(outcome)) break
      }
    }
    agent?.destroy()
  }

  return {
    ended: ended as readonly Ended[],
    /** Resolves after so many more events and answers: a moment in the load that no clock decides. */
    after(count: number, withinMs = 20_000): Promise<void> {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const wanted = moments + count
      const look = (): void => {
        if (moments < wanted) return
        clearTimeout(deadline)
        watchers.delete(look)
        resolve()
      }
      const deadline = setTimeout(() => {
        watchers.delete(look)
        reject(
          new Error(
            `${wanted - moments} of ${count} moments did not come within ${withinMs} ms (${started} requests begun)`,
          ),
        )
      }, withinMs)
      watchers.add(look)
      look()
      return promise
    },
    /** No new requests; resolves when the last has ended. */
    async stop(): Promise<readonly Ended[]> {
      stopping = true
      await over
      return ended
    },
  }
}

/** The connection went away, and the client can't have got anything. */
export const isReset = ({ end, id, code }: Ended): boolean =>
  end === 'broken' && id === null && (code === 'ECONNRESET' || code === 'EPIPE')

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}

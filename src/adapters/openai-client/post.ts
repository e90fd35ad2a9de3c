/** One request to an address that may be anything: bounded in time and bytes, and answered by nobody else. */
import { AskError } from '../../services/evaluate/index.ts'

export type Address = {
  /** Up to and without `/v1`. */
  url: string
  /** `null`: it wants none. */
  key: string | null
  model: string
  timeoutMs: number
  /** Another way there than by its URL. */
  reach?: (path: string, init: RequestInit) => Promise<Response>
}

export type Posted = {
  status: number
  text: string
  /** What the service says answered. */
  version: string | null
  retryAfterMs: number
}

const mostBytes = 32 * 1024 * 1024

type At = Omit<Address, 'model'>

/** Rejects with AskError when nothing answers, and as `signal` says when that ends it. */
export function post(at: At, path: string, { body, signal }: { body: object; signal: AbortSignal }): Promise<Posted> {
  return send(at, path, { method: 'POST', body: JSON.stringify(body), signal })
}

/** Rejects as `post` does. */
export function get(at: At, path: string, signal: AbortSignal): Promise<Posted> {
  return send(at, path, { method: 'GET', body: null, signal })
}

type Sent = { method: string; body: string | null; signal: AbortSignal }

async function send(at: At, path: string, { method, body, signal }: Sent): Promise<Posted> {
  const { url, key, timeoutMs, reach = (to, init) => fetch(`${url}${to}`, init) } = at
  try {
    const answer = await reach(path, {
      method,
      headers: {
        ...(body === null ? {} : { 'content-type': 'application/json' }),
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      // The key is for nobody else.
      redirect: 'error',
    })
    const seconds = Number(answer.headers.get('retry-after') ?? 0)
    return {
      status: answer.status,
      text: await readAll(answer, url),
      version: answer.headers.get('x-holdfast-version'),
      retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : 0,
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof AskError) throw error
    throw new AskError(sayLost(error, url, timeoutMs), { again: true, cause: error })
  }
}

async function readAll(answer: Response, url: string): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > mostBytes)
      throw new AskError(`${url} answers with more than ${mostBytes} bytes`, { again: false })
  }
  return text
}

function sayLost(error: unknown, url: string, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'TimeoutError')
    return `${url} did not answer within ${timeoutMs / 1000} s`
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  return `nothing answers at ${url} (${why})`
}

/** The canary: one token, asked of a replica that has had nothing to do, to know that it could still work. */
import { FaultError } from '../../domain/fault.ts'
import type { EnginePath, Task } from '../../domain/serving/index.ts'
import type { EngineRequest, Wire } from './ports.ts'
import type { Replica } from './replica.ts'

/** The cheapest work of each task that every engine with that task can do; `null`: there is none. */
const asks: { readonly [T in Task]: { path: EnginePath; body: Record<string, unknown> } | null } = {
  chat: { path: 'chat/completions', body: { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1 } },
  embed: { path: 'embeddings', body: { input: 'Hi' } },
  rerank: null,
  transcribe: null,
  speak: null,
}

/** One token is far less; what sends more is let go, and has answered. */
const mostBytes = 256 * 1024

/** Why the replica does not work; `null`: it does, or its task has no canary. Never throws. */
export function askCanary(
  { dialect, target, task, version }: Replica,
  { wire, signal }: { wire: Wire; signal: AbortSignal },
): Promise<string | null> {
  const ask = asks[task]
  if (ask === null) return Promise.resolve(null)
  const request = requestFor(ask)
  if (request === null) return Promise.resolve(null)
  const { path, body } = request
  const { promise, resolve } = Promise.withResolvers<string | null>()
  let status = 0
  let length = 0
  const call = wire.post(
    target,
    { path, body: JSON.stringify(body), contentType: 'application/json', requestId: 'holdfast-canary' },
    {
      head: code => {
        status = code
      },
      data: chunk => {
        length += chunk.length
        if (length > mostBytes) {
          call.abort()
          judge()
        }
        return true
      },
      end: judge,
      failed: () => resolve('its connection broke when it was asked for one token'),
    },
  )
  signal.addEventListener(
    'abort',
    () => {
      call.abort()
      resolve('it made no token when it had nothing else to do (it may hang, although it says it is healthy)')
    },
    { once: true },
  )
  return promise

  /** A refusal is an answer: something in there still decides. 503 is a queue that is full. */
  function judge(): void {
    resolve(status >= 500 && status !== 503 ? `it answers HTTP ${status} when it is asked for one token` : null)
  }

  /** `null`: this engine has no such route. */
  function requestFor(asked: { path: EnginePath; body: Record<string, unknown> }): EngineRequest | null {
    try {
      return dialect.toRequest(asked.path, { ...asked.body, model: target.served ?? version }, version)
    } catch (error) {
      if (error instanceof FaultError) return null
      throw error
    }
  }
}

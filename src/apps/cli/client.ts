/** Asks the running service, as the administrator. */
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { homeFolder, openHome } from '../paths.ts'
import { fetchAtSocket } from '../reach-gateway.ts'

/** Ends a command; the message says what happened and what to do. Exit codes: 1 said no, 2 wrong usage. */
export class CliError extends Error {
  readonly exitCode: 1 | 2
  constructor(message: string, exitCode: 1 | 2 = 1, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CliError'
    this.exitCode = exitCode
  }
}

export type Client = {
  url: string
  /** The answer's JSON. Throws CliError: not reachable, not Holdfast, or refused with the service's own words. */
  request(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: object): Promise<unknown>
  /** The answer's body as it comes. Throws as `request` does, and when it ends too early. */
  download(path: string): AsyncIterable<Uint8Array>
  /** Posts, and answers the JSON of each event of the answer's stream, up to `[DONE]`. Throws as `request` does. */
  stream(path: string, body: object): AsyncIterable<unknown>
}

/** Longer than the gateway waits for the controller. */
const answerMs = 65_000
const usualUrl = 'http://127.0.0.1:8080'

const Service = z.object({ url: z.string(), socket: z.string().optional() })
const Refusal = z.object({ error: z.object({ message: z.string() }) })

/**
 * Where: `HOLDFAST_URL`, else the service running from this state folder, else the usual port.
 * As whom: `HOLDFAST_KEY`, else `HOLDFAST_ADMIN_KEY`, else the key in the state folder. Throws CliError when there is none.
 */
export function openClient({ env }: { env: NodeJS.ProcessEnv }): Client {
  const { url, key, from, socket } = locateService({ env })

  const send = (
    method: string,
    path: string,
    { body, signal }: { body: object | undefined; signal: AbortSignal | null },
  ) =>
    connect(
      { url, path, socket },
      {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal,
        redirect: 'error',
      },
    )

  async function refuse(answer: Response): Promise<never> {
    const refusal = Refusal.safeParse(parse(await answer.text().catch(error => lost(url, error))))
    if (!refusal.success)
      throw new CliError(`${url} answered ${answer.status}, but not as Holdfast does. Is HOLDFAST_URL right?`)
    const { message } = refusal.data.error
    throw new CliError(answer.status === 401 ? `${message} (The key came from ${from}.)` : message)
  }

  return {
    url,
    async request(method, path, body) {
      const answer = await send(method, path, { body, signal: AbortSignal.timeout(answerMs) })
      if (!answer.ok) return refuse(answer)
      const value = parse(await answer.text().catch(error => lost(url, error)))
      if (value === undefined) throw new CliError(`${url} answered, but not as Holdfast does. Is HOLDFAST_URL right?`)
      return value
    },
    async *download(path) {
      const answer = await send('GET', path, { body: undefined, signal: null })
      if (!answer.ok || answer.body === null) return refuse(answer)
      try {
        yield* answer.body
      } catch (error) {
        throw new CliError(`${url} stopped half-way through its answer. Try again.`, 1, { cause: error })
      }
    },
    async *stream(path, body) {
      const answer = await send('POST', path, { body, signal: null })
      if (!answer.ok || answer.body === null) return refuse(answer)
      try {
        for await (const data of eventsOf(answer.body)) {
          if (data === '[DONE]') return
          yield parse(data)
        }
      } catch (error) {
        lost(url, error)
      }
    },
  }
}

/** Where and as whom `openClient` asks, for commands that ask otherwise. Throws as it does. */
export function locateService({ env }: { env: NodeJS.ProcessEnv }): {
  url: string
  key: string
  /** Where the key came from. */
  from: string
  /** A way in beside the front door. */
  socket: string | null
} {
  const folder = homeFolder(env)
  // Asking must not make a state folder where there is none.
  const home = existsSync(folder) ? openHome(folder) : null
  const service = env['HOLDFAST_URL'] || home === null ? null : readService(home.service)
  const url = toUrl(env['HOLDFAST_URL'] || service?.url || usualUrl)
  // Its certificate is for its name in the world, and it may want one of ours.
  const socket = url.startsWith('https:') ? (service?.socket ?? null) : null
  return { url, socket, ...findKey(env, home?.adminKey ?? null) }
}

/** The `data:` of each server-sent event. Ours have one line each, and comments are passed over. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split(/\r?\n/)
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.startsWith('data:')) yield line.slice('data:'.length).trim()
  }
}

type Where = { url: string; path: string; socket: string | null }

async function connect({ url, path, socket }: Where, init: RequestInit): Promise<Response> {
  try {
    return await (socket === null ? fetch(`${url}${path}`, init) : fetchAtSocket(socket, path, init))
  } catch (error) {
    return lost(new URL(url).origin, error)
  }
}

function lost(url: string, error: unknown): never {
  if (error instanceof Error && error.name === 'TimeoutError') {
    throw new CliError(`${url} did not answer within ${answerMs / 1000} s.`, 1, { cause: error })
  }
  const cause =
    error instanceof Error && error.cause instanceof Error && 'code' in error.cause
      ? ` (${String(error.cause.code)})`
      : ''
  throw new CliError(
    `Nothing answers at ${url}${cause}. Start it with 'npm start' (holdfast up), or set HOLDFAST_URL to where it runs.`,
    1,
    { cause: error },
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function toUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new CliError(`HOLDFAST_URL is '${text}'; it should look like ${usualUrl}.`, 2)
  }
  // `http://host:8080/v1` is what clients of models are given; administration is beside it.
  return text.replace(/\/+$/, '').replace(/\/v1$/, '')
}

function readService(path: string): z.output<typeof Service> | null {
  const service = Service.safeParse(parse(readOr(path, '')))
  return service.success ? service.data : null
}

function findKey(env: NodeJS.ProcessEnv, file: string | null): { key: string; from: string } {
  for (const name of ['HOLDFAST_KEY', 'HOLDFAST_ADMIN_KEY']) {
    const key = env[name]?.trim()
    if (key) return { key, from: name }
  }
  const key = file === null ? '' : readOr(file, '').trim()
  if (key !== '') return { key, from: file ?? '' }
  throw new CliError(
    'There is no admin key here. Set HOLDFAST_ADMIN_KEY, or run this where the service runs, with the same HOLDFAST_HOME and user.',
  )
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}

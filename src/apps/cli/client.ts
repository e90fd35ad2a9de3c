/** Asks the running service, as the administrator. */
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { homeFolder, openHome } from '../paths.ts'
import { CliError } from './io.ts'

export type Client = {
  url: string
  /** The answer's JSON. Throws CliError: not reachable, not Holdfast, or refused with the service's own words. */
  request(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: object): Promise<unknown>
}

/** Longer than the gateway waits for the controller. */
const answerMs = 65_000
const usualUrl = 'http://127.0.0.1:8080'

const Service = z.object({ url: z.string() })
const Refusal = z.object({ error: z.object({ message: z.string(), code: z.string().nullable() }) })

/**
 * Where: `HOLDFAST_URL`, else the service running from this state folder, else the usual port.
 * As whom: `HOLDFAST_KEY`, else `HOLDFAST_ADMIN_KEY`, else the key in the state folder. Throws CliError when there is none.
 */
export function openClient({ env }: { env: NodeJS.ProcessEnv }): Client {
  const folder = homeFolder(env)
  // Asking must not make a state folder where there is none.
  const home = existsSync(folder) ? openHome(folder) : null
  const url = toUrl(env['HOLDFAST_URL'] || (home === null ? null : serviceUrl(home.service)) || usualUrl)
  const { key, from } = findKey(env, home?.adminKey ?? null)

  return {
    url,
    async request(method, path, body) {
      const answer = await send(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(answerMs),
        redirect: 'error',
      })
      const text = await answer.text().catch(error => lost(url, error))
      const value = parse(text)
      if (answer.ok && value !== undefined) return value
      const refusal = Refusal.safeParse(value)
      if (!refusal.success) throw new CliError(`${url} answered ${answer.status}, but not as Holdfast does. Is HOLDFAST_URL right?`)
      const { message, code } = refusal.data.error
      throw new CliError(answer.status === 401 ? `${message} (The key came from ${from}.)` : message, { code })
    },
  }
}

async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (error) {
    return lost(new URL(url).origin, error)
  }
}

function lost(url: string, error: unknown): never {
  if (error instanceof Error && error.name === 'TimeoutError') {
    throw new CliError(`${url} did not answer within ${answerMs / 1000} s.`, { cause: error })
  }
  const cause = error instanceof Error && error.cause instanceof Error && 'code' in error.cause ? ` (${String(error.cause.code)})` : ''
  throw new CliError(`Nothing answers at ${url}${cause}. Start it with 'npm start' (holdfast up), or set HOLDFAST_URL to where it runs.`, { cause: error })
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
    throw new CliError(`HOLDFAST_URL is '${text}'; it should look like ${usualUrl}.`, { exitCode: 2 })
  }
  // `http://host:8080/v1` is what clients of models are given; administration is beside it.
  return text.replace(/\/+$/, '').replace(/\/v1$/, '')
}

function serviceUrl(path: string): string | null {
  const service = Service.safeParse(parse(readOr(path, '')))
  return service.success ? service.data.url : null
}

function findKey(env: NodeJS.ProcessEnv, file: string | null): { key: string; from: string } {
  for (const name of ['HOLDFAST_KEY', 'HOLDFAST_ADMIN_KEY']) {
    const key = env[name]?.trim()
    if (key) return { key, from: name }
  }
  const key = file === null ? '' : readOr(file, '').trim()
  if (key !== '') return { key, from: file ?? '' }
  throw new CliError('There is no admin key here. Set HOLDFAST_ADMIN_KEY, or run this where the service runs, with the same HOLDFAST_HOME and user.')
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}

/** Requests to one raw repository of a Nexus, again after a pause where that may help. */
import { ArtifactError } from '../../../domain/catalog/index.ts'
import type { Patience } from '../again.ts'
import { exchange, type Answer, type Ask } from '../exchange.ts'
import { refusalOf } from './refusal.ts'

export type Repository = {
  /** Without what opens it. */
  name: string
  repository: string
  objectUrl(path: string): URL
  restUrl(path: string, query?: Record<string, string>): URL
  /** A path in the repository is one of this registry's, or `null`. */
  pathOf(inRepository: string): string | null
  authorization: string | null
  patience: Patience
  silenceMs?: number
}

export type Request = Pick<Ask, 'method' | 'url' | 'headers' | 'body'> & { what: string }

const mostRedirects = 4

/** `https://host[/nexus]/repository/<name>[/folder]`. */
export function toRepository(
  address: string,
  { token, patience, silenceMs }: { token: string | null; patience: Patience; silenceMs?: number },
): Repository {
  const url = URL.canParse(address) ? new URL(address) : null
  const [, context = '', repository = '', folder = ''] =
    /^(.*?)\/repository\/([A-Za-z0-9][\w.-]*)((?:\/.*)?)$/.exec(url?.pathname ?? '') ?? []
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.search === ''
  if (!isPlain || repository === '')
    throw new ArtifactError(
      'never',
      `'${address}' names no repository of a Nexus: write https://<host>/repository/<name>, with a folder in it if you like`,
    )
  const base = `${url.origin}${context}`
  const prefix = decodeURIComponent(folder)
    .split('/')
    .filter(part => part !== '')
    .map(part => `${part}/`)
    .join('')
  const encoded = (path: string): string => path.split('/').map(encodeURIComponent).join('/')
  return {
    name: `${base}/repository/${repository}${prefix === '' ? '' : `/${prefix.slice(0, -1)}`}`,
    repository,
    objectUrl: path => new URL(`${base}/repository/${repository}/${encoded(prefix + path)}`),
    restUrl: (path, query = {}) => new URL(`${base}/service/rest/v1/${path}?${new URLSearchParams(query).toString()}`),
    pathOf(inRepository) {
      // Since 3.71 with a slash before it.
      const path = inRepository.replace(/^\//, '')
      return path.startsWith(prefix) ? path.slice(prefix.length) : null
    },
    authorization: token === null ? null : authorizationOf(token),
    patience,
    ...(silenceMs === undefined ? {} : { silenceMs }),
  }
}

/** Nexus's own are pairs; without a colon it is for a proxy before it. */
const authorizationOf = (token: string): string =>
  token.includes(':') ? `Basic ${Buffer.from(token, 'utf8').toString('base64')}` : `Bearer ${token}`

/** Resolves with a 2xx answer; all else is a NexusRefusal. Its body is the caller's to read or to discard. */
export async function askOnce(place: Repository, request: Request, signal: AbortSignal): Promise<Answer> {
  const { authorization, name, repository, silenceMs } = place
  const { what, ...sent } = request
  let { url } = request
  for (let hops = 0; ; hops++) {
    const isHome = url.origin === request.url.origin
    const answer = await exchange({
      ...sent,
      url,
      headers: {
        ...request.headers,
        // Where Nexus hands out objects by its storage's own addresses, these open themselves.
        ...(authorization !== null && isHome ? { authorization } : {}),
      },
      ...(silenceMs === undefined ? {} : { silenceMs }),
      signal,
    })
    if (answer.status >= 200 && answer.status < 300) return answer
    const next = request.method === 'GET' && hops < mostRedirects ? redirectOf(answer, url) : null
    if (next === null)
      throw await refusalOf(
        answer,
        { name, repository, what, withToken: authorization !== null },
        { isHead: request.method === 'HEAD' },
      )
    answer.discard()
    url = next
  }
}

/** Never to less than what was asked. */
function redirectOf(answer: Answer, from: URL): URL | null {
  const location = answer.header('location')
  if (![301, 302, 303, 307, 308].includes(answer.status) || location === null) return null
  if (!URL.canParse(location, from.href)) return null
  const to = new URL(location, from)
  return to.protocol === 'https:' || (to.protocol === from.protocol && to.protocol === 'http:') ? to : null
}

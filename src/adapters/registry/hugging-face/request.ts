/** One request to the hub: redirects by hand, the token for the hub alone, and no wait for a server that has gone silent. */
import { ArtifactError } from '../../../domain/catalog/index.ts'

export type HubSettings = {
  /** `HF_ENDPOINT`; `null`: huggingface.co. */
  endpoint: string | null
  /** `HF_TOKEN`, or a registry's. */
  token: string | null
  /** What people set for it, where that is not `HF_TOKEN`. */
  tokenName?: string
  /** `HF_HUB_OFFLINE`: nothing is asked. */
  offline: boolean
  /** Longest wait for a head, or for the next byte. */
  silenceMs?: number
}

export type HubAnswer = {
  response: Response
  /** A header as the hub itself gave it, on its answer or on its redirect elsewhere. */
  ofHub: (name: string) => string | null
  /** Whether the answer is the hub's, and not that of the storage it redirects to. */
  atHub: boolean
  /** Who answers. */
  url: URL
  /** The body. Ends with an ArtifactError when it is cut. */
  bytes: () => AsyncIterable<Uint8Array>
}

export type HubRequest = {
  method?: 'GET' | 'HEAD'
  /** Where the hub has redirected to before: it is not asked again. */
  start?: URL | null
  headers?: Record<string, string>
  /** Whether to go on to where the hub redirects. */
  follow: boolean
  signal: AbortSignal
}

const usualEndpoint = 'https://huggingface.co'
const usualSilenceMs = 30_000
const mostRedirects = 8
/** What clients of the hub go by; the storage has headers of the same name that mean other things. */
const hubHeaders = ['x-repo-commit', 'x-linked-etag', 'x-linked-size', 'x-error-code', 'x-error-message', 'link']

/** `endpoint` as it is used, without a slash at its end. */
export function toEndpoint({ endpoint }: HubSettings): string {
  const text = (endpoint ?? usualEndpoint).replace(/\/+$/, '')
  if (URL.canParse(text) && /^https?:/.test(text)) return text
  throw new ArtifactError('never', `HF_ENDPOINT is '${text}': it must be an address, such as ${usualEndpoint}`)
}

/** Asks for a path of the hub. Resolves with any status; throws ArtifactError when there is no answer. */
export async function askHub(settings: HubSettings, path: string, request: HubRequest): Promise<HubAnswer> {
  const endpoint = toEndpoint(settings)
  if (settings.offline)
    throw new ArtifactError('never', `HF_HUB_OFFLINE is set, so ${endpoint} is not asked: unset it, and start again`)
  const heard = new Headers()
  let url = request.start ?? new URL(endpoint + path)
  const hub = new URL(endpoint).origin
  for (let hops = 0; hops <= mostRedirects; hops++) {
    const atHub = url.origin === hub
    const { response, bytes } = await send(url, { settings, request, withToken: atHub })
    if (atHub) for (const name of hubHeaders) copyHeader(name, response.headers, heard)
    const answer = { response, atHub, url, bytes, ofHub: (name: string) => heard.get(name) }
    const next = redirectOf(response, url)
    if (next === null || (next.origin !== hub && !request.follow)) {
      return answer
    }
    await response.body?.cancel()
    if (url.protocol === 'https:' && next.protocol !== 'https:')
      throw new ArtifactError('never', `${url.host} redirects to ${next.host} without encryption: that is not followed`)
    url = next
  }
  throw new ArtifactError('never', `${hub} redirects more than ${mostRedirects} times`)
}

async function send(
  url: URL,
  { settings, request, withToken }: { settings: HubSettings; request: HubRequest; withToken: boolean },
): Promise<{ response: Response; bytes: () => AsyncIterable<Uint8Array> }> {
  const { token, silenceMs = usualSilenceMs } = settings
  const { method = 'GET', headers = {}, signal } = request
  const silence = new AbortController()
  const end = (): void => silence.abort(new Error(`silent for ${silenceMs / 1000} s`))
  let timer = setTimeout(end, silenceMs)
  const fail = (cause: unknown): never => {
    signal.throwIfAborted()
    throw new ArtifactError('soon', `${url.host} ${reason(cause)}`, { cause })
  }
  try {
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      signal: AbortSignal.any([signal, silence.signal]),
      headers: {
        // Lengths, ranges and digests are of the file, not of a compressed form of it.
        'accept-encoding': 'identity',
        'user-agent': 'holdfast',
        ...headers,
        ...(withToken && token !== null ? { authorization: `Bearer ${token}` } : {}),
      },
    }).catch(fail)
    return { response, bytes: () => read(response) }
  } finally {
    clearTimeout(timer)
  }

  async function* read({ body }: Response): AsyncGenerator<Uint8Array> {
    try {
      timer = setTimeout(end, silenceMs)
      for await (const piece of body ?? []) {
        clearTimeout(timer)
        yield piece
        timer = setTimeout(end, silenceMs)
      }
    } catch (cause) {
      fail(cause)
    } finally {
      clearTimeout(timer)
    }
  }
}

function redirectOf({ status, headers }: Response, from: URL): URL | null {
  const location = headers.get('location')
  if (![301, 302, 303, 307, 308].includes(status) || location === null) return null
  if (!URL.canParse(location, from.href))
    throw new ArtifactError('never', `${from.host} redirects to what is no address`)
  return new URL(location, from)
}

function copyHeader(name: string, from: Headers, to: Headers): void {
  const value = from.get(name)
  if (value !== null) to.set(name, value)
}

/** undici says «fetch failed» and keeps the reason in the cause. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (!(cause instanceof Error)) return error.name === 'TypeError' ? 'cut the connection' : `was ${error.message}`
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message
  return error.message === 'terminated' ? `cut the connection (${code})` : `can't be reached (${code})`
}

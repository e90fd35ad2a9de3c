/** Small JSON documents from an identity provider, with bounds on everything it could do. */

/** A provider that is slower than this is tried again later. */
const timeoutMs = 5_000
const mostBytes = 1024 * 1024

export type Fetched = { document: unknown; cacheControl: string | null }

/**
 * Rejects, with what is wrong in words, when the address is not https (or loopback), or the answer is a redirect, not
 * 200, not JSON, larger than 1 MiB or slower than 5 s. Redirects are not followed: keys come from where the issuer says.
 */
export async function fetchJson(url: string, signal: AbortSignal): Promise<Fetched> {
  if (!isProtected(url))
    throw new Error(`${url} is neither https nor on this machine, so anybody on the way could change it`)
  const answer = await fetch(url, {
    redirect: 'manual',
    headers: { accept: 'application/json' },
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  }).catch(error => lost(url, error))
  if (answer.status !== 200) {
    await answer.body?.cancel()
    const location = answer.headers.get('location')
    const to = location === null ? '' : ` and points to ${location.slice(0, 200)}; redirects are not followed`
    throw new Error(`${url} answers ${answer.status}${to}`)
  }
  const text = await readBounded(url, answer).catch(error => lost(url, error))
  return { document: parse(url, text), cacheControl: answer.headers.get('cache-control') }
}

/** Nobody on the way can read or change what comes from there. */
function isProtected(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  if (protocol === 'https:') return true
  return protocol === 'http:' && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
}

async function readBounded(url: string, answer: Response): Promise<string> {
  const decoder = new TextDecoder()
  let [text, size] = ['', 0]
  for await (const chunk of answer.body ?? []) {
    size += chunk.length
    // Leaving the loop cancels the rest.
    if (size > mostBytes) throw new Error(`${url} sends more than ${mostBytes} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text
}

function parse(url: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${url} does not answer JSON`, { cause: error })
  }
}

function lost(url: string, error: unknown): never {
  if (!(error instanceof Error)) throw new Error(`${url} cannot be read`, { cause: error })
  if (error.message.startsWith(url)) throw error
  if (error.name === 'TimeoutError') throw new Error(`${url} did not answer within ${timeoutMs} ms`, { cause: error })
  const code = error.cause instanceof Error && 'code' in error.cause ? ` (${String(error.cause.code)})` : ''
  throw new Error(`${url} cannot be read${code}`, { cause: error })
}

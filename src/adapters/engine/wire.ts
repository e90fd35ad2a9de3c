/** The wire: HTTP towards engines, over our own HTTP/1.1. */
import type { EngineAddress, Target, Wire } from '../../services/serve/index.ts'
import { openClient, toEndpoint, type Client, type Endpoint } from './http1/index.ts'

const mostGetBytes = 1024 * 1024

export function openWire(): Wire {
  const client = openClient()
  /** By the object that holds it: a replica's stays the same as long as its snapshot does. */
  const endpoints = new WeakMap<Target['address'], Endpoint>()

  function endpointOf(address: Target['address']): Endpoint {
    let endpoint = endpoints.get(address)
    if (endpoint === undefined) {
      endpoint = toEndpoint(address)
      endpoints.set(address, endpoint)
    }
    return endpoint
  }

  return {
    post(target, { path, body, contentType, requestId, flags }, listener) {
      const endpoint = endpointOf(target.address)
      const headers: Record<string, string> = { 'content-type': contentType, 'x-request-id': requestId }
      if (target.apiKey !== null) headers['authorization'] = `Bearer ${target.apiKey}`
      if (flags !== undefined && flags.length > 0) headers['x-holdfast-flags'] = flags.join(',')
      return client.send(endpoint, { method: 'POST', path: below(endpoint.base, path), headers, body }, listener)
    },
    async get(target, path, signal) {
      if (!isWholeAddress(path)) {
        const endpoint = endpointOf(target.address)
        return await read({ client, endpoint, path: below(endpoint.base, path), headers: headersOf(target), signal })
      }
      const endpoint = toEndpoint({ url: path })
      return await read({ client, endpoint, path: endpoint.whole, headers: {}, signal })
    },
    async close() {
      client.close()
    },
  }
}

type Reading = {
  client: Client
  endpoint: Endpoint
  path: string
  headers: Record<string, string>
  signal: AbortSignal
}

/** A small answer, whole. */
function read({ client, endpoint, path, headers, signal }: Reading): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const chunks: Buffer[] = []
  let length = 0
  let status = 0
  signal.throwIfAborted()
  const call = client.send(
    endpoint,
    { method: 'GET', path, headers, body: null },
    {
      head: code => {
        status = code
      },
      data(chunk) {
        length += chunk.length
        if (length <= mostGetBytes) chunks.push(chunk)
        else stop(new Error(`the answer to GET ${path} is larger than ${mostGetBytes} bytes`))
        return true
      },
      end: () => resolve({ status, text: Buffer.concat(chunks).toString('utf8') }),
      failed: reject,
    },
  )
  const onAbort = (): void => stop(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  return promise.finally(() => signal.removeEventListener('abort', onAbort))

  function stop(why: unknown): void {
    call.abort()
    reject(why)
  }
}

const isWholeAddress = (path: EngineAddress | `http${string}`): path is `http${string}` => path.startsWith('http')

/** `~` is the base without the version that ends it. */
const below = (base: string, path: EngineAddress): string =>
  path.startsWith('~') ? base.replace(/\/v\d+$/, '') + path.slice(1) : base + path

function headersOf({ apiKey }: Target): Record<string, string> {
  return apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }
}

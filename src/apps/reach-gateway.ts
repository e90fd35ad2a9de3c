/** Calls the gateway at its Unix socket: whatever certificate it shows or wants at its front door. */
import { request } from 'node:http'
import { Readable } from 'node:stream'

/** As `fetch` does it, for what the command line sends. Rejects when nobody listens, and when `signal` says so. */
export function fetchAtSocket(socketPath: string, path: string, init: RequestInit): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>()
  const { method = 'GET', body, signal } = init
  const headers = Object.fromEntries(new Headers(init.headers))
  const call = request({ socketPath, path, method, headers: { host: 'localhost', ...headers }, agent: false })
  call.once('error', reject).once('response', answer => {
    const { statusCode: status = 502, headers: told } = answer
    const text = Object.entries(told).map(([name, value]): [string, string] => [name, String(value)])
    const hasBody = status !== 204 && status !== 304
    // node:stream's web streams are the ones that fetch takes; only their types differ.
    const stream = hasBody ? (Readable.toWeb(answer) as unknown as ReadableStream) : null
    if (!hasBody) answer.resume()
    resolve(new Response(stream, { status, headers: text }))
  })
  const leave = (): void => void call.destroy(signal?.reason instanceof Error ? signal.reason : new Error('aborted'))
  if (signal?.aborted === true) leave()
  signal?.addEventListener('abort', leave, { once: true })
  call.once('close', () => signal?.removeEventListener('abort', leave))
  call.end(typeof body === 'string' ? body : undefined)
  return promise
}

/** The controller relay: administration arrives on the gateway's one port and is passed to the controller, wherever it is. */
import type { ClientRequest, IncomingMessage, RequestOptions, ServerResponse } from 'node:http'
import type { Fault } from '../../domain/fault.ts'
import type { RequestId } from '../../domain/units.ts'

/** First path segments that belong to the controller, and whole paths where the segment is the gateway's. */
export const relayedSegments = [
  'api',
  'console',
  // LiteLLM's administration; what of it is not there is told by the controller too.
  'key',
  'team',
  'user',
  'model',
  'model_group',
  'spend',
  'v2',
  '/v1/model/info',
  'global',
  'budget',
  'customer',
  'end_user',
  'organization',
  'utils',
  'cost',
  'routes',
] as const

export type RelayParts = {
  /** A call to the controller. */
  request: (call: Pick<RequestOptions, 'method' | 'path' | 'headers' | 'timeout'>) => ClientRequest
  sendFault: (response: ServerResponse, fault: Fault, id: RequestId) => void
  endAnswer: (response: ServerResponse, last: null) => void
}

/** `from`: the client's address, as far as it is believed. */
type Relayed = { id: RequestId; from: string }

/** An administrative call that takes longer has met a controller that hangs. */
const answerMs = 60_000

/** Headers that speak of one connection only (RFC 9110, 7.6.1). */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Passes bodies on as they come, both ways. Controller down: 503 `controller_unavailable`. */
export function relayToController({ request: callController, sendFault, endAnswer }: RelayParts) {
  return (request: IncomingMessage, response: ServerResponse, { id, from }: Relayed): void => {
    const framing = framingOf(request)
    const upstream = callController({
      method: request.method,
      path: request.url,
      timeout: answerMs,
      headers: {
        ...keep(request.headers),
        ...(framing === 'chunked' ? { 'transfer-encoding': 'chunked' } : {}),
        'x-request-id': id,
        'x-holdfast-from': from,
      },
    })
    upstream.on('response', answer => {
      response.writeHead(answer.statusCode ?? 502, { ...keep(answer.headers), 'x-request-id': id })
      answer.pipe(response, { end: false })
      answer.once('end', () => endAnswer(response, null))
      answer.on('error', () => response.destroy())
    })
    upstream.on('timeout', () => upstream.destroy(new Error('the controller does not answer')))
    upstream.on('error', () => sendFault(response, { kind: 'controller-unavailable' }, id))
    response.once('close', () => {
      upstream.destroy()
      // The end of a pipe pauses its source; what is left of the body must still be read away.
      request.unpipe(upstream).resume()
    })
    if (framing === 'none') upstream.end()
    else request.pipe(upstream)
  }
}

/**
 * How the body's end is told. It must be told to the controller too: a body without a frame would be read there as
 * the next request, and that could be for `/link`, which is nobody's from outside.
 */
function framingOf({ headers }: IncomingMessage): 'chunked' | 'length' | 'none' {
  if (headers['transfer-encoding'] !== undefined) return 'chunked'
  return headers['content-length'] === undefined ? 'none' : 'length'
}

function keep(headers: IncomingMessage['headers']): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !hopByHop.has(name)) kept[name] = value
  }
  return kept
}

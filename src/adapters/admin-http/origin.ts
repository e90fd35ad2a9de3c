/** Where an administrative call came from. */
import type { FastifyRequest } from 'fastify'

/**
 * The gateways' relays say for whom they speak. What they say counts where only they, or this machine's own user, can come
 * in: on the controller's socket, and over TLS with a gateway's certificate. `null`: from this machine, on the socket.
 */
export function originOf(request: FastifyRequest): string | null {
  const { socket } = request.raw
  const trusted = socket.remoteAddress === undefined || ('authorized' in socket && socket.authorized === true)
  const said = request.headers['x-holdfast-from']
  if (!trusted) return socket.remoteAddress ?? null
  return typeof said === 'string' && said !== '' ? said.slice(0, 64) : (socket.remoteAddress ?? null)
}
